"""The least that can show tokens: a socket, typed decoding, one write for each arrival.

    raw_socket.py ollama|openai URL MODEL

One shortcut: the server puts whole lines into each HTTP chunk, so a chunk's size is a line of its
own, told by its first byte and skipped, and a body without chunks needs no other code.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable

import msgspec


class Message(msgspec.Struct):
    content: str = ""


class Line(msgspec.Struct):
    message: Message
    done: bool = False


class Choice(msgspec.Struct):
    delta: Message


class Chunk(msgspec.Struct):
    choices: list[Choice]


decode_line = msgspec.json.Decoder(Line).decode
decode_chunk = msgspec.json.Decoder(Chunk).decode

Show = Callable[[list[bytes]], bool]


def show_ollama(lines: list[bytes]) -> bool:
    """Write the text of these lines; tell whether the answer is whole."""
    found = [decode_line(line) for line in lines if line[:1] == b"{"]
    write("".join([line.message.content for line in found]))
    return bool(found) and found[-1].done


def show_openai(lines: list[bytes]) -> bool:
    """Write the text of these lines; tell whether the answer is whole."""
    found = [decode_chunk(line[6:]) for line in lines if line[:7] == b"data: {"]
    write("".join([chunk.choices[0].delta.content for chunk in found]))
    return b"data: [DONE]" in lines


def write(text: str) -> None:
    """Write and flush, if there is anything."""
    if text:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()


def ask(url: str, path: str, model: str, show: Show) -> None:
    """Ask, and show what comes until the answer is whole."""
    host, port = url.removeprefix("http://").split(":")
    question = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps(question).encode()
    with socket.create_connection((host, int(port))) as sock:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        held = b""
        while b"\r\n\r\n" not in held:
            held += sock.recv(65536)
        held = held.partition(b"\r\n\r\n")[2]
        while True:
            *lines, held = held.split(b"\n")
            if show(lines):
                return
            data = sock.recv(65536)
            if not data:
                sys.exit("the answer was cut")
            held += data


if __name__ == "__main__":
    dialect, url, model = sys.argv[1:]
    if dialect == "ollama":
        ask(url, "/api/chat", model, show_ollama)
    else:
        ask(url, "/v1/chat/completions", model, show_openai)

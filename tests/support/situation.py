"""A situation: one exchange with a server, byte for byte, and all that a user gets to see of it.

`situations` holds the table of them, made with the functions here.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import Any

from tests.support.listener import Listener

Step = bytes | float
"""Bytes that are sent, or seconds of silence before the next ones."""

HOLD = 600.0
"""Seconds of silence that last until the client leaves."""


@dataclass(frozen=True)
class Situation:
    """What a server sends, and what becomes of it.

    `says` are words that stand in the notes, and for a failure in its message or hint. `path`
    is what the request has to ask for.
    """

    response: tuple[Step, ...]
    text: str = ""
    dialect: str = "openai"
    flags: tuple[str, ...] = ()
    address: str = ""  # what follows the server's own address
    environ: dict[str, str] = field(default_factory=dict)
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    reason: str = "stop"
    error: str | None = None
    warnings: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    images: int = 0
    status: int = 0
    says: tuple[str, ...] = ()
    path: str | None = None


class Raw(Listener):
    """Sends a situation's bytes to every client that has asked."""

    def __init__(self, response: tuple[Step, ...], listen: tuple[str, int] = ("127.0.0.1", 0)):
        super().__init__(listen)
        self.response = response
        self.paths: list[str] = []

    def handle(self, number: int, sock: socket.socket) -> None:
        """Read the request, then send."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        self.paths.append(head.split(b" ")[1].decode())
        lengths = [it for it in head.lower().split(b"\r\n") if it.startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0].partition(b":")[2]):
            body += sock.recv(65536)
        for step in self.response:
            if isinstance(step, bytes):
                sock.sendall(step)
            elif step == HOLD:
                sock.recv(1)
            elif self.stopping.wait(step):
                return


def head(status: str = "200 OK", media: str = "text/event-stream", *lines: str) -> bytes:
    """A response head; the body ends with the connection."""
    fields = [f"HTTP/1.1 {status}", f"Content-Type: {media}", "Connection: close", *lines]
    return "\r\n".join([*fields, "", ""]).encode()


def sse(*frames: dict[str, Any] | str) -> bytes:
    """Events: chunks as JSON, text as it is."""
    return b"".join(
        (f"data: {json.dumps(it)}\n\n" if isinstance(it, dict) else it).encode() for it in frames
    )


def chunk(content: str | None = None, reason: Any = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a chat completion; `fields` are those of its choice, but `delta` is merged."""
    delta = {**({} if content is None else {"content": content}), **fields.pop("delta", {})}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **fields}]}


def stream(*frames: dict[str, Any] | str, done: bool = True) -> tuple[Step, ...]:
    """A whole response of events."""
    return (head(), sse(*frames, *(["data: [DONE]\n\n"] if done else [])))


def said(text: str, *frames: dict[str, Any] | str) -> tuple[Step, ...]:
    """One piece of text, these frames, and the usual end."""
    return stream(chunk(text), *frames, chunk(reason="stop"))


def json_body(value: Any, status: str = "200 OK", *lines: str) -> tuple[Step, ...]:
    """A response that is one JSON text."""
    body = json.dumps(value).encode()
    return (head(status, "application/json", *lines), body)


def anthropic(text: str, reason: str) -> tuple[Step, ...]:
    """A message of Anthropic's with this stop reason."""
    frames: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 5}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    return (head(), b"".join(f"event: {it['type']}\n".encode() + sse(it) for it in frames))


def call(index: Any = 0, call_id: Any = None, name: str | None = None, arguments: Any = "") -> Any:
    """A chunk with a fragment of a tool call."""
    function = {"arguments": arguments, **({} if name is None else {"name": name})}
    fields = {"index": index, "function": function, **({} if call_id is None else {"id": call_id})}
    return chunk(delta={"tool_calls": [fields]})

"""A fast, deterministic mock server of the three protocols, a process of its own, for measuring.

    with MockServer() as server:
        ... server.url, model "t=10000,rate=0,size=5" ...
    python tests/support/mockserver.py --port 0          # prints: listening on http://127.0.0.1:PORT

    POST /api/chat  /v1/chat/completions  /v1/messages   streamed, or whole with "stream": false
    GET  /api/tags  /api/version  /v1/models             what a client may look at first
    GET  /_stamps       the last stream: {"id", "spec", "t_accept", "t_request", "t_head",
                        "sent": [ns for each token]}, of CLOCK_MONOTONIC, which is the same
                        for all processes, so a client may subtract its own clock
    GET  /_text?m=SPEC  the text of a script, to compare a client's output with
    POST /_quit         end the server

The script is the name of the model or the query string; see mockscript.py. Bodies are built once
and kept; unpaced they go out in large sends. Paced streams run on a thread with absolute
deadlines and time.sleep(), because asyncio rounds its timeouts up to whole milliseconds.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import ctypes
import functools
import json
import os
import select
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # it may be started by its path

from tests.support.mockscript import Api, Spec, batches, parse_spec, tokens, whole, writes

APIS: dict[str, Api] = {
    "/api/chat": "ollama",
    "/v1/chat/completions": "openai",
    "/v1/messages": "anthropic",
}
LISTS: dict[str, object] = {
    "/api/tags": {"models": [{"name": "mock-1:latest", "model": "mock-1:latest", "size": 1}]},
    "/api/version": {"version": "0.12.0"},
    "/v1/models": {"object": "list", "data": [{"id": "mock-1", "object": "model", "created": 1}]},
}
TIMER_SLACK = 29  # prctl's PR_SET_TIMERSLACK

now = time.monotonic_ns


class MockServer:
    """The server as a subprocess; `options` are its command line's."""

    url: str

    def __init__(self, *options: str) -> None:
        self._options = options

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).resolve()), "--port", "0", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip().removeprefix("listening on ")
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.terminate()


@dataclass
class Stamps:
    """When what happened to the last stream, in ns of CLOCK_MONOTONIC."""

    id: int = 0
    spec: str = ""
    t_accept: int = 0
    t_request: int = 0
    t_head: int = 0
    sent: array.array[int] = field(default_factory=lambda: array.array("q"))

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps({**vars(self), "sent": self.sent.tolist()}).encode()


@dataclass(frozen=True)
class Request:
    """One request, and when its head was complete."""

    method: str
    url: SplitResult
    headers: dict[str, str]
    body: bytes
    at: int

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection to end after the answer."""
        return self.headers.get("connection", "").lower() == "close"


class Server:
    """What all connections share."""

    def __init__(self) -> None:
        self.stamps = Stamps()
        self.quit = asyncio.Event()
        self.threads = ThreadPoolExecutor(max_workers=64)

    async def accept(self, listener: socket.socket) -> None:
        """Serve connections for ever."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                sock, _ = await loop.sock_accept(listener)
                group.create_task(Connection(self, sock).run())


class Connection:
    """One client."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self._server, self._sock = server, sock
        self._loop = asyncio.get_running_loop()
        self._accepted, self._unread = now(), b""

    async def run(self) -> None:
        """Answer until one side closes."""
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._sock, suppress(OSError, EOFError):
            while await self._answer(await self._read_request()):
                pass
            self._sock.shutdown(socket.SHUT_WR)

    async def _read_request(self) -> Request:
        head = await self._read_until(b"\r\n\r\n")
        at = now()
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            await self._loop.sock_sendall(self._sock, b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(await self._read_until(b"\r\n"), 16):
                body += (await self._read(size + 2))[:-2]
            await self._read_until(b"\r\n")
        else:
            body = await self._read(int(headers.get("content-length", "0")))
        return Request(method, urlsplit(target), headers, body, at)

    async def _read_until(self, mark: bytes) -> bytes:
        while (end := self._unread.find(mark)) < 0:
            await self._receive()
        return await self._read(end + len(mark))

    async def _read(self, size: int) -> bytes:
        while len(self._unread) < size:
            await self._receive()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    async def _receive(self) -> None:
        data = await self._loop.sock_recv(self._sock, 65536)
        if not data:
            raise EOFError
        self._unread += data

    async def _answer(self, request: Request) -> bool:
        """Answer one request. False: the connection ends."""
        path, query = request.url.path, request.url.query
        if request.method == "POST" and (api := APIS.get(path)):
            asked = json.loads(request.body or b"{}")
            spec = parse_spec(asked.get("model", ""), query)
            if asked.get("stream", api == "ollama"):
                usage = bool((asked.get("stream_options") or {}).get("include_usage"))
                await self._stream(request, api, spec, usage)
                return spec.body == "chunked" and not request.closes
            await self._reply(whole(api, spec))
        elif path in LISTS:
            await self._reply(json.dumps(LISTS[path]).encode())
        elif path == "/_stamps":
            await self._reply(self._server.stamps.dump())
        elif path == "/_text":
            spec = parse_spec(parse_qs(query).get("m", [""])[0])
            await self._reply("".join(tokens(spec)).encode(), kind="text/plain; charset=utf-8")
        elif path == "/_quit":
            await self._reply(b"{}")
            self._server.quit.set()
        else:
            await self._reply(b'{"error":"not found"}', "404 Not Found")
        return not request.closes

    async def _reply(
        self, body: bytes, status: str = "200 OK", kind: str = "application/json"
    ) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        await self._loop.sock_sendall(self._sock, head.encode() + body)

    async def _stream(self, request: Request, api: Api, spec: Spec, usage: bool) -> None:
        kind = "application/x-ndjson" if api == "ollama" else "text/event-stream; charset=utf-8"
        lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Cache-Control: no-cache"]
        if spec.body == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if spec.body != "chunked" or request.closes:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode()
        stamps = Stamps(self._server.stamps.id + 1, str(spec), self._accepted, request.at, now())
        self._server.stamps = stamps
        if spec.rate:
            await self._loop.sock_sendall(self._sock, head)
            send = functools.partial(_send_paced, self._sock, api, spec, usage, stamps)
            await self._loop.run_in_executor(self._server.threads, send)
            return
        parts = batches(api, spec, usage)
        if spec.first:
            await self._loop.sock_sendall(self._sock, head)
            head = b""
            await asyncio.sleep(spec.first / 1e3)
        for data, count in parts:
            at = now()
            await self._loop.sock_sendall(self._sock, head + data)
            head = b""
            stamps.sent.extend([at] * count)


def _send_paced(sock: socket.socket, api: Api, spec: Spec, usage: bool, stamps: Stamps) -> None:
    """On a thread: a send for each group at its deadline, a time stamp just before it."""
    ctypes.CDLL(None).prctl(TIMER_SLACK, 1, 0, 0, 0)  # 1 ns: sleep() wakes up on time
    body = writes(api, spec, usage)
    time.sleep(spec.first / 1e3)
    _send(sock, body.head)
    step, began = spec.chunk / spec.rate * 1e9, now()
    for number, group in enumerate(body.groups):
        time.sleep(max(0.0, began + number * step - now()) / 1e9)
        at = now()
        _send(sock, group)
        stamps.sent.extend([at] * min(spec.chunk, spec.t - len(stamps.sent)))
    _send(sock, body.tail)


def _send(sock: socket.socket, data: bytes) -> None:
    """sendall() for a socket that does not block."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[sock.send(rest) :]
        except BlockingIOError:
            select.select([], [sock], [], 5)


async def serve(port: int) -> None:
    """Listen, say where, and serve until /_quit."""
    server = Server()
    with socket.create_server(("127.0.0.1", port), backlog=512) as listener:
        listener.setblocking(False)
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        accepting = asyncio.create_task(server.accept(listener))
        await server.quit.wait()
        accepting.cancel()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--cpu", type=int, help="pin the server to this processor")
    parser.add_argument("--warm", action="append", default=[], help="API:SPEC, built beforehand")
    given = parser.parse_args()
    if given.cpu is not None:
        os.sched_setaffinity(0, {given.cpu})
    for warm in given.warm:
        api, _, spec = warm.partition(":")
        batches(api, parse_spec(spec), False)
    asyncio.run(serve(given.port))


if __name__ == "__main__":
    main()

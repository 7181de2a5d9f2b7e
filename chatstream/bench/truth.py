"""A server that knows when it sent what: the ground truth that a measurement is compared with.

It speaks Ollama's, OpenAI's and Anthropic's wire format, chosen by the path, over plain
HTTP/1.1 on loopback with connections that stay open. One thread serves all connections; every
write carries one delta, and the moment before the write went to the kernel is logged.

The model that is asked for is the `Script` to play, as JSON (`Script.model`), so that each of
many streams at once has its own. The log of a run is found by its prompt.

The times are those of `time.monotonic`, which on Linux is one clock for all processes: the
server may as well be one of its own.
"""

from __future__ import annotations

import heapq
import itertools
import math
import selectors
import socket
import struct
import sys
import threading
import time
from typing import Literal, NamedTuple, Self

import msgspec

from chatstream.clock import monotonic

SWITCH_SECONDS = 0.0005
"""Seconds (`sys.setswitchinterval`): how long a client in this process may keep us from sending
on time. Python's own 5 ms is longer than many a gap."""

HELD_UP_SECONDS = 0.0003
"""On loopback a write takes a tenth of it, with the kernel's work for the receiver."""

_IDLE_SECONDS = 1.0
_NAP_SECONDS = 0.001  # the longest sleep in which nobody listens
_MAX_REQUEST_BYTES = 1 << 20  # bytes of a request


class Script(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request is answered with; times in seconds.

    The first delta comes `first` after the request, each further one `gap` after the one before;
    `stalls` adds time before the delta that brings the token of that index. A delta holds
    `bundle` tokens. After `tokens` of them the answer ends one more gap later: as the protocol
    wants it, or by a connection that is closed or reset without an end mark.
    """

    tokens: int = 20
    gap: float = 0.010
    first: float = 0.0
    stalls: dict[int, float] = {}
    bundle: int = 1
    end: Literal["whole", "truncated", "reset"] = "whole"

    @property
    def model(self) -> str:
        """The name of the model that plays this."""
        return msgspec.json.encode(self).decode()

    def delay(self, written: int) -> float:
        """Seconds from one write to the next, after which `written` tokens have been sent."""
        coming = range(written, min(written + self.bundle, self.tokens))
        return (self.gap if written else self.first) + sum(self.stalls.get(i, 0.0) for i in coming)


class Log(msgspec.Struct, kw_only=True):
    """What happened to one request: monotonic seconds.

    `asked` is when the whole request was there, `sends` the moment before each write of a delta.
    `held` are those of them, by their numbers, whose write took longer than `HELD_UP_SECONDS`: this
    process was stopped in it, and nobody knows whether before or after the bytes went.
    """

    prompt: str
    script: Script
    asked: float
    sends: list[float] = []
    held: list[int] = []

    @property
    def gaps(self) -> list[float]:
        """The seconds between the writes."""
        return [b - a for a, b in itertools.pairwise(self.sends)]

    @property
    def tpot(self) -> float:
        """The true time per output token, in seconds. Needs two writes."""
        tokens = min(len(self.sends) * self.script.bundle, self.script.tokens)
        return (self.sends[-1] - self.sends[0]) / (tokens - self.script.bundle)


class _Wire(NamedTuple):
    """A wire format. A delta is its text between `before` and `after`; `ending` has the usage."""

    media_type: bytes
    opening: bytes
    before: bytes
    after: bytes
    ending: bytes


_CHUNK = b'data: {"id":"truth","object":"chat.completion.chunk","model":"truth","choices":['
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'

_WIRES = {  # by the end of the path
    "/api/chat": _Wire(
        b"application/x-ndjson",
        b"",
        b'{"model":"truth","message":{"role":"assistant","content":"',
        b'"},"done":false}\n',
        b'{"model":"truth","message":{"role":"assistant","content":""},"done":true,'
        b'"done_reason":"stop","prompt_eval_count":1,"eval_count":%d}\n',
    ),
    "/chat/completions": _Wire(
        b"text/event-stream",
        _CHUNK + b'{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
        _CHUNK + b'{"index":0,"delta":{"content":"',
        b'"}}]}\n\n',
        _CHUNK + b'{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' + _CHUNK + b'],"usage":'
        b'{"prompt_tokens":1,"completion_tokens":%d}}\n\ndata: [DONE]\n\n',
    ),
    "/v1/messages": _Wire(
        b"text/event-stream",
        b'event: message_start\ndata: {"type":"message_start","message":{"role":"assistant",'
        b'"content":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n',
        _DELTA + b'{"type":"text_delta","text":"',
        b'"}}\n\n',
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":%d}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ),
}


class _Message(msgspec.Struct):
    content: str


class _Question(msgspec.Struct):
    model: str
    messages: list[_Message]


_questions = msgspec.json.Decoder(_Question)
_scripts = msgspec.json.Decoder(Script)


class _Connection:
    """One client's connection, and the answer that is being sent on it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.received = bytearray()
        self.log: Log | None = None
        self.wire = _WIRES["/api/chat"]
        self.written = 0  # tokens

    def question(self) -> tuple[str, bytes] | None:
        """The path and the body of the next request; None until it is whole.

        Raises `ValueError` for anything that is not a request with a length.
        """
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self.received[:end].decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(":", 1) for line in lines)
        length = int(fields.get("content-length", "0"))
        if len(self.received) < end + 4 + length:
            return None
        body = bytes(self.received[end + 4 : end + 4 + length])
        del self.received[: end + 4 + length]
        return first.split(" ")[1], body

    def send(self, data: bytes) -> tuple[float, float]:
        """Send all of it; returns the moments before and after. Raises `OSError`.

        A client that lets the kernel's buffers fill up is given up, because the moment when the
        rest of a write went out is not known.
        """
        at = monotonic()
        if self.sock.send(data) < len(data):
            raise BlockingIOError
        return at, monotonic()

    def reset(self) -> None:
        """Let `close` send a reset in place of an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Truth:
    """The server; a context manager. A model that is no script plays `script`.

    While it runs, threads of this process change more often (`SWITCH_SECONDS`).
    """

    def __init__(self, script: Script | None = None) -> None:
        self.logs: list[Log] = []  # in the order of the requests
        self._script = script or Script()
        self._due: list[tuple[float, int, _Connection]] = []  # a heap of the sends to come
        self._numbers = itertools.count()  # so that the heap never compares connections
        self._open: set[_Connection] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="truth", daemon=True)

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT. OpenAI's base address is that and `/v1`."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def log(self, prompt: str) -> Log:
        """The log of the latest request with this prompt. Raises `LookupError`."""
        for log in reversed(self.logs):
            if log.prompt == prompt:
                return log
        raise LookupError(f"no request asked {prompt!r}")

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self._bell, self._ear = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._switch = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch, SWITCH_SECONDS))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping = True
        self._bell.send(b"!")
        self._thread.join()
        sys.setswitchinterval(self._switch)
        for connection in list(self._open):
            self._drop(connection)
        self._selector.close()
        for sock in (self._listener, self._bell, self._ear):
            sock.close()

    # ---- the thread

    def _serve(self) -> None:
        while not self._stopping:
            while self._due and self._due[0][0] <= monotonic():
                self._go_on(heapq.heappop(self._due)[2])
            for key, _ in self._rest():
                if isinstance(key.data, _Connection):
                    self._listen(key.data)
                elif key.fileobj is self._listener:
                    self._accept()

    def _rest(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for something to read, or for the moment of the next send."""
        if not self._due:
            return self._selector.select(_IDLE_SECONDS)
        left = self._due[0][0] - monotonic()
        # Selectors round up to whole milliseconds: the last one is slept.
        whole = math.floor(left * 1000)
        ready = self._selector.select((whole - 0.5) / 1000 if whole > 0 else 0)
        left = self._due[0][0] - monotonic()
        if not ready and left > 0:
            time.sleep(min(left, _NAP_SECONDS))
        return ready

    def _accept(self) -> None:
        try:
            connection = _Connection(self._listener.accept()[0])
        except OSError:  # it has already left
            return
        self._open.add(connection)
        self._selector.register(connection.sock, selectors.EVENT_READ, connection)

    def _drop(self, connection: _Connection) -> None:
        self._open.remove(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _listen(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(65536)
        except OSError:
            data = b""
        connection.received += data
        if not data or len(connection.received) > _MAX_REQUEST_BYTES:
            self._drop(connection)
        elif connection.log is None:
            self._answer(connection)

    def _answer(self, connection: _Connection) -> None:
        """Begin with the next request, if it is there."""
        try:
            asked = connection.question()
            if asked is None:
                return
            path, body = asked
            wire = next((it for end, it in _WIRES.items() if path.endswith(end)), None)
            if wire is None:
                connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            question = _questions.decode(body)
            log = Log(
                prompt=question.messages[-1].content,
                script=self._played(question.model),
                asked=monotonic(),
            )
            head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
            opening = _chunk(wire.opening) if wire.opening else b""
            connection.send(head % wire.media_type + opening)
        except (OSError, ValueError, LookupError):
            self._drop(connection)
            return
        connection.log, connection.wire, connection.written = log, wire, 0
        self.logs.append(log)
        self._schedule(connection, log.asked + log.script.delay(0))

    def _played(self, model: str) -> Script:
        try:
            return _scripts.decode(model)
        except msgspec.DecodeError:
            return self._script

    def _schedule(self, connection: _Connection, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), connection))

    def _go_on(self, connection: _Connection) -> None:
        """Send what is due: the next delta, or the end."""
        if connection not in self._open or connection.log is None:
            return
        log, wire = connection.log, connection.wire
        script, written = log.script, connection.written
        try:
            if written < script.tokens:
                after = min(written + script.bundle, script.tokens)
                # All tokens have the same length: they can be counted by their characters.
                text = b"".join(b"%04d " % (index % 10_000) for index in range(written, after))
                sent, returned = connection.send(_chunk(wire.before + text + wire.after))
                if returned - sent > HELD_UP_SECONDS:
                    log.held.append(len(log.sends))
                log.sends.append(sent)
                connection.written = after
                self._schedule(connection, sent + script.delay(after))
            elif script.end == "whole":
                connection.log = None
                connection.send(_chunk(wire.ending % script.tokens) + b"0\r\n\r\n")
                self._answer(connection)
            else:
                if script.end == "reset":
                    connection.reset()
                self._drop(connection)
        except OSError:
            self._drop(connection)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)

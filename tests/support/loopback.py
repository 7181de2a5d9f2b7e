r"""A scripted HTTP/1.1 server on a real loopback socket: what it sends, and when, is the test's.

    with Script(Reply([b"data: a\n\n", b"data: b\n\n"], headers=SSE)) as server:
        ... a client asks server.url ...
    assert server.requests[0].json["stream"] is True

Each request gets the next reply, over all connections, and after the last one that again.
Connections stay open between requests as HTTP/1.1 has it. Nothing here waits for time to pass
unless a reply has a `pace`: a reply holds where the test says (`hold`), until the test's event
is set, the client leaves or the server stops.

Every connection is also read while it is written to, so `Connection.client_gone` is set the
moment the client closes it or resets it.
"""

from __future__ import annotations

import json
import queue
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import responses
from pathlib import Path
from typing import Any, Literal, Self

from tests.support.listener import Listener
from tests.support.tls import Certificate, TLSStream, make_certificate
from tests.support.unavailable import skip_unavailable
from tests.support.waiting import POLL as POLL

SSE = {"Content-Type": "text/event-stream"}
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}

LIMIT = 5.0  # seconds that a wait of a test takes at most, unless it says otherwise

Framing = Literal["chunked", "close", "length"]

Point = Literal["before_head", "after_head"] | int
"""Where a reply holds; a number is after so many writes of the body."""


@dataclass(frozen=True)
class Reply:
    """One answer. `body` is bytes, or the writes it consists of (each goes out as one send).

    An endless body, as itertools.repeat() makes one, must not be `length` framed or `split`.
    """

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    framing: Framing = "chunked"
    split: int | None = None  # the body is sent in writes of so many bytes instead
    cut_after: int | None = None  # the connection ends after so many bytes of the body,
    rst: bool = False  # by a reset; chunked: always without the last chunk
    hold: Mapping[Point, threading.Event] = field(default_factory=dict)
    pace: float = 0.0  # seconds after each write

    @classmethod
    def json(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Self:
        """A whole JSON body, with its length."""
        return cls(json.dumps(value).encode(), status, {**JSON, **(headers or {})}, "length")

    def writes(self) -> Iterator[bytes]:
        """The body as it is sent, before a cut."""
        if self.split is None:
            yield from [self.body] if isinstance(self.body, bytes) else self.body
            return
        whole = self.whole()
        for start in range(0, len(whole), self.split):
            yield whole[start : start + self.split]

    def whole(self) -> bytes:
        """The body in one piece."""
        return self.body if isinstance(self.body, bytes) else b"".join(self.body)

    def head(self) -> bytes:
        """The status line and the headers."""
        phrase = responses.get(self.status, "Unknown")
        fields = dict(self.headers)
        match self.framing:
            case "chunked":
                fields["Transfer-Encoding"] = "chunked"
            case "length":
                fields["Content-Length"] = str(len(self.whole()))
            case "close":
                fields["Connection"] = "close"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{k}: {v}" for k, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Request:
    """What a client asked; the names of `headers` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int  # its number, from 0

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


NO_WINDOW = {path: Reply.json({}, 404) for path in ("/api/ps", "/props")}
"""What is asked beside a conversation that continues; most tests are not about it."""


class Script(Listener):
    """The server. `requests` and `connections` grow as they arrive, since the last `play`."""

    def __init__(
        self,
        *replies: Reply,
        cycle: bool = False,
        https: bool | Certificate = False,
        beside: Mapping[str, Reply] | None = None,
    ) -> None:
        """`cycle`: after the last reply comes the first one again.

        `https` is the server's certificate; True makes one. `beside` has the replies for other
        paths, whose requests are in `beside_requests`. Without them nobody tells a window.
        """
        super().__init__()
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.ca_file: Path | None = None  # https: the authority that the client has to trust
        self.beside_requests: list[Request] = []
        self._beside = {**NO_WINDOW, **(beside or {})}
        self._https = https
        self._context: ssl.SSLContext | None = None
        self._changed = threading.Condition()
        self._cleanup = ExitStack()
        self.play(*replies, cycle=cycle)

    def play(self, *replies: Reply, cycle: bool = False) -> None:
        """Begin anew with these replies; earlier requests and ended connections are forgotten."""
        with self._changed:
            self._replies, self._cycle = replies, cycle
            self.requests.clear()
            self.connections[:] = [it for it in self.connections if not it.over.is_set()]

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT, or https."""
        return f"http{'s' if self._https else ''}://{self.host}:{self.port}"

    def wait_requests(self, count: int = 1, timeout: float = LIMIT) -> bool:
        """Wait until `count` requests have arrived; False when they have not."""
        return self._wait(lambda: len(self.requests) >= count, timeout)

    def wait_connected(self, timeout: float = LIMIT) -> bool:
        """Wait until somebody has connected; False when nobody has."""
        return self._wait(lambda: bool(self.connections), timeout)

    def wait_holding(self, timeout: float = LIMIT) -> bool:
        """Wait until a reply holds; False when none does."""
        return self._wait(lambda: any(it.holding for it in self.connections), timeout)

    def wait_closed(self, timeout: float = LIMIT) -> bool:
        """Wait until every connection, and at least one, has ended; False when one has not."""
        return self._wait(
            lambda: bool(self.connections) and all(it.over.is_set() for it in self.connections),
            timeout,
        )

    def __enter__(self) -> Self:
        if self._https:
            folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory()))
            with skip_unavailable():
                given = self._https if isinstance(self._https, Certificate) else None
                certificate = given or make_certificate(folder)
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate.cert, certificate.key)
            self.ca_file = certificate.ca
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._cleanup.close()

    def handle(self, number: int, sock: socket.socket) -> None:
        """Keep the connection in `connections` and serve it."""
        connection = Connection(self, number, sock)
        with self._changed:
            self.connections.append(connection)
            self._changed.notify_all()
        connection.run(self._context)

    def reply_to(self, request: Request) -> Reply:
        """What `beside` has for its path, or else what `take` says."""
        if (reply := self._beside.get(request.path)) is None:
            return self.take(request)
        self.beside_requests.append(request)
        return reply

    def take(self, request: Request) -> Reply:
        """Record the request; its reply."""
        with self._changed:
            number, replies = len(self.requests), self._replies
            self.requests.append(request)
            self._changed.notify_all()
            return replies[number % len(replies) if self._cycle else min(number, len(replies) - 1)]

    def changed(self) -> None:
        """Wake who waits for a change of a connection."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout)


class Ended(Exception):
    """The connection is over: nothing more can be sent on it."""


class Connection:
    """One client's connection: this thread reads the requests, another one answers them."""

    def __init__(self, script: Script, number: int, sock: socket.socket) -> None:
        self.number = number
        self.client_gone = threading.Event()  # the client has closed or reset the connection
        self.client_gone_at: float | None = None  # then, on time.monotonic()
        self.holding = False  # a reply holds at this moment
        self._script = script
        self._sock = sock
        self._stream: socket.socket | TLSStream = sock
        self._unread = b""
        self.over = threading.Event()  # it has ended, whoever ended it
        self._asked: queue.SimpleQueue[tuple[Request, Reply] | None] = queue.SimpleQueue()

    def run(self, context: ssl.SSLContext | None) -> None:
        """Serve until the client or the script ends it."""
        answering = threading.Thread(target=self._answer_all, daemon=True)
        answering.start()
        try:
            if context:
                self._stream = stream = TLSStream(self._sock, context)
                stream.handshake()
            while True:
                request = self._read_request()
                self._asked.put((request, self._script.reply_to(request)))
        except (OSError, Ended):
            if not (self.over.is_set() or self._script.stopping.is_set()):
                self.client_gone_at = time.monotonic()
                self.client_gone.set()
        finally:
            self.over.set()
            self._asked.put(None)
            answering.join()
            self._script.changed()

    def _read_request(self) -> Request:
        head = self._read_until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        fields = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._read_until(b"\r\n"), 16):
                body += self._read(size)
                self._read(2)
            self._read_until(b"\r\n")
        else:
            body = self._read(int(headers.get("content-length", "0")))
        return Request(method, path, headers, body, self.number)

    def _read_until(self, mark: bytes) -> bytes:
        while (end := self._unread.find(mark)) < 0:
            self._receive()
        return self._read(end + len(mark))

    def _read(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _receive(self) -> None:
        data = self._stream.recv(65536)
        if not data:
            raise Ended
        self._unread += data

    def _answer_all(self) -> None:
        with suppress(OSError, Ended):
            for request, reply in iter(self._asked.get, None):
                self._answer(request, reply)

    def _answer(self, request: Request, reply: Reply) -> None:
        """Send the reply. Raises Ended after the last one; the reader awaits the client's end."""
        self._hold(reply, "before_head")
        self._stream.sendall(reply.head())
        self._hold(reply, "after_head")
        chunked, left = reply.framing == "chunked", reply.cut_after
        for count, write in enumerate(reply.writes(), 1):
            if data := write[:left]:
                self._stream.sendall(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
            self._hold(reply, count)
            if left is not None:
                left -= len(data)
                if left == 0:
                    break
            if reply.pace and self.over.wait(reply.pace):
                raise Ended
        if reply.cut_after is not None:
            self._reset() if reply.rst else self._sock.shutdown(socket.SHUT_WR)
            raise Ended
        if chunked:
            self._stream.sendall(b"0\r\n\r\n")
        if reply.framing == "close" or request.headers.get("connection") == "close":
            if isinstance(self._stream, TLSStream):
                self._stream.close_notify()
            self._sock.shutdown(socket.SHUT_WR)
            raise Ended

    def _hold(self, reply: Reply, point: Point) -> None:
        if (event := reply.hold.get(point)) is None:
            return
        self.holding = True
        self._script.changed()
        while not event.wait(POLL):
            if self.over.is_set():
                raise Ended
        self.holding = False

    def _reset(self) -> None:
        """Make the reader close the socket with a reset."""
        self.over.set()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.shutdown(socket.SHUT_RD)

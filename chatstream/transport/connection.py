"""The sockets under requests: reachable from `connect()` on, and read as bytes arrive.

urllib3 makes the connections and sends the request; the response head is read by `head`. These
subclasses add three things that urllib3 lacks:

1. The `Lane` of an exchange knows the socket before it is connected. `Lane.shutdown()`, from any
   thread or signal handler, ends whatever blocks on it: connect, TLS, proxy, head or body.
2. `Body.pull()` returns every byte that has been received, chunk framing removed, and never
   waits longer than a tick. (urllib3 hands out one chunk a call; its `stream` and `read` wait
   for whole buffers.)
3. The lane's `Trace` says when each phase of connecting ended, and when the request was sent.

Shutdown works on a duplicate of the socket: a TLS wrapper takes the original over, and calling
`shutdown` on the wrapper while another thread reads would pull its state away under the reader.
Only the exchange closes; a shutdown from outside never frees a descriptor that is in use.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import queue
import socket
import ssl
import threading
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from chatstream.clock import monotonic
from chatstream.errors import ChatstreamError, Truncated
from chatstream.timing import Trace
from chatstream.transport.body import Chunked, Framing, Sized, UntilClose
from chatstream.transport.head import body_length, read_head
from chatstream.transport.proxies import Proxy

TICK = 0.1
"""Seconds: the longest that a reader is without control, so the pace of spinners and limits."""

_RECEIVE = 64 * 1024

# A peer that vanished (a laptop that slept, a cable that was pulled) is found out within a
# minute, also where there is no limit on silence. Not every platform has the three times.
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]

_current = threading.local()  # .lane: the exchange that this thread opens a connection for


class Lane:
    """One exchange's sockets, and its `trace`. `inbox` takes what the opening thread tells."""

    head_timeout: float | None = None
    """Seconds that a read of the head may block; the token ends it sooner."""

    def __init__(self) -> None:
        self.trace = Trace()
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.body: Body | None = None
        self.proxy: Proxy | None = None
        self.connected = False
        self._guard: socket.socket | None = None
        self.dead = False

    def enter(self) -> None:
        """From now on this thread opens connections for this lane."""
        _current.lane = self

    def opened(self, sock: socket.socket) -> None:
        """A socket of this lane exists; it need not be connected yet.

        Raises `OSError` on a lane that has ended.
        """
        self.close()
        self._guard = socket.socket(fileno=socket.dup(sock.fileno()))
        # shutdown() sets the flag first and then looks for the guard, this does the reverse:
        # whichever comes second sees the other, so no socket escapes a cancel.
        if self.dead:
            self.close()
            raise OSError(errno.ECANCELED, "cancelled")

    def wait(self) -> Any:
        """What the opening thread says within a tick: a response, an exception, or None."""
        with contextlib.suppress(queue.Empty):
            return self.inbox.get(timeout=TICK)
        return None

    def answer(self, item: requests.Response | Exception) -> None:
        """What became of the request. A response that nobody waits for any more is closed."""
        self.inbox.put(item)
        if self.dead:
            self.discard()

    def discard(self) -> None:
        """Close a response that came too late; with `answer` in either order, one of them does."""
        with contextlib.suppress(queue.Empty):
            while True:
                late = self.inbox.get_nowait()
                if isinstance(late, requests.Response):
                    late.close()

    def sent(self, sock: socket.socket) -> None:
        """The request is on the wire."""
        self.connected = True
        self.inbox.put(None)

    def shutdown(self) -> None:
        """End what blocks on this lane. Idempotent, takes no lock, safe in signal handlers."""
        self.dead = True
        guard = self._guard
        if guard is not None:
            with contextlib.suppress(OSError):
                guard.shutdown(socket.SHUT_RDWR)
        self.inbox.put(None)

    def now(self) -> float:
        """Monotonic seconds: when what was received last was there."""
        return monotonic()

    def reader(self, sock: socket.socket) -> Any:
        """What http.client reads the head from: something with `makefile`."""
        return sock

    def read_ahead(self, file: io.BufferedReader, sock: socket.socket) -> bytes:
        """What was received together with the head; from here on the socket is read directly."""
        held = b""
        sock.settimeout(0)
        with contextlib.suppress(OSError):  # nothing there, or an error that recv tells again
            held = file.peek()
        sock.settimeout(TICK)
        return file.read(len(held)) if held else b""

    def receive(self, sock: socket.socket) -> bytes | None:
        """What has arrived; b"" at the end; None if nothing came in time. Raises `OSError`."""
        try:
            return sock.recv(_RECEIVE)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return None

    def hurry(self, sock: socket.socket) -> None:
        """From now on `receive` does not wait."""
        sock.settimeout(0)

    def close(self) -> None:
        """Let go of the duplicate; the connection itself belongs to urllib3's pool."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()


class Body(http.client.HTTPResponse):
    """A response whose body is pulled from the socket itself."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self._lane: Lane = _current.lane
        super().__init__(self._lane.reader(sock), *args, **kwargs)
        self._sock = sock
        self._framing: Framing | None = None
        self._lane.body = self

    def begin(self) -> None:
        """Read the head, in the place of http.client, which refuses heads that others take."""
        if self.headers is not None:
            return
        head = read_head(self.fp)
        self.version, self.reason = head.version, head.reason
        self.code = self.status = head.status
        self.headers = self.msg = head.headers
        self.chunked, self.length = body_length(head.headers)
        self.chunk_left = None
        if head.status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.chunked, self.length = False, 0
        unbounded = not self.chunked and self.length is None
        self.will_close = unbounded or self._check_close()

    def pull(self) -> bytes | None:
        """What has arrived; b"" at the end; None if nothing came within a tick.

        Raises `Truncated` when the connection ends inside the body, `ProtocolError`; what came
        before that is out first.
        """
        data: bytes | None = b""
        if self._framing is None:
            self._framing = self._find_framing()
            data = self._read_ahead()
        framing = self._framing
        while not framing.ended:
            if not data:
                if framing.broken is not None:
                    if not (data := framing.unframed):
                        raise framing.broken
                    self._framing = framing = UntilClose()
                    return data
                data = self._receive()
            if data is None:
                return None
            if not data:
                if isinstance(framing, UntilClose):
                    return b""
                raise Truncated("the connection was closed in the middle of the answer")
            if payload := framing.feed(data):
                return payload
            data = b""
        return b""

    def settle(self) -> bool:
        """Take the body's end if it is here already. True: the connection can be used again."""
        with contextlib.suppress(OSError, ChatstreamError):
            if self._framing is not None and not self._framing.ended:
                self._lane.hurry(self._sock)
                self.pull()
        return self._framing is not None and self._framing.reusable and not self.will_close

    @property
    def unfinished(self) -> bool:
        """Whether the end of the body is still to come, and the connection lives on after it."""
        framing = self._framing
        if framing is None or isinstance(framing, UntilClose) or self.will_close:
            return False
        return not framing.ended and framing.broken is None

    def release(self) -> None:
        """Give the socket back as it was found."""
        self._sock.settimeout(None)
        self.close()

    def _find_framing(self) -> Framing:
        if self.chunked:
            return Chunked()
        return UntilClose() if self.length is None else Sized(self.length)

    def _read_ahead(self) -> bytes:
        if self.fp is None:  # no body at all
            return b""
        return self._lane.read_ahead(self.fp, self._sock)

    def _receive(self) -> bytes | None:
        try:
            return self._lane.receive(self._sock)
        except OSError as error:
            raise Truncated(f"the connection broke: {error.strerror or error}") from error


class _Reachable(HTTPConnection):
    """Tells its lane of the socket, of the request sent, and of the response."""

    response_class = Body

    def __init__(self, *args: Any, _socks_options: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._socks_options = _socks_options  # those of urllib3's SOCKSProxyManager

    def _new_conn(self) -> socket.socket:
        """As urllib3's, but the socket is known to the lane before it connects."""
        host = self._dns_host.strip("[]")
        if self._socks_options:
            return self._through_socks(host)
        trace: Trace = _current.lane.trace
        began = monotonic()
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            cause = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, cause) from error
        trace.dns = monotonic() - began
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                _current.lane.opened(sock)
                for option in (*(self.socket_options or ()), *_KEEP_ALIVE):
                    sock.setsockopt(*option)
                sock.settimeout(self.timeout)
                began = monotonic()
                sock.connect(address)
                trace.tcp = monotonic() - began
                return sock
            except OSError as error:
                sock.close()
                failure = error
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "timed out") from failure
        raise NewConnectionError(self, str(failure.strerror or failure)) from failure

    def _through_socks(self, host: str) -> socket.socket:
        from chatstream.transport.socks import dial  # needs PySocks

        return dial(
            self._socks_options,
            host,
            self.port,
            lane=_current.lane,
            timeout=self.timeout,
            socket_options=(*(self.socket_options or ()), *_KEEP_ALIVE),
        )

    def connect(self) -> None:
        lane: Lane = _current.lane
        began = monotonic()
        super().connect()
        trace = lane.trace
        if isinstance(self.sock, ssl.SSLSocket):
            trace.tls = monotonic() - began - (trace.dns or 0.0) - (trace.tcp or 0.0)
        trace.sent = None  # what a tunnel was asked for is no part of the request

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # a connection out of the pool, or a tunnel
            lane: Lane = _current.lane
            lane.trace.reused = lane.trace.tcp is None
            lane.opened(self.sock)
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        trace: Trace = _current.lane.trace
        if trace.sent is None:
            trace.sent = monotonic()
        super().send(data)

    def getresponse(self) -> Any:  # urllib3's response, where http.client declares its own
        lane: Lane = _current.lane
        self.timeout = lane.head_timeout
        self.sock.settimeout(self.timeout)
        lane.sent(self.sock)
        return super().getresponse()


class _ReachableTLS(_Reachable, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Reachable


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _ReachableTLS


def make_reachable(manager: urllib3.PoolManager) -> None:
    """Let a pool manager, plain or for a proxy, make connections of this module."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}

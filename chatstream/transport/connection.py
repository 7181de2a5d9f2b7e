"""The sockets under requests: reachable from `connect()` on, and read as bytes arrive.

urllib3 makes the connections and sends the request; the response head is read by `head`. These
subclasses add three things that urllib3 lacks:

1. The `SocketHandle` of an exchange knows the socket before it is connected. Its `shutdown()`, from
   any thread or signal handler, ends whatever blocks on it: connect, TLS, proxy, head or body.
   `dial` connects it, unless a connection was begun `ahead`.
2. `Body.pull()` returns every byte that has been received, chunk framing removed, and never
   waits longer than a tick. (urllib3 hands out one chunk a call; its `stream` and `read` wait
   for whole buffers.)
3. The handle's `Trace` says when each phase of connecting ended, and when the request was sent.

Only the exchange closes; a shutdown from outside never frees a descriptor that is in use.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import select
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

from chatstream.clock import POLL_SECONDS, monotonic
from chatstream.errors import ChatstreamError, Truncated
from chatstream.inbox import Empty, Inbox
from chatstream.timing import Trace
from chatstream.transport.ahead import Ahead, Goal, Ready
from chatstream.transport.body import Chunked, Framing, Sized, UntilClose
from chatstream.transport.dial import OPTIONS, Guard, dial
from chatstream.transport.head import body_length, read_head
from chatstream.transport.proxies import Proxy

_RECEIVE_BYTES = 64 * 1024

_current = threading.local()  # .handle: the exchange that this thread opens a connection for


class SocketHandle(Guard):
    """One exchange's sockets, and its `trace`. `inbox` takes what the opening thread reports.

    `ahead` is a connection that was begun before the exchange, for its first request.
    """

    head_timeout: float | None = None
    """Seconds that a read of the head may block; the token ends it sooner."""

    def __init__(self, ahead: Ahead | None = None) -> None:
        super().__init__()
        self.trace = Trace()
        self.inbox: Inbox[Any] = Inbox()
        self.body: Body | None = None
        self.proxy: Proxy | None = None
        self.connected = False
        self._ahead = ahead

    def enter(self) -> None:
        """From now on this thread opens connections for this handle."""
        _current.handle = self

    def ready(self, goal: Goal) -> Ready | None:
        """The connection that was begun ahead, if it leads there. Raises as `Ahead.take`."""
        ahead = self._ahead
        if ahead is None:
            return None
        ready = ahead.take(goal)
        self._ahead = None
        if ready is not None:
            try:
                self.opened(ready.sock)
            except OSError:
                ready.sock.close()
                raise
        return ready

    def wait(self) -> Any:
        """What the opening thread says within a tick: a response, an exception, or None."""
        with contextlib.suppress(Empty):
            return self.inbox.get(POLL_SECONDS)
        return None

    def answer(self, item: requests.Response | Exception) -> None:
        """Hand over the result of the request; close a response that nobody waits for any more."""
        self.inbox.put(item)
        if self.dead:
            self.discard()

    def discard(self) -> None:
        """Close a response that came too late; with `answer` in either order, one of them does."""
        with contextlib.suppress(Empty):
            while True:
                late = self.inbox.get()
                if isinstance(late, requests.Response):
                    late.close()

    def sent(self, sock: socket.socket) -> None:
        """The request is on the wire."""
        self.connected = True
        self.inbox.put(None)

    def shutdown(self) -> None:
        """End what blocks on this handle. Idempotent, takes no lock, safe in signal handlers."""
        super().shutdown()
        ahead = self._ahead
        if ahead is not None:
            ahead.shutdown()
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
        with contextlib.suppress(OSError):  # nothing there, or an error that recv reports again
            held = file.peek()
        sock.settimeout(POLL_SECONDS)
        return file.read(len(held)) if held else b""

    def receive(self, sock: socket.socket) -> bytes | None:
        """What has arrived; b"" at the end; None if nothing came in time. Raises `OSError`."""
        try:
            return sock.recv(_RECEIVE_BYTES)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return None

    def hurry(self, sock: socket.socket) -> None:
        """From now on `receive` does not wait."""
        sock.settimeout(0)


class Body(http.client.HTTPResponse):
    """A response whose body is pulled from the socket itself."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self._handle: SocketHandle = _current.handle
        super().__init__(self._handle.reader(sock), *args, **kwargs)
        self._sock = sock
        self._framing: Framing | None = None
        self._handle.body = self

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

    def settle(self, wait: float = 0.0) -> bool:
        """Take the body's end if it is here within `wait` seconds.

        True: the connection can be used again.
        """
        with contextlib.suppress(OSError, ValueError, ChatstreamError):
            if self._framing is not None and not self._framing.ended:
                self._handle.hurry(self._sock)
                if self.pull() is None and wait:
                    select.select([self._sock], [], [], wait)
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
        return self._handle.read_ahead(self.fp, self._sock)

    def _receive(self) -> bytes | None:
        try:
            return self._handle.receive(self._sock)
        except OSError as error:
            raise Truncated(f"the connection broke: {error.strerror or error}") from error


class _Reachable(HTTPConnection):
    """Reports the socket, the sent request and the response to its handle."""

    response_class = Body

    def __init__(self, *args: Any, _socks_options: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._socks_options = _socks_options  # those of urllib3's SOCKSProxyManager

    def _new_conn(self) -> socket.socket:
        """As urllib3's, but the socket is known to the handle before it connects."""
        handle: SocketHandle = _current.handle
        goal = self._goal(secure=False)
        if self._socks_options:
            return self._through_socks(goal.host)
        try:
            there = handle.ready(goal) or dial(goal.host, goal.port, self.timeout, handle)
        except OSError as failure:
            raise self._no_connection(failure) from failure
        handle.trace.dns, handle.trace.tcp = there.dns, there.tcp
        return there.sock

    def _no_connection(self, failure: OSError) -> Exception:
        """What urllib3 calls it."""
        if isinstance(failure, TimeoutError):
            return ConnectTimeoutError(self, "timed out")
        if isinstance(failure.__cause__, socket.gaierror):
            return NameResolutionError(self.host, self, failure.__cause__)
        return NewConnectionError(self, str(failure.strerror or failure))

    def _goal(self, *, secure: bool) -> Goal:
        host = self._dns_host.strip("[]")
        if ":" in host:  # the zone of an IPv6 address as URLs have it, RFC 6874
            host = host.replace("%25", "%", 1)
        return Goal(host, self.port, secure)

    def _through_socks(self, host: str) -> socket.socket:
        from chatstream.transport.socks import dial  # needs PySocks

        return dial(
            self._socks_options,
            host,
            self.port,
            handle=_current.handle,
            timeout=self.timeout,
            socket_options=OPTIONS,
        )

    def connect(self) -> None:
        handle: SocketHandle = _current.handle
        began = monotonic()
        if not self._take_secured(handle):
            super().connect()
        trace = handle.trace
        if isinstance(self.sock, ssl.SSLSocket) and trace.tls is None:
            trace.tls = monotonic() - began - (trace.dns or 0.0) - (trace.tcp or 0.0)
        trace.sent = None  # what a tunnel was asked for is not part of the request

    def _take_secured(self, handle: SocketHandle) -> bool:
        """Whether there is a connection in TLS already, so that nothing is left to do."""
        return False

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # a connection out of the pool, or a tunnel
            handle: SocketHandle = _current.handle
            handle.trace.reused = handle.trace.tcp is None
            handle.opened(self.sock)
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        trace: Trace = _current.handle.trace
        if trace.sent is None:
            trace.sent = monotonic()
        super().send(data)

    def getresponse(self) -> Any:  # urllib3's response, where http.client declares its own
        handle: SocketHandle = _current.handle
        self.timeout = handle.head_timeout
        self.sock.settimeout(self.timeout)
        handle.sent(self.sock)
        return super().getresponse()


class _ReachableTLS(_Reachable, HTTPSConnection):
    """The same over TLS."""

    def _take_secured(self, handle: SocketHandle) -> bool:
        if self.proxy is not None:
            return False
        try:
            ready = handle.ready(self._goal(secure=True))
        except ssl.SSLError:
            raise
        except OSError as failure:
            raise self._no_connection(failure) from failure
        if ready is None:
            return False
        self.sock = ready.sock
        self.is_verified = True  # no context of ours lets anyone through unverified
        handle.trace.dns, handle.trace.tcp, handle.trace.tls = ready.dns, ready.tcp, ready.tls
        return True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Reachable


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls = _ReachableTLS


def make_reachable(manager: urllib3.PoolManager) -> None:
    """Let a pool manager, plain or for a proxy, make connections of this module."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTLS}

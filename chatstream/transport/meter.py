"""The transport of `bench`: many exchanges read by one loop, every read with its receive time.

1. `Meter.wait` is the one place where anything waits, 1 ms at most. It first takes what has come,
   for all exchanges, and only notes it; nothing is parsed there.
2. A read has the kernel's receive time where the kernel gives one (Linux, no TLS), else the
   moment when this process had the bytes. `Receipt.since` is when the socket was last seen empty:
   the kernel merges what it receives while nobody reads and keeps only the last stamp, so that
   is the one honest bound for the earlier bytes.
3. `Metered` is a `Transport` for one stream after another. Its exchanges never wait: they yield
   a `Tick` when they hold nothing more. Its `clock` is held at the receive time of what was
   handed out last, so that events made of it have that time.
4. An exchange that is left at its answer's end mark goes on being read: the end of the body is
   some moments late, and only after it the connection can serve the next request.

The request is still opened on a thread of its own, as always. That thread reads the response head
out of a queue that the loop fills, so no byte of an answer is read elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import queue
import selectors
import socket
import ssl
import struct
from collections.abc import Generator, Mapping
from typing import Any, Self

import requests

from chatstream.cancel import CancelToken
from chatstream.clock import Deadline, monotonic
from chatstream.inbox import Empty
from chatstream.timing import Receipt, Stopwatch, Trace
from chatstream.transport.connection import SocketHandle
from chatstream.transport.exchange import Call, Head, Tick, Transport
from chatstream.transport.stamps import SPACE, Placing, ask, begin, stamp_in

ROUND_SECONDS = 0.001
"""The longest wait of a round, so the precision of when a socket was last empty."""

LINGER_SECONDS = 0.05
"""How long the next request waits for the end of the body before it."""

_RECEIVE_BYTES = 256 * 1024
_RTT = struct.Struct("68xI")  # linux/tcp.h: tcpi_rtt in struct tcp_info, in microseconds

_Read = tuple[bytes | OSError, Receipt]
"""What a read brought, and when; b"" is the end of the connection."""


class Meter:
    """Reads every exchange of a benchmark. One thread makes it, calls `wait` and closes it."""

    def __init__(self, *, kernel: bool = True) -> None:
        self._selector = selectors.DefaultSelector()
        self._joining: queue.SimpleQueue[MeteredLane] = queue.SimpleQueue()
        self._placing = Placing()
        self._round = 0
        self._looked = 0.0  # what the round before did not find ready was empty then
        self._stamping = begin() if kernel else None
        self.kernel = self._stamping is not None

    def wait(self) -> None:
        """Take what has come, or comes within a round, for every exchange."""
        for _ in range(self._joining.qsize()):
            self._watch(self._joining.get())
        looked = monotonic()
        ready = self._selector.select(ROUND_SECONDS)
        for key, _ in ready:
            self.read(key.data)
            key.data.ready_in = self._round
        # The kernel has looked after it was asked; if it found nothing, after the whole round.
        self._looked = looked if ready else looked + ROUND_SECONDS
        self._round += 1

    def read(self, handle: MeteredLane) -> None:
        """Take what one socket holds. Never waits."""
        if handle.sock is None or not handle.watched:
            return
        if handle.ready_in < self._round - 1:
            handle.empty_at = max(handle.empty_at, self._looked)
        began = monotonic()
        data, stamp = _take(handle.sock)
        read = monotonic()
        if data is not None:
            at = (
                self._placing.place(stamp, handle.empty_at, read) if stamp and self.kernel else None
            )
            size = 0 if isinstance(data, OSError) else len(data)
            moment = read if at is None else at
            handle.reads.put((data, Receipt(moment, read, handle.empty_at, size, at is not None)))
            if not size:
                self.leave(handle)
            if size >= _RECEIVE_BYTES:  # there may be more
                return
        handle.empty_at = began

    def join(self, handle: MeteredLane) -> None:
        """Read for this handle from the next round on. From any thread."""
        self._joining.put(handle)

    def leave(self, handle: MeteredLane) -> None:
        """Read for it no more: before its socket is closed. Idempotent."""
        if handle.watched and handle.sock is not None:
            self._selector.unregister(handle.sock)
        handle.watched = False

    def _watch(self, handle: MeteredLane) -> None:
        if handle.sock is None or handle.left:
            return
        try:
            self._selector.register(handle.sock, selectors.EVENT_READ, handle)
        except KeyError:  # it has the number of a closed one that has not left yet
            self._joining.put(handle)
        except (ValueError, OSError):  # closed already, by the thread that opened it
            return
        else:
            handle.watched = True
            handle.ready_in = self._round - 1
            self.read(handle)

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        self._selector.close()
        if self._stamping is not None:
            self._stamping.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _take(sock: socket.socket) -> tuple[bytes | OSError | None, int | None]:
    """What a socket holds, and the kernel's stamp of its last byte; None: it holds nothing."""
    parts: list[bytes] = []
    try:
        if SPACE and type(sock) is socket.socket:
            data, ancillary, _, _ = sock.recvmsg(_RECEIVE_BYTES, SPACE)
            return data, stamp_in(ancillary)
        while part := sock.recv(_RECEIVE_BYTES):  # TLS may hold more than the socket reports
            parts.append(part)
    except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
        return b"".join(parts) or None, None
    except OSError as error:
        return b"".join(parts) or error, None
    return b"".join(parts), None


class MeteredLane(SocketHandle):
    """A handle that the meter reads for; it never waits itself."""

    head_timeout = 0.0

    def __init__(self, meter: Meter, clock: Stopwatch) -> None:
        super().__init__()
        self.sock: socket.socket | None = None
        self.watched = False
        self.left = False  # nobody is interested any more
        self.ready_in = 0  # the latest round that found something
        self.empty_at = 0.0
        self.reads: queue.SimpleQueue[_Read] = queue.SimpleQueue()
        self._meter = meter
        self._clock = clock
        self._latest: Receipt | None = None  # of the bytes that were handed out last
        self._rest = b""  # bytes of that read that were not
        self._settling = False  # what comes now is not part of the answer and moves no clock

    @property
    def news(self) -> bool:
        """Whether something has come that was not handed out."""
        return not (self.reads.empty() and self.inbox.empty() and not self._rest)

    def opened(self, sock: socket.socket) -> None:
        super().opened(sock)
        if self._meter.kernel:
            ask(sock)

    def sent(self, sock: socket.socket) -> None:
        self.sock = sock
        self.empty_at = self.trace.sent or monotonic()
        self._meter.join(self)
        super().sent(sock)

    def wait(self) -> Any:
        with contextlib.suppress(Empty):
            return self.inbox.get()
        return None

    def shutdown(self) -> None:
        super().shutdown()
        now = monotonic()
        self.reads.put((b"", Receipt(now, now, now, 0, False)))  # the thread that reads the head

    def now(self) -> float:
        return monotonic() if self._latest is None else self._latest.at

    def reader(self, sock: socket.socket) -> Any:
        if self.sock is None:  # not the answer's head yet, but that of a tunnel
            return sock
        return _Reader(self, sock)

    def read_ahead(self, file: io.BufferedReader, sock: socket.socket) -> bytes:
        raw = file.raw
        assert isinstance(raw, _Head), "it was made by our reader"
        raw.over = True
        held = file.peek()
        held = file.read(len(held)) if held else b""
        if held and self._latest is not None:
            self._note(self._latest)
        return held

    def receive(self, sock: socket.socket) -> bytes | None:
        data = self.next(waits=False)
        if self._settling:
            return data
        if data is None or self._latest is None:
            self._clock.held = None
        elif data:
            self._note(self._latest)
        else:  # the end: what is only reported now has the time at which it was read
            self._clock.held = self._latest.at
        return data

    def hurry(self, sock: socket.socket) -> None:
        self._settling = True
        self._meter.read(self)

    def next(self, *, waits: bool, most: int = -1) -> bytes | None:
        """The bytes that come next, `most` of them; None: nothing is there. Raises `OSError`."""
        if not self._rest:
            try:
                data, self._latest = self.reads.get(block=waits)
            except queue.Empty:
                return None
            if isinstance(data, OSError):
                raise data
            self._rest = data
        if most < 0:
            most = len(self._rest)
        data, self._rest = self._rest[:most], self._rest[most:]
        return data

    def _note(self, receipt: Receipt) -> None:
        """These bytes are the body's, and what is made of them has their time."""
        self._clock.held = receipt.at
        if not self.trace.receipts or self.trace.receipts[-1] is not receipt:
            self.trace.receipts.append(receipt)

    def leave(self) -> None:
        """Read no more."""
        self.left = True
        self._meter.leave(self)

    def look_at_round_trip(self) -> None:
        """Ask the kernel for its estimate, while there is a socket."""
        if self.sock is not None and hasattr(socket, "TCP_INFO"):
            with contextlib.suppress(OSError, struct.error):
                info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size)
                self.trace.rtt = _RTT.unpack(info)[0] / 1e6


class _Reader:
    """Takes the place of the socket for http.client, which only makes a file of it."""

    def __init__(self, handle: MeteredLane, sock: socket.socket) -> None:
        self._handle = handle
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The file that the head is read from."""
        return io.BufferedReader(_Head(self._handle, self._sock))


class _Head(io.RawIOBase):
    """What the meter has read. It holds the socket open as a file of its own would."""

    def __init__(self, handle: MeteredLane, sock: socket.socket) -> None:
        super().__init__()
        self.over = False  # the head is read; what comes now does not belong to it
        self._handle = handle
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        data = None if self.over else self._handle.next(waits=True, most=len(buffer))
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class Metered(Transport):
    """A transport for one exchange after another; takes what `Transport` takes.

    `clock` is that of its events.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        connect: float | None = 10.0,
        proxies: Mapping[str, str] | None = None,
        ca_file: str | None = None,
    ) -> None:
        super().__init__(connect=connect, proxies=proxies, ca_file=ca_file)
        self.clock = Stopwatch()
        self._meter = meter
        self._handle = MeteredLane(meter, self.clock)
        self._former: tuple[MeteredLane, requests.Response] | None = None

    @property
    def trace(self) -> Trace:
        """The trace of the latest exchange."""
        return self._handle.trace

    @property
    def news(self) -> bool:
        """Whether the exchange holds something that it has not handed out."""
        return self._handle.news

    def exchange(
        self, call: Call, token: CancelToken
    ) -> Generator[Tick | Head | bytes, None, None]:
        """As `Transport.exchange`, but it never waits: a `Tick` says that nothing is in hand."""
        self.clock.held = None
        yield from self._end_former()
        yield from super().exchange(call, token)

    def expect_end(self) -> None:
        """Nothing to do: the end of every body is awaited, see `_end_former`."""

    def close(self) -> None:
        """Close every connection."""
        if self._former is not None:
            handle, response = self._former
            self._former = None
            handle.leave()
            super()._leave(handle, response, reusable=False)
        super().close()

    def _end_former(self) -> Generator[Tick, None, None]:
        """Ticks until the body before is read to its end, if that comes soon."""
        if self._former is None:
            return
        handle, response = self._former
        deadline = Deadline(LINGER_SECONDS)
        assert handle.body is not None, "only an exchange with a body lingers"
        while not (reusable := handle.body.settle()) and handle.watched and not deadline.passed:
            yield Tick(connected=False)
        self._former = None
        handle.leave()
        super()._leave(handle, response, reusable=reusable)

    def _new_handle(self) -> SocketHandle:
        self._handle = MeteredLane(self._meter, self.clock)
        return self._handle

    def _leave(
        self, handle: SocketHandle, response: requests.Response | None, *, reusable: bool
    ) -> None:
        assert isinstance(handle, MeteredLane), "every handle of ours is one"
        handle.look_at_round_trip()
        unfinished = handle.body is not None and handle.body.unfinished and handle.watched
        if response is not None and not reusable and unfinished and not handle.dead:
            self._former = handle, response
            return
        handle.leave()
        super()._leave(handle, response, reusable=reusable)

"""The kernel's own receive times: when bytes were there, however late we look.

Linux stamps every packet that it receives, if a socket asks for it (`SO_TIMESTAMPING`, see the
kernel's Documentation/networking/timestamping.rst); `recvmsg` brings the stamp of the last byte
that it returns. Stamps are wall-clock times. They are placed on the monotonic clock by their age
at the moment of reading. After a step of the wall clock a stamp may be one from before it: then
the distance between the clocks is used that puts the stamp between the moment when the socket was
last seen empty and its read. If no distance does, there is no stamp. So no step of the wall clock
moves a sample.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable

from chatstream.clock import Deadline

_SO_TIMESTAMPING = 37  # asm-generic/socket.h; the socket module has no name for it
_RX_SOFTWARE = 1 << 3  # linux/net_tstamp.h: stamp what is received,
_SOFTWARE = 1 << 4  # and report the stamps that the kernel made itself
_TIMESPEC = struct.Struct("ll")

SPACE = socket.CMSG_SPACE(3 * _TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
"""Bytes of ancillary data that a stamp takes."""

_MOMENT_SECONDS = 0.001

_SETTLED_SECONDS = 1.0  # after a step; by then all that was stamped before it has been read

SLACK_SECONDS = 0.0002
"""Seconds by which a stamp may seem to lie outside of its bounds."""


def ask(sock: socket.socket) -> bool:
    """Ask for stamps on this socket; False where it gives none."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
        return True
    return False


def begin(seconds: float = 0.25) -> socket.socket | None:
    """Make the kernel stamp, and check that it does: it begins some moments after it was asked.

    It stamps as long as the socket that is returned is open. None: there are no stamps here.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())  # what it sends comes back to it
        sock.settimeout(seconds)
        deadline = Deadline(seconds)
        while ask(sock) and not deadline.passed:
            sock.send(b"?")
            if stamp_in(sock.recvmsg(1, SPACE)[1]) is not None:
                return sock
            time.sleep(_MOMENT_SECONDS)
    sock.close()
    return None


def stamp_in(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """The stamp that came with a read, in ns of the wall clock."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPING and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds) if seconds else None
    return None


class Placing:
    """Places stamps on the monotonic clock. One for all sockets of a process."""

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._distance, self._width = self._look()
        self._before = self._distance  # before the latest step of the wall clock,
        self._stepped: float | None = None  # which was seen then

    def place(self, stamp: int, since: float, read: float) -> float | None:
        """Monotonic seconds of a stamp that was read at `read`; None: it is not known.

        The socket was last seen empty at `since`. A stamp may be older: the kernel makes it
        before it hands the packet to its socket, and a machine may stop in between.
        """
        distance, width = self._look()
        if abs(distance - self._distance) > width + self._width:
            self._before, self._distance, self._width = self._distance, distance, width
            self._stepped = read
        elif width < self._width:
            self._distance, self._width = distance, width
        for known in (self._distance, self._before):
            at = (stamp - known) / 1e9
            if since - SLACK_SECONDS <= at <= read + SLACK_SECONDS:
                return min(at, read)
        at = (stamp - self._distance) / 1e9
        settled = self._stepped is None or read - self._stepped > _SETTLED_SECONDS
        return at if settled and since - _SETTLED_SECONDS <= at <= read else None

    def _look(self) -> tuple[int, int]:
        """How far the wall clock is ahead of the monotonic one, and how sure that is, in ns.

        The kernel runs both at the same pace: the distance changes by steps only. What differs
        without a step is that this thread may be stopped between two readings.
        """
        before = self._monotonic_ns()
        wall = self._wall_ns()
        after = self._monotonic_ns()
        return wall - (before + after) // 2, after - before

"""A TCP connection to a host: all its addresses in one race (RFC 8305, "Happy Eyeballs").

1. `look_up` keeps the order of the resolver (RFC 6724) and takes the address families in turn, so
   that a dead family delays the other by one attempt only. An address counts once.
2. `race` starts an attempt every `STAGGER_SECONDS`, or as soon as one fails. The first
   connection wins and the others are closed. One limit holds for all of them.
3. A `Guard` knows every socket before it connects. `Guard.shutdown()`, from any thread or signal
   handler, ends the race at once; a name look-up cannot be interrupted, and nothing is dialled
   after it.
4. The `vet` of a guard sees all addresses of a host before any of them is dialled, and refuses them
   by raising. A host is looked up once, so that nobody can answer differently the second time.

Neither requests nor urllib3 is imported here: connections begin while they are imported.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest

import msgspec

from chatstream.addresses import is_loopback
from chatstream.clock import Clock, Deadline, monotonic

_LONGEST_LABEL = 63  # characters of a part of a name (RFC 1035, 2.3.4)

STAGGER_SECONDS = 0.25
"""Seconds between two attempts, section 8's Connection Attempt Delay."""

# A peer that vanished (a laptop that slept, a cable that was pulled) is detected within a
# minute, even if there is no limit on silence. Not every platform has the three times.
OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]

_PENDING = {errno.EINPROGRESS, errno.EWOULDBLOCK}

_NO_ROUTE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""This machine has no such family of addresses, which says nothing about the server."""


class Address(msgspec.Struct, frozen=True):
    """One address of a host, as `socket.getaddrinfo` gives it."""

    family: int
    kind: int
    protocol: int
    place: tuple[str | int | bytes, ...]


Vet = Callable[[str, Sequence[Address]], None]
"""Raises any exception if this host must not be reached at these addresses."""


class Connected(msgspec.Struct, frozen=True):
    """A connection, and the seconds that the look-up and the race took."""

    sock: socket.socket
    dns: float
    tcp: float


class NobodyThere(OSError):
    """Every address refuses, or the name has no address.

    `here`: it is this machine. `named`: the name has an address.
    """

    def __init__(self, cause: OSError, *, here: bool, named: bool) -> None:
        super().__init__(cause.errno, cause.strerror or str(cause))
        self.here, self.named = here, named


class Guard:
    """Ends what blocks on its sockets. `dead` once it was shut down.

    It works on duplicates of the sockets: a TLS wrapper takes the original over, and calling
    `shutdown` on the wrapper while another thread reads would pull its state away under the reader.
    """

    vet: Vet | None = None

    def __init__(self) -> None:
        self.dead = False
        self._held: list[socket.socket] = []

    def watch(self, sock: socket.socket) -> None:
        """One more socket, which need not be connected yet.

        Raises `OSError` on a guard that has been shut down.
        """
        duplicate = socket.socket(fileno=socket.dup(sock.fileno()))
        self._held.append(duplicate)
        # shutdown() sets the flag first and then looks at the sockets, this does the reverse:
        # whichever comes second sees the other, so no socket escapes a cancel. A close() on another
        # thread, which follows a shutdown, may have just taken the list that this was added to.
        if self.dead:
            duplicate.close()
            self.close()
            raise OSError(errno.ECANCELED, "cancelled")

    def opened(self, sock: socket.socket) -> None:
        """From now on this is the only socket. Raises as `watch`."""
        self.close()
        self.watch(sock)

    def shutdown(self) -> None:
        """End what blocks. Idempotent, takes no lock, safe in signal handlers."""
        self.dead = True
        for sock in list(self._held):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the duplicates."""
        held, self._held = self._held, []
        for sock in held:
            sock.close()


def dial(host: str, port: int, limit: float | None, guard: Guard) -> Connected:
    """A connection to `host`, within `limit` seconds; None is no limit.

    `host` is a name or an address, also an IPv6 one with a zone. The socket has `limit` as its
    timeout. Raises `NobodyThere`, `TimeoutError`, `OSError` for the most informative failure, and
    what the guard's `vet` raises.
    """
    began = monotonic()
    deadline = Deadline(limit)
    addresses = look_up(host, port)
    if guard.vet is not None:
        guard.vet(host, addresses)
    found = monotonic()
    sock = race(addresses, deadline, guard)
    sock.settimeout(limit)
    return Connected(sock, found - began, monotonic() - found)


def look_up(host: str, port: int) -> list[Address]:
    """The addresses of a host in the order in which they are tried. Raises `NobodyThere`."""
    try:
        found = socket.getaddrinfo(_wire_name(host), port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        cause = error if isinstance(error, OSError) else socket.gaierror(str(error))
        raise NobodyThere(cause, here=is_loopback(host), named=False) from error
    return in_turn([Address(family, kind, proto, to) for family, kind, proto, _, to in found])


def _wire_name(host: str) -> str | bytes:
    """The host as `getaddrinfo` takes it soonest.

    For a `str` Python imports its IDNA codec, a hundredth of a start, also where nothing has to be
    encoded. A name whose labels do not fit is left to that codec, which refuses it.
    """
    labels = host.removesuffix(".").split(".")
    fits = host.isascii() and all(0 < len(label) <= _LONGEST_LABEL for label in labels)
    return host.encode() if fits else host


def in_turn(addresses: Sequence[Address]) -> list[Address]:
    """Each address once, the families in turn (section 4); the first one stays the first."""
    families: dict[int, dict[Address, None]] = {}
    for address in addresses:
        families.setdefault(address.family, {})[address] = None
    turns = zip_longest(*families.values())
    return [address for address in chain.from_iterable(turns) if address is not None]


def race(
    addresses: Sequence[Address],
    deadline: Deadline,
    guard: Guard,
    stagger: float = STAGGER_SECONDS,
    clock: Clock = monotonic,
) -> socket.socket:
    """The first connection that succeeds. Raises as `dial`."""
    left = list(addresses)
    failures: list[OSError] = []
    running: list[socket.socket] = []
    due = clock()
    try:
        while left or running:
            ended: list[socket.socket] = []
            if left and clock() >= due:
                try:
                    sock, connected = _begin(left.pop(0), guard)
                except OSError as error:
                    failures.append(error)
                    continue
                running.append(sock)
                due = clock() + stagger
                if connected:
                    ended.append(sock)
            elif deadline.passed:
                raise TimeoutError("timed out")
            else:
                pause = max(0.0, due - clock()) if left else None
                waits = [it for it in (deadline.left(), pause) if it is not None]
                ended = _ended(running, min(waits) if waits else None)
            for sock in ended:
                running.remove(sock)
                try:
                    return _finish(sock, guard)
                except OSError as error:
                    sock.close()
                    failures.append(error)
                    due = clock()
    finally:
        for sock in running:
            sock.close()
    raise _most_telling(failures, addresses)


def _begin(address: Address, guard: Guard) -> tuple[socket.socket, bool]:
    """A socket, and whether it is connected already. Raises `OSError`."""
    sock = socket.socket(address.family, address.kind, address.protocol)
    try:
        guard.watch(sock)
        for option in OPTIONS:
            sock.setsockopt(*option)
        sock.setblocking(False)
        if (code := sock.connect_ex(address.place)) not in {0, *_PENDING}:
            raise OSError(code, os.strerror(code))
    except OSError:
        sock.close()
        raise
    return sock, code == 0


def _ended(running: Sequence[socket.socket], seconds: float | None) -> list[socket.socket]:
    """The sockets whose attempt is over, or ends within this time; None: no limit."""
    with selectors.DefaultSelector() as selector:
        for sock in running:
            selector.register(sock, selectors.EVENT_WRITE)
        ready = {key.fileobj for key, _ in selector.select(seconds)}
    return [sock for sock in running if sock in ready]


def _finish(sock: socket.socket, guard: Guard) -> socket.socket:
    """The socket, now that its attempt is over. Raises `OSError`."""
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))
    guard.opened(sock)
    return sock


def _most_telling(failures: Sequence[OSError], addresses: Sequence[Address]) -> OSError:
    """A family of addresses that this machine lacks does not hide what the server did."""
    if not failures:
        return NobodyThere(socket.gaierror("the host name has no address"), here=False, named=False)
    telling = [it for it in failures if it.errno not in _NO_ROUTE] or failures
    if all(isinstance(it, ConnectionRefusedError) for it in telling):
        here = all(is_loopback(str(address.place[0])) for address in addresses)
        nobody = NobodyThere(telling[0], here=here, named=True)
        nobody.__cause__ = telling[0]
        return nobody
    return next(it for it in reversed(telling) if not isinstance(it, ConnectionRefusedError))

"""A minder: the process that starts one program, and ends it and all that it has started.

1. It is a fork of the keeper. Over its socket come an order (`send`) with the three standard files
   of the program, and later single bytes: 0 says "stop", any other value is a signal for all of
   its processes. Back goes `("started", PID)` or `("failed", WORDS)`, and at last
   `("ended", STATUS, COUNT)`, once no process of the program is left (`said`).
2. STATUS is the program's exit status, or minus the number of the signal that ended it. COUNT is
   the number of processes that it left behind. For a sandbox it is 0: the kernel ends its contents
   at the same moment, and the last process may be the sandbox itself.
3. It is a subreaper: what leaves the program's group or session, or loses its parent, becomes its
   child. So all of them are found. chatstream itself is not a subreaper, and adopts nobody.
4. "Stop" sends SIGINT, SIGTERM and SIGKILL to all of them, one after another (`STOP`). The same is
   done, faster (`ORPHANED`), when the process OWNER ends or lets go of the socket. Whatever is
   left when the program itself has ended is killed at once, and counted.
5. Processes that fork faster than they are found are certain to be killed only in bubblewrap,
   where the kernel ends all of them at once.

Outside Linux only the group of a program is found. Only the standard library is used, because the
keeper imports this module.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import resource
import signal
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from chatstream.tools import descendants
from chatstream.tools.landlock import restrict

STOP = ((0.0, signal.SIGINT), (0.5, signal.SIGTERM), (1.5, signal.SIGKILL))
ORPHANED = ((0.0, signal.SIGTERM), (0.5, signal.SIGKILL))
"""Seconds after the beginning, and the signal that is sent then to what is still running."""

AGAIN_SECONDS = 0.02
"""Between two attempts to kill: what was forked in the meantime is found by the next one."""

MOST_FILE_BYTES = 16 * 1024**3
"""Bytes of one file that a program writes: a loop must not fill the disk."""

_SIZE = struct.Struct("!I")


def send(link: socket.socket, order: dict[str, Any], files: Sequence[int]) -> None:
    """Send an order: `argv`, `env`, `cwd`, `landlock` (rules or None), and `wraps`.

    `wraps`: the program and its first child are a sandbox, which only SIGKILL is sent to, for it
    would take what runs inside down with it. Raises `OSError`.
    """
    data = marshal.dumps(order)
    socket.send_fds(link, [_SIZE.pack(len(data))], files)
    link.sendall(data)


def mind(link: socket.socket, owner: int, life: Sequence[int]) -> NoReturn:
    """Be the minder of one program."""
    try:
        descendants.adopt()
        order, files = _order(link)
        try:
            pid = _start(order, files)
        except OSError as error:
            _say(link, "failed", str(error.strerror))
        else:
            for file in files:
                os.close(file)
            _say(link, "started", pid)
            status, left = _Minder(link, owner, life, pid, wraps=order["wraps"]).run()
            _say(link, "ended", status, left)
    except BaseException as error:  # nobody reads a traceback here
        _say(link, "failed", f"{type(error).__name__}: {error}")
        os._exit(1)
    os._exit(0)


def _order(link: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What to start, and its standard files. Raises `EOFError` if there is nothing."""
    data, files = taken(link, _SIZE.size, 3)
    left = _SIZE.unpack(data)[0] if data else 0
    pieces = []
    while left and (piece := link.recv(min(left, 65536))):
        pieces.append(piece)
        left -= len(piece)
    if left or not pieces:
        raise EOFError("there is no order")
    order: dict[str, Any] = marshal.loads(b"".join(pieces))
    return order, files


def taken(link: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Bytes and descriptors, which no program inherits; nothing at the end."""
    data, files, *_ = socket.recv_fds(link, size, most)
    for file in files:
        os.set_inheritable(file, False)
    return data, files


def _received(link: socket.socket) -> bytes:
    """What has come; nothing is the end."""
    try:
        return link.recv(16)
    except OSError:
        return b""


def _say(link: socket.socket, *words: str | int) -> None:
    data = marshal.dumps(words)
    with contextlib.suppress(OSError):  # nobody listens any more
        link.sendall(_SIZE.pack(len(data)) + data)


def said(data: bytes) -> tuple[tuple[Any, ...] | None, bytes]:
    """What a minder says at the beginning of this, if that is all here, and the rest."""
    end = _SIZE.size + (_SIZE.unpack_from(data)[0] if len(data) >= _SIZE.size else 0)
    if end == _SIZE.size or len(data) < end:
        return None, data
    words: tuple[Any, ...] = marshal.loads(data[_SIZE.size : end])
    return words, data[end:]


# ---- the start


def _start(order: dict[str, Any], files: Sequence[int]) -> int:
    """Start the program. Raises `OSError`, also for what goes wrong after the fork."""
    minder = os.getpid()
    reads, writes = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            _become(order, files, minder)
        except OSError as error:
            os.write(writes, (error.strerror or str(error)).encode())
        finally:
            os._exit(127)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        failure = pipe.read().decode()
    if failure:
        os.waitpid(pid, 0)
        raise OSError(0, failure)
    return pid


def _become(order: dict[str, Any], files: Sequence[int], minder: int) -> None:
    """Turn this child of the minder into the program. Raises `OSError`."""
    os.setsid()
    descendants.die_with_parent()
    if os.getppid() != minder:  # it died before that
        os._exit(127)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # whatever we or our parents ignore
    for standard, file in enumerate(files):
        os.dup2(file, standard)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, MOST_FILE_BYTES)
    with contextlib.suppress(OSError):  # if the memory is used up, it ends, and not the desktop
        _write("/proc/self/oom_score_adj", b"500")
    try:
        os.chdir(order["cwd"])
    except OSError as error:
        raise OSError(error.errno, f"{order['cwd']}: {error.strerror}") from None
    if (rules := order["landlock"]) is not None:
        restrict(rules)
    argv, env = order["argv"], order["env"]
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        raise OSError(error.errno, f"{argv[0]}: {error.strerror}") from None
    except ValueError as error:  # a NUL character in an argument
        raise OSError(0, f"{argv[0]}: {error}") from None


def _lower(limit: int, most: int) -> None:
    soft, hard = resource.getrlimit(limit)
    if soft == resource.RLIM_INFINITY or soft > most:
        resource.setrlimit(limit, (most, hard))


def _write(path: str, data: bytes) -> None:
    """Write to a file of the kernel's. Raises `OSError`."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, data)
    finally:
        os.close(file)


# ---- the minder


class _Minder:
    """Waits for the end of a program and of all that it has started."""

    def __init__(
        self, link: socket.socket, owner: int, life: Sequence[int], pid: int, *, wraps: bool
    ) -> None:
        self._link = link
        self._owner = owner
        self._life = life
        self._pid = pid
        self._wraps = wraps
        self._status: int | None = None
        self._left: set[int] = set()
        self._steps: list[tuple[float, signal.Signals]] = []
        self._began = 0.0
        self._is_orphan = False

    def run(self) -> tuple[int, int]:
        """The status of the program, and how many processes it had left behind."""
        signals = descendants.Signals()
        while not self._is_over():
            waits = [signals, *self._life, *([] if self._is_orphan else [self._link])]
            ready = descendants.wait(waits, self._pause())
            signals.clear()
            if self._link in ready:
                self._obey(_received(self._link))
            if not self._is_orphan and not descendants.is_alive(self._owner):
                self._orphaned()
            self._go_on()
        assert self._status is not None
        return self._status, len(self._left)

    def _is_over(self) -> bool:
        """Take what has ended. Whether nothing is left."""
        for pid, status in descendants.reaped():
            if pid == self._pid:
                self._status = status
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        if self._status is not None and not self._steps:  # something has outlived the program
            if self._wraps:  # the kernel ends what is in there: to look for it takes longer
                self._begin([(AGAIN_SECONDS, signal.SIGKILL)])
            else:
                left = descendants.below(os.getpid())
                self._left.update(left)
                descendants.send(signal.SIGKILL, left)
        return False

    def _obey(self, data: bytes) -> None:
        if not data:
            self._orphaned()
        for number in data:
            if number:
                self._signal(number)
            else:
                self._begin(STOP)

    def _orphaned(self) -> None:
        self._is_orphan, self._life = True, ()
        self._begin(ORPHANED)

    def _begin(self, steps: Iterable[tuple[float, signal.Signals]]) -> None:
        self._steps, self._began = list(steps), time.monotonic()

    def _go_on(self) -> None:
        """Send the signals that are due; the last one again and again, until nothing is left."""
        now = time.monotonic() - self._began
        while self._steps and now >= self._steps[0][0]:
            number = self._steps[0][1]
            self._signal(number)
            if number == signal.SIGKILL:
                return
            del self._steps[0]

    def _signal(self, number: int) -> None:
        """Send a signal to all of the program's processes."""
        spared = self._sandbox() if number != signal.SIGKILL else set()
        if found := descendants.below(os.getpid()):
            descendants.send(number, found - spared)
        elif self._status is None:  # there is no /proc
            with contextlib.suppress(OSError):
                os.killpg(self._pid, number)

    def _sandbox(self) -> set[int]:
        """The program and its first child, where they are only a sandbox around another one."""
        return {self._pid, *descendants.children().get(self._pid, ())} if self._wraps else set()

    def _pause(self) -> float | None:
        if not self._steps:
            return None if self._status is None else AGAIN_SECONDS
        left = self._began + self._steps[0][0] - time.monotonic()
        return max(left, AGAIN_SECONDS)

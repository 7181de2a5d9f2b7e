"""Programs that the keeper starts: our side of `keeper` and `minder`.

1. The keeper is started before the first program needs it, and again if it was killed. It notices
   when we end, however that happens, so that `kill -9` leaves no program behind.
2. A `Minded` is one program. `said` gives what its minder says; the last thing is always `Ended`,
   `NotStarted` or `Lost`. `stop` may be called on any thread and in a signal handler.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

import chatstream
from chatstream.errors import UsageError
from chatstream.tools import minder
from chatstream.tools.environment import environment
from chatstream.wording import excerpt

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from chatstream.tools.keeper import main; main()"
)
_CLOSE_SECONDS = 2.0  # the keeper sets itself a shorter limit
_MOST_BYTES = 65536


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to start. `landlock` and `wraps`: see `landlock` and `minder.send`."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    landlock: Mapping[str, Any] | None = None
    wraps: bool = False


class Started(msgspec.Struct, frozen=True):
    """The program runs as this process."""

    pid: int


class NotStarted(msgspec.Struct, frozen=True):
    """It could not be started: why."""

    why: str


class Ended(msgspec.Struct, frozen=True):
    """It has ended with this status, minus the number of a signal if one ended it.

    It left `left` processes behind, which were killed. In bubblewrap they are not counted.
    """

    status: int
    left: int


class Lost(msgspec.Struct, frozen=True):
    """Its minder was killed: how it ended is unknown."""


Said = Started | NotStarted | Ended | Lost


def told(end: NotStarted | Ended | Lost, last_words: str) -> str:
    """How a program ended, in words, with the last line that it wrote, if there is one."""
    match end:
        case Ended(status) if status >= 0:
            how = f"it ended with status {status}"
        case Ended(status):
            how = f"it was killed by {_name(-status)}"
        case NotStarted(why):
            how = f"it could not be started: {why}"
        case Lost():
            how = "it was killed"
    lines = last_words.strip().splitlines()
    return f"{how} ({excerpt(lines[-1])})" if lines else how


def pipe() -> tuple[IO[bytes], IO[bytes]]:
    """A pipe: the end that is read, and the one that is written. Raises `OSError`."""
    reads, writes = os.pipe()
    return os.fdopen(reads, "rb"), os.fdopen(writes, "wb")


def _name(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


class Minded:
    """One program, which has a minder."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._held = b""
        link.setblocking(False)

    def fileno(self) -> int:
        """Readable when `said` has something."""
        return self._link.fileno()

    def said(self) -> Said | None:
        """What its minder says next; None if that has not come yet. Never waits."""
        while True:
            words, self._held = minder.said(self._held)
            match words:
                case "started", pid:
                    return Started(pid)
                case "ended", status, left:
                    return Ended(status, left)
                case "failed", why:
                    return NotStarted(why)
            try:
                data = self._link.recv(_MOST_BYTES)
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            if not data:
                return Lost()
            self._held += data

    def awaited(self) -> Said:
        """What its minder says next, however long that takes."""
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        while (said := self.said()) is None:
            poll.poll()
        return said

    def ended(self) -> Ended | NotStarted | Lost:
        """Wait for its end, however long that takes."""
        while isinstance(said := self.awaited(), Started):
            pass
        return said

    def stop(self) -> None:
        """Ask it to end, and all that it has started. It is killed if it does not (`minder.STOP`).

        Takes no lock and does not wait.
        """
        self.signal(0)

    def signal(self, number: int) -> None:
        """Send a signal to it and all that it has started. Takes no lock and does not wait."""
        with contextlib.suppress(OSError):
            self._link.send(bytes([number]))

    def close(self) -> None:
        """Let go of it: if it still runs, it is ended. Idempotent."""
        self._link.close()


class Keeper:
    """Starts programs. `scratch` is a private folder for them, which is removed at the end.

    Raises `UsageError` where there are no process groups or no process can be started.
    """

    def __init__(self) -> None:
        if os.name != "posix":
            raise UsageError("programs as tools need the process groups of a POSIX system")
        self._lock = threading.Lock()
        self._is_closed = False
        try:
            self.scratch = Path(tempfile.mkdtemp(prefix="chatstream-"))
            try:
                self._process, self._control = self._begun()
            except OSError:
                self.scratch.rmdir()
                raise
        except OSError as error:
            raise UsageError(f"no process for tools can be started: {error}") from error

    def start(self, order: Order, files: Sequence[int]) -> Minded:
        """Start a program with these descriptors as its standard files; they stay the caller's.

        Raises `OSError` if there is no keeper, and none can be started.
        """
        own, theirs = socket.socketpair()
        try:
            with theirs:
                self._hand_over(theirs)
            minder.send(own, msgspec.to_builtins(order), files)
        except BaseException:
            own.close()
            raise
        return Minded(own)

    def close(self) -> None:
        """End all programs, and the keeper. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_SECONDS)
        shutil.rmtree(self.scratch, ignore_errors=True)  # if it was killed

    def _hand_over(self, link: socket.socket) -> None:
        with self._lock:
            if self._is_closed:
                raise OSError("the run is over")
            try:
                socket.send_fds(self._control, [b"x"], [link.fileno()])
            except OSError:  # it was killed
                self._control.close()
                self._process.wait()
                self.scratch.mkdir(0o700, exist_ok=True)
                self._process, self._control = self._begun()
                socket.send_fds(self._control, [b"x"], [link.fileno()])

    def _begun(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        control, theirs = socket.socketpair()
        code = str(Path(chatstream.__file__).parent.parent)
        arguments = [code, str(theirs.fileno()), str(os.getpid()), str(self.scratch)]
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _START, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    pass_fds=[theirs.fileno()],
                    env=environment(),
                    cwd="/",
                )
        except BaseException:
            control.close()
            raise
        return process, control

"""The processes that come from this one: adopted, found, signalled, and waited for.

After `adopt` a process is a subreaper: any process below it that loses its parent becomes its
child, in whatever session or group, so that `below` finds all of them. Outside Linux it finds
nothing.

It uses the standard library only, because the keeper imports it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_SUBREAPER, _DEATH_SIGNAL = 36, 1  # of prctl


def adopt() -> None:
    """Become the parent of everything below this process that loses its own."""
    _prctl(_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed when the thread ends that has started this process, also after an `exec`."""
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)


def reaped() -> list[tuple[int, int]]:
    """The children that have ended, with their statuses."""
    found: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found.append((ended[0], os.waitstatus_to_exitcode(ended[1])))
    return found


def children() -> dict[int, list[int]]:
    """The processes that have not ended, by their parents; empty where there is no /proc."""
    found: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():  # noqa: PTH208 - quicker
        if name.isdigit():
            with contextlib.suppress(OSError):
                status = _read(f"/proc/{name}/stat")
                state, parent, *_ = status.rpartition(b")")[2].split(None, 2)
                if state not in (b"Z", b"X"):
                    found.setdefault(int(parent), []).append(int(name))
    return found


def _read(path: str) -> bytes:
    """The beginning of a file of the kernel. Raises `OSError`."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def below(top: int, spared: Iterable[int] = ()) -> set[int]:
    """All processes below this one; not the spared ones and what is below them."""
    by_parent, spared = children(), set(spared)
    found: set[int] = set()
    todo = [top]
    while todo:
        for pid in by_parent.get(todo.pop(), ()):
            if pid not in spared:
                found.add(pid)
                todo.append(pid)
    return found


def send(number: int, pids: Iterable[int]) -> None:
    """Send a signal to these processes."""
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended, or is not ours to signal
            os.kill(pid, number)


class Signals:
    """Becomes readable when a child has ended."""

    def __init__(self) -> None:
        self._reads, writes = os.pipe()
        os.set_blocking(self._reads, False)
        os.set_blocking(writes, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)

    def fileno(self) -> int:
        """For `select`."""
        return self._reads

    def clear(self) -> None:
        """Wait for the next one."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._reads, 4096)


def wait(files: Sequence[Any], seconds: float | None) -> list[Any]:
    """Those of these files that can be read; none if that takes longer than these seconds."""
    return select.select(files, [], [], seconds)[0]


def life_of(owner: int) -> list[int]:
    """A descriptor that becomes readable when this process ends, in a list; empty without pidfd."""
    with contextlib.suppress(AttributeError, OSError):
        return [os.pidfd_open(owner)]
    return []


def is_alive(pid: int) -> bool:
    """Whether this process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process, on Linux."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)

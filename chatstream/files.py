"""Files and folders of the whole program: written whole or not at all, private, one at a time.

1. `replace` is the only way to put a file in the place of another one. It follows links, keeps the
   mode and, where it may, the owner, and needs no name that others can guess. Whatever fails, the
   old file is as it was and nothing is left beside it.
2. `read_whole` reads a file whole, and no more than a file has any reason to hold.
3. A folder that we make is for its owner alone, and so are the missing folders above it.
4. A `Lock` is the kernel's (flock): it ends with its process, however that ends. Where there are
   no locks (Windows, some network file systems) it is always free.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from chatstream.clock import Deadline

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

MAX_WHOLE_BYTES = 64 * 1024 * 1024
"""Bytes of a file that is read whole."""

LOCK_POLL_SECONDS = 0.01
"""Between two attempts to take a lock: flock has no time limit of its own."""


def replace(path: Path, data: bytes, *, mode: int | None = None, sync: bool = True) -> None:
    """Put a file with `data` in the place of `path`, in one step. Raises `OSError`.

    A file that is there keeps its mode; a new one gets `mode`, or what the umask leaves. `sync`:
    the data is on the disk first, or a power cut could leave the name with nothing in it.
    """
    target = Path(os.path.realpath(path))
    status = _regular(target)
    fresh = beside(target.parent, data, mode, sync=sync)
    try:
        if status is not None:
            _dress(fresh, status)
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def read_whole(path: Path, most: int = MAX_WHOLE_BYTES) -> bytes:
    """What is in a file. Raises `OSError`: "File too large" for more than `most` bytes.

    A name that somebody gives may lead to what never ends (`/dev/zero`).
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def check(path: Path) -> None:
    """Raise the `OSError` that `replace` would raise, as far as it can be known beforehand."""
    target = Path(os.path.realpath(path))
    _regular(target)
    beside(target.parent, b"", sync=False).unlink()


def beside(folder: Path, data: bytes, mode: int | None = None, *, sync: bool = True) -> Path:
    """These bytes in a new file of this folder, under a name nobody can guess.

    Raises `OSError`; then there is no such file.
    """
    fresh = folder / f".chatstream-{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # EXCL follows no link
    descriptor = os.open(fresh, flags, 0o666 if mode is None else mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh


def _regular(target: Path) -> os.stat_result | None:
    """The status of the file that is to be replaced, None for a new one. Raises `OSError`.

    A file that may not be written is not replaced either, though its folder would allow it.
    """
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(status.st_mode):  # to replace /dev/null would be bad
        raise OSError(errno.EINVAL, "it is not a regular file", str(target))
    os.close(os.open(target, os.O_WRONLY))
    return status


def _dress(fresh: Path, status: os.stat_result) -> None:
    """Give the new file the owner and the mode of the old one.

    A group that it cannot be given back to (only root and its members may) gets no rights in
    exchange: the mode was meant for another group.
    """
    mode = stat.S_IMODE(status.st_mode) & 0o777
    if hasattr(os, "chown"):
        for owner in (status.st_uid, -1):  # only root may give a file away
            with contextlib.suppress(OSError):
                os.chown(fresh, owner, status.st_gid)
                break
        if fresh.stat().st_gid != status.st_gid:
            mode &= ~0o070
    fresh.chmod(mode)


def make_private(folder: Path) -> None:
    """Make the folder, and those around it that are missing, private. Raises `OSError`."""
    missing = [it for it in folder.parents if not it.exists()]
    for it in (*reversed(missing), folder):  # makedirs would leave those above public
        it.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


class Lock:
    """The lock of an open file or folder, closed with it. None: there is nothing to lock."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def take(self, *, alone: bool) -> bool:
        """Whether it is held now, instead of what was held before."""
        if self._descriptor is None:
            return True
        try:
            import fcntl
        except ImportError:  # Windows
            return True
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True

    def wait(self, patience: Deadline, *, alone: bool) -> bool:
        """Whether it is held before the patience is at its end."""
        while not self.take(alone=alone):
            if patience.passed:
                return False
            time.sleep(LOCK_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Let go of it. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def alone(folder: Path, patience: Deadline) -> Iterator[None]:
    """Nobody else is in here for the same folder meanwhile. Raises `TimeoutError`, `OSError`.

    The folder itself is locked, so that no file of a lock is left in it.
    """
    try:
        lock = Lock(os.open(folder, os.O_RDONLY))
    except PermissionError:  # a folder on Windows, or one that cannot be listed
        lock = Lock(None)
    try:
        if not lock.wait(patience, alone=True):
            raise TimeoutError(errno.ETIMEDOUT, "another process is changing it", str(folder))
        yield
    finally:
        lock.close()


def named(name: str) -> Path:
    """The path that a user names; `~` stands for a home, as far as there is one. Never raises."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - `Path.expanduser` raises


def is_file(path: Path) -> bool:
    """Whether this is a file that we may see. Never raises, whatever the name is."""
    return os.path.isfile(path)  # noqa: PTH113 - `Path.is_file` raises for a name that is too long

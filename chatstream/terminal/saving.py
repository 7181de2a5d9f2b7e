"""Files that the user asks for: checked beforehand, then written whole or not at all.

1. A new file overwrites nothing and follows no link: where its name is taken it gets a number.
2. `write` replaces a file whole, or leaves it as it was. What is no regular file, and our own
   standard output, is written to, as the shell's `>` would.
3. Text is written in UTF-8, half a character as "?"; cleaned only where a terminal reads it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from chatstream import files
from chatstream.errors import ChatstreamError
from chatstream.escape import clean
from chatstream.sinks.output import Output

Out = Callable[[str], None]
"""Prints a line for the user."""


def encoded(text: str) -> bytes:
    """The bytes of a text."""
    return text.encode("utf-8", "replace")


def check_file(path: Path) -> None:
    """Raises `OSError` for what `write` cannot write."""
    status = _status(path)
    if status is None:
        check_folder(Path(os.path.realpath(path)).parent)
    elif stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    elif stat.S_ISREG(status.st_mode) and _own_descriptor(status) is None:
        files.check(path)


def check_folder(folder: Path) -> None:
    """Raises `OSError` where no file can be made: by making one, which tells the true reason."""
    tempfile.TemporaryFile(dir=folder).close()


def write(path: Path, text: str) -> None:
    """Write it to a file, as the shell's `>` would. Raises `OSError`; a regular file is whole."""
    status = _status(path)
    own = None if status is None else _own_descriptor(status)
    if own is not None:
        _put(own, text)
    elif status is None or stat.S_ISREG(status.st_mode):
        files.replace(path, encoded(text))
    else:
        with path.open("wb", buffering=0) as special:
            _put(special.fileno(), text)


def _put(descriptor: int, text: str) -> None:
    Output(descriptor).write(encoded(clean(text) if os.isatty(descriptor) else text))


def save_new(folder: Path, name: str, ending: str, data: bytes, out: Out) -> Path:
    """Write a file that was not there before, and tell of it. Raises `ChatstreamError`."""
    with failing(ChatstreamError, f"{name}{ending} cannot be saved in {folder}"):
        path = _write_new(folder, name, ending, data)
    taken = path.name != name + ending
    out(f"saved {path}" + (f" ({name}{ending} already exists)" if taken else ""))
    return path


def _write_new(folder: Path, name: str, ending: str, data: bytes) -> Path:
    fresh = files.beside(folder, data)
    reserved = None
    try:
        reserved = _reserve(folder, name, ending)
        fresh.replace(reserved)
    except OSError:
        for path in filter(None, (fresh, reserved)):
            path.unlink(missing_ok=True)
        raise
    return reserved


def _reserve(folder: Path, name: str, ending: str) -> Path:
    """The first free name, taken by an empty file."""
    for number in itertools.count(1):
        path = folder / (name + (f"-{number}" if number > 1 else "") + ending)
        with contextlib.suppress(FileExistsError):  # or a link, wherever it leads
            path.open("xb").close()
            return path
    raise AssertionError("numbers do not end")


def _status(path: Path) -> os.stat_result | None:
    """Of what a name leads to, None for nothing. Raises `OSError`."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _own_descriptor(status: os.stat_result) -> int | None:
    """Our standard output or error, if it is this file: the answer may be there already."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            if os.path.samestat(os.fstat(descriptor), status):
                return descriptor
    return None


@contextlib.contextmanager
def failing(kind: type[ChatstreamError], what: str) -> Iterator[None]:
    """An `OSError` as one of ours: what cannot be done, and why."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error

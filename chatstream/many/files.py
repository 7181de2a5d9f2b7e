"""The files of a batch: its output, and beside it which runs have been begun.

1. The output is JSON Lines, one result per line. It is only appended to, and a result is there
   whole or not at all: a torn last line, after a kill or on a full disk, is removed.
2. A file with any other content is not touched.
3. The process that has opened the output holds a lock on the file, so two batches never share one.
4. Of several lines of one key the last holds. `tidy` leaves only that one, in the order of the
   input: after an edited input, and after another attempt at what had failed. Answers to what is no
   longer asked stay, behind all others.
5. `Begun` is for what the output does not tell: an answer that is whole in the journal of its run,
   and was not written before the process ended. It is a line a run, and is removed once nothing is
   missing. Beside a new output it counts for nothing: somebody has removed the old one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from chatstream.counts import Counts
from chatstream.errors import OutputError, UsageError
from chatstream.files import Lock, replace

_SLICE = 1 << 20
_BEGINNING = b'{"id":"'  # of every line that we write
_ANOTHER = "name another file with --out"


class Failure(msgspec.Struct, omit_defaults=True):
    """Why there is no answer: the `error` event of the run."""

    code: str
    message: str
    status: int | None = None
    hint: str | None = None


class Result(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A line of the output: an answer, or an error. Times in seconds, `cost` in US dollars.

    `id` is the request's own, or else its `key`. `index` is its place in the input, from 0. `run`
    is the run that asked, as in `chatstream history`. `warnings` say what else happened to it.
    """

    id: str
    index: int
    run: str | None = None
    content: str | None = None
    error: Failure | None = None
    finish_reason: str | None = None
    usage: Counts | None = None
    cost: float | None = None
    ttft: float | None = None
    duration: float | None = None
    attempts: int | None = None
    warnings: list[str] = []
    key: str = ""


class _Kept(msgspec.Struct):
    """What has to be known of a line that is there."""

    id: str
    index: int
    key: str
    error: Failure | None = None


class _Ran(msgspec.Struct):
    run: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a line is in the output, and what it is."""

    offset: int
    size: int
    index: int
    failed: bool


_encode = msgspec.json.Encoder().encode
_kept = msgspec.json.Decoder(_Kept)
_ran = msgspec.json.Decoder(_Ran)


def encoded(result: Result) -> bytes:
    """A result as its line."""
    return _encode(result) + b"\n"


class Output:
    """The output. `places` says where the line of each key is. Raises `UsageError`.

    `is_new`: there was no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, Place] = {}
        self.is_new = not os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises for a long name
        self._superseded = False  # there is more than one line of a key
        self._size = 0
        self._file = self._opened()
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def write(self, result: Result) -> None:
        """Append a result. Raises `OutputError`, and then nothing was."""
        line = encoded(result)
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error
        self._add(result.key, len(line), result.index, failed=result.error is not None)

    def run_of(self, key: str) -> str | None:
        """The run that the line of this key is from."""
        place = self.places[key]
        return _ran.decode(os.pread(self._file, place.size, place.offset)).run

    def tidy(self, keys: Sequence[str]) -> None:
        """Put the lines in the order of these keys, if they are not. Raises `OutputError`."""
        indices = {key: index for index, key in enumerate(keys)}
        order = sorted(self.places, key=lambda key: (indices.get(key, len(keys)), self._at(key)))
        moved = any(
            self.places[key].index != indices.get(key, self.places[key].index) for key in order
        )
        if not self._superseded and not moved and order == sorted(order, key=self._at):
            return
        lines = b"".join(self._line(key, indices.get(key)) for key in order)
        try:
            replace(self.path, lines)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file, and let go of its lock."""
        os.close(self._file)

    def _at(self, key: str) -> int:
        return self.places[key].offset

    def _line(self, key: str, index: int | None) -> bytes:
        place = self.places[key]
        line = os.pread(self._file, place.size, place.offset)
        if index is None or index == place.index:
            return line
        fields: dict[str, Any] = msgspec.json.decode(line)
        return _encode({**fields, "index": index}) + b"\n"

    def _opened(self) -> int:
        while True:
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            except OSError as error:
                raise UsageError(f"{self.path} cannot be written: {error.strerror}") from error
            there = os.fstat(file)
            if not stat.S_ISREG(there.st_mode):
                os.close(file)
                raise UsageError(
                    f"{self.path} is not a regular file",
                    hint="without --out the answers go to standard output",
                )
            if not Lock(file).take(alone=True):
                os.close(file)
                raise UsageError(f"another batch is writing {self.path}", hint=_ANOTHER)
            # A batch that has just ended may have put another file in its place.
            with contextlib.suppress(OSError):
                if os.path.samestat(there, self.path.stat()):
                    return file
            os.close(file)

    def _load(self) -> None:
        """Learn what is there, and repair the end. Raises `UsageError` for a foreign file."""
        held, number = b"", 0
        with os.fdopen(os.dup(self._file), "rb") as file:
            while data := file.read(_SLICE):
                *lines, held = (held + data).split(b"\n")
                for line in lines:
                    number += 1
                    self._learn(line, number, len(line) + 1)
        if not held:
            return
        try:
            self._learn(held, number + 1, len(held) + 1)
        except UsageError:
            if not _is_torn(held):
                raise
            os.ftruncate(self._file, self._size)
        else:
            os.write(self._file, b"\n")

    def _learn(self, line: bytes, number: int, size: int) -> None:
        try:
            kept = _kept.decode(line)
        except msgspec.DecodeError as error:
            raise UsageError(
                f"line {number} of {self.path} is not from a batch", hint=_ANOTHER
            ) from error
        self._add(kept.key, size, kept.index, failed=kept.error is not None)

    def _add(self, key: str, size: int, index: int, *, failed: bool) -> None:
        self._superseded = self._superseded or key in self.places
        self.places[key] = Place(self._size, size, index, failed)
        self._size += size


def _is_torn(line: bytes) -> bool:
    """Whether the last line of a file is the beginning of one of ours."""
    if not _BEGINNING.startswith(line[: len(_BEGINNING)]):
        return False
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return True
    return False  # a whole line, but of somebody else


class Begun:
    """Which run was begun for each key, beside the output. Thread-safe. Raises `UsageError`."""

    def __init__(self, output: Output) -> None:
        self._path = output.path.with_name(output.path.name + ".runs")
        if output.is_new:
            self.remove()
        self._file: int | None = None
        self._lock = threading.Lock()
        self._runs: dict[str, str] = {}
        self._is_torn = False  # the last line, by a kill or a full disk
        try:
            self._load()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}") from error

    def _load(self) -> None:
        with self._path.open("rb") as file:
            for line in file:
                words = line.decode("ascii", "replace").split()
                self._is_torn = not line.endswith(b"\n")
                if len(words) == 2 and not self._is_torn:
                    self._runs[words[0]] = words[1]

    def run_of(self, key: str) -> str | None:
        """The run that was last begun for this key, by an earlier process."""
        return self._runs.get(key)

    def note(self, key: str, run: str) -> None:
        """This run is about to ask. Raises `OutputError`."""
        try:
            with self._lock:
                if self._file is None:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                    self._file = os.open(self._path, flags, 0o666)
                line = (b"\n" if self._is_torn else b"") + f"{key} {run}\n".encode()
                self._is_torn = os.write(self._file, line) < len(line)
                if self._is_torn:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror}") from error

    def remove(self) -> None:
        """Nothing is missing."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        """Close the file. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

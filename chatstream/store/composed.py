"""Documents that are written section by section: which run wrote which section.

1. `<state>/composed/<key>.jsonl`, 0600, its folder 0700: a line `{section, run}` for each run, from
   before anything is asked. The last line of a section holds. Section 0 is the outline: with a new
   one all sections are unwritten. What a run wrote, and whether that is whole, its journal says.
2. Lines are only ever appended. One that was cut by a crash is passed over, and the next begins on
   a line of its own.
3. One process at a time writes a document: the file is locked while it is open.
4. A file that has not changed for as long as incomplete answers are kept is deleted (`expire`).
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import msgspec

from chatstream.errors import JournalError, UsageError
from chatstream.files import PRIVATE_FILE, Lock, make_private
from chatstream.store.journal import SUFFIX

OUTLINE = 0
"""The section of the outline."""


class _Line(msgspec.Struct, frozen=True):
    section: int
    run: str


_line = msgspec.json.Decoder(_Line)


class Composed:
    """The records of one document, which `key` identifies.

    `begin` may be called from any thread. Raises `UsageError` if another process writes the
    document, `JournalError` if the file cannot be used.
    """

    def __init__(self, state_folder: Path, key: str) -> None:
        self.runs: dict[int, str] = {}
        self._path = state_folder / "composed" / f"{key}{SUFFIX}"
        self._write_lock = threading.Lock()
        try:
            make_private(self._path.parent)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        except OSError as error:
            raise self._unusable(error) from error
        self._lock = Lock(self._file)
        try:
            if not self._lock.take(alone=True):
                raise UsageError(
                    "this document is being written by another process",
                    hint="wait until it has ended",
                )
            self._read()
        except BaseException:
            self.close()
            raise

    def begin(self, section: int, run: str) -> None:
        """From now on this run is the section's."""
        line = _Line(section, run)
        self._note(line)
        self._append(msgspec.json.encode(line) + b"\n")

    def forget(self) -> None:
        """Nothing of the document was written yet."""
        try:
            os.ftruncate(self._file, 0)
        except OSError as error:
            raise self._unusable(error) from error
        self.runs.clear()

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._lock.close()

    def _read(self) -> None:
        data = self._path.read_bytes()
        for line in data.splitlines():
            with contextlib.suppress(ValueError):
                self._note(_line.decode(line))
        if data and not data.endswith(b"\n"):
            self._append(b"\n")

    def _note(self, line: _Line) -> None:
        if line.section == OUTLINE:
            self.runs.clear()
        self.runs[line.section] = line.run

    def _append(self, data: bytes) -> None:
        try:
            with self._write_lock:
                os.write(self._file, data)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> JournalError:
        return JournalError(f"{self._path} cannot be used: {error.strerror}")


def expire(state_folder: Path, before: float) -> None:
    """Delete the files that have not changed since `before` (seconds since 1970). Never raises."""
    with contextlib.suppress(OSError):
        for path in (state_folder / "composed").iterdir():
            if path.stat().st_mtime < before:
                path.unlink()

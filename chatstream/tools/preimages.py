"""The contents of files before a run wrote them, so that this can be undone.

1. A folder for each run. A write is a record, numbered from 1; the bytes before it are a file
   beside the records, named by their SHA-256, so that the same bytes are kept once.
2. Both are on the disk before the file is written. So after `kill -9` there may be a record of a
   write that never happened: the file then still has its old content.
3. What is read back has been verified. Files 0600, their folder 0700.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from chatstream.errors import JournalError
from chatstream.files import PRIVATE_FILE, make_private, replace
from chatstream.tools.places import Manner

_RECORD = re.compile(r"\d{5,}\.json", re.ASCII)


class Written(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One write. `before` and `after` are the SHA-256 of the file; None: there was no file.

    `root` and `names` lead to it; they are bytes, because names need not be UTF-8. `folders` is how
    many of the last folders were made with it. `fresh` is the temporary name of the new file, which
    a killed process leaves behind.
    """

    number: int
    root: bytes
    names: tuple[bytes, ...]
    before: str | None
    after: str
    fresh: str
    manner: Manner | None = None
    folders: int = 0

    @property
    def path(self) -> Path:
        """The file."""
        return Path(os.fsdecode(self.root)).joinpath(*map(os.fsdecode, self.names))


def digest(data: bytes) -> str:
    """The SHA-256 of these bytes, in hexadecimal."""
    return sha256(data).hexdigest()


class PreImages:
    """The pre-images of one run. Their folder is made when needed. One process writes there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left: list[Written] = []  # of those that `newest_first` has read

    def keep(
        self,
        root: Path,
        names: Sequence[str],
        before: bytes | None,
        after: bytes,
        *,
        fresh: str,
        manner: Manner | None = None,
        folders: int = 0,
    ) -> None:
        """Keep the content of a file before a write. Raises `OSError`."""
        make_private(self._folder)
        if before is not None:
            image = self._image(digest(before))
            if not image.exists():
                replace(image, before, mode=PRIVATE_FILE)
        written = Written(
            number=1 + max((_number(it) for it in self._records()), default=0),
            root=os.fsencode(root),
            names=tuple(map(os.fsencode, names)),
            before=None if before is None else digest(before),
            after=digest(after),
            fresh=fresh,
            manner=manner,
            folders=folders,
        )
        replace(self._record(written), msgspec.json.encode(written), mode=PRIVATE_FILE)

    def newest_first(self) -> list[Written]:
        """The writes of the run. Raises `JournalError` for a record that was damaged."""
        records = sorted(self._records(), key=_number, reverse=True)
        self._left = [self._read(it) for it in records]
        return list(self._left)

    def image(self, written: Written) -> bytes:
        """The content of the file before this write. Raises `JournalError` if that is lost."""
        assert written.before is not None, "there was a file"
        path = self._image(written.before)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise JournalError(f"its earlier content cannot be read: {error.strerror}") from error
        if digest(data) != written.before:
            raise JournalError("its earlier content is damaged", hint=f"it was kept as {path}")
        return data

    def forget(self, written: Written) -> None:
        """Forget one of the `newest_first` that was undone, and what only that one needs.

        Raises `OSError`.
        """
        self._record(written).unlink(missing_ok=True)
        self._left.remove(written)
        if written.before is not None and all(it.before != written.before for it in self._left):
            self._image(written.before).unlink(missing_ok=True)
        if not self._left:
            with suppress(OSError):  # something else is in it
                self._folder.rmdir()

    def _records(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return [it for it in self._folder.iterdir() if _RECORD.fullmatch(it.name)]
        return []

    def _read(self, path: Path) -> Written:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Written)
        except (OSError, ValueError) as error:
            raise JournalError(f"{path} cannot be read: {error}") from error

    def _record(self, written: Written) -> Path:
        return self._folder / f"{written.number:05}.json"

    def _image(self, name: str) -> Path:
        return self._folder / f"{name}.before"


def _number(record: Path) -> int:
    return int(record.stem)

"""Where each conversation continues, and what it is called: one small file per conversation.

1. `<state>/conversations/<root run>.jsonl`; each line sets the head, the name, or both, and the
   last line that sets one holds. The file is made by the second turn or by a name, so a single
   question leaves nothing but its journal.
2. Lines are only ever appended, under one lock for all conversations. A line that was cut by a
   crash is passed over, and the next one begins on a line of its own.
3. Files 0600, their folder 0700.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from chatstream.clock import Deadline
from chatstream.errors import JournalError
from chatstream.files import PRIVATE_FILE, alone, make_private
from chatstream.store.journal import SUFFIX, is_journal, is_run

_SLICE = 4096  # bytes of one read
_PATIENCE_SECONDS = 10.0  # to wait for others, each of whom needs milliseconds


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a conversation: the run that it continues from, and its name."""

    head: str | None = None
    name: str | None = None


_line = msgspec.json.Decoder(State)


class Heads:
    """The files of a state folder. Reading raises nothing; changes raise `JournalError`."""

    def __init__(self, state_folder: Path) -> None:
        self.folder = state_folder / "conversations"

    def of(self, root: str) -> State:
        """The state of one conversation, of which little or nothing may be known."""
        head = name = None
        with contextlib.suppress(OSError, JournalError), self._path(root).open("rb") as file:
            for line in _from_the_end(file):
                if head is not None and (name is not None or b'"name"' not in line):
                    continue
                with contextlib.suppress(ValueError):
                    state = _line.decode(line)
                    head, name = head or state.head, name or state.name
        return State(head, name)

    def head(self, root: str) -> str | None:
        """The run that a conversation continues from, if known. Quick, however long it is."""
        with contextlib.suppress(OSError, JournalError), self._path(root).open("rb") as file:
            for line in _from_the_end(file):
                with contextlib.suppress(ValueError):
                    if (head := _line.decode(line).head) is not None:
                        return head
        return None

    def sizes(self) -> dict[str, int]:
        """The conversations that have a file, by their root runs, and the bytes in each."""
        sizes = {}
        with contextlib.suppress(OSError), os.scandir(self.folder) as files:
            for file in files:
                if is_journal(file.name):
                    with contextlib.suppress(OSError):  # removed meanwhile
                        sizes[file.name.removesuffix(SUFFIX)] = file.stat().st_size
        return sizes

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else reads and then sets a head or a name meanwhile."""
        try:
            make_private(self.folder)
            with alone(self.folder, Deadline(_PATIENCE_SECONDS)):
                yield
        except OSError as error:
            raise JournalError(f"{self.folder} cannot be used: {error.strerror}") from error

    def append(self, root: str, state: State) -> None:
        """Set the head or the name of a conversation; for use within `locked`."""
        file = os.open(self._path(root), os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            os.write(file, b"\n" * _is_cut(file) + msgspec.json.encode(state) + b"\n")
        finally:
            os.close(file)

    def remove(self, root: str) -> None:
        """Forget a conversation."""
        path = self._path(root)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(f"{path} cannot be removed: {error.strerror}") from error

    def _path(self, root: str) -> Path:
        if not is_run(root):
            raise JournalError(f"{root!r} is not the id of a run")
        return self.folder / (root + SUFFIX)


def _from_the_end(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, last one first. A chat adds one with each turn."""
    begin, rest = file.seek(0, os.SEEK_END), b""
    while begin > 0:
        end, begin = begin, max(0, begin - _SLICE)
        file.seek(begin)
        rest, *lines = (file.read(end - begin) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest


def _is_cut(file: int) -> bool:
    """Whether the last line of a file is not complete."""
    end = os.lseek(file, 0, os.SEEK_END)
    if end == 0:
        return False
    os.lseek(file, end - 1, os.SEEK_SET)
    return os.read(file, 1) != b"\n"

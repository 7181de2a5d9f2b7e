"""`read_file` and `list`: what is in a text file, and in a folder."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator
from typing import Annotated

import msgspec

from chatstream.tools.builtin.base import MOST_CHARACTERS, Arguments, Reading
from chatstream.tools.builtin.texts import is_binary
from chatstream.tools.roots import Found, Kind
from chatstream.tools.tool import Context, ToolFailure
from chatstream.wording import counted, encodable

MOST_BYTES = 16 * 1024 * 1024
"""Of a file that is read."""

MOST_LINE_CHARACTERS = 2000
"""Of a line that is shown."""

MOST_ENTRIES = 1000
"""Of a listing."""

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".direnv"),
    }
)
"""Folders that are not gone through unless they are asked for: a machine fills them."""

_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class ReadFileArguments(Arguments, frozen=True, kw_only=True):
    """Of `read_file`."""

    path: Annotated[str, msgspec.Meta(description="The file to read.", min_length=1)]
    first_line: Annotated[
        int, msgspec.Meta(ge=1, description="The number of the first line to read, from 1.")
    ] = 1
    lines: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType,
        msgspec.Meta(description="How many lines to read; without it, to the end."),
    ] = msgspec.UNSET
    line_numbers: Annotated[
        bool, msgspec.Meta(description="Whether each line is preceded by its number and a tab.")
    ] = False


class ReadFile(Reading[ReadFileArguments]):
    """`read_file`."""

    called = "read_file"
    description = (
        "Read a text file. A long file is read in parts: the last line of the result then says "
        "where to go on. Paths are relative to the root folder."
    )
    arguments = ReadFileArguments

    def work(self, given: ReadFileArguments, context: Context) -> str:
        with self.roots.file(given.path) as found:
            data = _data(found)
            text, note = _text(data)
            shown = found.shown
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        first = given.first_line
        if lines and first > len(lines):
            raise ToolFailure(f"{shown} has only {counted(len(lines), 'line')}", code="not_found")
        self.memory.has_read(found.path, data)
        if not lines:
            return "[the file is empty]"
        end = len(lines)
        if given.lines is not msgspec.UNSET:
            end = min(end, first - 1 + given.lines)
        kept, last = [], first - 1
        size = 0
        for number in range(first, end + 1):
            line = shortened(lines[number - 1])
            line = f"{number}\t{line}" if given.line_numbers else line
            size += len(line.encode()) + 1
            if size > MOST_CHARACTERS:
                break
            kept.append(line)
            last = number
        if last < len(lines):
            kept.append(
                f"[lines {first} to {last} of {len(lines)}; continue with first_line={last + 1}]"
            )
        return "\n".join([*note, *kept])


def shortened(line: str) -> str:
    """A line, cut where it is longer than anybody reads."""
    rest = len(line) - MOST_LINE_CHARACTERS
    if rest <= 0:
        return line
    return f"{line[:MOST_LINE_CHARACTERS]}[… {counted(rest, 'more character', commas=True)}]"


def _data(found: Found) -> bytes:
    """The bytes of a text file. Raises `ToolFailure`."""
    with open(found.descriptor, "rb", closefd=False) as file:
        try:
            data = file.read(MOST_BYTES + 1)
        except OSError as error:
            words = f"{found.shown} cannot be read: {error.strerror or error}"
            raise ToolFailure(words) from None
    if len(data) > MOST_BYTES:
        size = f"{max(found.status.st_size, len(data)):,} bytes"
        words = f"{found.shown} is too large to read: {size}, and the limit is {MOST_BYTES:,}"
        raise ToolFailure(f"{words}; grep can search it", code="too_large")
    if is_binary(data):
        words = f"{found.shown} is a binary file of {len(data):,} bytes, and not text"
        raise ToolFailure(words, code="binary")
    return data


def _text(data: bytes) -> tuple[str, list[str]]:
    """The text of these bytes, and what should be known about it."""
    encoding = _UTF16.get(data[:2])
    try:
        return data.decode("utf-16" if encoding else "utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = "UTF-16" if encoding else "UTF-8"
        note = rf"[not valid {name} from line {line} on: bytes that are no text are shown as \xNN]"
        text = data[2:].decode(encoding, "replace") if encoding else None
        return text or data.decode("utf-8", "backslashreplace"), [note]


class ListArguments(Arguments, frozen=True, kw_only=True):
    """Of `list`."""

    path: Annotated[str, msgspec.Meta(description="The folder to list.", min_length=1)] = "."
    depth: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=10, description="1 lists the folder alone, 2 the folders in it too, …"
        ),
    ] = 1


class List(Reading[ListArguments]):
    """`list`."""

    called = "list"
    description = (
        "List the files and folders in a folder, sorted by name, with their sizes in bytes. "
        "Folders end with a slash. Paths are relative to the root folder."
    )
    arguments = ListArguments

    def work(self, given: ListArguments, context: Context) -> str:
        listing = _Listing(context)
        with self.roots.folder(given.path) as folder:
            listing.add(folder, given.depth)
        return listing.text or "[the folder is empty]"


class _Listing:
    """The lines of a listing, as many as there may be."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lines: list[str] = []
        self._left_out = 0
        self._size = 0

    @property
    def text(self) -> str:
        if not self._left_out:
            return "\n".join(self._lines)
        left = f"[{counted(self._left_out, 'name')} left out; list a folder by itself]"
        return "\n".join([*self._lines, left])

    def add(self, folder: Found, depth: int) -> None:
        """A folder, and so many levels of those in it."""
        names = heapq.nsmallest(MOST_ENTRIES, self._counted(folder))
        self._left_out -= len(names)
        for name, kind in names:
            if self._full:
                self._left_out += 1
                continue
            goes_in = kind == "folder" and depth > 1
            with contextlib.suppress(ToolFailure):  # it has gone away, or may not be read
                self._add(folder, name, kind, deeper=goes_in)
                if goes_in and name not in SKIPPED and not folder.holds_keys(name):
                    with folder.open(name) as below:
                        self.add(below, depth - 1)

    @property
    def _full(self) -> bool:
        return len(self._lines) >= MOST_ENTRIES or self._size > MOST_CHARACTERS

    def _counted(self, folder: Found) -> Iterator[tuple[str, Kind]]:
        for entry in folder.entries():
            self._context.token.check()
            self._left_out += 1
            yield entry

    def _add(self, folder: Found, name: str, kind: Kind, *, deeper: bool) -> None:
        path = encodable(folder.path_of(name))
        if kind == "folder":
            line = f"{path}/"
        elif kind == "link":
            line = f"{path} -> {folder.target(name)}"
        elif kind == "file":
            line = f"{path}  {folder.look(name).st_size}"
        else:
            line = f"{path}  (no regular file)"
        if folder.holds_keys(name):
            line += "  (private, not read)"
        elif deeper and name in SKIPPED:
            line += "  (not listed)"
        self._lines.append(line)
        self._size += len(line.encode()) + 1

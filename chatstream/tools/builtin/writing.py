"""`write_file` and `edit_file`: a text file written whole, or changed in one place.

1. Both show what they would change before they are approved (`preview`), and then do exactly that
   or nothing: see `memory` for what they refuse, and `places` for how a file is written.
2. An existing file keeps what a model cannot see: CRLF, whether its last line has an end, a
   byte-order mark, its encoding (`texts`).
3. `edit_file` replaces a text, which has to be there exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec

from chatstream.nearest import nearest
from chatstream.tools.builtin.base import Arguments, Reading
from chatstream.tools.builtin.texts import Coding, TextFile, encoded, flat
from chatstream.tools.diffs import unified
from chatstream.tools.places import MOST_BYTES, Place, place
from chatstream.tools.tool import Context, InvalidArguments, Planned, ToolFailure
from chatstream.wording import counted, excerpt

_MOST_NAMED = 5  # lines that are named in an error
_MOST_LOOKED_AT = 20_000  # lines among which one that was mistyped is looked for
_MOST_LINE_CHARACTERS = 300  # of those lines


class Plan(msgspec.Struct, frozen=True):
    """What a call would do: the texts before and after it, and the new bytes."""

    old: str | None
    new: str
    data: bytes
    told: str
    """What the model is told when it is done."""


class WriteFileArguments(Arguments, frozen=True, kw_only=True):
    """Of `write_file`."""

    path: Annotated[str, msgspec.Meta(description="The file to write.", min_length=1)]
    content: Annotated[str, msgspec.Meta(description="The whole new content of the file.")]


class EditFileArguments(Arguments, frozen=True, kw_only=True):
    """Of `edit_file`."""

    path: Annotated[str, msgspec.Meta(description="The file to change.", min_length=1)]
    old_text: Annotated[
        str,
        msgspec.Meta(
            description="The text to replace, exactly as it is in the file, with all blanks. It "
            "must be there only once: include some lines around it if it is short.",
            min_length=1,
        ),
    ]
    new_text: Annotated[str, msgspec.Meta(description="The text to put in its place.")]
    replace_all: Annotated[
        bool, msgspec.Meta(description="Whether to replace it wherever it is in the file.")
    ] = False


Given = TypeVar("Given", WriteFileArguments, EditFileArguments)


class Writing(Reading[Given]):
    """A tool that writes one file. A subclass says what it would do with it."""

    effect = "write"

    def preview(self, arguments: dict[str, Any], earlier: Sequence[Planned] = ()) -> str | None:
        given = self._decoded(arguments)
        with place(self.roots, given.path) as at:
            state = at.state()
            data = None if state is None else state.data
            for tool, its in earlier:
                if isinstance(tool, Writing):
                    data = tool.would_leave(its, at, data)
            plan = self.plan(given, at, data)
            self.memory.has_previewed(at.path, given, data)
            return unified(at.shown, plan.old, plan.new) or None

    def would_leave(self, arguments: dict[str, Any], at: Place, data: bytes | None) -> bytes | None:
        """What a call makes of these bytes; None: of no file."""
        given = self._decoded(arguments)
        try:
            with place(self.roots, given.path) as its:
                return self.plan(given, its, data).data if its.path == at.path else data
        except ToolFailure:  # it will fail then as well, and change nothing
            return data

    def work(self, given: Given, context: Context) -> str:
        with place(self.roots, given.path) as at:
            state = at.state()
            self.memory.check(at, given, state)
            plan = self.plan(given, at, None if state is None else state.data)
            if len(plan.data) > MOST_BYTES:
                words = f"{len(plan.data):,} bytes, and the limit is {MOST_BYTES:,}"
                raise ToolFailure(f"{at.shown} would be too large: {words}", code="too_large")
            if state is not None and plan.data == state.data:
                return f"[{at.shown} already has this content; nothing was written]"
            self.memory.write(at, plan.data, state)
            return plan.told

    def plan(self, given: Given, at: Place, data: bytes | None) -> Plan:
        """What this call would do to a file with these bytes. Raises `ToolFailure`."""
        raise NotImplementedError


class WriteFile(Writing[WriteFileArguments]):
    """`write_file`."""

    called = "write_file"
    description = (
        "Write a whole text file. Missing folders are made. To change a part "
        "of a file, edit it instead. Read a file before you replace it. Paths are relative to the "
        "root folder."
    )
    arguments = WriteFileArguments

    def plan(self, given: WriteFileArguments, at: Place, data: bytes | None) -> Plan:
        lines = counted(len(given.content.splitlines()), "line", commas=True)
        if data is None:
            new = encoded(given.content, Coding())
            return Plan(None, given.content, new, f"[made {at.shown}: {lines}]")
        file = TextFile(data, at.shown)
        content = file.alike(given.content)
        return Plan(
            *_shown(file.text, content),
            encoded(content, file.coding),
            f"[replaced {at.shown}: {lines}]",
        )


class EditFile(Writing[EditFileArguments]):
    """`edit_file`."""

    called = "edit_file"
    description = (
        "Change a text file: replace an old text, which must be in the file exactly once, with a "
        "new one. Everything else stays as it is. Paths are relative to the root folder."
    )
    arguments = EditFileArguments

    def check(self, arguments: dict[str, Any]) -> None:
        given = self._decoded(arguments)
        if flat(given.old_text) == flat(given.new_text):
            raise InvalidArguments("old_text and new_text are the same")

    def plan(self, given: EditFileArguments, at: Place, data: bytes | None) -> Plan:
        if data is None:
            words = f"{at.shown} does not exist; write_file makes a new file"
            raise ToolFailure(words, code="not_found")
        file = TextFile(data, at.shown)
        old = file.as_seen(given.old_text)
        found = file.positions(old)
        if not found:
            raise ToolFailure(_missing(file, given.old_text, at.shown), code="not_found")
        if len(found) > 1 and not given.replace_all:
            raise ToolFailure(_ambiguous(file, found, at.shown), code="ambiguous")
        positions = _apart(found, len(old))
        new = file.replaced(positions, old, given.new_text)
        told = f"[changed {at.shown}: {_lines(file, positions)}]"
        return Plan(*_shown(file.text, new), encoded(new, file.coding), told)


def _shown(old: str, new: str) -> tuple[str, str]:
    """Both texts as a diff shows them, without the CRLF that both of them have."""
    if all(it.count("\r\n") == it.count("\n") == it.count("\r") for it in (old, new)):
        return flat(old), flat(new)
    return old, new


def _apart(positions: list[int], length: int) -> list[int]:
    """The positions that do not overlap with one before them."""
    kept: list[int] = []
    for at in positions:
        if not kept or at >= kept[-1] + length:
            kept.append(at)
    return kept


def _lines(file: TextFile, positions: list[int]) -> str:
    """In which lines these positions are, in words."""
    numbers = [str(file.flat.count("\n", 0, at) + 1) for at in positions[: _MOST_NAMED + 1]]
    if len(positions) == 1:
        return f"line {numbers[0]}"
    if len(positions) > _MOST_NAMED:
        return f"{len(positions):,} places, the first ones in lines {', '.join(numbers[:-1])}"
    return f"lines {', '.join(numbers[:-1])} and {numbers[-1]}"


def _ambiguous(file: TextFile, found: list[int], shown: str) -> str:
    return (
        f"old_text is in {shown} {len(found):,} times ({_lines(file, found)}); give more of the "
        "text around it, or replace_all"
    )


def _missing(file: TextFile, old: str, shown: str) -> str:
    """Why a text is not found, as far as that is known."""
    words = f"old_text is not in {shown}"
    lines, wanted = file.flat.split("\n"), flat(old).strip("\n").split("\n")
    bare, bare_wanted = [_bare(it) for it in lines], [_bare(it) for it in wanted]
    for at, line in enumerate(bare):
        if line != bare_wanted[0] or not any(bare_wanted):
            continue
        if bare[at : at + len(wanted)] == bare_wanted:
            return f"{words}, but line {at + 1} has it with other blanks: read that line again"
    first = next(filter(None, bare_wanted), "")
    if first in bare:
        number = bare.index(first) + 1
        return f"{words}: line {number} is like its first line, but what follows is different"
    known = {it for it in bare[:_MOST_LOOKED_AT] if 0 < len(it) <= _MOST_LINE_CHARACTERS}
    if near := nearest(first[:_MOST_LINE_CHARACTERS], known):
        number = bare.index(near[0]) + 1
        return f"{words}; did you mean line {number}, {excerpt(near[0], 120)!r}?"
    return f"{words}; read the file again"


def _bare(line: str) -> str:
    return " ".join(line.split())

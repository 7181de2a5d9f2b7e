"""Figures, parts and tables as lines of text that know how wide they are.

A line is a list of spans, each with a role that the printer may paint. Widths count cells of a
terminal, so names in any script stand in columns. Where the room ends, "…" stands for the rest.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

Role = Literal["", "bold", "dim", "good", "bad", "warn"]
Span = tuple[str, Role]
Line = list[Span]

LABEL_COLUMNS = 10
"""Columns of the label at the start of a line."""

TIMES = "\u00d7"
"""The multiplication sign."""

ASCII = str.maketrans(f"µ\u2013≈·…{TIMES}─│└█▒░", "u-~|>x-|+#=.")
"""Our own characters beyond ASCII; each becomes one character, so that columns stay."""


# ---- figures


def number(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    size = abs(value)
    if size == 0.0:
        return "0"
    if size < 0.0005 or size >= 999_999.5:
        return f"{value:.2e}"
    return f"{value:.0f}" if size >= 999.5 else f"{value:#.3g}".removesuffix(".")


def seconds(value: float) -> str:
    """A time in the unit that reads best: `412 ms`, `18.1 ms`, `50.0 µs`. Never `0.00 ms`."""
    size = abs(value)
    if size < 0.5e-9:
        return "0 ms" if size == 0.0 else "<1 ns"
    for unit, factor in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3)):
        if size * factor < 999.5:
            return f"{number(value * factor)} {unit}"
    return f"{number(value)} s"


# ---- text


def cells(text: str) -> int:
    """How many cells of a terminal the text takes, at most (UAX #11: W and F are two)."""
    return sum(2 if unicodedata.east_asian_width(it) in "WF" else 1 for it in text)


def clean(text: str, limit: int) -> str:
    """Remote text as one line of at most `limit` cells; what cannot be printed becomes "?"."""
    # It may be an error page of megabytes; no character counts for less than a cell.
    return _fit("".join(map(_printed, text[: limit + 1])), limit)


def name(text: str, limit: int) -> str:
    """The same for a name. Names differ at both ends, so the middle of a long one is left out."""
    if cells(text) <= limit:
        return clean(text, limit)
    back = (limit - 1) // 2
    end = "".join(map(_printed, text[-back:])) if back else ""
    while cells(end) > back:
        end = end[1:]
    return _fit("".join(map(_printed, text[:limit])) + "…", limit - cells(end)) + end


def to_ascii(text: str) -> str:
    """For a terminal that can show nothing else; never wider than before."""
    return text.translate(ASCII).encode("ascii", "replace").decode()


def _printed(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "?"


def _fit(text: str, limit: int) -> str:
    if cells(text) <= limit:
        return text
    while text and cells(text) > limit - 1:
        text = text[:-1]
    return text + "…"[:limit]


# ---- lines


def cut(line: Line, width: int) -> Line:
    """The line, cut to `width` cells."""
    room = width
    if sum(cells(text) for text, _ in line) <= room:
        return line
    kept: Line = []
    for text, role in line:
        # Something is left out later, so the mark needs the last cell.
        if cells(text) >= room:
            kept.append((_fit(text + "…", room) if cells(text) == room else _fit(text, room), role))
            break
        kept.append((text, role))
        room -= cells(text)
    return kept


def said(
    label: str,
    parts: Sequence[Span],
    width: int,
    *,
    role: Role = "dim",
    joint: str = " · ",
    most: int = 4,
) -> list[Line]:
    """The parts behind a label, on as many lines as they need, at most `most`.

    A part that fits no line is broken between span_role words.
    """
    lines: list[Line] = [[(f"{label:<{LABEL_COLUMNS}}", role)]]
    room = width - LABEL_COLUMNS
    for text, span_role in _fitting(parts, room):
        first = len(lines[-1]) == 1
        if not first and len(joint) + cells(text) > room:
            if len(lines) == most:
                lines[-1].append((" …", span_role))
                break
            lines.append([(" " * LABEL_COLUMNS, "")])
            room, first = width - LABEL_COLUMNS, True
        lines[-1] += [(text, span_role)] if first else [(joint, "dim"), (text, span_role)]
        room -= cells(text) + (0 if first else len(joint))
    return lines


def _fitting(parts: Sequence[Span], room: int) -> Iterable[Span]:
    for text, span_role in parts:
        if cells(text) <= room or room < 1:
            yield text, span_role
        else:
            wrapped = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
            yield from ((line, span_role) for line in wrapped)


def prose(label: str, text: str, role: Role, width: int, *, most: int = 3) -> list[Line]:
    """Remote text behind a label, broken between words."""
    words: list[Span] = [(it, role) for it in clean(text, most * width).split()]
    return said(label, words, width, role=role, joint=" ", most=most)


def heads(*names: str) -> list[Span]:
    """The first row of a table."""
    return [(it, "dim") for it in names]


def table(rows: Sequence[Sequence[Span]], width: int, *, left: int = 1) -> list[Line]:
    """Rows of as many cells each; the first `left` columns to the left, the others to the right.

    As many columns as there is room for, but at least two.
    """
    widths = [max(cells(text) for text, _ in column) for column in zip(*rows, strict=True)]
    while len(widths) > 2 and sum(widths) + len(widths) - 1 > width:
        widths.pop()
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= width else " "
    lines: list[Line] = []
    for row in rows:
        line: Line = []
        for at, ((text, role), size) in enumerate(zip(row, widths, strict=False)):
            fill = " " * (size - cells(text))
            before = gap if line else ""
            line.append((before + (text + fill if at < left else fill + text), role))
        lines.append(line)
    return lines


def joined(blocks: Iterable[Sequence[Line]], width: int, *, ascii_only: bool = False) -> list[Line]:
    """The blocks that have lines, with a blank line between two, each line cut to `width` cells."""
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [[("", "")], *block] if lines else block
    lines = [cut(line, width) for line in lines]
    if ascii_only:
        lines = [[(to_ascii(text), role) for text, role in line] for line in lines]
    return lines


def text_of(lines: Iterable[Line]) -> str:
    """The lines without their roles, joined by LF."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)

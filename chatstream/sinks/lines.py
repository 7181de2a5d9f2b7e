"""What is drawn: logical lines, and the rows that they take on a terminal.

1. A line is a list of Rich's segments without line ends or control characters. The terminal wraps
   it by itself, so that a copy of it is one line again and a new width reflows it.
2. `rows_of` tells beforehand where the terminal will wrap. That is sure only where every terminal
   agrees about the width of each character; `is_sure` tells whether that is so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

TAB_CELLS = 8
"""Cells from one tab stop of a terminal to the next."""

Line = list[Segment]
"""One logical line, or one row of it."""

# Widths differ from terminal to terminal for what joins with, or changes, the character before it
# (marks, joiners, variation selectors, skin tones, regional indicators), and for scripts whose
# letters join; also for emoji that Unicode has for a few years only. Everything below is one cell
# wide everywhere, or two, unless its user tells a terminal otherwise (as for "ambiguous" ones).
_SURE = re.compile(
    "[\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u0482\u048a-\u052f\u1d2c-\u1d6a\u2010-\u2027\u2030-\u205e\u2070\u2071\u2074-\u208e"
    "\u2090-\u209c\u20a0-\u20bf\u2c7c\u2c7d"
    "\u2190-\u2319\u2320-\u23e8\u2500-\u25fc\u2600-\u2604\u2610-\u2612\u2800-\u28ff"
    "\u3000-\u3029\u3030-\u303c\u3041-\u3096\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uff01-\uff60\ufffd"
    "\u2705\u2713\u2714\u2717\u274c\u2728\u2764\u2421\u2400-\u2426"
    "\U0001f300-\U0001f320\U0001f330-\U0001f335\U0001f400-\U0001f43e\U0001f600-\U0001f64f"
    "\U0001f680-\U0001f6c5\U0001f910-\U0001f93a\U0001f940-\U0001f945\U0001f947-\U0001f971"
    "\U0001f973-\U0001f976\U0001f97a-\U0001f9a2\U0001f9a5-\U0001f9aa\U0001f9ae-\U0001f9ca"
    "\U0001f9cd-\U0001f9ff]*"
)


def line_of(text: str, style: Style | None = None) -> Line:
    """A line of one style."""
    return [Segment(text, style)] if text else []


def text_of(line: Iterable[Segment]) -> str:
    """Only the characters."""
    return "".join([segment.text for segment in line])


def is_sure(text: str) -> bool:
    """Whether every terminal gives each of these characters the same width."""
    return text.isascii() or _SURE.fullmatch(text) is not None


def rows_of(line: Line, width: int) -> list[Line]:
    """The rows that a terminal of `width` cells makes of a line; one empty row for an empty line.

    A character of two cells that does not fit into the last cell begins the next row.
    """
    if cell_len(text_of(line)) <= width:
        return [line]
    rows: list[Line] = [[]]
    room = width
    for text, style, _ in line:
        start = at = 0
        while at < len(text):
            if text.isascii():
                at = min(start + room, len(text))
                room -= at - start
                full = at < len(text)
            else:
                cells = cell_len(text[at])
                full = cells > room and room < width
                at += not full
                room -= 0 if full else min(cells, room)
            if full or at == len(text):
                if at > start:
                    rows[-1].append(Segment(text[start:at], style))
                start = at
            if full:
                rows.append([])
                room = width
    return rows


def parts_of(line: Line, ranges: Sequence[tuple[int, int]]) -> list[Line]:
    """The characters of these ranges, which come one after the other: a line for each."""
    parts: list[Line] = []
    number = before = 0  # the segment that is looked at, and the characters before it
    for start, end in ranges:
        part: Line = []
        while number < len(line):
            text, style, _ = line[number]
            if piece := text[max(start - before, 0) : end - before]:
                part.append(Segment(piece, style))
            if before + len(text) > end:
                break
            before += len(text)
            number += 1
        parts.append(part)
    return parts


def cropped(line: Line, width: int) -> Line:
    """The line, cut to one row of `width` cells, with an ellipsis where something is missing."""
    if cell_len(text_of(line)) <= width:
        return line
    row = rows_of(line, max(1, width - 1))[0]
    if cell_len(text_of(row)) >= width:
        row = []  # not even its first character fits
    return [*row, Segment("…", (row or line)[-1].style)]


def expanded(line: Line) -> Line:
    """The line with spaces for its tabs, which end at each eighth cell as on a terminal."""
    if not any("\t" in segment.text for segment in line):
        return line
    spaced: Line = []
    at = 0
    for text, style, _ in line:
        first, *others = text.split("\t")
        parts = [first]
        at += cell_len(first)
        for part in others:
            parts.append(" " * (TAB_CELLS - at % TAB_CELLS) + part)
            at += TAB_CELLS - at % TAB_CELLS + cell_len(part)
        spaced.append(Segment("".join(parts), style))
    return spaced

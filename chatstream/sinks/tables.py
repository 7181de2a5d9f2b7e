"""Tables: columns as wide as their cells, as far as the terminal has room for them.

Widths come from the header and the rows that are there when the first of them are laid out, `HELD`
at most, and stay. A cell that is wider than its column is broken between words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from rich.cells import cell_len
from rich.segment import Segment

from chatstream.sinks.lines import Line, line_of, parts_of, text_of
from chatstream.sinks.theme import Theme

HELD = 40
"""Rows that are held back at most, to find out how wide the columns have to be."""

_BETWEEN = " │ "
_CROSSING = "─┼─"
_WORD = re.compile("[^ ]+")


@dataclass(frozen=True)
class Grid:
    """A table that is being written; `rows` are those that were not laid out."""

    columns: Sequence[str]  # "left", "right", "center", "default"
    header: Sequence[Line]
    before: tuple[Line, Line]  # what stands before the first line, and before each other one
    theme: Theme
    rows: tuple[_Row, ...] = ()
    widths: tuple[int, ...] = field(default=())  # none before the first rows are laid out

    @property
    def is_fixed(self) -> bool:
        """Whether rows can be laid out one by one."""
        return bool(self.widths)

    def with_row(self, row: Sequence[Line]) -> Grid:
        """The table and one more row."""
        return replace(self, rows=(*self.rows, _Row(row)))

    def laid_out(self, width: int) -> tuple[list[Line], Grid]:
        """The lines of the rows that are there, and what is left: the table without these rows."""
        first, other = self.before
        lines: list[Line] = []
        widths = self.widths
        if not widths:
            header = _Row(self.header)
            widths = _fitting([header, *self.rows], max(width - _cells(first), 1))
            rule = _CROSSING.join("─" * cells for cells in widths)
            lines += header.laid_out(widths, self.columns, self.theme)
            lines.append(line_of(rule, self.theme.rule))
        for row in self.rows:
            lines += row.laid_out(widths, self.columns, self.theme)
        drawn = [[*other, *line] for line in lines]
        if not self.widths:
            drawn[0] = [*first, *lines[0]]
        return drawn, replace(self, rows=(), widths=widths)


class _Row:
    """A row. It knows how it was laid out last: an open table is redrawn with each frame."""

    def __init__(self, cells: Sequence[Line]) -> None:
        self.needs = [_cells(cell) for cell in cells]
        self._cells = cells
        self._widths: tuple[int, ...] = ()
        self._lines: list[Line] = []

    def laid_out(self, widths: tuple[int, ...], columns: Sequence[str], theme: Theme) -> list[Line]:
        if widths != self._widths:
            self._widths = widths
            self._lines = list(self._lay_out(columns, theme))
        return self._lines

    def _lay_out(self, columns: Sequence[str], theme: Theme) -> Iterator[Line]:
        cells = [_broken(*it) for it in zip(self._cells, self._widths, strict=True)]
        between = Segment(_BETWEEN, theme.rule)
        for parts in zip_longest(*cells, fillvalue=[]):
            line: Line = []
            for at, (part, width, column) in enumerate(
                zip(parts, self._widths, columns, strict=True)
            ):
                left, right = _padding(width - _cells(part), column)
                if at == len(columns) - 1:
                    right = 0  # nothing that a copy would have to be cleaned of
                line += [between] if at else []
                line += [Segment(" " * left)] if left else []
                line += part
                line += [Segment(" " * right)] if right else []
            yield line


def _fitting(rows: Sequence[_Row], width: int) -> tuple[int, ...]:
    """Widths with which a row fits into so many cells; the widest column gives way first."""
    widths = [max(1, *needs) for needs in zip(*(row.needs for row in rows), strict=True)]
    room = width - len(_BETWEEN) * (len(widths) - 1)
    excess = sum(widths) - max(room, len(widths))
    while excess > 0:
        widest = max(widths)
        those = [at for at, cells in enumerate(widths) if cells == widest]
        below = max((cells for cells in widths if cells < widest), default=1)
        step = min(widest - below, -(-excess // len(those)))
        for at in those:
            taken = min(step, excess)
            widths[at] -= taken
            excess -= taken
    return tuple(widths)


def _padding(room: int, column: str) -> tuple[int, int]:
    left = {"right": room, "center": room // 2}.get(column, 0)
    return max(left, 0), max(room - left, 0)


def _cells(line: Line) -> int:
    return cell_len(text_of(line))


def _broken(cell: Line, width: int) -> list[Line]:
    """The lines of a cell that is `width` cells wide, broken at spaces if possible."""
    if _cells(cell) <= width:
        return [cell]
    ranges: list[tuple[int, int]] = []  # of characters, for each line
    start = end = used = 0
    for word in _WORD.finditer(text_of(cell)):
        cells = cell_len(word[0])
        room = width - used - (word.start() - end)
        if end == start or cells > room:
            if end > start:
                ranges.append((start, end))
            start, used, room = word.start(), 0, width
            if cells > width:
                for at, character in enumerate(word[0], word.start()):
                    if used + cell_len(character) > width and at > start:
                        ranges.append((start, at))
                        start, used = at, 0
                    used += cell_len(character)
                end = word.end()
                continue
        end, used = word.end(), width - room + cells
    return parts_of(cell, [*ranges, (start, end)])

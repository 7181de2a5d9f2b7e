"""Tables: columns as wide as their cells, as far as the terminal has room for them.

1. A word, or a number, is never cut in two: the longest one is the least width of its column. Only
   an address (`://`), and a word that no row of the terminal can hold, are broken: after `/`, `?`
   or `&` if possible, else after a mark like `.` or `-`. A cell that is wider than its column is
   broken between words.
2. Where that does not fit, the separators get narrow; and where that does not help, each row
   becomes a record: a line for each cell, with the title of its column, and an empty line between
   two records.
3. That is decided, and widths are measured, by the rows that are there when the first of them are
   laid out, `HELD_ROWS` at most. A later row that needs more room than they have makes columns
   wider from there on, as far as the terminal has room. Where it has none, that row alone has
   widths of its own; and where even its words do not fit, it is a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rich.cells import cell_len
from rich.segment import Segment

from chatstream.sinks.lines import Line, line_of, parts_of, text_of
from chatstream.sinks.theme import Theme
from chatstream.sinks.wrapping import Prose, words_of

HELD_ROWS = 40
"""Rows that are held back at most, to find out how wide the columns have to be."""

_SEPARATORS = (" │ ", "│")
_ADDRESS_CELLS = 16
"""Cells that a column with an address has at least, if the address is that long."""
_HANG_CELLS = 2
# The parts of a word that has to be broken, and those of a part that is still too wide.
_PARTS = (
    re.compile(r"(?:[^/?&]*://)?[^/?&]+[/?&]*|[/?&]+"),  # a scheme stays with its host
    re.compile(r"[^/?&]+[/?&]*|[/?&]+"),
    re.compile(r"[^=._-]+[=._-]*|[=._-]+"),
)

Cell = Sequence[Line]
"""The lines of a cell; more than one where it has line breaks of its own."""


@dataclass(frozen=True)
class Grid:
    """A table that is being written; `rows` are those that were not laid out."""

    columns: Sequence[str]  # "left", "right", "center", "default"
    header: Sequence[Cell]
    before: tuple[Line, Line]  # what stands before the first line, and before each other one
    theme: Theme
    rows: tuple[_Row, ...] = ()
    widths: tuple[int, ...] = ()  # of the columns; none before the first rows are laid out
    separator: str = ""  # none where each row is a record
    is_fixed: bool = False
    """Whether rows can be laid out one by one."""
    after_record: bool = False
    """Whether the last row was a record."""

    def with_row(self, row: Sequence[Cell]) -> Grid:
        """The table and one more row."""
        return replace(self, rows=(*self.rows, _Row(row)))

    def laid_out(self, width: int) -> tuple[list[Line], Grid]:
        """The lines of the rows that are there, and what is left: the table without these rows."""
        first, other = self.before
        room = max(width - _cells(first), 1)
        table = self if self.is_fixed else self._begun(room)
        lines: list[Line] = []
        if not self.is_fixed and table.separator:
            lines += _Row(self.header).laid_out(table)
            crossing = table.separator.replace(" ", "─").replace("│", "┼")
            rule = crossing.join("─" * cells for cells in table.widths)
            lines.append(line_of(rule, self.theme.rule))
        for row in self.rows:
            widths = table._widths_for(row, room)
            if (table.after_record or not widths) and (lines or self.is_fixed):
                lines.append([])
            if widths:
                lines += row.laid_out(replace(table, widths=widths))
            else:
                lines += row.record(self.header, room)
            table = table._after(widths, room)
        if not lines and not self.is_fixed:  # records, and no row has come yet
            lines = _Row([()] * len(self.header)).record(self.header, room)
        befores = [other if at or self.is_fixed else first for at in range(len(lines))]
        drawn = [_within(before, line) for before, line in zip(befores, lines, strict=True)]
        return drawn, replace(table, rows=())

    def _begun(self, room: int) -> Grid:
        """With the separator and the widths that the rows so far can have."""
        rows = [_Row(self.header), *self.rows]
        for separator in _SEPARATORS:
            if widths := _fitting(rows, room, separator):
                return replace(self, widths=widths, separator=separator, is_fixed=True)
        return replace(self, is_fixed=True)

    def _widths_for(self, row: _Row, room: int) -> tuple[int, ...]:
        """The widths that the columns have in this row; none where it has to be a record."""
        if not self.separator:
            return ()
        wider = _fitting([row], room, self.separator, self.widths)
        return wider or _fitting([row], room, self.separator)

    def _after(self, widths: tuple[int, ...], room: int) -> Grid:
        """The table after a row of these widths, which stay where no column had to give way."""
        grown = all(new >= old for new, old in zip(widths, self.widths, strict=False))
        is_wider = sum(self.widths) + len(self.separator) * (len(self.widths) - 1) > room
        stay = widths if widths and (grown or is_wider) else self.widths  # wider than the terminal
        return replace(self, widths=stay, after_record=not widths)


class _Row:
    """A row. It knows how it was laid out last: an open table is redrawn with each frame."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.needs = [max(map(_cells, cell), default=0) for cell in cells]
        self._words = [_words(cell) for cell in cells]
        self._cells = cells
        self._form: tuple[tuple[int, ...], str] = ((), "")
        self._lines: list[Line] = []
        self._record: tuple[int, list[Line]] = (0, [])  # with the room that it was made for

    def least(self, room: int) -> list[int]:
        """The least widths of the columns, where a row of the terminal has `room` cells."""
        return [max((it for it in words if it <= room), default=1) for words in self._words]

    def laid_out(self, table: Grid) -> list[Line]:
        """The lines of the row in columns."""
        if self._form != (table.widths, table.separator):
            self._form = table.widths, table.separator
            self._lines = list(self._lay_out(table))
        return self._lines

    def record(self, header: Sequence[Cell], room: int) -> list[Line]:
        """The lines of the row as a record below these titles, those of its table."""
        if self._record[0] != room:
            self._record = room, list(self._as_record(header, room))
        return self._record[1]

    def _as_record(self, header: Sequence[Cell], room: int) -> Iterator[Line]:
        """A line for each cell, with its title; more for a cell that has line breaks.

        They hang where that leaves room for each word that `room` cells can hold.
        """
        cells = [_titled(*it, room) for it in zip(header, self._cells, strict=True)]
        words = [it for cell in cells for it in _words(cell) if it <= room]
        hang = _HANG_CELLS if max(words, default=0) <= room - _HANG_CELLS else 0
        for first, *others in cells:
            yield Prose(first, hang)
            for line in others:
                yield Prose([*line_of(" " * hang), *line], hang)

    def _lay_out(self, table: Grid) -> Iterator[Line]:
        cells = [
            [part for line in cell for part in _broken(line, width)]
            for cell, width in zip(self._cells, table.widths, strict=True)
        ]
        between = Segment(table.separator, table.theme.rule)
        for parts in zip_longest(*cells, fillvalue=[]):
            line: Line = []
            for at, (part, width, column) in enumerate(
                zip(parts, table.widths, table.columns, strict=True)
            ):
                left, right = _padding(width - _cells(part), column)
                line += [between] if at else []
                line += [Segment(" " * left)] if left else []
                line += part
                line += [Segment(" " * right)] if right else []
            yield _stripped(line)


def _fitting(
    rows: Sequence[_Row], room: int, separator: str, floors: tuple[int, ...] = ()
) -> tuple[int, ...]:
    """Widths with which these rows fit into `room` cells; none where no word may be cut.

    The widest column gives way first. No column is narrower than its floor.
    """
    needs = [row.needs for row in rows] + [floors or [1] * len(rows[0].needs)]
    leasts = [row.least(room) for row in rows] + needs[-1:]
    widths = [max(it) for it in zip(*needs, strict=True)]
    least = [max(it) for it in zip(*leasts, strict=True)]
    excess = sum(widths) + len(separator) * (len(widths) - 1) - room
    while excess > 0:
        can = [at for at, cells in enumerate(widths) if cells > least[at]]
        if not can:
            return ()
        widest = max(widths[at] for at in can)
        those = [at for at in can if widths[at] == widest]
        below = max([widths[at] for at in can if widths[at] < widest] + [least[at] for at in those])
        step = min(widest - below, -(-excess // len(those)))
        for at in those:
            taken = min(step, excess)
            widths[at] -= taken
            excess -= taken
    return tuple(widths)


def _words(cell: Cell) -> frozenset[int]:
    """The widths of the words of a cell, which are not to be cut."""
    found = set()
    for line in cell:
        text = text_of(line)
        for word in words_of(text):
            piece = text[word.start : word.end]
            cells = cell_len(piece)
            found.add(min(cells, _ADDRESS_CELLS) if "://" in piece else cells)
    return frozenset(found)


def _padding(room: int, column: str) -> tuple[int, int]:
    left = {"right": room, "center": room // 2}.get(column, 0)
    return max(left, 0), max(room - left, 0)


def _cells(line: Line) -> int:
    return cell_len(text_of(line))


def _titled(titles: Cell, cell: Cell, room: int) -> Cell:
    """The lines of a cell of a record, with the title of its column, as one line, before them.

    The title gets a colon unless that would make a word too wide for `room` cells.
    """
    first, *others = titles or [[]]
    title = [*first, *(it for line in others for it in (Segment(" "), *line))]
    if title:
        if not title[-1].text.endswith((":", "\uff1a")) and room not in _words([title]):
            title.append(Segment(":", title[-1].style))
        title.append(Segment(" "))
    line, *others = cell or [[]]
    return [_stripped([*title, *line]), *others]


def _stripped(line: Line) -> Line:
    """The line without blanks at its end, which a copy would have to be cleaned of."""
    while line and not line[-1].text.strip(" "):
        line = line[:-1]
    return [*line[:-1], Segment(line[-1].text.rstrip(" "), line[-1].style)] if line else line


def _within(before: Line, line: Line) -> Line:
    """A line behind what stands before it; an empty one gets no blanks."""
    if isinstance(line, Prose):
        return Prose([*before, *line], line.hang + _cells(before))
    return [*before, *line] if line or text_of(before).strip(" ") else []


def _broken(cell: Line, width: int) -> list[Line]:
    """The lines of a cell that is `width` cells wide."""
    if _cells(cell) <= width:
        return [cell]
    text = text_of(cell)
    ranges: list[tuple[int, int]] = []  # of characters, for each line
    start = end = used = 0
    for word in words_of(text):
        for first, last in _pieces(text, word.start, word.end, width):
            cells = cell_len(text[first:last])
            if end > start and used + first - end + cells > width:
                ranges.append((start, end))
                start, used = first, 0
            elif end == start:
                start, used = first, 0
            else:
                used += first - end
            used += cells
            end = last
    return parts_of(cell, [*ranges, (start, end)])


def _pieces(
    text: str, start: int, end: int, width: int, parts: Sequence[re.Pattern[str]] = _PARTS
) -> Iterator[tuple[int, int]]:
    """A word, or the parts that one has to be cut into which no line can hold."""
    if cell_len(text[start:end]) <= width:
        yield start, end
    elif parts:
        for part in parts[0].finditer(text, start, end):
            yield from _pieces(text, *part.span(), width, parts[1:])
    else:
        yield from ((at, at + 1) for at in range(start, end))

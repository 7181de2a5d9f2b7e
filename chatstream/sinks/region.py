"""The live region: the last rows of the terminal, drawn by what has changed.

1. `paint` gives lines that are final, lines that are still open, and rows below them. Final lines
   are drawn once, end above the region and belong to the scrollback; the rest is the region.
2. What is on the screen is known, so only what differs is written: text that grows costs its own
   characters. A frame that changes more than two rows is one update for terminals that can hold it
   back (DEC private mode 2026; others ignore it). The cursor ends behind the open text.
3. A line is written without a break where it fills a row: the terminal wraps it, knows it as one
   line, and copies and reflows it as one. Prose is filled up to the margin where a row ends between
   words (`wrapping`).
4. Where terminals disagree about widths (`lines.is_sure`), each open row is redrawn from its
   beginning, with wrapping off, so that it is one row whatever its width. What is final is drawn
   once more, and the terminal wraps it as it thinks right; each part of a `joined` line is one.
5. The region is lower than the terminal, so all of it can be reached: of more open rows the newest
   are shown. After a resize it is redrawn from its first row (`reflow` finds that row if it can).
   Rows that can no longer be reached, or whose place is unknown, appear twice: that is better than
   losing one. A row below the text is one row for a terminal of any width.
6. The cursor stays visible: whatever ends the process, the shell has one.

It is what Rich's `Live` is, which writes the whole region for each frame and hides the cursor. As
there, what others print on the console goes above it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import COLOR_SYSTEMS, Console, ConsoleRenderable, RenderHook
from rich.segment import Segment

from chatstream.sinks.lines import Line, cropped, is_sure, rows_of, text_of
from chatstream.sinks.reflow import (
    ERASE_BELOW,
    ERASE_ROW,
    ERASE_ROWS,
    keeps_blanks,
    reflows,
    settling,
)
from chatstream.sinks.theme import escaped
from chatstream.sinks.wrapping import Prose, blanks, like, wrapped

_UPDATE = "\x1b[?2026h"
_UPDATED = "\x1b[?2026l"
_NO_WRAP = "\x1b[?7l"
_WRAP = "\x1b[?7h"
_ERASE_RIGHT = "\x1b[K"

_ASCII = str.maketrans(
    {"…": "...", "⏎": "+", "↵": "|", "↑": "^", "›": ">", "☐": "[ ]", "☑": "[x]", "⊘": "!"}
    | dict(zip("✓✗■⚙·≈•▌▸", "+x-*-~*>>", strict=True))
    | dict(zip("─│┼━╸╺", "-|+=--", strict=True))
    | dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", r"|/-\|/-\|/", strict=True))
)

_UNKNOWN_CELL = 1 << 30  # cells from the left


Lines = Sequence[Line]


class _Row(NamedTuple):
    line: Line
    cells: int = 0
    flows: bool = False  # the next row continues its line
    sure: bool = True
    free: bool = False  # a whole line that takes as many rows as the terminal thinks right
    below: bool = False  # the open text


_EMPTY = _Row([])


class Region(RenderHook):
    """The last rows of `console`'s terminal."""

    def __init__(self, console: Console, environ: Mapping[str, str] = os.environ) -> None:
        self.console = console
        self.is_started = False
        self._colors = COLOR_SYSTEMS.get(console.color_system or "")
        self._encoding = console.encoding if console.options.ascii_only else None
        self._reflows = reflows(environ)
        self._keeps_blanks = keeps_blanks(environ)
        self.settling = settling(environ)
        """Seconds after a change of `size` in which nothing should be painted."""
        self._width, self._height = 0, 0
        self._shown: list[_Row] = [_EMPTY]  # what is on the screen from the first row on
        self._row, self._cell = 0, 0  # of the cursor; past the last cell: about to wrap
        self._begun: Line = []  # the last row of a line that is final so far and goes on
        self._before: Line = []  # what is above it of that line
        self._out: list[str] = []

    @property
    def size(self) -> tuple[int, int]:
        """Cells and rows of the terminal."""
        try:  # not what COLUMNS tells: the terminal wraps where it is
            width, height = os.get_terminal_size(self.console.file.fileno())
        except (OSError, ValueError):
            width, height = 0, 0
        size = self.console.size
        return max(1, width or size.width), max(1, height or size.height)

    def paint(
        self, final: Lines, open_lines: Lines = (), below: Lines = (), *, joined: bool = False
    ) -> None:
        """One frame. `joined`: the open lines, and the next final ones, continue the last line
        of `final`. Of the lines in `below` each is cut to one row.
        """
        self.start()
        if self.size != (self._width, self._height):
            self._resized(*self.size)
        below = [cropped(line, self._width) for line in below]
        if name := self._encoding:
            final, open_lines, below = (
                [encodable(line, name) for line in lines] for lines in (final, open_lines, below)
            )
        rows, open_rows = self._laid_out(final, open_lines, joined=joined)
        room = max(1, self._height - 1)
        under = [row._replace(below=True) for line in below for row in _rows(line, self._width)]
        under = under[max(0, len(under) - room + 1) :]
        kept = open_rows[len(under) - room :] or ([] if under else [_EMPTY])
        written = self._draw([*rows, *kept, *under])
        self._go_behind(len([*rows, *kept[1:]]), kept[-1] if kept else _EMPTY)
        self._shown = self._shown[len(rows) :]
        self._row -= len(rows)
        self._write(whole=written > 2)

    def erase(self) -> None:
        """Take the region away, and leave the cursor where it began."""
        self._before = []
        if self._shown != [_EMPTY]:
            self._erase_below(0)
            self._write()

    def forget(self) -> None:
        """The screen shows something else by now: the next frame begins at the cursor."""
        self._shown, self._row, self._cell, self._before = [_EMPTY], 0, 0, []

    def start(self) -> None:
        """From here on, what others print goes above the region. Idempotent; `paint` does it."""
        if not self.is_started:
            self.is_started = True
            self.console.push_render_hook(self)

    def stop(self) -> None:
        """Leave what is shown as it is. Idempotent."""
        if self.is_started:
            self.is_started = False
            self.console.pop_render_hook()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What others print takes the region's place; it is back with the next frame."""
        self.erase()
        return renderables

    def _laid_out(
        self, final: Lines, open_lines: Lines, *, joined: bool
    ) -> tuple[list[_Row], list[_Row]]:
        """The rows of these lines: the final ones, and those that may change."""
        width = self._width
        lines = [*final, *open_lines]
        if self._begun:
            lines[:1] = [like(self._begun, [*self._begun, *(lines[0] if lines else [])])]
        ended = len(final) - joined
        rows = [row for line in lines[:ended] for row in _rows(line, width, final=True)]
        if ended > 0:
            self._before = []
        if final:
            self._begun = []
        if joined:
            going_on = lines[ended]
            *full, last = _rows(going_on, width, joined=True)
            above = _sum([row.line for row in full])
            if last.sure:
                rows += full
                self._before += above
            elif full:
                rows.append(_Row(above, sure=False, free=True))
                self._before = []
            self._begun = like(going_on, last.line)
            following = _sum(lines[ended + 1 : ended + 2])
            lines[ended : ended + 2] = [like(going_on, [*last.line, *following])]
        open_rows: list[_Row] = []
        for line in reversed(lines[ended:]):
            if len(open_rows) >= self._height:
                break  # the others have no room
            open_rows[:0] = _rows(line, width)
        return rows, open_rows

    def _draw(self, target: list[_Row]) -> int:
        """Make the screen show these rows; how many were written."""
        written, changed, before = 0, False, _EMPTY
        for number, row in enumerate(target):
            new = number >= len(self._shown)
            if row.free and not new:
                self._erase_below(number)
            old = _EMPTY if new else self._shown[number]
            # To a terminal a row flows until it is erased, and then it no longer continues another.
            unsure = bool(old.line) and not (row.sure and old.sure)
            shorter = self._keeps_blanks and row.cells < old.cells
            fresh = row != old and (old.flows or unsure or shorter)
            first = text_of(row.line)[:1]  # may not be the next one, where open rows are left out
            full = before.flows and before.cells + cell_len(first) > self._width
            wraps = full and (changed or fresh)
            if new and not wraps:
                self._move(number - 1)
                self._out.append("\n")
                self._row, self._cell = number, 0
            changed = new or wraps or row != old
            if changed:
                if fresh:
                    self._move(number, 0)
                    self._out.append(ERASE_ROW)
                self._rewrite(number, _EMPTY if fresh else old, row, before if wraps else None)
                written += 1
            before = row
        if len(self._shown) > len(target):
            self._erase_below(len(target))
            written += 1
        self._shown = target
        return written

    def _rewrite(self, number: int, old: _Row, row: _Row, before: _Row | None) -> None:
        """Change a row; if there is a row `before`, the terminal wraps into this one from it."""
        kept = 0
        if before:
            self._go_behind(number - 1, before)
            self._row, self._cell = number, 0
        else:
            kept = _common(old.line, row.line)
            if kept == len(text_of(row.line)) and old.cells <= row.cells:
                return
            self._move(number, cell_len(text_of(row.line)[:kept]))
        self._put(row, _after(row.line, kept))
        if old.cells > row.cells:
            self._out.append(_ERASE_RIGHT)

    def _go_behind(self, number: int, row: _Row) -> None:
        """Put the cursor behind the text of a row; behind a full one it is about to wrap."""
        if self._row == number and self._cell in (row.cells, _UNKNOWN_CELL):
            return
        if row.cells < self._width or not row.sure:
            self._move(number, row.cells if row.sure else 0)
        else:
            last = _after(row.line, len(text_of(row.line)) - 1)
            self._move(number, row.cells - cell_len(text_of(last)))
            self._put(row, last)

    def _put(self, row: _Row, line: Line) -> None:
        """Write a part of a row at the cursor."""
        segments = Segment.remove_color(line) if self.console.no_color else line
        text = escaped(list(segments), self._colors)
        wraps = row.free or (row.sure and not row.below)
        self._out += (text,) if wraps else (_NO_WRAP, text, _WRAP)
        self._cell = self._cell + cell_len(text_of(line)) if row.sure else _UNKNOWN_CELL

    def _move(self, row: int, cell: int | None = None) -> None:
        """Put the cursor into a row, and into a cell of it."""
        if row != self._row:
            self._out.append(f"\x1b[{abs(row - self._row)}{'A' if row < self._row else 'B'}")
        self._row = row
        if cell is not None and cell != self._cell:
            self._out.append(f"\x1b[{cell + 1}G" if cell else "\r")
            self._cell = cell

    def _erase_below(self, row: int) -> None:
        """Empty this row and those below."""
        self._move(row, 0)
        self._out.append(ERASE_ROWS)
        self._shown[row:] = [_EMPTY]

    def _resized(self, width: int, height: int) -> None:
        """Start over at the region's first row, wherever the terminal has put it."""
        known, self._width, self._height = self._width, width, height
        if self._shown == [_EMPTY]:
            return
        if width == known:
            above = self._row
        elif self._reflows:
            above = self._rows_above()
        elif self._begun:  # its row may be anywhere, and begin with what is final
            above, self._before = -1, []
        else:  # some other terminals reflow, too: no further up than either has it
            above = min(self._rows_above(), self._row)
        go = f"\x1b[{min(above, height - 1)}A" if above > 0 else "\n" if above < 0 else ""
        # A row that goes on from one above would not any more if its first cell was erased.
        self._out.append(f"\r{go}{'' if self._begun else ERASE_ROW}{ERASE_BELOW}")
        self._shown, self._row, self._cell = [_EMPTY], 0, 0

    def _rows_above(self) -> int:
        """How many rows are above the cursor's when the terminal has rewrapped its lines.

        The region then begins with the row where the line that goes on leaves what is final.
        """
        *full, tail = rows_of(self._before, self._width)
        self._before, self._begun = _sum(full), like(self._begun, [*tail, *self._begun])
        above, line = 0, tail
        for row in self._shown[: self._row]:
            line = [*line, *row.line]
            if not row.flows:
                above += len(rows_of(line, self._width)) if row.sure else 1
                line = []
        if self._cell and self._shown[self._row].sure:  # not at the beginning of a row
            line = [*line, *self._shown[self._row].line]
        return above + len(rows_of(line, self._width)) - 1

    def _write(self, *, whole: bool = False) -> None:
        text = "".join(self._out)
        self._out.clear()
        if text:
            self.console.file.write(f"{_UPDATE}{text}{_UPDATED}" if whole else text)
            self.console.file.flush()


def encodable(line: Line, encoding: str) -> Line:
    """What a terminal gets whose encoding has not all characters."""
    texts = (it.text.translate(_ASCII).encode(encoding, "replace") for it in line)
    segments = [
        Segment(text.decode(encoding), it.style) for text, it in zip(texts, line, strict=True)
    ]
    return like(line, segments)


def _sum(lines: Lines) -> Line:
    return [segment for line in lines for segment in line]


def _rows(line: Line, width: int, *, final: bool = False, joined: bool = False) -> list[_Row]:
    """The rows of a line."""
    text = text_of(line)
    sure = is_sure(text)
    if isinstance(line, Prose):
        rows = wrapped(line, width, blanks if sure else _to_the_margin)
    else:
        rows = rows_of(line, width)
    cells = [min(cell_len(text_of(row)), width) for row in rows]
    # Where a wide character does not fit any more, not every terminal leaves the last cell empty.
    torn = not joined and any(it < width for it in cells[:-1])
    if final and (torn or (not sure and 2 * len(text) > width)):  # none is wider than two cells
        return [_Row(_sum(rows), sure=False, free=True)]
    return [
        _Row(row, it, sure and row is not rows[-1] and (joined or it == width), sure)
        for row, it in zip(rows, cells, strict=True)
    ]


def _to_the_margin(cells: int, width: int) -> Segment:
    """Fills a row of which nobody knows how wide it is: its last cell makes the terminal wrap."""
    return Segment(f"\x1b[{width}G " if cells else "")


def _common(old: Line, new: Line) -> int:
    """How many characters at the beginning are the same, in the same styles."""
    one, other = ([(it, style) for text, style, _ in line for it in text] for line in (old, new))
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _after(line: Line, start: int) -> Line:
    """The line without its first characters."""
    rest: Line = []
    for text, style, _ in line:
        if start < len(text):
            rest.append(Segment(text[max(start, 0) :], style))
        start -= len(text)
    return rest

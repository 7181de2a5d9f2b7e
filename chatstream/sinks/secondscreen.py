"""The terminal's second screen, drawn by what has changed.

1. While it is open, what stood on the terminal is untouched, its scrollback too, and is back when
   it is closed (xterm's mode 1049). So nothing that is drawn here has to survive a resize: with
   another size all of it is drawn again.
2. A frame is a list of rows, each of them cells next to each other: a place, a width, a line. Only
   cells that differ from those of the frame before are written, and no line wraps. A line that has
   only moved is written again, but its text and its escape sequences are not made again.
3. Where terminals disagree about the width of a text, it may run into the cells after it: these are
   written again.
4. `leave` gives the first screen back in the middle of whatever was drawn; for signal handlers.
   After `kill -9` the shell is on the second screen; `reset` leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from rich.console import COLOR_SYSTEMS, Console
from rich.segment import Segment

from chatstream.sinks.lines import Line, cropped, is_sure, text_of
from chatstream.sinks.region import encodable
from chatstream.sinks.theme import escaped

_OPEN = "\x1b[?1049h\x1b[2J\x1b[H"
_ERASE = "\x1b[2J"
_UPDATE, _UPDATED = "\x1b[?2026h\x1b[?7l", "\x1b[?7h\x1b[?2026l"

_KEPT_LINES = 1024
"""Lines whose texts are kept: those of two frames on most terminals."""

# Erased first: a terminal without a second screen would keep what was drawn.
_CLOSE = "\x1b[?2026l\x1b[0m\x1b[2J\x1b[H\x1b[?7h\x1b[?1049l"


class Cell(NamedTuple):
    """A line in a row: from the cell `at`, from 0, `width` cells wide."""

    at: int
    width: int
    line: Line


Row = list[Cell]


class SecondScreen:
    """The second screen of `console`'s terminal."""

    def __init__(self, console: Console) -> None:
        self.is_open = False
        self._console = console
        self._colors = COLOR_SYSTEMS.get(console.color_system or "")
        self._encoding = console.encoding if console.options.ascii_only else None
        self._size = (0, 0)
        self._drawn: list[Row] = []
        self._shown = lru_cache(_KEPT_LINES)(self._made)

    def paint(self, rows: Sequence[Row], size: tuple[int, int]) -> None:
        """Show these rows, the first one at the top; `size` are the terminal's cells and rows."""
        out: list[str] = []
        if not self.is_open:
            self.is_open = True
            self._drawn, self._size = [], size
            out.append(_OPEN)
        elif size != self._size:
            self._drawn, self._size = [], size
            out.append(_ERASE)
        for number, row in enumerate(rows):
            self._row(number, row, self._drawn[number] if number < len(self._drawn) else [], out)
        for number in range(len(rows), len(self._drawn)):
            out.append(f"\x1b[{number + 1}H\x1b[2K")
        self._drawn = [*rows]
        if out:
            self._console.file.write(f"{_UPDATE}{''.join(out)}{_UPDATED}")
            self._console.file.flush()

    def close(self) -> None:
        """Show the first screen again, as it was. Idempotent."""
        if self.is_open:
            self.is_open = False
            self._console.file.write(_CLOSE)
            self._console.file.flush()

    def leave(self, write: Callable[[bytes], object]) -> None:
        """Do what `close` does by a `write` that never waits."""
        if self.is_open:
            self.is_open = False
            write(_CLOSE.encode())

    def _row(self, number: int, row: Row, before: Row, out: list[str]) -> None:
        if row == before:
            return
        runs_over = False
        for place, cell in enumerate(row):
            old = before[place] if place < len(before) else None
            if cell == old and not runs_over:
                continue
            text, sure = self._shown(tuple(cell.line), cell.width)
            out.append(f"\x1b[{number + 1};{cell.at + 1}H\x1b[{cell.width}X{text}")
            if old is not None:
                sure = sure and self._shown(tuple(old.line), old.width)[1]
            runs_over = runs_over or not sure

    def _made(self, line: tuple[Segment, ...], width: int) -> tuple[str, bool]:
        """What the terminal gets to show a line in so many cells, and whether it fits there."""
        sure = self._encoding is None and is_sure(text_of(line))
        return self.text(cropped([*line], width)), sure

    def text(self, line: Line) -> str:
        """What the terminal gets to show a line."""
        if self._encoding is not None:
            line = encodable(line, self._encoding)
        segments = Segment.remove_color(line) if self._console.no_color else line
        return escaped(list(segments), self._colors)

"""Several answers side by side while they are written, and then each of them whole.

1. While any answer is under way all are shown on the terminal's second screen: a column each, or,
   where a column would have less than `LEAST_CELLS`, one answer and a row for each other one. A
   column shows its newest rows.
2. At the end the first screen is back, and each answer is written to it at full width, in the order
   asked, below a line with its name and its run. So the scrollback reads like a document, each line
   once, whatever the size of the terminal was meanwhile.
3. Frames are drawn in `write`, as in the live view: never more than `FRAMES_PER_SECOND`, none while
   nothing changed or while the terminal has not taken the one before.
4. `close` gives the first screen back on every path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from rich.console import Console

from chatstream import events as ev
from chatstream.clock import Clock, monotonic
from chatstream.flow import Arrival, Key, Typed
from chatstream.sinks.column import Column
from chatstream.sinks.lines import Line, line_of
from chatstream.sinks.live import MAX_PAUSE_SECONDS, LiveSink
from chatstream.sinks.region import Region
from chatstream.sinks.secondscreen import Cell, Row, SecondScreen
from chatstream.sinks.theme import THEMES, Theme
from chatstream.sinks.typed import typed_lines
from chatstream.sinks.wrapping import Wrap

FRAMES_PER_SECOND = 15
"""Fewer than for one answer: a frame has several to draw, and nobody reads all of them at once."""

LEAST_CELLS = 34
"""A column narrower than this cannot be read; the answers are then shown one at a time."""

Layout = Literal["columns", "stack"]

_BETWEEN = " │ "


class ColumnsSink:
    """Draws the runs with these labels on `console`.

    `servers` are those that may serve one request at a time, by the labels of their runs. `layout`
    None fits the terminal. `keys`: the keys of the terminal stop single answers, and pause. The
    other arguments are those of `LiveSink`.
    """

    def __init__(
        self,
        console: Console,
        labels: list[str],
        *,
        servers: Mapping[str, str] | None = None,
        layout: Layout | None = None,
        theme: Theme = THEMES["dark"],
        reasoning: Literal["show", "hide"] | None = None,
        stats: bool = True,
        keys: bool = False,
        ready: Callable[[], bool] = lambda: True,
        interval: float = 1 / FRAMES_PER_SECOND,
        wrap: Wrap = "words",
        clock: Clock = monotonic,
    ) -> None:
        self._console = console
        self._servers = servers or {}
        self._layout = layout
        self._theme = theme
        self._keys = keys
        self._ready = ready
        self._interval = interval
        self._clock = clock
        self._region = Region(console)  # which knows the size
        self._screen = SecondScreen(console)
        now = clock()
        self._columns = {
            label: Column(
                number,
                label,
                theme,
                partial(
                    LiveSink,
                    console,
                    theme=theme,
                    reasoning=reasoning,
                    stats=stats,
                    ready=lambda: False,
                    wrap=wrap,
                ),
                now,
                wrap,
            )
            for number, label in enumerate(labels, 1)
        }
        self._typed: Typed | None = None
        self._paused = False
        self._due = now
        self._closed = False

    def write(self, arrival: Arrival) -> None:
        """Take what came; draw a frame if one is due."""
        now = self._clock()
        if arrival.stream is not None:
            self._columns[arrival.stream].write(arrival, now)
        else:
            for event in arrival.events:
                self._see(event)
        now = self._clock()
        if self._closed or now < self._due or not self._ready():
            return
        size = self._region.size
        self._screen.paint(self._frame(now, *size), size)
        cost = self._clock() - now
        self._due = now + max(self._interval, min(12 * cost, MAX_PAUSE_SECONDS))

    def close(self) -> None:
        """Give the first screen back, and write the answers to it. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._screen.close()
        for number, column in enumerate(self._columns.values()):
            if number:
                self._put([])
            run = f" · run {column.run}" if column.run else ""
            self._put([*line_of(f"── {column.name}", self._theme.strong), *self._dim(f"{run} ──")])
            self._put([])
            column.finish()
        self._console.file.flush()

    def leave(self, write: Callable[[bytes], object]) -> None:
        """Give the first screen back by a `write` that never waits; for signal handlers."""
        self._screen.leave(write)

    def _see(self, event: ev.Event) -> None:
        match event:
            case Typed():
                self._typed = event
            case Key(pressed="pause"):
                self._paused = True
            case Key(pressed="go_on"):
                self._paused = False
            case Key(pressed="suspend"):
                self._screen.close()
                self._due = math.inf
            case Key(pressed="continue"):
                self._screen.close()  # the shell may have shown its own
                self._due = self._clock()

    def _put(self, line: Line) -> None:
        self._console.file.write(f"{self._screen.text(line)}\n")

    def _frame(self, now: float, width: int, height: int) -> list[Row]:
        count = len(self._columns)
        cells = (width - len(_BETWEEN) * (count - 1)) // count
        fits = cells >= LEAST_CELLS if self._layout is None else self._layout == "columns"
        below = [self._hint(), *self._typed_rows(width)]
        room = max(0, height - len(below))
        if fits and cells > 0:
            rows = self._side_by_side(now, cells, room)
        else:
            rows = self._stacked(now, width, room)
        rows = rows[:room]
        rows += [[]] * (room - len(rows))
        return [*rows, *([Cell(0, width, line)] for line in below)][-height:]

    def _side_by_side(self, now: float, cells: int, height: int) -> list[Row]:
        step, bar = cells + len(_BETWEEN), self._dim(_BETWEEN)
        parts: list[list[Cell]] = []
        for place, column in enumerate(self._columns.values()):
            if place:
                parts.append([Cell(place * step - len(_BETWEEN), len(_BETWEEN), bar)] * height)
            lines = [self._title(column), self._status(column, now)]
            lines += column.rows(cells, height - len(lines))
            lines += [[]] * (height - len(lines))
            parts.append([Cell(place * step, cells, line) for line in lines])
        return [[*row] for row in zip(*parts, strict=False)]

    def _stacked(self, now: float, width: int, height: int) -> list[Row]:
        columns = list(self._columns.values())
        live = next((it for it in columns if it.end is None), columns[-1])
        others = [it for it in columns if it is not live]
        room = height - len(others) - 2
        lines = [self._on_one_row(live, now), *live.rows(width, room)]
        lines += [[]] * (room + 2 - len(lines))
        lines += [self._on_one_row(it, now) for it in others]
        return [[Cell(0, width, line)] for line in lines]

    def _title(self, column: Column) -> Line:
        return line_of(column.name, self._theme.strong)

    def _on_one_row(self, column: Column, now: float) -> Line:
        return [*self._title(column), *line_of("  "), *self._status(column, now)]

    def _status(self, column: Column, now: float) -> Line:
        return column.status(now, queued=self._is_queued(column))

    def _is_queued(self, column: Column) -> bool:
        """Whether it waits while its server, which may serve one at a time, answers another."""
        server = self._servers.get(column.label)
        if server is None or column.has_text or column.end is not None:
            return False
        busy = [it for it in self._columns.values() if it.has_text and it.end is None]
        return any(self._servers.get(it.label) == server for it in busy)

    def _hint(self) -> Line:
        if self._paused:
            return [*line_of("paused", self._theme.warning), *self._dim(" · space resumes")]
        keys = f"1-{len(self._columns)} stop one · space pauses · " if self._keys else ""
        return self._dim(f"{keys}Ctrl+C stops all")

    def _typed_rows(self, width: int) -> list[Line]:
        return [*typed_lines(self._typed, self._theme, width)] if self._typed is not None else []

    def _dim(self, words: str) -> Line:
        return line_of(words, self._theme.dim)

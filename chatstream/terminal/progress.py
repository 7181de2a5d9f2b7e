"""A line that shows how far long work is: on standard error, and only on a terminal.

It stands on the line of the cursor, is drawn over by the next one, and erased at the end and
whenever something else is to be written. The cursor stays visible: whatever ends the program, the
terminal is as it was.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from chatstream.clock import Clock, Deadline, monotonic
from chatstream.escape import clean
from chatstream.events import Progress
from chatstream.terminal.look import has_colours, knows_escapes
from chatstream.terminal.stdout import can_show

Draw = Callable[[Progress | None], None]
"""Show how far it is; None erases the line."""

_STARTING_SECONDS = 0.5  # a server may take before a person is told

_ERASE = "\r\x1b[K"
_CONTROL_C = 3  # cells that the terminal's ^C and the cursor need: on another line they would stay
_SHORTEST_BAR, _LONGEST_BAR = 4, 30


def can_draw() -> bool:
    """Whether standard error is a terminal that shows the line."""
    marks = can_show("━╸╺·…", sys.stderr.encoding or "utf-8")
    return os.isatty(2) and knows_escapes() and marks


@contextlib.contextmanager
def bar(*, quiet: bool = False, patience: float = 0.0, clock: Clock = monotonic) -> Iterator[Draw]:
    """What draws the line, which is never drawn by itself. It may be called from any thread.

    `quiet`, or without a terminal, nothing is drawn, and nothing before `patience` seconds.
    """
    if quiet or not can_draw():
        yield lambda _: None
        return
    line = _Line(Deadline(patience, clock))
    try:
        yield line.draw
    finally:
        line.close()


@contextlib.contextmanager
def starting_line(
    *, quiet: bool = False, clock: Clock = monotonic
) -> Iterator[Callable[[Sequence[str]], None]]:
    """Draws the names of the servers that are starting; with no names it erases the line.

    Servers that start quickly are not shown.
    """

    def show(names: Sequence[str]) -> None:
        draw(Progress(f"starting {', '.join(names)}", 0) if names else None)

    with bar(quiet=quiet, patience=_STARTING_SECONDS, clock=clock) as draw:
        yield show


class _Line:
    """What stands on the line. The lock keeps a drawing from coming after the end."""

    def __init__(self, patience: Deadline) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._is_drawn = False
        self._is_closed = False

    def draw(self, event: Progress | None) -> None:
        """Draw it again, or erase it."""
        with self._lock:
            if self._is_closed or not self._patience.passed:
                return  # the work may go on a while when nobody waits for it any more
            if event is not None:
                self._write(_ERASE + _drawn(event, os.get_terminal_size(2).columns - _CONTROL_C))
                self._is_drawn = True
            else:
                self._erase()

    def close(self) -> None:
        """Erase it for good."""
        with self._lock:
            self._is_closed = True
            self._erase()

    def _erase(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)


def _drawn(event: Progress, cells: int) -> str:
    from rich.color import ColorSystem

    from chatstream.sinks.lines import cropped, line_of, text_of
    from chatstream.sinks.status import bar as drawn_bar
    from chatstream.sinks.status import percent, remaining
    from chatstream.sinks.theme import escaped, theme_for

    colours = has_colours(2)
    theme = theme_for("auto", None, shows="colours" if colours else "nothing")
    stage = line_of(f"{clean(event.stage)} ", theme.dim)
    figures = "" if event.percentage is None else f" {percent(event.percentage)}"
    figures += remaining(event.eta)
    message = f" · {' '.join(clean(event.message).split())}" if event.message else ""
    end = line_of(figures + message, theme.dim)
    length = min(_LONGEST_BAR, cells - len(text_of([*stage, *end])))
    middle = []
    if event.percentage is not None and length >= _SHORTEST_BAR:
        middle = drawn_bar(event.percentage / 100, theme, length)
    line = cropped([*stage, *middle, *end], max(1, cells))
    return escaped(line, ColorSystem.STANDARD if colours else None)

"""The model's reasoning: shown for good, live until it ends, or not at all.

1. "show" prints each whole line; the line that has no end yet is live. None keeps the newest
   `MAX_ROWS` live and prints nothing. "hide" shows nothing. However it is shown, one dim line
   tells at the end how long it took.
2. Lines that were not printed are kept, the newest `KEPT_CHARACTERS` of them, also after
   the end: turning the reasoning on prints them, once. What is printed because of that begins with
   a label, and turning it off prints one, too: what is in the scrollback cannot be taken back.
3. The cost of a delta is bounded by its own length: each line is split once, and one without an
   end is broken after `MAX_LINE_CHARACTERS`, at a space.
4. Times are those of the events where they have any, so that a replay tells the same seconds.
5. No line has control characters or line ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from chatstream import events as ev
from chatstream.escape import Escaper
from chatstream.sinks.lines import Line, line_of
from chatstream.sinks.theme import Theme
from chatstream.sinks.wrapping import Prose, wrapped
from chatstream.wording import counted

Mode = Literal["show", "hide"] | None

MAX_ROWS = 6
KEPT_CHARACTERS = 65536
MAX_LINE_CHARACTERS = 4000
"""Characters of a line; more than `MAX_ROWS` of any terminal."""

SHOWN, NO_MORE, HIDDEN = "thoughts:", "thoughts: all of them are above", "thoughts hidden"
"""What is printed when they are turned on, turned on with nothing left to print, turned off."""


class Thoughts:
    """The reasoning of one run: any number of thoughts, one after the other."""

    def __init__(self, theme: Theme, mode: Mode) -> None:
        self._theme = theme
        self._mode: Mode = mode
        self._folded: Mode = None if mode == "show" else mode  # how it is when it is not shown
        self._lines: deque[str] = deque()  # whole and not printed, of all thoughts
        self._held = 0  # their characters, with the line ends
        self._new = 0  # those lines that are of this thought
        self._open = ""  # the line that has no end yet
        self._escaper = Escaper()
        self._any = False  # there were thoughts
        self._tokens = 0
        self._began = (0.0, 0.0)  # the first event's own time, and when it was taken

    @property
    def active(self) -> bool:
        """Whether there is a thought that has not ended."""
        return self._tokens > 0

    def feed(self, event: ev.Reasoning, now: float) -> list[Line]:
        """Take a piece. The whole lines that are to be printed for good."""
        if not self.active:
            self._began = event.t, now
            self._any = True
        self._tokens += 1
        *whole, rest = (self._open + self._escaper.feed(event.delta)).split("\n")
        *broken, self._open = _broken(rest)
        return self._take([*(part for line in whole for part in _broken(line)), *broken])

    def lines(self, width: int) -> list[Line]:
        """The live rows for a terminal of `width` cells, at most `MAX_ROWS`, the newest last."""
        if self._mode == "hide" or not self.active:
            return []
        rows = self._rows(self._open, width) if self._open else []
        for line in islice(reversed(self._lines), self._new):
            if len(rows) >= MAX_ROWS:
                break
            rows = [*self._rows(line, width), *rows]
        return rows[-MAX_ROWS:]

    def end(self, event: ev.Event | None, now: float) -> list[Line]:
        """`event` is not reasoning, or there is no event: the lines that close the thought."""
        if not self.active:
            return []
        lines = self._take([self._open] if self._open else [])
        began, taken = self._began
        timed = event is not None and began >= 0 and event.t >= 0
        seconds = event.t - began if event is not None and timed else now - taken
        tokens = counted(self._tokens, "token")
        told = f"for {int(seconds)} s, {tokens}" if seconds >= 1 else "a moment"
        self._open, self._escaper, self._tokens, self._new = "", Escaper(), 0, 0
        return [*lines, line_of(f"thought {told}", self._theme.dim)]

    def toggle(self) -> list[Line]:
        """Show what is folded, or fold what is shown. The lines that are to be printed for good.

        While nothing was thought yet there is nothing to say; it counts for what comes.
        """
        self._mode = self._folded if self._mode == "show" else "show"
        if not self._any:
            return []
        if self._mode != "show":
            return [self._line(HIDDEN)]
        told = SHOWN if self._lines or self.active else NO_MORE
        lines = [self._line(line) for line in (told, *self._lines)]
        self._lines.clear()
        self._held = self._new = 0
        return lines

    def _take(self, lines: list[str]) -> list[Line]:
        """Whole lines, to be printed or to be kept."""
        if self._mode == "show":
            return [self._line(line) for line in lines]
        for line in lines:
            self._lines.append(line)
            self._held += len(line) + 1
            self._new += 1
            while self._held > KEPT_CHARACTERS:
                self._held -= len(self._lines.popleft()) + 1
        return []

    def _line(self, line: str) -> Line:
        return Prose(line_of(line.expandtabs(), self._theme.dim), hang=0)

    def _rows(self, line: str, width: int) -> list[Line]:
        return wrapped(Prose(self._line(line), hang=0), max(1, width))


def _broken(line: str) -> Iterator[str]:
    """The line in parts of at most `MAX_LINE_CHARACTERS`."""
    start = 0
    while len(line) - start > MAX_LINE_CHARACTERS:
        space = line.rfind(" ", start + MAX_LINE_CHARACTERS // 2, start + MAX_LINE_CHARACTERS)
        end = space + 1 if space >= 0 else start + MAX_LINE_CHARACTERS
        yield line[start:end]
        start = end
    yield line[start:]

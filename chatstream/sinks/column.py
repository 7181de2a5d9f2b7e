"""One of several answers that are shown side by side: its text in a column, and its status.

1. The column shows the newest rows of the answer at its own width. Text becomes pieces (`blocks`)
   and lines (`markdown`) as in the live view; each line is brought into rows once, and nothing is
   done where nothing came. With another width all of the text is laid out again.
2. `finish` writes the whole answer at full width, with what was said of it on the way: the live
   view of a run, which `whole` makes, is given all events at the times when they came.
3. Remote text passes `escape` before anything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from chatstream import events as ev
from chatstream.escape import Escaper
from chatstream.flow import Arrival
from chatstream.sinks.blocks import Blocks
from chatstream.sinks.lines import Line, line_of, rows_of
from chatstream.sinks.live import LiveSink
from chatstream.sinks.markdown import Markdown
from chatstream.sinks.status import Status
from chatstream.sinks.theme import Theme
from chatstream.sinks.words import figures, one_line
from chatstream.sinks.wrapping import Prose, Wrap, like, wrapped

_KEPT_ROWS = 500
"""Rows that are kept: more than any terminal shows."""


class Column:
    """An answer that begins at `now`; `number` is its place among them, from 1."""

    def __init__(
        self,
        number: int,
        label: str,
        theme: Theme,
        whole: Callable[..., LiveSink],
        now: float,
        wrap: Wrap = "words",
    ) -> None:
        self.label = label
        self.name = one_line(f"{number} {label}")
        self.run: str | None = None
        self.end: ev.Terminal | None = None
        self.has_text = False
        self._theme = theme
        self._wrap: Wrap = wrap
        self._whole = whole
        self._began = now
        self._events: list[tuple[float, ev.Event]] = []  # all of them, and when they came
        self._deltas: list[str] = []  # the text since the last of them
        self._status = Status(theme, now)
        self._width = 0
        self._shown: tuple[int, int, ev.Terminal | None] | None = None  # what `_rows` are about
        self._rows: list[Line] = []
        self._begin()

    def write(self, arrival: Arrival, now: float) -> None:
        """Take what came."""
        for event in arrival.events:
            self._see(event, now)
            self._keep(event, now)

    def _keep(self, event: ev.Event, now: float) -> None:
        """Keep it for the end; the text of many tokens is one."""
        if type(event) is ev.Content:
            self._deltas.append(event.delta)
            return
        if self._deltas:
            self._events.append((now, ev.Content("".join(self._deltas))))
            self._deltas.clear()
        self._events.append((now, event))

    def _see(self, event: ev.Event, now: float) -> None:
        self._status.note(event, now)
        if ev.voids(event):
            self._begin()
        match event:
            case ev.Content(delta=delta):
                self.has_text = True
                self._held.append(self._escaper.feed(delta))
            case ev.Metadata() if event.run:
                self.run = event.run
            case ev.Done() | ev.Error():
                self.end = event

    def status(self, now: float, *, queued: bool = False) -> Line:
        """The status in one line. `queued`: the server is busy with another answer."""
        theme, end = self._theme, self.end
        if isinstance(end, ev.Done):
            return line_of(f"✓ {figures(end)}", theme.success)
        if isinstance(end, ev.Error):
            if end.code == "cancelled":
                return line_of("■ stopped", theme.warning)
            return line_of("✗ failed", theme.failure)
        if queued:
            return line_of("queued: its server is busy with another answer", theme.dim)
        return self._status.line(now) or []

    def rows(self, width: int, height: int) -> list[Line]:
        """The newest rows of the text, at most `height`."""
        shown = (width, height, self.end)
        if self._held or shown != self._shown:
            self._shown, self._rows = shown, self._newest(width, height)
        return self._rows

    def _newest(self, width: int, height: int) -> list[Line]:
        if width != self._width:
            self._lay_out_again(width)
        self._take()
        open_lines = self._markdown.draw_open(self._blocks.open())
        if self._going_on is not None:
            rest = open_lines[0] if open_lines else []
            open_lines[:1] = [like(self._going_on, [*self._going_on, *rest])]
        if isinstance(self.end, ev.Error) and self.end.code != "cancelled":
            failure = line_of(f"✗ {one_line(self.end.message)}", self._theme.failure)
            open_lines.append(Prose(failure, 2))
        tail: list[Line] = []
        for line in reversed(open_lines):
            if len(tail) >= height:
                break
            tail[:0] = self._rows_of(line)
        room = height - len(tail)
        above = list(self._final)[-room:] if room > 0 else []
        return [*above, *tail][-height:] if height > 0 else []

    def finish(self) -> None:
        """Write the whole answer, for good."""
        came = [self._began]
        whole = self._whole(clock=lambda: came[-1])
        if self._deltas:
            last = self._events[-1][0] if self._events else self._began
            self._events.append((last, ev.Content("".join(self._deltas))))
        for at, event in self._events:
            came.append(at)
            whole.write(Arrival([event]))
        whole.close()

    def _begin(self) -> None:
        self._escaper = Escaper()
        self._text: list[str] = []
        self._held: list[str] = []
        self._lay_out()

    def _lay_out(self) -> None:
        self._blocks = Blocks()
        self._markdown = Markdown(self._theme, lambda: self._width, self._wrap)
        self._final: deque[Line] = deque(maxlen=_KEPT_ROWS)
        self._going_on: Line | None = None  # the last line, if what comes next belongs to it
        self._shown = None

    def _lay_out_again(self, width: int) -> None:
        self._width = width
        self._held[:0] = self._text
        self._text.clear()
        self._lay_out()

    def _take(self) -> None:
        """Bring what came since the last time into rows."""
        text = "".join(self._held)
        self._held.clear()
        if not text:
            return
        self._text.append(text)
        drawn = self._markdown.draw(self._blocks.feed(text))
        lines = drawn.lines
        if self._going_on is not None and lines:
            lines[0] = like(self._going_on, [*self._going_on, *lines[0]])
            self._going_on = None
        if drawn.joined and lines:
            self._going_on = lines.pop()
        for line in lines:
            self._final += self._rows_of(line)

    def _rows_of(self, line: Line) -> list[Line]:
        if isinstance(line, Prose):
            return wrapped(line, self._width)
        return rows_of(line, self._width)

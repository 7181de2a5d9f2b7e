"""The answer on a terminal: what is final goes into the scrollback, the open rest is live.

1. Text becomes pieces (`blocks`), pieces become lines (`markdown`), lines are drawn (`region`). A
   line that nothing can change any more is drawn for good; below it stand what is still open, the
   newest thoughts, the tools that run, one line that says how things stand, and what the user types
   for later.
2. It is drawn in `write` and nowhere else in time: no thread. At most `FRAMES_PER_SECOND` frames a
   second, or as many as the user wants; fewer where a frame takes long, none while nothing changed
   or while the terminal has not taken the one before; the first token at once.
3. Remote text passes `escape` before anything else.
4. A line of ours does not tear a code block, a table or a line apart: until there is an end it
   stands below them.
5. `close` draws what is open for good and gives the terminal back, on every path.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from typing import Literal

from rich.console import Console
from rich.style import Style

from chatstream import events as ev
from chatstream.clock import Clock, monotonic
from chatstream.escape import Escaper, clean
from chatstream.flow import Arrival, Key, Told, Typed
from chatstream.sinks.blocks import Blocks
from chatstream.sinks.lines import Line, line_of
from chatstream.sinks.markdown import Markdown
from chatstream.sinks.pieces import Piece
from chatstream.sinks.questions import question_lines
from chatstream.sinks.region import Region
from chatstream.sinks.sources import Sources
from chatstream.sinks.status import Status
from chatstream.sinks.theme import THEMES, Theme
from chatstream.sinks.thoughts import Thoughts
from chatstream.sinks.tools import Tools
from chatstream.sinks.typed import typed_lines
from chatstream.sinks.words import advice, ending, figures, note, one_line
from chatstream.sinks.wrapping import Prose, Wrap, like

FRAMES_PER_SECOND = 30
MAX_PAUSE_SECONDS = 1.0
"""Seconds between two frames at most, however long a frame takes; unless more are asked for."""


class LiveSink:
    """Draws one run on `console`; `stats` are the figures at the end.

    `reasoning`: "show" keeps the model's thinking in the scrollback, None shows its newest lines
    while it thinks, "hide" only how long it took. `ready` tells whether the terminal has taken all
    that was written. `keys`: there is somebody who looks at the keyboard. `interval` is the least
    time between two frames, in seconds. `wrap` tells who wraps prose (see `Markdown`).
    """

    def __init__(
        self,
        console: Console,
        *,
        theme: Theme = THEMES["dark"],
        reasoning: Literal["show", "hide"] | None,
        stats: bool,
        keys: bool = False,
        ready: Callable[[], bool] = lambda: True,
        interval: float = 1 / FRAMES_PER_SECOND,
        wrap: Wrap = "words",
        clock: Clock = monotonic,
    ) -> None:
        if console.options.ascii_only and isinstance(console.file, io.TextIOWrapper):
            console.file.reconfigure(errors="replace")  # a "?" is better than no answer
        self._theme = theme
        self._stats = stats
        self._ready = ready
        self._interval = interval
        self._wrap = wrap
        self._clock = clock
        self._region = Region(console)
        self._size, self._settled = self._region.size, 0.0
        self._status = Status(theme, clock(), keys=keys)
        self._tools = Tools(theme)
        self._thoughts = Thoughts(theme, reasoning)
        self._sources = Sources()
        self._start()
        self._final: list[Line] = []  # to be drawn with the next frame
        self._joined = False  # what comes next continues the last of these
        self._parted = False  # an empty line is due before the next text
        self._notes: list[Line] = []  # lines of ours that wait for an end
        self._model = "done"
        self._typed: Typed | None = None  # what the user types for later
        self._question: ev.Approval | None = None  # the last one
        self._due = clock()
        self._changed = False  # the text, since the last frame
        self._frame: object = None  # what else the last frame showed
        self._closed = False

    def write(self, arrival: Arrival) -> None:
        """Take what came; draw a frame if one is due and something changed."""
        for event in arrival.events:
            self._see(event)
        self._flush()

    def _see(self, event: ev.Event) -> None:
        now = self._clock()
        self._status.note(event, now)
        if lines := self._tools.note(event, now):
            self._end_text()
            self._note([[], *lines] if self._shown and not self._parted else lines)
            self._parted = True
        if ev.voids(event):
            self._start_over(event, now)
        match event:
            case ev.Content(delta=delta):
                self._end_thought(event, now)
                self._held.append(self._escaper.feed(delta))
                self._have_new(now)
            case ev.Reasoning():
                if self._shown and not self._thoughts.active:
                    self._end_text()
                self._final += self._thoughts.feed(event, now)
                self._have_new(now)
            case ev.Metadata():
                self._model = event.model or self._model
            case ev.ToolCall() | ev.ToolStart():
                self._end_thought(event, now)
                self._end_text()
            case ev.Image():
                self._end_thought(event, now)
                self._say(f"[{one_line(event.label)}]", self._theme.dim)
                self._have_new(now)
            case ev.Citation():
                self._sources.note(event)
            case ev.Retry() | ev.Fallback() | ev.Warn():
                self._say(note(event), self._theme.warning)
            case ev.Context() if (said := note(event)) is not None:
                self._say(said, self._theme.warning)
            case ev.Approval() if event.is_question or (
                event.by == "nobody" and not event.replayed
            ):
                self._end_thought(event, now)
                self._end_text()
                self._ask(event)
            case ev.Analysis(final=True):
                self._end_thought(event, now)
                self._end_text()
                self._tell_analysis(event)
            case Told(line=line):
                self._say(line, self._theme.dim)
            case Key():
                self._press(event, now)
            case Typed():
                self._typed = event
            case ev.Done() | ev.Error():
                self._end(event, now)

    def _flush(self) -> None:
        now = self._clock()
        if self._closed or now < self._due or not self._ready() or self._is_resized(now):
            return
        self._take()
        below = self._below(now)
        frame = (below, self._region.size)
        if self._changed or self._final or frame != self._frame:
            self._draw(below)
            self._frame = frame
            cost = self._clock() - now
            self._due = now + max(self._interval, min(12 * cost, MAX_PAUSE_SECONDS))

    def _is_resized(self, now: float) -> bool:
        """Whether the size has just changed: it may change once more, unnoticed."""
        known, self._size = self._size, self._region.size
        if known != self._size:
            self._settled = now + self._region.settling
        return now < self._settled

    def close(self) -> None:
        """Draw what is open for good and give the terminal back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._end_thought(None, self._clock())
            self._end_text()
            if self._final or self._region.is_started:
                self._draw([])
        finally:
            self._region.stop()

    def _start(self) -> None:
        self._blocks = Blocks()
        self._markdown = Markdown(self._theme, lambda: self._region.size[0], self._wrap)
        self._escaper = Escaper()
        self._held: list[str] = []
        self._shown = False  # text of this answer is on the screen, or about to be

    def _have_new(self, now: float) -> None:
        if not self._shown:
            self._due = now  # the first token waits for no frame
        self._shown = True

    def _start_over(self, event: ev.Event, now: float) -> None:
        """What was shown stays in the scrollback, marked; the next text is a new answer."""
        self._end_thought(event, now)
        if self._shown:
            self._end_text()
            self._say("the answer starts over", self._theme.warning)
        self._sources.note(event)
        self._start()

    def _end_thought(self, event: ev.Event | None, now: float) -> None:
        if self._thoughts.active:
            self._final += self._thoughts.end(event, now)
            self._parted = True

    def _end_text(self) -> None:
        """What comes next is no longer this text."""
        self._take()
        self._add(self._blocks.finish())
        self._note([])

    def _end(self, event: ev.Terminal, now: float) -> None:
        self._end_thought(event, now)
        self._end_text()
        if sources := self._sources.lines():
            self._note([[], *(line_of(source, self._theme.dim) for source in sources)])
        lines = [_said(words, style) for words, style in self._closing(event)]
        self._note([[], *lines] if lines and (self._shown or self._parted) else lines)
        self.close()

    def _closing(self, event: ev.Terminal) -> Iterable[tuple[str, Style]]:
        """What is said at the end."""
        if isinstance(event, ev.Done):
            for words in ending(event, stats=False):
                yield words, self._theme.warning
            if self._stats:
                yield f"✓ {self._model} · {figures(event)}", self._theme.success
        else:
            if event.code == "cancelled":
                yield "■ stopped", self._theme.warning
            else:
                yield f"✗ {event.message}", self._theme.failure
            for words in advice(event):
                yield words, self._theme.dim

    def _press(self, event: Key, now: float) -> None:
        match event.pressed:
            case "reasoning":
                self._take()
                lines = self._thoughts.toggle()
                apart = self._shown and not (self._parted or self._thoughts.active)
                self._note([[], *lines] if lines and apart else lines)
            case "details":
                if self._status.asks and self._question is not None:
                    self._ask(self._question, whole=True)
            case "suspend":
                self._region.erase()
                self._region.stop()
            case "continue":
                self._frame = None
                if self._region.is_started:  # nobody has told that the process would stop
                    self._region.forget()
        self._due = math.inf if event.pressed == "suspend" else now  # "continue" follows

    def _ask(self, question: ev.Approval, *, whole: bool = False) -> None:
        """The call goes into the scrollback: it may be larger than the screen."""
        self._question = question
        theme = self._theme
        styles = {"added": theme.success, "removed": theme.failure, "place": theme.dim}
        first, *others = question_lines(question, whole=whole)
        lines = [
            _said(first.text, theme.warning),
            *(line_of(text, styles.get(kind)) for text, kind in others),
        ]
        self._note(lines if self._parted or not self._shown else [[], *lines])
        self._parted = True

    def _tell_analysis(self, analysis: ev.Analysis) -> None:
        from chatstream.sinks.analyses import analysis_lines

        lines = [_said(words, self._theme.dim) for words in analysis_lines(analysis.figures)]
        self._note([[], *lines] if self._shown and not self._parted else lines)
        self._parted = True

    def _say(self, words: str | None, style: Style) -> None:
        if words:
            self._note([_said(words, style)])

    def _note(self, lines: Iterable[Line]) -> None:
        """Lines of ours, after what is final by now."""
        self._notes += lines
        self._take()

    def _take(self) -> None:
        """Bring what came since the last time into lines."""
        text = "".join(self._held)
        self._held.clear()
        if text:
            self._changed = True
            self._add(self._blocks.feed(text))
        if self._blocks.is_whole:
            self._final += self._notes
            self._notes.clear()

    def _add(self, pieces: Iterable[Piece]) -> None:
        drawn = self._markdown.draw(pieces)
        lines = self._apart(drawn.lines)
        if lines:
            if self._joined and self._final:  # that line was not drawn yet
                self._final[-1] = like(self._final[-1], [*self._final[-1], *lines.pop(0)])
            self._final += lines
            self._parted = False
        self._joined = drawn.joined

    def _apart(self, lines: list[Line]) -> list[Line]:
        return [[], *lines] if self._parted and lines and lines[0] else lines

    def _below(self, now: float) -> list[Line]:
        """The rows below the text, which leave it one: of tools no more than have room."""
        width, height = self._region.size
        status = self._status.line(now)
        above = [*self._notes, *self._thoughts.lines(width)]
        under = [status] if status else []
        if self._typed is not None:
            under += typed_lines(self._typed, self._theme, width)
        apart: list[Line] = [[]] if self._shown and not self._parted else []
        room = height - 2 - len(above) - len(apart) - len(under)
        tools = [] if self._status.asks else self._tools.lines(now, width, room)
        return [*above, *(apart if tools else []), *tools, *under]

    def _draw(self, below: list[Line]) -> None:
        final, self._final = self._final, []
        open_lines = self._apart(self._markdown.draw_open(self._blocks.open()))
        self._region.paint(final, open_lines, below, joined=self._joined and bool(final))
        self._changed = False


def _said(words: str, style: Style) -> Line:
    """A line of ours."""
    return Prose(line_of(clean(words).replace("\n", " "), style), 2)

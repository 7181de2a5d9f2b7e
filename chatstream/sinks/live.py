"""The answer on a terminal: finished Markdown goes into the scrollback, the open tail is live.

1. A finished block is printed once, above the live region, and never touched again. All blocks
   printed one by one look like one rendering of the whole text.
2. The live region holds the newest lines of what is still open and, while nothing comes, one line
   that says what is waited for. It is never as tall as the terminal, so nothing of it can scroll
   away and be there twice.
3. It is drawn in `flush` and nowhere else in time: no thread. At most `FPS` frames a second, fewer
   where a frame takes long (a slow terminal, a giant table), none when nothing changed; the first
   token at once.
4. Remote text passes `escape` before it is parsed, and again after: an entity such as `&#x202e;`
   only becomes a character in the parser.
5. On a dumb terminal, or none, the cleaned text is passed on as it comes, without escape codes.
6. `close` gives the cursor back on every path. Nothing goes anywhere but to the console.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from math import ceil
from typing import Literal

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import ControlType, Segment
from rich.text import Text

from chatstream import events as ev
from chatstream.clock import Clock, monotonic
from chatstream.sinks.blocks import Blocks, dialect
from chatstream.sinks.escape import Escaper, clean
from chatstream.sinks.words import advice, ending, figures, note

FPS = 20
LONGEST_PAUSE = 1.0
"""Seconds between two frames at most, however long a frame takes."""
THOUGHT_LINES = 6
THOUGHT_CHARACTERS = 4000  # of thinking without line ends; more than six lines of any terminal
CODE_THEME = "ansi_dark"  # the terminal's own sixteen colours on its own background

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "■": "-", "⚙": "*", "·": "-", "…": "...", "≈": "~"}
    | dict(zip(_SPINNER, r"|/-\|/-\|/", strict=True))
)
# Rich has no name for DECAWM; the code in the list only marks the segment as one of no width.
_NO_WRAP = Segment("\x1b[?7l", None, [(ControlType.CARRIAGE_RETURN,)])
_WRAP = Segment("\x1b[?7h", None, [(ControlType.CARRIAGE_RETURN,)])
_WAITING = {
    "connect": "connecting",
    "first_token": "waiting for the first token",
    "between_tokens": "waiting for the next token",
}


class LiveSink:
    """Draws one run on `console`; `stats` are the figures at the end.

    `reasoning`: "show" keeps the model's thinking in the scrollback, "hide" shows none of it, and
    None shows its newest lines while it thinks.
    """

    def __init__(
        self,
        console: Console,
        *,
        reasoning: Literal["show", "hide"] | None,
        stats: bool,
        clock: Clock = monotonic,
    ) -> None:
        self._console = console
        self._clock = clock
        self._reasoning = reasoning
        self._stats = stats
        self._model = "done"
        self._dumb = console.is_dumb_terminal or not console.is_terminal
        self._ascii = console.options.ascii_only
        if self._ascii and isinstance(console.file, io.TextIOWrapper):
            console.file.reconfigure(errors="replace")  # a "?" is better than no answer
        self._region = _Rows()
        self._live = Live(
            self._region,  # one object for ever: so a print above draws its newest rows at once
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="visible",  # the rows are counted here
        )
        self._status = _Status(clock())
        self._thought = ""
        self._start()
        self._due = clock()
        self._said: str | None = None  # the status line of the last frame
        self._open_rows: list[list[Segment]] = []
        self._closed = False

    def write(self, event: ev.Event) -> None:
        """Take an event; text waits for `flush`, lines of our own are printed now."""
        self._status.note(event, self._clock())
        match event:
            case ev.Content(delta=delta):
                self._end_thought()
                self._held.append(self._escaper.feed(delta))
                self._have_new()
            case ev.Reasoning(delta=delta):
                if self._held or self._answer.tail:
                    self._end_text()
                if self._reasoning != "hide":
                    self._thought += self._thought_escaper.feed(delta)
                    self._have_new()
                if self._reasoning is None:  # only what fits the live region is ever needed
                    lines = self._thought.rsplit("\n", THOUGHT_LINES)
                    self._thought = "\n".join(lines[-THOUGHT_LINES:])[-THOUGHT_CHARACTERS:]
            case ev.Metadata():
                self._model = event.model or self._model
                if event.restart:
                    self._start_over()
            case ev.ToolCall():
                self._end_thought()
                self._end_text()
                self._say(f"⚙ {event.name}({event.arguments})", "cyan", shorten=True)
            case ev.Retry():
                if event.action == "reset":
                    self._start_over()
                self._say(note(event), "yellow")
            case ev.Fallback():
                self._say(note(event), "yellow")
            case ev.Warn():
                self._say(note(event), "dim yellow")
            case ev.Done():
                self.close()
                for line in ending(event, stats=False):
                    self._say(line, "yellow")
                if self._stats:
                    self._say(f"✓ {self._model} · {figures(event)}", "green")
            case ev.Error():
                self.close()
                if event.code == "cancelled":
                    self._say("■ stopped", "yellow")
                else:
                    self._say(f"✗ {event.message}", "bold red")
                for line in advice(event):
                    self._say(line, "dim")

    def flush(self) -> None:
        """Draw a frame if one is due and something changed."""
        now = self._clock()
        if self._closed or (now < self._due and not self._dumb):
            return
        if self._changed or self._status.line(now) != self._said:
            self._draw(self._take())
            cost = self._clock() - now
            self._due = now + min(max(1 / FPS, 12 * cost), LONGEST_PAUSE)

    def close(self) -> None:
        """Print what is open and give the terminal back. Idempotent."""
        if self._closed:
            return
        self._status.silence()
        try:
            self._end_thought()
            self._end_text()
        finally:
            self._closed = True
            self._live.stop()

    def _start(self) -> None:
        self._answer: _Answer | _Verbatim = _Verbatim() if self._dumb else _Answer()
        self._escaper = Escaper()
        self._held: list[str] = []
        self._thought_escaper = Escaper()
        self._thought = ""  # shown reasoning that has no line end yet, or was not drawn yet
        self._shown: bool = False  # text of this answer, by now or with the next frame
        self._changed: bool = False  # since the last frame

    def _have_new(self) -> None:
        if not self._shown:
            self._due = self._clock()  # the first token waits for no frame
        self._shown = self._changed = True

    def _start_over(self) -> None:
        """What was shown stays in the scrollback, marked; the next text is a new answer."""
        self._end_thought()
        if self._shown:
            self._end_text()
            self._say("the answer starts over", "yellow")
        self._start()

    def _end_thought(self) -> None:
        seconds = self._status.end_thought(self._clock())
        if seconds is None:
            return
        rest, self._thought = self._thought.strip("\n"), ""
        if rest and self._reasoning == "show":
            self._draw([Text(rest, "dim")])
        self._say(f"thought for {seconds:.0f} s" if seconds >= 1 else "thought a moment", "dim")
        self._draw([Text()])

    def _end_text(self) -> None:
        finished = [*self._take(), *self._answer.finish()]
        if finished or self._live.is_started:
            self._draw(finished)

    def _say(self, words: str | None, style: str, *, shorten: bool = False) -> None:
        """One line of our own above the live region, cleaned."""
        if not words:
            return
        line = Text(self._line(words), style)
        if shorten:
            line.no_wrap, line.overflow = True, "ellipsis"
        self._draw([*self._take(), *(self._answer.finish() if self._dumb else ()), line])

    def _line(self, words: str) -> str:
        line = clean(words).replace("\n", " ")
        return line.translate(_ASCII) if self._ascii else line

    def _take(self) -> list[RenderableType]:
        """What is finished since the last time."""
        thought: list[RenderableType] = []
        if self._reasoning == "show" and "\n" in self._thought:
            lines, _, self._thought = self._thought.rpartition("\n")
            thought = [Text(lines, "dim")]
        text = "".join(self._held)
        self._held.clear()
        return [*thought, *self._answer.feed(text)]

    def _draw(self, finished: list[RenderableType]) -> None:
        """One frame: `finished` is printed for good, and below it the live region."""
        now = self._clock()
        self._region.rows = [] if self._dumb or self._closed else self._rows(now)
        if self._region.rows:
            self._live.start()
        if finished:
            self._console.print(Group(*finished), soft_wrap=self._dumb)
        elif self._live.is_started:
            self._live.refresh()
        self._changed = False

    def _rows(self, now: float) -> list[list[Segment]]:
        room = max(1, self._console.height - 2)  # one row for the status, one for the cursor
        if self._thought:
            self._open_rows = self._lines_of(Text(self._thought, "dim"))[-THOUGHT_LINES:]
        elif self._changed or not self._answer.tail:
            self._open_rows = self._lines_of(self._answer.open())
        self._said = self._status.line(now)
        rows = self._open_rows[-room:]
        if self._said is None:
            return rows
        words = Text(self._line(self._said), "dim", no_wrap=True, overflow="ellipsis")
        return [*rows, *self._lines_of(words)]

    def _lines_of(self, renderable: RenderableType) -> list[list[Segment]]:
        return self._console.render_lines(renderable, pad=False)


class _Answer:
    """The Markdown of one answer: the blocks that are finished, and the open rest."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        self._parser = dialect()
        self._links: dict[str, object] = {}  # link definitions hold for the blocks after them
        self._gap = False  # whether Rich would put an empty line before the next block

    @property
    def tail(self) -> str:
        return self._blocks.tail

    def feed(self, text: str) -> list[Markdown]:
        return [self._finished(block) for block in self._blocks.feed(text)]

    def finish(self) -> list[Markdown]:
        return [self._finished(block) for block in self._blocks.finish()]

    def open(self) -> Markdown:
        """The tail as it stands; its definitions are not final and count only for itself."""
        return self._drawn(self._parser.parse(self.tail, {"references": dict(self._links)}))

    def _finished(self, block: str) -> Markdown:
        tokens = self._parser.parse(block, {"references": self._links})
        drawn = self._drawn(tokens)
        if tokens:
            self._gap = tokens[-1].type != "hr"  # a rule brings its own empty line
        return drawn

    def _drawn(self, tokens: list[Token]) -> Markdown:
        _clean_tokens(tokens)
        markdown = Markdown("", code_theme=CODE_THEME, hyperlinks=False)
        # An element that draws nothing is, for Rich's spacing, a block before this one.
        markdown.parsed = [Token("nothing", "", 0), *tokens] if self._gap else tokens
        return markdown


class _Verbatim:
    """The cleaned text as it comes, for a terminal that cannot go back; as `_Answer`."""

    def __init__(self) -> None:
        self.tail = ""  # the line that has no end yet

    def feed(self, text: str) -> list[Text]:
        self.tail = (self.tail + text).rpartition("\n")[2]
        return [Text(text, end="")] if text else []

    def finish(self) -> list[Text]:
        return self.feed("\n") if self.tail else []

    def open(self) -> Text:
        return Text(end="")


class _Status:
    """What is waited for, in plain words, and how long already."""

    def __init__(self, now: float) -> None:
        self._words: str | None = "connecting"
        self._since = now  # may lie ahead: the pause before another attempt
        self._alive = False
        self._thinking: float | None = None  # since when

    def note(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.Waiting():
                self._set(_WAITING[event.phase], now - event.silent_for, alive=event.alive)
            case ev.Retry():
                self._set("connecting", now + event.delay)
            case ev.Metadata(version=None):  # the head of a response
                self._set(_WAITING["first_token"], now)
            case ev.Reasoning():
                if self._thinking is None:
                    self._thinking = now
                self._set("thinking", self._thinking)
            case ev.ToolCallDelta():
                if not (self._words or "").startswith("writing"):
                    self._set(f"writing a call of {event.name}", now)
            case ev.Content() | ev.ToolCall():
                self.silence()

    def silence(self) -> None:
        self._words = None

    def end_thought(self, now: float) -> float | None:
        """The seconds that the model has been thinking, once; None if it was not."""
        since, self._thinking = self._thinking, None
        return None if since is None else now - since

    def line(self, now: float) -> str | None:
        if self._words is None:
            return None
        turn = _SPINNER[int(now * 10) % len(_SPINNER)]
        seconds = now - self._since
        if seconds < 0:
            return f"{turn} retrying in {ceil(-seconds)} s"
        words = f"{turn} {self._words}…" + (f" {int(seconds)} s" if seconds >= 1 else "")
        return words + (" · alive" if self._alive else "")

    def _set(self, words: str, since: float, *, alive: bool = False) -> None:
        self._words, self._since, self._alive = words, since, alive


class _Rows:
    """Rows of segments, as a renderable. The terminal must not wrap them.

    Terminals differ in how wide they draw a flag or a family; a row that wrapped would count as
    one here and be two there, and the next frame would leave half of it behind.
    """

    def __init__(self) -> None:
        self.rows: list[list[Segment]] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in self.rows:
            yield _NO_WRAP
            yield from row
            yield _WRAP
            yield Segment.line()


def _clean_tokens(tokens: Iterable[Token]) -> None:
    for token in tokens:
        token.content = clean(token.content)
        if token.children:
            _clean_tokens(token.children)

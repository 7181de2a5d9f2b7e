"""The status line: what is waited for, how fast tokens come, how far a long piece of work is.

1. `note` takes every event of the run, `line` tells how things stand. Both are given the time, in
   seconds of a monotonic clock; nothing here has a clock or a thread of its own.
2. While nothing comes a spinner turns, ten steps a second. While the answer comes nothing turns:
   the line stays the same for a second at least, because each new one has to be drawn.
3. The rate is that of one response: tokens over the time since its first one. It starts over with
   each response and after each pause or stop, and is not told in its first second.
4. While tools run, and with keys, it tells which key stops them. A question of a tool is the line
   until it is answered. What an earlier run did changes nothing.
5. No line has control characters or line ends; remote words are cut. The caller crops the line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, inf

from rich.segment import Segment

from chatstream import events as ev
from chatstream.flow import Key, Typed
from chatstream.sinks.calls import key_of
from chatstream.sinks.lines import Line, line_of
from chatstream.sinks.questions import choice, comes_first
from chatstream.sinks.theme import Theme
from chatstream.sinks.words import one_line
from chatstream.wording import counted

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR_CELLS = 20
"""The width of a bar."""

REST_SECONDS = 1.0
"""Seconds between two changes of the figures, at least."""

KEYS = " · space pauses · Esc stops"
KEYS_OF_TOOLS = "x stops the tools · Esc stops"
KEYS_OF_QUESTION = " · Esc stops"
LINE_FIRST = "Run it? First Enter queues your line, or Ctrl+U deletes it"
KEYS_OF_TOOLS_BESIDE = "Ctrl+K stops the tools"
WHILE_TYPING = " · Ctrl+C stops"
"""The hints about keys. `WHILE_TYPING` if something else was typed: no key comes, or it belongs to
that text. `KEYS_OF_TOOLS_BESIDE` if letters are text for later. `LINE_FIRST` at a question while
letters go into a line that has begun."""

QUIET_SECONDS = 0.3
"""Seconds after the last tool before the next wait is shown: another tool may start at once."""

_WAITING = {
    "connect": "connecting",
    "first_token": "waiting for the first token",
    "between_tokens": "waiting for the next token",
}

_Tell = Callable[[float], Line | None]


class Status:
    """The status of one run, which begins at `now`.

    `keys`: the keys of the terminal are looked at, so the line tells which ones there are.
    """

    def __init__(self, theme: Theme, now: float, *, keys: bool = False) -> None:
        self._theme = theme
        self._has_keys = keys
        self._keys = KEYS if keys else ""
        self._typed: Typed | None = None  # what the user types for later, if that is possible
        self._figures = _Figures()
        self._words = ""  # those of the answer so far, where they are counted
        self._topic = ""  # what the model is at, since when, and in how many pieces
        self._since = now
        self._pieces = 0
        self._paused = False
        self._running: set[tuple[str, str]] = set()  # the tools
        self._choice: str | None = None  # the answers of the question that is open
        self._tell: _Tell = self._wait("connecting", now)

    @property
    def asks(self) -> bool:
        """Whether a question of a tool is open."""
        return self._choice is not None

    def note(self, event: ev.Event, now: float) -> None:
        """Take an event of the run, or a key."""
        if event.replayed:
            return
        match event:
            case ev.Content():
                self._topic = ""
                self._figures.count(event.t if event.t >= 0 else now)
                self._tell = self._streaming
            case ev.Reasoning():
                self._figures.count(event.t if event.t >= 0 else now)
                self._go_on_with("thinking", now)
                self._tell = self._thinking
            case ev.ToolCallDelta():
                words = f"writing a call to {one_line(event.name)}"
                self._go_on_with(words, now)
                self._tell = self._wait(words, self._since)
            case ev.Progress():
                stage = one_line(event.stage)
                self._go_on_with(stage, now)
                self._tell = partial(self._progress, stage, event)
            case ev.Analysis():
                self._words = f" · {counted(event.figures.words, 'word', commas=True)}"
            case ev.Waiting():
                self._tell = partial(self._waiting, event, now - event.silent_for)
            case ev.Metadata(version=None):  # the head of a response
                self._begin(_WAITING["first_token"], now, over=ev.voids(event))
            case ev.Retry():
                self._begin("connecting", now + event.delay, over=ev.voids(event))
                doing = "continuing" if event.emitted_chars else "retrying"
                cause = f"{one_line(event.cause)}, attempt {event.attempt} of {event.max}"
                self._tell = partial(self._countdown, doing, cause, now + event.delay, self._tell)
            case ev.Fallback():
                self._begin(f"asking {one_line(event.target)}", now, over=False)
            case ev.ToolCall() | ev.Image():
                self._topic = ""
                self._tell = _nothing
            case ev.Approval() | ev.ToolStart() | ev.ToolComplete() | ev.ToolError():
                self._topic = ""
                self._note_tool(event, now)
            case ev.Done() | ev.Error():
                self._paused, self._choice = False, None
                self._tell = _nothing
            case Key(pressed="pause"):
                self._paused = True
            case Key(pressed="go_on"):
                self._paused = False
                self._figures.begin()
            case Key(pressed="typing"):
                self._keys = WHILE_TYPING
            case Key(pressed="continue"):
                self._keys = self._all_keys()
                self._figures.begin()
            case Typed():
                self._typed = event
                self._keys = self._all_keys()

    def line(self, now: float) -> Line | None:
        """How things stand; None when there is nothing to tell."""
        if self._choice is not None:
            if self._typed is not None and comes_first(self._typed.draft):
                return [Segment(LINE_FIRST, self._theme.warning)]
            keys = KEYS_OF_QUESTION if self._has_keys else ""
            return [Segment(self._choice, self._theme.warning), *self._dim(keys)]
        if self._paused:
            return [Segment("paused", self._theme.warning), *self._dim(self._keys_of_pause())]
        return self._tell(now)

    def _all_keys(self) -> str:
        if not self._has_keys:
            return ""
        typed = self._typed is not None and (self._typed.queued or self._typed.draft)
        return WHILE_TYPING if typed else KEYS

    def _keys_of_pause(self) -> str:
        where = " on an empty line" if self._typed is not None and self._typed.draft else ""
        stops = WHILE_TYPING if self._keys == WHILE_TYPING else KEYS_OF_QUESTION
        return f" · space{where} resumes{stops}"

    def _note_tool(self, event: ev.Fate, now: float) -> None:
        key = key_of(event)
        match event:
            case ev.Approval():
                self._choice = choice(event) if event.is_question else None
                if self.asks:  # what was typed ahead is thrown away
                    self._keys = self._all_keys()
            case ev.ToolStart():
                self._running.add(key)
            case _:
                self._running.discard(key)
        if self._running:
            self._tell = self._tools
        elif not isinstance(event, ev.Approval):
            self._tell = partial(self._after_tools, now)

    def _tools(self, _now: float) -> Line | None:
        if not self._has_keys:
            return None
        if self._typed is not None:
            return self._dim(f"{KEYS_OF_TOOLS_BESIDE}{WHILE_TYPING}")
        return self._dim(KEYS_OF_TOOLS if self._keys == KEYS else self._keys.removeprefix(" · "))

    def _after_tools(self, since: float, now: float) -> Line | None:
        quiet = now - since < QUIET_SECONDS
        return None if quiet else self._spun("connecting", since, "", now)

    def _begin(self, words: str, since: float, *, over: bool) -> None:
        """Another response; `over`: what came before it does not count."""
        self._topic = ""
        if over:
            self._figures, self._words = _Figures(), ""
        self._figures.begin()
        self._tell = self._wait(words, since)

    def _go_on_with(self, topic: str, now: float) -> None:
        if topic != self._topic:
            self._topic, self._since, self._pieces = topic, now, 0
        self._pieces += 1

    def _wait(self, words: str, since: float) -> _Tell:
        return partial(self._spun, words, since, "")

    def _spun(self, words: str, since: float, more: str, now: float) -> Line:
        passed = spent(now - since)
        told = f" {passed}" if passed else ""
        return self._dim(f"{turn(now)} {words}…{told}{more}")

    def _waiting(self, event: ev.Waiting, since: float, now: float) -> Line:
        passed = spent(now - since)
        more = f" of {event.limit:g} s" if passed and event.limit is not None else ""
        if event.alive:
            more += " · alive"
            if passed and event.phase == "between_tokens":
                more += f", last token {passed} ago"
        return self._spun(_WAITING[event.phase], since, more, now)

    def _countdown(
        self, doing: str, cause: str, until: float, after: _Tell, now: float
    ) -> Line | None:
        if now >= until:
            return after(now)
        words = f"{turn(now)} {doing} in {ceil(until - now)} s: {cause}"
        return line_of(words, self._theme.warning)

    def _streaming(self, now: float) -> Line:
        return self._dim(self._figures.words(now) + self._words + self._keys)

    def _thinking(self, now: float) -> Line:
        return self._spun("thinking", self._since, f" · {counted(self._pieces, 'token')}", now)

    def _progress(self, stage: str, event: ev.Progress, now: float) -> Line:
        message = f" · {one_line(event.message)}" if event.message else ""
        total = event.total or 0.0
        if event.percentage is not None:
            share, figure = event.percentage / 100, percent(event.percentage)
        elif total > 0:
            share, figure = event.current / total, f"{_number(event.current)}/{_number(total)}"
        else:
            return self._spun(stage, self._since, message, now)
        return [
            *self._dim(f"{stage} "),
            *bar(share, self._theme),
            *self._dim(f" {figure}{remaining(event.eta)}{message}"),
        ]

    def _dim(self, words: str) -> Line:
        return line_of(words, self._theme.dim)


class _Figures:
    """How many tokens came, and how fast."""

    def __init__(self) -> None:
        self._tokens = 0
        self._first: float | None = None  # when the first token of this response came
        self._before = 0  # the tokens until then; it is no token of the time after it
        self._last = 0.0
        self._told = 0  # the tokens that `_words` are about
        self._words = counted(0, "token")
        self._due = -inf

    def begin(self) -> None:
        """Measure the rate from now on."""
        self._first = None

    def count(self, at: float) -> None:
        """A token came at `at`."""
        self._tokens += 1
        if self._first is None:
            self._first, self._before = at, self._tokens
        self._last = at

    def words(self, now: float) -> str:
        """The figures, which change with tokens only, and at rest for `REST_SECONDS`."""
        if self._tokens != self._told and now >= self._due:
            self._told, self._due = self._tokens, now + REST_SECONDS
            self._words = counted(self._tokens, "token") + self._rate()
        return self._words

    def _rate(self) -> str:
        seconds = self._last - self._first if self._first is not None else 0.0
        if seconds < 1:
            return ""
        rate = (self._tokens - self._before) / seconds
        return f" · {rate:.{0 if rate >= 9.95 else 1}f} tokens/s"


def turn(now: float) -> str:
    """The spinner as it stands at this time."""
    return SPINNER[int(now * 10) % len(SPINNER)]


def spent(seconds: float) -> str:
    """Whole seconds that have passed; nothing in the first one."""
    return f"{int(seconds)} s" if seconds >= 1 else ""


def remaining(eta: float | None) -> str:
    """The seconds that are left, where they are known."""
    return f" · {ceil(eta)} s left" if eta is not None and 0 < eta < inf else ""


def percent(percentage: float) -> str:
    """The whole part of 0 to 100: only what is finished is at 100 %."""
    return f"{int(min(100.0, max(0.0, percentage)))} %"


def bar(share: float, theme: Theme, cells: int = BAR_CELLS) -> Line:
    """A bar for a share of 0 to 1. What is left of it is empty where dim text has no colour."""
    halves = int(2 * cells * min(1.0, max(0.0, share)))
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    left = cells - len(done)
    if theme.dim.color is None:
        rest = " " * left
    elif done.endswith("━") and left:
        rest = "╺" + "━" * (left - 1)
    else:
        rest = "━" * left
    return [*line_of(done, theme.tool), *line_of(rest, theme.dim)]


def _number(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _nothing(_now: float) -> None:
    """There is nothing to tell."""

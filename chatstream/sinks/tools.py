"""The tools of a run: live while they work, one line for good when they end.

1. A tool that runs has a spinner, or a bar once it tells how far it is, and below it the newest
   lines of its output, `SHOWN_LINES` at most. Several run at once, in the order of their calls.
2. All of it fits into the rows that there are: with many tools each has fewer lines of output, and
   of tools beyond the rows only the number is shown.
3. Each call is one line for good: how it ended, or that nobody ran it. These lines come in the
   order of the calls: of one that ended before an earlier one the line is live until then. A tool
   that still runs when the run ends gets a line that says so.
4. A call is live until something runs it. If that does not happen before the answer goes on, is
   asked for again or ends, nobody runs it.
5. What an earlier run did (`replayed`) is only told, as its. A dry run tells what would be done.
6. Output and progress of a tool that does not run are dropped; there is nothing to show them under.
7. What is held does not grow with the output. No line has control characters or line ends.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from chatstream import events as ev
from chatstream.escape import Escaper
from chatstream.sinks.calls import (
    EARLIER,
    PLANS,
    goes_on,
    key_of,
    label,
    name_of,
    outcome,
)
from chatstream.sinks.lines import Line, cropped, line_of, text_of
from chatstream.sinks.status import BAR_CELLS, bar, percent, remaining, spent, turn
from chatstream.sinks.theme import Theme
from chatstream.sinks.words import one_line
from chatstream.sinks.wrapping import Prose
from chatstream.wording import counted

SHOWN_LINES = 3
"""Lines of output below a tool that runs, at most."""

MAX_LINE_CHARACTERS = 200
"""Characters of a line of output that are kept; it is cropped to one row anyway."""

_LABEL_CELLS = 12  # of a call, at least, beside its bar
_MESSAGE_CELLS = 8  # of a message, at least; else it is left out
_MARKS = {"ok": "✓", "failed": "✗", "denied": "⊘", "stopped": "■", "unknown": "■"}
_PLAN_MARKS = {"allow": "⚙", "ask": "?", "deny": "⊘"}


class Tools:
    """The tools of one run. It is given every event, and the time as `Status` is."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._calls: list[_Call] = []  # in their order; the first one has not ended

    def note(self, event: ev.Event, now: float) -> list[Line]:
        """Take an event of the run. The lines that are to be printed for good, now."""
        match event:
            case ev.Content() | ev.Reasoning() if not self._calls:
                return []
            case ev.ToolCall():
                self._calls.append(_Call(event, one_line(f"{event.name}({event.arguments})")))
            case ev.Approval(by="dry_run"):
                self._plan(event)
            case ev.Approval():
                if call := self._find(event, lambda it: it.waits):
                    call.label = label(event.name, event.parameters)
            case ev.ToolStart():
                call = self._find(event, lambda it: it.waits) or self._new(event)
                call.start(event, now)
            case ev.ToolProgress():
                if call := self._find(event, lambda it: it.runs):
                    call.advance(event)
            case ev.ToolOutput():
                if call := self._find(event, lambda it: it.runs):
                    call.feed(event.delta)
            case ev.ToolComplete() | ev.ToolError():
                self._end(event)
            case _ if goes_on(event):
                self._give_up(now if isinstance(event, ev.Terminal) else None)
        return self._ended()

    def lines(self, now: float, width: int, rows: int) -> list[Line]:
        """The live lines, no more than `rows`, for a terminal of `width` cells."""
        calls = [it for it in self._calls if not it.replayed or it.line is not None]
        more = len(calls) - rows
        if more > 0:
            busiest = sorted(calls, key=lambda it: not it.runs)[: max(0, rows - 1)]
            calls = [it for it in calls if it in busiest]
            more += rows - len(calls)
        running = sum(it.runs for it in calls)
        spare = rows - len(calls) - (more > 0)
        lines: list[Line] = []
        for call in calls:
            most = min(SHOWN_LINES, -(-spare // running)) if call.runs else 0
            running, spare = running - call.runs, spare - most
            lines += call.lines(self._theme, now, width, most)
        if more > 0 and rows > 0:
            lines.append(line_of(f"… {counted(more, 'more tool')}", self._theme.dim))
        return lines

    def _find(self, event: ev.Fate, wanted: Callable[[_Call], bool]) -> _Call | None:
        """The oldest one, should two have the same id and name."""
        key = key_of(event)
        return next((it for it in self._calls if it.key == key and wanted(it)), None)

    def _new(self, event: ev.Fate) -> _Call:
        """A call that was never told."""
        self._calls.append(_Call(event, name_of(event.name)))
        return self._calls[-1]

    def _plan(self, event: ev.Approval) -> None:
        call = self._find(event, lambda it: it.waits) or self._new(event)
        style = self._theme.warning if event.decision == "deny" else self._theme.dim
        mark, words = _PLAN_MARKS[event.decision], PLANS[event.decision]
        call.line = self._line(mark, style, label(event.name, event.parameters), words)

    def _end(self, event: ev.CallEnd) -> None:
        call = (
            self._find(event, lambda it: it.runs)
            or self._find(event, lambda it: it.waits)
            or self._new(event)
        )
        failed = isinstance(event, ev.ToolComplete) and event.exit_status
        how = "failed" if failed else event.outcome
        styles = {"ok": self._theme.success, "failed": self._theme.failure}
        call.line = self._line(
            _MARKS[how],
            styles.get(how, self._theme.warning),
            call.label,
            outcome(event),
            seconds=event.duration or None,
            earlier=event.replayed,
        )

    def _give_up(self, now: float | None) -> None:
        """Nothing runs the calls that wait; `now` at the end of the run, when nothing runs."""
        for call in self._calls:
            if call.waits:
                call.line = Prose(line_of(f"⚙ {call.label}", self._theme.tool), 2)
            elif now is not None and call.runs:
                seconds = now - call.since
                style = self._theme.warning
                call.line = self._line("■", style, call.label, "not finished", seconds=seconds)

    def _ended(self) -> list[Line]:
        """The lines of the first calls, as far as they have ended."""
        lines = []
        while self._calls and (line := self._calls[0].line) is not None:
            lines.append(line)
            del self._calls[0]
        return lines

    def _line(
        self,
        mark: str,
        style: Style,
        name: str,
        words: str,
        *,
        seconds: float | None = None,
        earlier: bool = False,
    ) -> Line:
        took = f" · {seconds:.1f} s" if seconds is not None else ""
        return Prose(
            [
                Segment(f"{mark} ", style),
                Segment(name, self._theme.tool),
                *line_of(took, self._theme.dim),
                *line_of(f" · {words}" if words else "", style),
                *line_of(f" · {EARLIER}" if earlier else "", self._theme.dim),
            ],
            2,
        )


class _Call:
    """A call: it waits, then it runs, then it has a line for good. Some do not run."""

    def __init__(self, event: ev.ToolCall | ev.Fate, words: str) -> None:
        self.key = key_of(event)
        self.label = words
        self.line: Line | None = None
        self.since = 0.0
        self.replayed = event.replayed
        self._started = False
        self._progress: float | None = None
        self._eta: float | None = None
        self._message = ""
        self._escaper = Escaper()
        self._output = ""  # its newest lines, the last one without its end

    @property
    def runs(self) -> bool:
        """Whether it runs now, in this run."""
        return self._started and self.line is None

    @property
    def waits(self) -> bool:
        """Whether nothing runs it so far."""
        return not self._started and self.line is None

    def start(self, event: ev.ToolStart, now: float) -> None:
        """It runs from now on. If that was in an earlier run, it only has a better label."""
        self.label = label(event.name, event.parameters)
        self.replayed = event.replayed
        self._started = not event.replayed
        self.since = now

    def advance(self, event: ev.ToolProgress) -> None:
        """Take how far it is; words alone leave the bar as it is."""
        if event.progress is not None:
            self._progress = event.progress
        self._eta = event.eta
        self._message = one_line(event.message or "")

    def feed(self, delta: str) -> None:
        """Take a piece of output; of each line its beginning is kept."""
        newest = _newest(delta)
        before = self._output if len(newest) == len(delta) else ""  # else it is out of sight
        newest = _newest(before + self._escaper.feed(newest))
        self._output = "\n".join([line[:MAX_LINE_CHARACTERS] for line in newest.split("\n")])

    def lines(self, theme: Theme, now: float, width: int, most: int) -> list[Line]:
        """The call, with `most` lines of its output below it if it runs."""
        if self.line is not None:
            return [self.line]
        if self.waits:
            return [line_of(f"⚙ {self.label}", theme.tool)]
        output = self._output.removesuffix("\n").split("\n") if self._output and most else []
        return [
            self._head(theme, now, width),
            *(line_of(f"  {line.expandtabs()}", theme.dim) for line in output[-most:]),
        ]

    def _head(self, theme: Theme, now: float, width: int) -> Line:
        """The bar stays in sight: it is the label that is cut, and then the message."""
        stopping = self._message == "stopping"
        message = f" · {self._message}{'…' if stopping else ''}" if self._message else ""
        if self._progress is None or stopping:
            passed = spent(now - self.since)
            sign, tail = turn(now), [Segment("…", theme.dim)]
            tail += line_of(passed and f" {passed}", theme.dim)
            if stopping:
                tail, message = [*tail, *line_of(message, theme.dim)], ""
        else:
            cells = min(BAR_CELLS, max(4, (width - 20) // 3))
            figure = f" {percent(self._progress)}{remaining(self._eta)}"
            sign = "⚙"
            tail = [Segment(" "), *bar(self._progress / 100, theme, cells)]
            tail += line_of(figure, theme.dim)
        room = width - cell_len(text_of(tail)) - 2
        name = cropped(line_of(self.label, theme.tool), max(_LABEL_CELLS, room))
        if text_of(name) != self.label and text_of(tail).startswith("…"):
            del tail[0]  # one ellipsis is enough
        head = [Segment(f"{sign} ", theme.tool), *name, *tail]
        fits = cell_len(text_of(head)) + _MESSAGE_CELLS <= width
        return [*head, *line_of(message if fits else "", theme.dim)]


def _newest(text: str) -> str:
    """The end of a text that is enough to show; one line more, for the last may be empty yet."""
    lines = text.rsplit("\n", SHOWN_LINES + 1)
    return "\n".join(lines[-SHOWN_LINES - 1 :])

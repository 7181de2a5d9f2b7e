"""The tools of a run: live while they work, one line for good when they end.

1. A tool that runs has a spinner, then a bar once it tells how far it is, and below it the newest
   `SHOWN_LINES` lines of its output. Several run at once, in the order of their start.
2. Each `tool_complete` and each `tool_error` is one line for good, also of a tool whose start was
   never told. A tool that still runs when the run ends gets one that says so.
3. A call is live until something runs it. If that does not happen before the answer goes on, is
   asked for again or ends, nobody runs it: then it is a line for good.
4. Output and progress of a tool that does not run are dropped; there is nothing to show them under.
5. What is held does not grow with the output. No line has control characters or line ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from rich.segment import Segment
from rich.style import Style

from chatstream import events as ev
from chatstream.escape import Escaper
from chatstream.sinks.lines import Line, line_of
from chatstream.sinks.status import bar, percent, spent, turn
from chatstream.sinks.theme import Theme
from chatstream.sinks.words import one_line

SHOWN_LINES = 3
"""Lines of output below a tool that runs."""

MAX_LINE_CHARACTERS = 200
"""Characters of a line of output that are kept; it is cropped to one row anyway."""

_NAME_CHARACTERS = 60
_VALUE_CHARACTERS = 40
_MAX_PARAMETERS = 8  # of a call that are told

_Event = (
    ev.ToolCall | ev.ToolStart | ev.ToolProgress | ev.ToolOutput | ev.ToolComplete | ev.ToolError
)


class Tools:
    """The tools of one run. It is given every event, and the time as `Status` is."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._calls: list[tuple[tuple[str, str], Line]] = []  # that nothing runs yet
        self._runs: list[_Run] = []

    def note(self, event: ev.Event, now: float) -> list[Line]:
        """Take an event of the run. The lines that are to be printed for good, now."""
        match event:
            case ev.Content() | ev.Reasoning() | ev.Retry() | ev.Fallback():
                return self._end_calls()
            case ev.ToolCall():
                words = one_line(f"⚙ {event.name}({event.arguments})")
                self._calls.append((_key(event), line_of(words, self._theme.tool)))
            case ev.ToolStart():
                self._run_call(event)
                self._runs.append(_Run(event, now))
            case ev.ToolProgress():
                if run := self._running(event):
                    run.progress, run.message = event.progress, event.message
            case ev.ToolOutput():
                if run := self._running(event):
                    run.feed(event.delta)
            case ev.ToolComplete() | ev.ToolError():
                return [self._end(event)]
            case ev.Done() | ev.Error():
                return [*self._end_calls(), *self._end_runs(now)]
        return []

    def lines(self, now: float) -> list[Line]:
        """The live lines."""
        calls = [line for _, line in self._calls]
        return [*calls, *(line for run in self._runs for line in run.lines(self._theme, now))]

    def _run_call(self, event: _Event) -> None:
        """The call of this tool is no longer one that nothing runs."""
        for number, (key, _) in enumerate(self._calls):
            if key == _key(event):
                del self._calls[number]
                return

    def _running(self, event: _Event) -> _Run | None:
        """The oldest one, should two have the same id and name."""
        return next((run for run in self._runs if run.key == _key(event)), None)

    def _end(self, event: ev.ToolComplete | ev.ToolError) -> Line:
        self._run_call(event)
        run = self._running(event)
        if run is not None:
            self._runs.remove(run)
        if isinstance(event, ev.ToolError):
            name, error = one_line(event.name, _NAME_CHARACTERS), one_line(event.error)
            return self._line("✗", self._theme.failure, name, event.duration, f": {error}")
        label = run.label if run is not None else one_line(event.name, _NAME_CHARACTERS)
        return self._line("✓", self._theme.success, label, event.duration)

    def _end_calls(self) -> list[Line]:
        lines = [line for _, line in self._calls]
        self._calls.clear()
        return lines

    def _end_runs(self, now: float) -> list[Line]:
        style = self._theme.warning
        lines = [
            self._line("■", style, run.label, now - run.since, ": not finished")
            for run in self._runs
        ]
        self._runs.clear()
        return lines

    def _line(self, mark: str, style: Style, label: str, seconds: float, end: str = "") -> Line:
        line = [
            Segment(f"{mark} ", style),
            Segment(label, self._theme.tool),
            Segment(f" · {seconds:.1f} s", self._theme.dim),
        ]
        return [*line, *line_of(end, style)]


class _Run:
    """A tool that runs."""

    def __init__(self, start: ev.ToolStart, now: float) -> None:
        self.key = _key(start)
        self.label = _label(start)
        self.since = now
        self.progress: float | None = None
        self.message: str | None = None
        self._escaper = Escaper()
        self._output = ""  # its newest lines, the last one without its end

    def feed(self, delta: str) -> None:
        """Take a piece of output; of each line its beginning is kept."""
        text = self._output + self._escaper.feed(delta)
        newest = text.rsplit("\n", SHOWN_LINES + 1)[
            -SHOWN_LINES - 1 :
        ]  # one more: the last may be empty yet
        self._output = "\n".join([line[:MAX_LINE_CHARACTERS] for line in newest])

    def lines(self, theme: Theme, now: float) -> list[Line]:
        """The tool and its output below it."""
        output = self._output.removesuffix("\n").split("\n")[-SHOWN_LINES:] if self._output else []
        return [
            self._head(theme, now),
            *(line_of(f"  {line.expandtabs()}", theme.dim) for line in output),
        ]

    def _head(self, theme: Theme, now: float) -> Line:
        message = f" · {one_line(self.message)}" if self.message else ""
        if self.progress is None:
            passed = spent(now - self.since)
            told = f"… {passed}" if passed else "…"
            return [
                Segment(f"{turn(now)} {self.label}", theme.tool),
                Segment(told, theme.dim),
            ]
        return [
            Segment(f"⚙ {self.label} ", theme.tool),
            *bar(self.progress / 100, theme),
            Segment(f" {percent(self.progress)}{message}", theme.dim),
        ]


def _key(event: _Event) -> tuple[str, str]:
    """Servers that give all calls one id, or none, are told apart by the name."""
    return event.id, event.name


def _label(start: ev.ToolStart) -> str:
    name = one_line(start.name, _NAME_CHARACTERS)
    parameters = _short(start.parameters)
    return f"{name}({parameters})" if parameters else name


def _short(parameters: Mapping[str, Any]) -> str:
    words = [
        f"{one_line(key, _VALUE_CHARACTERS)}: {one_line(_text(value), _VALUE_CHARACTERS)}"
        for key, value in islice(parameters.items(), _MAX_PARAMETERS)
    ]
    if len(parameters) > _MAX_PARAMETERS:
        words.append("…")
    return one_line(", ".join(words), 2 * _NAME_CHARACTERS)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)

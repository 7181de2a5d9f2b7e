"""Figures about the answer as it arrives: `analysis` events, made from its text alone.

1. There is at most one every `EVERY_SECONDS`, and only if there is new text. The last one comes
   right before the end of the run, however it ends, unless the run failed without any text.
2. The work for an arrival depends only on the text in it, and memory is bounded (`analysis.text`).
3. Only the text of the answer counts, not reasoning or calls. If an answer is continued, its text
   counts once. Text that is void does not count. The responses of a run are counted together.
4. The confidence is the geometric mean of the probabilities of the answer's tokens, if the server
   sends them.
5. Analyzers of other packages get the same text, and their figures appear under their names. If
   one fails, it is left out from then on, with a warning. Analyzers are copied whenever a response
   is whole.
6. The stage also accepts numbered events, as a recording has them. They stay numbered, and the
   `analysis` events among them are replaced.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from chatstream.analysis.text import TextAnalysis
from chatstream.clock import Clock, monotonic
from chatstream.events import (
    Analysis,
    Content,
    Done,
    Error,
    Event,
    Fate,
    Reasoning,
    TextFigures,
    Warn,
    voids,
)
from chatstream.flow import Arrival, Finish, Logprobs, Stage, close
from chatstream.plugins import FAILURES, what

EVERY_SECONDS = 1.0


class Analyzer(Protocol):
    """Made by a package for each answer. It must work with `copy.deepcopy`."""

    def feed(self, text: str) -> None:
        """Take the next piece of the answer."""

    def figures(self) -> Mapping[str, Any]:
        """The figures so far, as values that JSON can hold."""


Make = Callable[[], Analyzer]


def analyze(
    plugins: Mapping[str, tuple[str, Make]] = {},
    earlier: Sequence[Event] = (),
    clock: Clock = monotonic,
) -> Stage:
    """The stage. `earlier` has the events of the answer that these arrivals continue.

    `plugins` has, by name, what messages call a plugin, and the function that makes it.
    """
    return lambda arrivals: _Analyze(plugins, earlier, clock).run(arrivals)


class _Analyze:
    def __init__(
        self,
        plugins: Mapping[str, tuple[str, Make]],
        earlier: Sequence[Event],
        clock: Clock,
    ) -> None:
        self._earlier = earlier
        self._clock = clock
        self._called = {name: called for name, (called, _) in plugins.items()}
        self._warnings: list[Event] = []  # not shown yet
        self._text = TextAnalysis()
        self._logprobs = Logprobs(0.0, 0)  # summed
        self._speaks = False  # the last text was the answer, not reasoning
        self._plugins: dict[str, Analyzer] = {}
        for name, (_, make) in plugins.items():
            try:
                self._plugins[name] = make()
            except FAILURES as error:
                self._fail(name, error)
        self._settle()
        self._has_text = self._is_over = False
        self._is_new = False  # some text is not in any event yet
        self._told: float | None = None  # time of the last event, or of the first text
        self._seq, self._t = -1, -1.0  # of the last event, if events are numbered
        self._shift = 0  # added to all later numbers

    def run(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            for event in self._earlier:
                self._note(event)
            for arrival in arrivals:
                if arrival.events or self._is_new:
                    self._take(arrival)
                yield arrival
        except Exception:
            if self._has_text and not self._is_over:
                yield Arrival(self._inserted(self._final()))
            raise
        finally:
            close(arrivals)

    def _take(self, arrival: Arrival) -> None:
        """Insert figures and warnings into this arrival."""
        out: list[Event] = []
        for event in arrival.events:
            if type(event) is Logprobs:
                self._add(event)
                continue
            if type(event) is Analysis:
                self._shift -= 1
                continue
            if isinstance(event, Finish | Done | Error) and not self._is_over:
                if event.seq >= 0:
                    self._seq, self._t = event.seq + self._shift - 1, event.t
                out += self._inserted(self._final())
            if event.seq >= 0:
                event.seq += self._shift
                self._seq, self._t = event.seq, event.t
            self._note(event)
            out.append(event)
        if not self._is_over:
            if self._is_new and self._is_due(arrival):
                out += self._inserted([Analysis(self._figures())])
            out += self._inserted([])
        arrival.events = out

    def _note(self, event: Event) -> None:
        if type(event) is Content:
            self._feed(event.delta)
        elif type(event) is Reasoning:
            self._speaks = False
        elif isinstance(event, Fate):
            if self._is_open:
                self._text.finish()
                self._settle()
        elif voids(event):
            self._text, self._plugins, self._logprobs = self._copied(*self._settled)

    def _feed(self, text: str) -> None:
        self._has_text = self._is_new = self._is_open = self._speaks = True
        self._text.feed(text)
        for name, plugin in list(self._plugins.items()):
            try:
                plugin.feed(text)
            except FAILURES as error:
                self._fail(name, error)

    def _settle(self) -> None:
        """The response is whole, so nothing can void it any more."""
        self._is_open = False  # the current response has text
        self._settled = self._copied(self._text, self._plugins, self._logprobs)

    def _copied(
        self, text: TextAnalysis, plugins: Mapping[str, Analyzer], logprobs: Logprobs
    ) -> tuple[TextAnalysis, dict[str, Analyzer], Logprobs]:
        copies: dict[str, Analyzer] = {}
        for name, plugin in list(plugins.items()):
            if name in self._called:
                try:
                    copies[name] = copy.deepcopy(plugin)
                except FAILURES as error:
                    self._fail(name, error)
        return copy.deepcopy(text), copies, logprobs

    def _add(self, told: Logprobs) -> None:
        if self._speaks:
            before = self._logprobs
            self._logprobs = Logprobs(before.total + told.total, before.tokens + told.tokens)

    def _fail(self, name: str, error: BaseException) -> None:
        called = self._called.pop(name)
        self._plugins.pop(name, None)
        message = f"the {called} failed, so its figures are left out: {what(error)}"
        self._warnings.append(Warn("plugin", message))

    def _is_due(self, arrival: Arrival) -> bool:
        received = self._t if self._seq >= 0 else arrival.t
        now = received if received >= 0 else self._clock()
        if self._told is None:
            self._told = now
        if now - self._told < EVERY_SECONDS:
            return False
        self._told = now
        return True

    def _final(self) -> list[Event]:
        self._is_over = True
        self._text.finish()
        return [Analysis(self._figures(), final=True)]

    def _figures(self) -> TextFigures:
        """The figures so far."""
        self._is_new = False
        figures = self._text.figures
        if (tokens := self._logprobs.tokens) > 0:
            figures.confidence = round(math.exp(self._logprobs.total / tokens), 3)
        for name, plugin in list(self._plugins.items()):
            try:
                found = msgspec.json.encode(dict(plugin.figures()))
                figures.plugins[name] = msgspec.json.decode(found)  # a copy that does not change
            except FAILURES as error:
                self._fail(name, error)
        return figures

    def _inserted(self, events: list[Event]) -> list[Event]:
        """The warnings not shown yet and these events, numbered after the last event."""
        warnings, self._warnings = self._warnings, []
        events = [*warnings, *events]
        if self._seq >= 0:
            for event in events:
                self._seq += 1
                event.seq, event.t = self._seq, self._t
            self._shift += len(events)
        return events

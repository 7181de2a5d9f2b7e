"""Filters of other packages: a stage that we did not write, and that may fail in any way.

1. It stands behind the journal, and is given copies: nothing that it does changes what is kept.
2. The event that opens the run and the terminal one do not go through it. They come before and
   after all that the filter has said, so a run ends as it did, whatever the filter drops.
3. If it fails, or ends before the run does, a warning names it. What it was given since it last
   said something is passed on as it came, and so is the rest: no text is lost.
4. The events that leave it are numbered again, without a gap; an event that it has made has the
   time of the one before it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from msgspec.structs import replace

from chatstream.events import Content, Done, Error, Event, Metadata, Reasoning, Warn
from chatstream.flow import Arrival, Stage, close
from chatstream.plugins import FAILURES, what


def foreign(called: str, stage: Stage) -> Stage:
    """The stage of another package, held to these rules. `called` names it in a message."""
    return lambda arrivals: _Foreign(called, stage, arrivals).run()


class _Foreign:
    def __init__(self, called: str, stage: Stage, arrivals: Iterator[Arrival]) -> None:
        self._called = called
        self._stage = stage
        self._arrivals = arrivals
        self._left: Iterator[Arrival] = iter(())  # of these
        self._given: list[Arrival] = []  # as they came, since it last said something
        self._is_over = False  # all that comes was given
        self._end: list[Event] = []  # the terminal event, once it has come
        self._failure: Exception | None = None  # of what is in front of the filter
        self._seq, self._t = -1, 0.0

    def run(self) -> Iterator[Arrival]:
        filtered: Iterator[Arrival] = iter(())
        reason = ""
        try:
            yield from self._opening()
            try:
                filtered = iter(self._stage(self._source()))
                for arrival in filtered:
                    if not isinstance(arrival, Arrival):
                        raise TypeError(f"it gave {type(arrival).__name__}, not Arrival")
                    self._given.clear()
                    yield self._numbered(arrival)
                if not self._is_over:
                    reason = "it ended before the answer did"
            except FAILURES as error:
                if self._failure is not None:
                    raise self._failure from None
                reason = what(error)
            if reason:
                message = f"the {self._called} failed, so the rest is not filtered: {reason}"
                yield self._numbered(Arrival([Warn("plugin", message)]))
                for arrival in chain(self._given, self._rest()):
                    yield self._numbered(arrival)
            if self._end:
                yield self._numbered(Arrival(self._end))
        finally:
            with suppress(*FAILURES):
                close(filtered)
            close(self._arrivals)

    def _opening(self) -> Iterator[Arrival]:
        """The event that opens the run, if there is one; the filter is given what follows."""
        for arrival in self._arrivals:
            if arrival.events and isinstance(opening := arrival.events[0], Metadata):
                del arrival.events[0]
                yield self._numbered(Arrival([opening], connected=arrival.connected))
            self._left = chain([arrival], self._arrivals)
            return

    def _source(self) -> Iterator[Arrival]:
        """What the filter is given."""
        try:
            for arrival in self._left:
                if arrival.events:
                    if isinstance(arrival.events[-1], Done | Error):
                        self._end = [arrival.events.pop()]
                    self._given.append(arrival)
                yield replace(arrival, events=[*map(_copied, arrival.events)])
        except Exception as error:
            self._failure = error
            raise
        self._is_over = True

    def _rest(self) -> Iterator[Arrival]:
        """What comes after a failure."""
        return iter(()) if self._is_over else self._left

    def _numbered(self, arrival: Arrival) -> Arrival:
        for event in arrival.events:
            self._seq = self._seq + 1 if self._seq >= 0 else max(event.seq, 0)
            self._t = max(event.t, self._t)
            event.seq, event.t = self._seq, self._t
        return arrival


def _copied(event: Event) -> Event:
    """A copy that shares nothing with the event."""
    is_text = type(event) is Content or type(event) is Reasoning
    return copy.copy(event) if is_text else copy.deepcopy(event)

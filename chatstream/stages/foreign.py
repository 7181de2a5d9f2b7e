"""Filters of other packages: stages that we did not write, and that may fail in any way.

1. A filter comes after the journal and gets copies, so it changes nothing that is kept.
2. The event that opens the run and the one that ends it bypass the filter. They are the first and
   the last, so the run ends as it would without the filter.
3. If a filter fails, yields something else than events, or ends before the run does, a warning
   names it. Everything that it was given since its last output is then passed on unfiltered, and
   so is the rest: no text is lost.
4. A filter runs on a thread of its own, with everything before it, and takes one turn at a time.
   If the run is cancelled while the filter itself works, and it does not return, it has failed.
5. The filter's events are numbered again, without a gap. An event that the filter made has the
   time of the one before it.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, islice

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.events import Content, Done, Error, Event, Metadata, Reasoning, Warn, decode, encode
from chatstream.flow import Arrival, Stage, close
from chatstream.plugins import FAILURES, Apart, what


def foreign(called: str, stage: Stage, token: CancelToken) -> Stage:
    """The stage of another package, under these rules. `called` names it in messages.

    `token` is that of the run.
    """
    return lambda arrivals: _Foreign(called, stage, arrivals, token).run()


class _Foreign:
    def __init__(
        self, called: str, stage: Stage, arrivals: Iterator[Arrival], token: CancelToken
    ) -> None:
        self._called = called
        self._apart = Apart(token)
        self._turn = threading.Lock()  # for the two below
        self._is_read = False  # the filter waits for its next arrival
        self._is_left = False  # the filter did not return, and gets no other arrival
        self._stage = stage
        self._arrivals = arrivals
        self._left: Iterator[Arrival] = iter(())  # what is left of the arrivals
        self._given: list[Arrival] = []  # unfiltered, since its last output
        self._is_over = False  # everything was given
        self._end: list[Event] = []  # the terminal event, once it is there
        self._failure: Exception | None = None  # raised before the filter, not by it
        self._seq, self._t = -1, 0.0

    def run(self) -> Iterator[Arrival]:
        filtered: Iterator[Arrival] = iter(())
        reason = ""
        try:
            yield from self._opening()
            try:
                filtered = self._apart.call(self._filtered, self._may_leave)
                while taken := self._apart.call(partial(_one_of, filtered), self._may_leave):
                    (arrival,) = taken
                    _check(arrival)
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
                self._apart.call(partial(close, filtered))
            self._apart.close()
            close(self._arrivals)

    def _filtered(self) -> Iterator[Arrival]:
        return iter(self._stage(self._source()))

    def _may_leave(self) -> bool:
        """Whether it is the filter itself that does not return. It is left behind then."""
        with self._turn:
            self._is_left = not self._is_read
            return self._is_left

    def _may_read(self) -> bool:
        with self._turn:
            self._is_read = not self._is_left
            return self._is_read

    def _opening(self) -> Iterator[Arrival]:
        """The event that opens the run, if there is one; the filter gets the rest."""
        for arrival in self._arrivals:
            if arrival.events and isinstance(opening := arrival.events[0], Metadata):
                del arrival.events[0]
                yield self._numbered(Arrival([opening], connected=arrival.connected))
            self._left = chain([arrival], self._arrivals)
            return

    def _source(self) -> Iterator[Arrival]:
        """What the filter gets: copies."""
        try:
            while self._may_read():
                if (arrival := next(self._left, None)) is None:
                    self._is_over = True
                    return
                if arrival.events:
                    if isinstance(arrival.events[-1], Done | Error):
                        self._end = [arrival.events.pop()]
                    self._given.append(arrival)
                copied = replace(arrival, events=[*map(_copied, arrival.events)])
                self._is_read = False
                yield copied
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._is_read = False

    def _rest(self) -> Iterator[Arrival]:
        """The arrivals after a failure."""
        return iter(()) if self._is_over else self._left

    def _numbered(self, arrival: Arrival) -> Arrival:
        for event in arrival.events:
            self._seq = self._seq + 1 if self._seq >= 0 else max(event.seq, 0)
            self._t = max(event.t, self._t)
            event.seq, event.t = self._seq, self._t
        return arrival


def _one_of(arrivals: Iterator[Arrival]) -> list[Arrival]:
    """The next one; empty after the last."""
    return [*islice(arrivals, 1)]


def _check(arrival: object) -> None:
    """Raise an exception if this is not an arrival of events that JSON can hold."""
    if not isinstance(arrival, Arrival):
        raise TypeError(f"it yielded {type(arrival).__name__} instead of Arrival")
    for event in arrival.events:
        kind = type(event)
        if not isinstance(event, Event):
            raise TypeError(f"it yielded {kind.__name__} instead of an event")
        if isinstance(event, Done | Error):
            raise TypeError(f"it yielded {kind.__name__}, but the end is not up to a filter")
        decode(encode(event))


def _copied(event: Event) -> Event:
    """A copy that shares nothing with the event."""
    is_text = type(event) is Content or type(event) is Reasoning
    return copy.copy(event) if is_text else copy.deepcopy(event)

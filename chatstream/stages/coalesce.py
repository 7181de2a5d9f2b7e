"""Neighbouring deltas become one, so that a sink has fewer of them to show.

1. Pieces of the same kind are joined, content with content and reasoning with reasoning. Any
   other event lets out what is held before it passes; so do the end and a failure. No text is
   lost or changes its place.
2. What is held goes out with ten characters, or at an age that shrinks from 50 ms for none to
   0 ms for ten.
3. Nothing is held for more than 100 ms. Only a heartbeat gives control back while nothing comes,
   and the next may be 0.1 s away: so what is held waits for one arrival at most.
4. It stands before one sink and behind everything else that looks at events: it numbers `seq`
   again, without a gap. A joined delta has the `t` of its first piece.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.events import Content, Event, Reasoning
from chatstream.flow import Arrival, Stage, close

ENOUGH_CHARACTERS = 10

MAX_AGE_SECONDS = 0.05
"""The age at which an empty text would go out; a longer text goes out sooner."""

MAX_HELD_SECONDS = 0.1


def coalesce(clock: Clock = monotonic) -> Stage:
    """The stage for one run."""
    return lambda events: _Coalesce(clock).run(events)


class _Coalesce:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: float | None = None  # of the arrival that we are in
        self._held: Content | Reasoning | None = None
        self._since = 0.0  # when the first piece of it came
        self._seq = 0

    def run(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            for arrival in arrivals:
                self._now = None
                events: list[Event] = []
                for event in arrival.events:
                    if type(event) is Content or type(event) is Reasoning:
                        if type(event) is not type(self._held):
                            events += self._release()
                        if self._join(event):
                            events += self._release()
                    else:
                        events += (*self._release(), self._numbered(event))
                if self._held is not None and self._cannot_wait():
                    events += self._release()
                arrival.events = events
                yield arrival
        except Exception:
            yield Arrival([*self._release()])
            raise
        else:
            yield Arrival([*self._release()])
        finally:
            close(arrivals)

    def _join(self, piece: Content | Reasoning) -> bool:
        """Hold one piece more. True: it is long enough now, or too old for its length."""
        held = self._held
        if held is None:
            self._held = held = piece
            self._since = self._arrival()
        else:
            held.delta += piece.delta
        length = len(held.delta)
        return length >= ENOUGH_CHARACTERS or self._arrival() - self._since >= MAX_AGE_SECONDS * (
            1 - length / ENOUGH_CHARACTERS
        )

    def _cannot_wait(self) -> bool:
        """Whether the next arrival may be too late for what is held."""
        return self._arrival() - self._since + POLL_SECONDS > MAX_HELD_SECONDS

    def _arrival(self) -> float:
        """The time, read once an arrival: its events share it."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    def _release(self) -> tuple[Event, ...]:
        held, self._held = self._held, None
        return () if held is None else (self._numbered(held),)

    def _numbered(self, event: Event) -> Event:
        event.seq = self._seq
        self._seq += 1
        return event

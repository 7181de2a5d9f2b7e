"""Events that were recorded come again at the pace they had, or a multiple of it.

1. An event is passed on when its `t` has passed since the first event, divided by the speed. One
   that is late already is passed on at once: a source that is live itself is never held up.
2. Before it waits, and every `POLL_SECONDS` while it does, it yields a heartbeat, so that sinks
   show what they hold and spinners turn.
3. A sleep that was cut short ends the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.flow import Arrival, Stage, close

Sleep = Callable[[float], bool]
"""Sleeps for that many seconds; returns True if it was cut short."""


def pace(speed: float, sleep: Sleep, clock: Clock = monotonic) -> Stage:
    """The stage. A `speed` of 2 is twice as fast as it was."""

    def paced(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        shift: float | None = None  # from the times of the record to those of the clock
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    due = event.t / speed
                    if shift is None:
                        shift = clock() - due
                    while (left := due + shift - clock()) > 0:
                        yield Arrival()
                        if sleep(min(left, POLL_SECONDS)):
                            return
                    yield Arrival([event])
                if not arrival.events:
                    yield arrival
        finally:
            close(arrivals)

    return paced

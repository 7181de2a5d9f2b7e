"""Sources for readers: made of steps, and watched while another thread reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from chatstream.events import Content, Done, Event, Stats
from chatstream.flow import Arrival, close
from chatstream.readahead import Pressure
from tests.support.arrivals import each

PATIENCE = 30
"""Seconds until a test fails that waits for another thread."""

GLIMPSE = 0.05
"""Seconds in which another thread would have done what it must not do."""

DONE = Done(finish_reason="stop", stats=Stats(duration=0.0, chunks=0), attempts=1)

Step = Event | Arrival | BaseException | Callable[[], object]
"""An event that comes by itself, an arrival, a failure, or what the reader's thread is to do."""


def source(*steps: Step) -> Iterator[Arrival]:
    for step in steps:
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, Event | Arrival):
            yield from each(step)
        else:
            step()


def until(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


class Watched(Pressure):
    """Says when the reader pauses.

    The count is raised under the lock, which only the pause itself lets go of: who is told of it
    and then takes an event finds the reader waiting.
    """

    def __init__(self) -> None:
        self.paused = threading.Event()
        self.peaks: list[int] = []  # at each pause
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "pauses" and value:
            self.peaks.append(self.peak_bytes)
            self.paused.set()


def numbered(count: int) -> list[Event]:
    """Deltas of four characters."""
    return [Content(f"{n:04}") for n in range(count)]


class Closing:
    """A source that is closed early: on which thread, and whether that is over."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.read_on: threading.Thread | None = None
        self.closed_on: threading.Thread | None = None

    def __call__(self) -> Iterator[Arrival]:
        try:
            self.read_on = threading.current_thread()
            yield from source(*self._steps)
            while True:
                yield Arrival()
        finally:
            self.closed_on = threading.current_thread()


def close_in_time(events: Iterator[object]) -> None:
    """Close a generator, on a thread so that a close without an end is a failure."""
    closer = threading.Thread(target=close, args=(events,), daemon=True)
    closer.start()
    closer.join(PATIENCE)
    assert not closer.is_alive()

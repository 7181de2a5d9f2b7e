"""Arrivals made of events, and what came in arrivals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import cycle

from chatstream.events import Event
from chatstream.flow import Arrival


def each(*steps: Event | Arrival) -> Iterator[Arrival]:
    """An arrival for each event, with its time; arrivals as they are."""
    for step in steps:
        yield step if isinstance(step, Arrival) else Arrival([step], step.t)


def grouped(events: Sequence[Event], sizes: Sequence[int]) -> Iterator[Arrival]:
    """Copies of the events in arrivals of these sizes, over and over; 0 is a heartbeat."""
    assert any(sizes)
    rest = list(map(copy, events))
    for size in cycle(sizes):
        if not rest:
            return
        part, rest = rest[:size], rest[size:]
        yield Arrival(part, part[0].t if part else -1.0)


def events_of(arrivals: Iterable[Arrival]) -> list[Event]:
    return [event for arrival in arrivals for event in arrival.events]


def heartbeats(arrivals: Iterable[Arrival]) -> list[Arrival]:
    return [arrival for arrival in arrivals if not arrival.events]

"""Arrivals made of events, and what came in arrivals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import cycle

from chatstream.cancel import CancelToken
from chatstream.events import Event
from chatstream.flow import Arrival
from chatstream.messages import ChatRequest, ContinuationMethod


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


class Scripted:
    """A source whose attempts are scripts: events to yield, failures to raise."""

    def __init__(self, *attempts: Sequence[Event | Exception]) -> None:
        self._attempts = list(attempts)
        self.requests: list[ChatRequest] = []
        self.tokens: list[CancelToken] = []
        self.closed = 0

    @property
    def asked(self) -> list[tuple[str, ContinuationMethod | None]]:
        """The text that each request asked to continue, and how."""
        return [(it.partial, it.method) for it in self.requests]

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        """The next attempt; an `Open`."""
        self.requests.append(request)
        self.tokens.append(token)
        try:
            for step in self._attempts.pop(0):
                if isinstance(step, Exception):
                    raise step
                yield from each(step)
        finally:
            self.closed += 1

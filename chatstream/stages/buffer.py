"""A bounded queue between the reader of the network and a slow sink.

1. The queue and the thread that fills it are those of `readahead`. `fixed` and `dynamic` lose
   nothing: the reader waits while the queue is full. `dynamic` begins with a sixteenth of the
   bounds, doubles them whenever the reader has to wait, and halves them when the queue has run
   empty several times without that.
2. `sliding` never waits. It drops the oldest text of the answer and the reasoning, and says how
   much in an unstamped `warning` where the text would have been. Every other event gets through,
   whatever the bounds say. It is for a screen only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from chatstream.events import Content, Event, Reasoning, Warn
from chatstream.flow import Arrival, Stage
from chatstream.readahead import MOST_BYTES, PARTS, Consumer, Parcel, Pressure, ReadAhead

Strategy = Literal["fixed", "dynamic", "sliding"]

MOST_EVENTS = 4096
"""Forty seconds of a quick model; with tokens of four characters, 0.7 MB."""

_CALM = 8  # times in a row that the queue runs empty before `dynamic` halves its bounds


def buffer(
    strategy: Strategy,
    pressure: Pressure,
    *,
    most_events: int = MOST_EVENTS,
    most_bytes: int = MOST_BYTES,
) -> Stage:
    """The stage for one run."""

    def stage(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        consumer = Consumer()
        reader = _READERS[strategy](
            arrivals, consumer, pressure=pressure, most_events=most_events, most_bytes=most_bytes
        )
        return consumer.take([reader])

    return stage


class _Dynamic(ReadAhead):
    _parts = 1
    _calm = 0

    def _make_room(self) -> None:
        self._calm = 0
        self._parts = min(self._parts * 2, PARTS)
        super()._make_room()

    def pop(self) -> Parcel | None:
        if not self._queue:
            self._calm += 1
            if self._calm % _CALM == 0:
                self._parts = max(self._parts // 2, 1)
        return super().pop()


class _Gap(Event):
    """Stands where text was dropped."""

    characters: int


class _Stripped(Parcel):
    """Events that were left of parcels without their text, with the gaps."""

    def join_without_text(self, newer: Parcel) -> int:
        """Take over what follows, except its text. Returns how many characters that drops."""
        dropped = 0
        for event in newer.events:
            if type(event) is Content or type(event) is Reasoning:
                dropped += len(event.delta)
                self._widen_gap(len(event.delta))
            else:
                self.add(event)
        self.heed(newer)
        return dropped

    def _widen_gap(self, characters: int) -> None:
        last = self.events[-1] if self.events else None
        if type(last) is _Gap:
            last.characters += characters
        else:
            self.add(_Gap(characters))


class _Sliding(ReadAhead):
    _stripped: _Stripped | None = None  # what is older than the queue and was left of its text

    def _make_room(self) -> None:
        """Drop text until there is room, but not what came last."""
        stripped = self._stripped or _Stripped()
        while self._is_full() and len(self._queue) > 1:
            oldest = self._queue.popleft()
            self._count(oldest, -1)
            self._count(stripped, -1)
            self._pressure.dropped += stripped.join_without_text(oldest)
            self._count(stripped, 1)
        self._stripped = stripped if stripped.events else None

    def _oldest(self) -> Parcel:
        stripped, self._stripped = self._stripped, None
        if stripped is None:
            return super()._oldest()
        self._count(stripped, -1)
        stripped.events = [_warning(it) if type(it) is _Gap else it for it in stripped.events]
        return stripped


_READERS: dict[Strategy, type[ReadAhead]] = {
    "fixed": ReadAhead,
    "dynamic": _Dynamic,
    "sliding": _Sliding,
}


def _warning(gap: _Gap) -> Warn:
    text = f"{gap.characters} characters were not shown: the terminal is too slow"
    return Warn("dropped", text)

"""A bounded queue between the reader of the network and a slow sink.

1. A thread of its own pulls the source and hands over what came, an arrival at a time; the
   caller's thread takes it, in order. A failure of the source comes after all that was read
   before it.
2. The queue is bounded in events and in bytes. `fixed` and `dynamic` lose nothing: when either
   bound is reached the reader waits until both are below half, and TCP slows the server down.
   `dynamic` begins with a sixteenth of the bounds, doubles them whenever the reader has to wait,
   and halves them when the queue ran empty several times without that.
3. `sliding` never waits. It drops the oldest text of the answer and the reasoning, and tells how
   much in an unstamped `warning` where the text would have been. Every other event gets through,
   whatever the bounds say. It is for a screen only.
4. A heartbeat counts nothing: those in the queue join the arrivals around them.
5. When the caller closes the stage, the source is closed by the thread that runs it, and the
   stage waits for that: for a moment, as a source pulses at least every 0.1 s.

The two threads never wait for each other at once: the caller waits only while the queue is empty,
the reader only while it is not below half, and an empty queue always is.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from typing import Literal

from chatstream.events import (
    Content,
    Event,
    Image,
    Reasoning,
    Terminal,
    ToolCall,
    ToolCallDelta,
    ToolOutput,
    Warn,
)
from chatstream.flow import Arrival, Stage, close

log = logging.getLogger(__name__)

Strategy = Literal["fixed", "dynamic", "sliding"]

MOST_EVENTS = 4096
"""Forty seconds of a quick model; with tokens of four characters, 0.7 MB."""

MOST_BYTES = 1024 * 1024

OVERHEAD = 160
"""Bytes that an event takes besides its text: the struct 40, `seq` 28, `t` 24, the head of the
string 49, its place in a list 8; `tracemalloc` finds 157 to 186 in all for a token."""

_PARTS = 16  # of the bounds: one is the most that is handed over at once, and taken at once
_CALM = 8  # times in a row that the queue runs empty before `dynamic` halves its bounds
_DELTAS = (Content, Reasoning, ToolCallDelta, ToolOutput)


class Pressure:
    """What a slow sink did to the run. Written by the reading thread, on which `seal` reads it.

    With the event that ends the run the figures are final, but for that event's own bytes.
    """

    def __init__(self) -> None:
        self.pauses = 0  # times that the reader had to wait
        self.dropped = 0  # characters that were not shown
        self.peak_bytes = 0  # the most that was held


def buffer(
    strategy: Strategy,
    pressure: Pressure,
    *,
    most_events: int = MOST_EVENTS,
    most_bytes: int = MOST_BYTES,
) -> Stage:
    """The stage for one run. One hand-over may go beyond the bounds.

    It is at most one arrival, and one read from the socket brings at most 64 KiB; as that may
    unpack to more, it is cut where it reaches a sixteenth of the bounds. An event is never cut.
    """
    return lambda events: _Buffer(strategy, pressure, most_events, most_bytes).run(events)


class _Gap(Event):
    """Stands where text was dropped."""

    characters: int


class _Parcel:
    """What is taken at once."""

    __slots__ = ("alive", "connected", "events", "has_gaps", "size", "t")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.t = -1.0
        self.connected = self.alive = False
        self.size = 0
        self.has_gaps = False

    def arrival(self) -> Arrival:
        """It as it leaves the stage."""
        if self.has_gaps:
            self.events = [_warning(it) if type(it) is _Gap else it for it in self.events]
        return Arrival(self.events, self.t, self.connected, self.alive)

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.size += _size(event)

    def join(self, newer: _Parcel) -> None:
        """Take over what follows."""
        self.events += newer.events
        self.size += newer.size
        self.heed(newer)

    def join_without_text(self, newer: _Parcel) -> int:
        """The same without the text. Returns how many characters that drops."""
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
            self.has_gaps = True

    def heed(self, newer: Arrival | _Parcel) -> None:
        """What either of two tells, the one that they become tells too."""
        self.t = newer.t
        self.connected = self.connected or newer.connected
        self.alive = self.alive or newer.alive


class _Buffer:
    def __init__(
        self, strategy: Strategy, pressure: Pressure, most_events: int, most_bytes: int
    ) -> None:
        self._strategy = strategy
        self._pressure = pressure
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._part_events = most_events // _PARTS
        self._part_bytes = most_bytes // _PARTS
        self._gathered = _Parcel()  # the reader's own until it is put into the queue
        self._failure: BaseException | None = None  # of the source; there before `_ended` is
        # What follows is read and written under the lock only.
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)  # something to take, or the end
        self._room = threading.Condition(self._lock)  # below half, or nothing is taken any more
        self._queue: deque[_Parcel] = deque()
        self._stripped = _Parcel()  # what is older than the queue and was left of its text
        self._events = 0  # in both
        self._bytes = 0
        self._parts = 1 if strategy == "dynamic" else _PARTS  # of the bounds, that count now
        self._calm = 0
        self._ended = False
        self._stopped = False

    def run(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        # A daemon: the process ends also when somebody forgot to close us.
        reader = threading.Thread(target=self._read, args=(arrivals,), name="reader", daemon=True)
        reader.start()
        try:
            while (parcel := self._take()) is not None:
                yield parcel.arrival()
        finally:
            self._stop()
            reader.join()
        if self._failure is not None:
            raise self._failure

    # The reader's thread.

    def _read(self, arrivals: Iterator[Arrival]) -> None:
        try:
            try:
                self._gather(arrivals)
            finally:
                close(arrivals)
        except BaseException as error:  # whatever it is: the caller waits for an end
            log.debug("the source failed", exc_info=True)
            self._failure = error
        with self._lock:
            self._put()
            self._ended = True
            self._ready.notify()

    def _gather(self, arrivals: Iterator[Arrival]) -> None:
        most_events, most_bytes = self._part_events, self._part_bytes
        for arrival in arrivals:
            for event in arrival.events:
                parcel = self._gathered
                if type(event) is Content or type(event) is Reasoning:
                    # Every token comes along here: `add`, without its calls.
                    text = event.delta
                    parcel.events.append(event)
                    parcel.size += OVERHEAD + (len(text) if text.isascii() else _utf8(text))
                else:
                    parcel.add(event)
                    if isinstance(event, Terminal):
                        break  # the end follows, and takes it along; nothing more needs room
                is_part = parcel.size >= most_bytes or len(parcel.events) >= most_events
                if is_part and not self._hand_over():
                    return
            else:
                self._gathered.heed(arrival)
                if not self._hand_over():
                    return

    def _hand_over(self) -> bool:
        """Put what was gathered into the queue. False: nothing is taken any more."""
        with self._lock:
            self._put()
            self._ready.notify()
            if self._strategy == "sliding":
                self._slide()
            elif self._is_full():
                self._pause()
            return not self._stopped

    def _put(self) -> None:
        parcel, self._gathered = self._gathered, _Parcel()
        last = self._queue[-1] if self._queue else None
        if last is not None and self._may_join(last, parcel):
            last.join(parcel)
        else:
            self._queue.append(parcel)
        self._count(parcel, 1)
        self._pressure.peak_bytes = max(self._pressure.peak_bytes, self._bytes)

    def _may_join(self, last: _Parcel, parcel: _Parcel) -> bool:
        """Whether both fit into one part; a pulse alone always joins, and is always joined."""
        if not (last.events and parcel.events):
            return True
        return (
            last.size + parcel.size <= self._part_bytes
            and len(last.events) + len(parcel.events) <= self._part_events
        )

    def _pause(self) -> None:
        self._pressure.pauses += 1
        self._calm = 0
        if self._strategy == "dynamic":
            self._parts = min(self._parts * 2, _PARTS)
        while not self._stopped and not self._is_low():
            self._room.wait()

    def _slide(self) -> None:
        """Drop text until there is room, but not what came last."""
        while self._is_full() and len(self._queue) > 1:
            oldest = self._queue.popleft()
            self._count(oldest, -1)
            self._count(self._stripped, -1)
            self._pressure.dropped += self._stripped.join_without_text(oldest)
            self._count(self._stripped, 1)

    # The caller's thread.

    def _take(self) -> _Parcel | None:
        """The oldest parcel; None at the end.

        Waiting here, or for the reader's end, keeps no signal out. Handlers run in the main
        thread between two instructions, and also when a signal interrupts a wait for a lock,
        which then goes on. They may find that thread holding our lock: the handler of this
        program calls `CancelToken.cancel`, which needs no lock of ours and waits for nothing, so
        it returns, and we go on to release the lock. A signal that comes in the instant before
        the wait, or that the kernel gives to the reader's thread, interrupts nothing; its handler
        runs when the wait ends. That is at the next pulse of the source, 0.1 s later at most: the
        reader hands it over, or sees that it has to end, as it is not paused in either wait.
        """
        with self._lock:
            if not self._queue:
                self._note_calm()
            while not self._queue:
                if self._ended:
                    return None
                self._ready.wait()
            parcel = self._oldest()
            if self._is_low():
                self._room.notify()
            return parcel

    def _oldest(self) -> _Parcel:
        parcel = self._stripped
        if parcel.events:
            self._stripped = _Parcel()
        else:
            parcel = self._queue.popleft()
        self._count(parcel, -1)
        return parcel

    def _note_calm(self) -> None:
        self._calm += 1
        if self._strategy == "dynamic" and self._calm % _CALM == 0:
            self._parts = max(self._parts // 2, 1)

    def _stop(self) -> None:
        """From now on nothing is taken. A reader that is paused goes on at once.

        It looks at the flag and begins to wait without letting go of the lock in between, and
        the flag is set under that lock: it either sees the flag or is waiting to be notified.
        """
        with self._lock:
            self._stopped = True
            self._room.notify()

    # Either thread, under the lock.

    def _count(self, parcel: _Parcel, sign: int) -> None:
        self._events += sign * len(parcel.events)
        self._bytes += sign * parcel.size

    def _is_full(self) -> bool:
        """At either of the bounds that count now."""
        return (
            self._events * _PARTS >= self._most_events * self._parts
            or self._bytes * _PARTS >= self._most_bytes * self._parts
        )

    def _is_low(self) -> bool:
        """Below half of both."""
        return (
            2 * self._events * _PARTS < self._most_events * self._parts
            and 2 * self._bytes * _PARTS < self._most_bytes * self._parts
        )


def _size(event: Event) -> int:
    """The bytes of an event: its text in UTF-8, and what every event takes."""
    if isinstance(event, _DELTAS):
        return OVERHEAD + _utf8(event.delta)
    if isinstance(event, Image):
        return OVERHEAD + len(event.data or "")
    return OVERHEAD + (_utf8(event.arguments) if isinstance(event, ToolCall) else 0)


def _utf8(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))  # a lone surrogate is for others to mind


def _warning(gap: _Gap) -> Warn:
    text = f"{gap.characters} characters were not shown: the terminal is too slow"
    return Warn("dropped", text)

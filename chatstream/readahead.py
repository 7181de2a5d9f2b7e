"""Sources that are read ahead of their consumer, each by a thread of its own.

1. The thread pulls its source and puts what came into a bounded queue, an arrival at a time. A
   failure of the source comes after all that was read before it.
2. The queue is bounded in events and in bytes. When either bound is reached the reader waits until
   both are below half, and TCP slows the server down. One hand-over may go beyond the bounds.
   It is at most one arrival, and one read from the socket brings at most 64 KiB; as that may
   unpack to more, it is cut where it reaches a sixteenth of the bounds. An event is never cut.
3. The consumer takes from the queues in turn, a sixteenth of the bounds at most from each, so that
   a fast source does not starve the others. It waits only while all of them are empty, so that a
   slow source does not hold up the others.
4. Arrivals of one label that wait in a queue join, up to such a sixteenth. A heartbeat counts
   nothing, and always joins the arrivals around it.
5. Where all of it is drawn, no thread needs to wake up for each token. With a `rest`, a consumer
   leaves empty queues alone for so long before it looks again, and a reader leaves its source alone
   once it has handed text over. What comes meanwhile is taken together, and what comes later than
   that wakes either of them at once.
6. When the consumer is closed, each source is closed by the thread that runs it, and the consumer
   waits for that: for a moment, as something comes from a source every 0.1 s at least.

No two threads wait for each other: the consumer waits only while every queue is empty, a reader
only while its own is not below half, and an empty queue always is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from chatstream.events import (
    Content,
    Event,
    Image,
    Reasoning,
    Terminal,
    ToolCall,
    ToolCallDelta,
    ToolComplete,
    ToolOutput,
)
from chatstream.flow import Arrival, close

log = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024

OVERHEAD_BYTES = 160
"""Bytes that an event takes besides its text: the struct 48, `seq` 28, `t` 24, the head of the
string 49, its place in a list 8; `tracemalloc` finds 157 to 186 in all for a token."""

PARTS = 16
"""Of the bounds: one part is the most that is handed over at once, and taken at once."""

_DELTAS = (Content, Reasoning, ToolCallDelta, ToolOutput)
_TEXT = frozenset({Content, Reasoning})


class Pressure:
    """What a slow consumer did to a run. Written by the reader's thread, on which `seal` reads it.

    With the event that ends a run the figures are final, but for that event's own bytes.
    """

    def __init__(self) -> None:
        self.pauses = 0  # times that the reader had to wait
        self.dropped = 0  # characters that were not shown
        self.peak_bytes = 0  # the most that was held


class Parcel(Arrival):
    """Arrivals that joined: what is taken at once."""

    connected: bool = False
    size: int = 0  # bytes

    def add(self, event: Event) -> None:
        """Add one event."""
        self.events.append(event)
        self.size += _size(event)

    def join(self, newer: Parcel) -> None:
        """Take over what follows."""
        self.events += newer.events
        self.size += newer.size
        self.heed(newer)

    def heed(self, newer: Arrival) -> None:
        """What either of the two says besides its events, this one says too."""
        self.t = newer.t
        self.connected = self.connected or newer.connected
        self.alive = self.alive or newer.alive
        self.stream = newer.stream


class Consumer:
    """The thread that takes what readers have read. All of them share its lock.

    `rest`: seconds in which empty queues are left alone.
    """

    def __init__(self, rest: float = 0.0, sleep: Callable[[float], object] = time.sleep) -> None:
        self._rest = rest
        self._sleep = sleep
        self.lock = threading.Lock()
        self.ready = threading.Condition(self.lock)  # something to take, or the end of a source

    def take(self, readers: Sequence[ReadAhead]) -> Iterator[Arrival]:
        """What all readers have read; they start with the first that is asked for.

        When all have ended, a failure of a source is raised; of several, the first in the order
        of the readers, with a note of each other one.
        """
        turns = deque(readers)  # the reader whose turn it is comes first
        try:
            for reader in readers:
                reader.start()
            while (parcel := self._next(turns)) is not None:
                yield parcel
                if self._rest and not any(reader.waits for reader in readers):
                    self._sleep(self._rest)
        finally:
            with self.lock:
                for reader in readers:
                    reader.stop()
            for reader in readers:
                reader.join()
        _raise([reader for reader in readers if reader.failure is not None])

    def _next(self, turns: deque[ReadAhead]) -> Parcel | None:
        """The oldest parcel of the reader whose turn it is; None when all have ended.

        Waiting here, or for a reader's end, keeps no signal out. Handlers run in the main
        thread between two instructions, and also when a signal interrupts a wait for a lock,
        which then goes on. They may find that thread holding our lock: the handler of this
        program calls `CancelToken.cancel`, which needs no lock of ours and waits for nothing, so
        it returns, and we go on to release the lock. A signal that comes in the instant before
        the wait, or that the kernel gives to a reader's thread, interrupts nothing; its handler
        runs when the wait ends. That is at the next arrival from a source, 0.1 s and a rest later
        at most: its reader hands it over, or sees that it has to end, as it is not paused in either
        wait.
        """
        with self.lock:
            while True:
                for _ in range(len(turns)):
                    parcel = turns[0].pop()
                    turns.rotate(-1)
                    if parcel is not None:
                        return parcel
                if all(reader.ended for reader in turns):
                    return None
                self.ready.wait()


class ReadAhead:
    """One source and its reader. `failure` is what it raised, known once it has `ended`.

    `rest`: seconds in which the source is left alone after each arrival that has text.
    """

    _parts = PARTS  # of the bounds, that count now; under the lock

    def __init__(
        self,
        source: Iterator[Arrival],
        consumer: Consumer,
        *,
        most_events: int,
        most_bytes: int = MOST_BYTES,
        pressure: Pressure | None = None,
        name: str = "reader",
        rest: float = 0.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.name = name
        self.failure: BaseException | None = None
        self.ended = False  # written under the lock, as is all that follows `_thread`
        self._source = source
        self._pressure = pressure or Pressure()
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._part_events = most_events // PARTS
        self._part_bytes = most_bytes // PARTS
        self._rest = rest
        self._sleep = sleep
        self._gathered = Parcel()  # the reader's own until it is put into the queue
        # A daemon: the process ends also when somebody forgot to close the consumer.
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._lock = consumer.lock
        self._ready = consumer.ready
        self._room = threading.Condition(self._lock)  # below half, or nothing is taken any more
        self._queue: deque[Parcel] = deque()
        self._events = 0  # in the queue
        self._bytes = 0
        self._stopped = False

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the source is closed. A reader that could not start leaves it as it is."""
        if self._thread.ident is not None:
            self._thread.join()

    # The reader's thread.

    def _read(self) -> None:
        try:
            try:
                self._gather()
            finally:
                close(self._source)
        except BaseException as error:  # whatever it is: the consumer waits for an end
            log.debug("the source of %s failed", self.name, exc_info=True)
            self.failure = error
        with self._lock:
            if self._gathered.events:
                self._put()
            self.ended = True
            self._ready.notify()

    def _gather(self) -> None:
        most_events, most_bytes = self._part_events, self._part_bytes
        for arrival in self._source:
            for event in arrival.events:
                parcel = self._gathered
                if type(event) is Content or type(event) is Reasoning:
                    # Every token comes along here: `add`, without its calls.
                    text = event.delta
                    parcel.events.append(event)
                    parcel.size += OVERHEAD_BYTES + (len(text) if text.isascii() else _utf8(text))
                else:
                    parcel.add(event)
                    if isinstance(event, Terminal):
                        parcel.heed(arrival)
                        break  # the end follows, and takes it along; nothing more needs room
                is_part = parcel.size >= most_bytes or len(parcel.events) >= most_events
                if is_part and not self._hand_over(arrival):
                    return
            else:
                if not self._hand_over(arrival):
                    return
                if self._rest and any(type(event) in _TEXT for event in arrival.events):
                    self._sleep(self._rest)

    def _hand_over(self, arrival: Arrival) -> bool:
        """Put what was gathered into the queue. False: nothing is taken any more."""
        self._gathered.heed(arrival)
        with self._lock:
            self._put()
            self._ready.notify()
            if self._is_full():
                self._make_room()
            return not self._stopped

    def _put(self) -> None:
        parcel, self._gathered = self._gathered, Parcel()
        last = self._queue[-1] if self._queue else None
        if last is not None and self._may_join(last, parcel):
            last.join(parcel)
        else:
            self._queue.append(parcel)
        self._count(parcel, 1)
        self._pressure.peak_bytes = max(self._pressure.peak_bytes, self._bytes)

    def _may_join(self, last: Parcel, parcel: Parcel) -> bool:
        """Whether both are of one label and fit into one part; a heartbeat always fits."""
        if last.stream != parcel.stream:
            return False
        if not (last.events and parcel.events):
            return True
        return (
            last.size + parcel.size <= self._part_bytes
            and len(last.events) + len(parcel.events) <= self._part_events
        )

    def _make_room(self) -> None:
        """The queue is full: wait until it is below half, or nothing is taken any more."""
        self._pressure.pauses += 1
        while not self._stopped and not self._is_low():
            self._room.wait()

    # The consumer's thread.

    @property
    def waits(self) -> bool:
        """Whether anything waits to be taken. Without the lock: more may come at any time."""
        return bool(self._queue)

    # The consumer's thread, under the lock.

    def pop(self) -> Parcel | None:
        """The oldest parcel, or None if nothing waits."""
        if not self._queue:
            return None
        parcel = self._oldest()
        if self._is_low():
            self._room.notify()
        return parcel

    def stop(self) -> None:
        """From now on nothing is taken. A reader that is paused goes on at once.

        It looks at the flag and begins to wait without letting go of the lock in between, and
        the flag is set under that lock: it either sees the flag or is waiting to be notified.
        """
        self._stopped = True
        self._room.notify()

    def _oldest(self) -> Parcel:
        parcel = self._queue.popleft()
        self._count(parcel, -1)
        return parcel

    # Either thread, under the lock.

    def _count(self, parcel: Parcel, sign: int) -> None:
        self._events += sign * len(parcel.events)
        self._bytes += sign * parcel.size

    def _is_full(self) -> bool:
        """At either of the bounds that count now."""
        return (
            self._events * PARTS >= self._most_events * self._parts
            or self._bytes * PARTS >= self._most_bytes * self._parts
        )

    def _is_low(self) -> bool:
        """Below half of both."""
        return (
            2 * self._events * PARTS < self._most_events * self._parts
            and 2 * self._bytes * PARTS < self._most_bytes * self._parts
        )


def _raise(failed: Sequence[ReadAhead]) -> None:
    """Raise the first failure, if there is one."""
    if not failed:
        return
    first, *others = failed
    for reader in others:
        assert first.failure is not None
        what = f"{type(reader.failure).__name__}: {reader.failure}"
        first.failure.add_note(f"{reader.name} failed too: {what}")
    assert first.failure is not None
    raise first.failure


def _size(event: Event) -> int:
    """The bytes of an event: its text in UTF-8, and what every event takes."""
    if isinstance(event, _DELTAS):
        return OVERHEAD_BYTES + _utf8(event.delta)
    if isinstance(event, Image):
        return OVERHEAD_BYTES + len(event.data or "")
    if isinstance(event, ToolComplete):
        return OVERHEAD_BYTES + _utf8(event.result)
    return OVERHEAD_BYTES + (_utf8(event.arguments) if isinstance(event, ToolCall) else 0)


def _utf8(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))  # a lone surrogate is for others to mind

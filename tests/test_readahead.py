"""Claimed: readers share one consumer fairly; tests/stages/test_buffer.py is about one reader."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from chatstream.events import (
    Content,
    Event,
    Image,
    Metadata,
    Reasoning,
    ToolCall,
    ToolCallDelta,
    ToolComplete,
    ToolOutput,
    Usage,
)
from chatstream.flow import Arrival, close, events_in
from chatstream.readahead import OVERHEAD_BYTES, PARTS, Consumer, Pressure, ReadAhead
from tests.support.arrivals import each, events_of
from tests.support.readers import Closing, Step, Watched, close_in_time, numbered, source, until

MOST = 256


def taken(*sources: Iterator[Arrival], most_events: int = MOST) -> Iterator[Arrival]:
    consumer = Consumer()
    return consumer.take(
        [
            ReadAhead(it, consumer, most_events=most_events, name=f"reader {number}")
            for number, it in enumerate(sources, 1)
        ]
    )


SIZES: list[Any] = [
    pytest.param(Content("abc"), 3, id="ascii"),
    pytest.param(Content("é汉🚀"), 2 + 3 + 4, id="utf-8"),
    pytest.param(Content("\ud83d"), 3, id="a-lone-surrogate"),
    pytest.param(Reasoning("é"), 2, id="reasoning"),
    pytest.param(ToolCallDelta("id", "name", "é"), 2, id="tool-call-delta"),
    pytest.param(ToolOutput("id", "name", "é"), 2, id="tool-output"),
    pytest.param(ToolCall("id", "name", '{"é":1}'), 8, id="tool-call"),
    pytest.param(ToolComplete("id", "name", "é", 0.1), 2, id="tool-complete"),
    pytest.param(Image(data="AAAA"), 4, id="image"),
    pytest.param(Image(url="https://a.example/"), 0, id="image-elsewhere"),
    pytest.param(Usage(), 0, id="no-text"),
]


@pytest.mark.parametrize(("event", "size"), SIZES)
def test_the_size_of_an_event_is_that_of_its_text_and_of_itself(event: Event, size: int) -> None:
    pressure, consumer = Pressure(), Consumer()
    reader = ReadAhead(each(event), consumer, most_events=MOST, pressure=pressure)
    assert events_of(consumer.take([reader])) == [event]
    assert pressure.peak_bytes == OVERHEAD_BYTES + size


def test_no_reader_is_the_end() -> None:
    assert list(taken()) == []


def test_a_source_that_has_filled_its_queue_does_not_starve_another() -> None:
    """What the other one has read is taken within two turns."""
    consumer, pressure, is_read = Consumer(), Watched(), threading.Event()

    def endless() -> Iterator[Arrival]:
        while True:
            yield Arrival(numbered(1))

    def late() -> Iterator[Arrival]:
        until(pressure.paused)
        yield Arrival([Usage()])
        is_read.set()

    arrivals = consumer.take(
        [
            ReadAhead(endless(), consumer, most_events=MOST, pressure=pressure),
            ReadAhead(late(), consumer, most_events=MOST),
        ]
    )
    next(arrivals)
    until(is_read)
    soon = events_of(islice(arrivals, 4 * MOST))
    close_in_time(arrivals)
    assert soon.index(Usage()) <= 2 * MOST // PARTS


@pytest.mark.parametrize("others", [0, 1])
def test_what_comes_during_a_rest_is_taken_together(others: int) -> None:
    """A source that has ended changes nothing."""
    rested, has_come = threading.Event(), threading.Event()
    rests = []

    def steps() -> Iterator[Arrival]:
        yield Arrival([Content("a")])
        until(rested)
        yield Arrival([Content("b")])
        yield Arrival([Content("c")])
        has_come.set()

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        rested.set()
        until(has_come)

    consumer = Consumer(0.5, sleep)
    ended: list[Iterator[Arrival]] = [iter(())] * others
    readers = [ReadAhead(it, consumer, most_events=MOST) for it in [*ended, steps()]]
    assert [it.events for it in consumer.take(readers)] == [
        [Content("a")],
        [Content("b"), Content("c")],
    ]
    assert set(rests) == {0.5}


def test_a_reader_rests_after_text_and_never_before_the_first() -> None:
    wire = [
        Arrival([Metadata()]),
        Arrival(),
        Arrival([Content("a")]),
        Arrival(),
        Arrival([Usage()]),
    ]
    wire += [Arrival([Reasoning("b")]), Arrival([Content("c"), Usage()]), Arrival()]
    rests: list[tuple[int, float]] = []
    consumer, left = Consumer(), [*wire]

    def steps() -> Iterator[Arrival]:
        while left:
            yield left.pop(0)

    def sleep(seconds: float) -> None:
        rests.append((len(wire) - len(left), seconds))

    reader = ReadAhead(steps(), consumer, most_events=MOST, rest=0.25, sleep=sleep)
    texts = [
        it.delta for it in events_of(consumer.take([reader])) if isinstance(it, Content | Reasoning)
    ]
    assert texts == ["a", "b", "c"]
    assert rests == [(3, 0.25), (6, 0.25), (7, 0.25)]


def test_text_is_there_to_be_taken_while_its_reader_rests() -> None:
    is_taken = threading.Event()
    consumer = Consumer()
    reader = ReadAhead(
        each(Content("a")), consumer, most_events=MOST, rest=0.25, sleep=lambda _: until(is_taken)
    )
    arrivals = consumer.take([reader])
    assert next(arrivals).events == [Content("a")]
    is_taken.set()
    assert list(arrivals) == []


def test_tokens_that_come_during_a_rest_are_one_read() -> None:
    """Three tokens come in the time of a rest: a third of the reads, and no token is lost."""
    on_the_wire: list[Event] = [Content("0")]
    reads = 0

    def socket() -> Iterator[Arrival]:
        nonlocal reads
        while on_the_wire:
            reads += 1
            events = [*on_the_wire]
            on_the_wire.clear()
            yield Arrival(events)

    def sleep(_: float) -> None:
        if (number := len(sent)) < 300:
            on_the_wire.extend(Content(str(number + it)) for it in range(3))
            sent.extend(on_the_wire)

    sent: list[Event] = [*on_the_wire]
    consumer = Consumer()
    reader = ReadAhead(socket(), consumer, most_events=MOST, rest=0.25, sleep=sleep)
    assert events_of(consumer.take([reader])) == sent
    assert reads == 1 + len(sent) // 3


def test_a_source_that_is_silent_does_not_hold_up_another() -> None:
    is_over = threading.Event()
    silent: list[Step] = [lambda: until(is_over), Usage()]
    got: list[Event] = []
    for event in events_in(taken(source(*silent), source(*numbered(2000)))):
        got.append(event)
        if len(got) == 2000:
            is_over.set()
    assert got == [*numbered(2000), Usage()]


def test_the_first_failure_is_raised_at_the_end_with_a_note_of_the_others() -> None:
    failed = threading.Event()

    def failing() -> Iterator[Arrival]:
        try:
            yield Arrival([Content("a")])
            raise ValueError("m")
        finally:
            failed.set()

    def goes_on() -> Iterator[Arrival]:
        until(failed)
        yield from each(*numbered(1000))

    arrivals = taken(goes_on(), failing(), source(KeyError("k")))
    got: list[Event] = []
    with pytest.raises(ValueError, match="m") as caught:
        got.extend(events_in(arrivals))
    assert caught.value.__notes__ == ["reader 3 failed too: KeyError: 'k'"]
    assert sorted(str(event) for event in got) == sorted(
        str(event) for event in [Content("a"), *numbered(1000)]
    )


def test_closing_stops_every_reader_and_waits_for_it() -> None:
    sources = [Closing(*numbered(n), Arrival()) for n in (0, 1, 300)]
    events = taken(*(it() for it in sources))
    next(events)
    close_in_time(events)
    for it in sources:
        assert it.read_on is not None
        assert it.closed_on is it.read_on
        assert not it.read_on.is_alive()


def test_a_reader_that_cannot_start_stops_those_that_have(monkeypatch: pytest.MonkeyPatch) -> None:
    began, start = Closing(), threading.Thread.start
    second = source(Content("never read"))

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "reader 2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    events = taken(began(), second)
    with pytest.raises(RuntimeError, match="can't start"):
        next(events)
    assert began.read_on is not None
    assert not began.read_on.is_alive()
    close(second)

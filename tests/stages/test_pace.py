"""Claimed: events come when their time has come, and sinks are never left waiting meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.clock import POLL_SECONDS
from chatstream.events import Content, Event
from chatstream.flow import Pulse, close
from chatstream.stages.pace import pace

BEGAN = 1000.0


class Time:
    """A clock, and a sleep that moves it and is cut short at `end`."""

    def __init__(self, end: float = float("inf")) -> None:
        self.now = BEGAN
        self.slept: list[float] = []
        self._end = end

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += seconds
        return self.now >= BEGAN + self._end


def at(*times: float) -> list[Event]:
    return [Content(str(number), seq=number, t=t) for number, t in enumerate(times)]


def played(events: list[Event], time: Time, speed: float = 1.0) -> list[tuple[float, Event]]:
    """What passes, and after how many seconds."""
    stage = pace(speed, time.sleep, time.clock)
    return [(round(time.now - BEGAN, 6), event) for event in stage(iter(events))]


def times(passed: list[tuple[float, Event]]) -> list[float]:
    return [time for time, event in passed if not isinstance(event, Pulse)]


@pytest.mark.parametrize(
    ("speed", "expected"), [(1.0, [0, 1, 1, 3]), (2.0, [0, 0.5, 0.5, 1.5]), (0.5, [0, 2, 2, 6])]
)
def test_events_come_at_the_pace_they_had_divided_by_the_speed(
    speed: float, expected: list[float]
) -> None:
    events = at(0, 1, 1, 3)
    passed = played(events, Time(), speed)
    assert times(passed) == expected
    assert [event for _, event in passed if not isinstance(event, Pulse)] == events


def test_times_count_from_the_first_event() -> None:
    assert times(played(at(60, 61), Time())) == [0, 1]


def test_nobody_waits_for_the_first_event() -> None:
    ((_, first), *_) = played(at(60, 61), Time())
    assert isinstance(first, Content)


def test_before_it_waits_it_pulses_and_then_every_tenth_of_a_second() -> None:
    passed = played(at(0, 1), Time())
    pulses = [time for time, event in passed if isinstance(event, Pulse)]
    assert pulses == [round(number * POLL_SECONDS, 6) for number in range(10)]


def test_no_sleep_is_longer_than_a_tenth_of_a_second_or_than_needed() -> None:
    time = Time()
    played(at(0, 0.25), time)
    assert [round(seconds, 6) for seconds in time.slept] == [0.1, 0.1, 0.05]


def test_what_is_late_is_passed_on_at_once() -> None:
    time = Time()

    def live() -> Iterator[Event]:
        for event in at(0, 1, 2):
            yield event
            time.now += 1.5  # the source itself takes its time

    passed = list(pace(1.0, time.sleep, time.clock)(live()))
    assert [type(event) for event in passed] == [Content, Content, Content]
    assert time.slept == []


def test_a_delay_of_the_reader_is_made_up_for() -> None:
    time = Time()
    seen = []
    for event in pace(1.0, time.sleep, time.clock)(iter(at(0, 1, 2))):
        if isinstance(event, Content):
            seen.append(round(time.now - BEGAN, 6))
            if event.seq == 0:
                time.now += 1.7  # drawing it took that long
    assert seen == [0, 1.7, 2]


def test_an_event_without_a_time_is_passed_on_at_once() -> None:
    assert times(played([*at(5, 6), Content("unstamped")], Time())) == [0, 1, 1]


def test_pulses_of_the_source_pass() -> None:
    time = Time()
    pulse = Pulse(connected=False)
    assert list(pace(1.0, time.sleep, time.clock)(iter([pulse]))) == [pulse]
    assert time.slept == []


def test_a_sleep_that_is_cut_short_ends_the_events_and_closes_the_source() -> None:
    closed = []

    def source() -> Iterator[Event]:
        try:
            yield from at(0, 10, 20)
        finally:
            closed.append(True)

    time, events = Time(end=0.3), source()
    passed = list(pace(1.0, time.sleep, time.clock)(events))
    assert [event for event in passed if not isinstance(event, Pulse)] == at(0)
    assert len(time.slept) == 3
    assert closed == [True]


def test_closing_the_events_closes_the_source() -> None:
    closed = []

    def source() -> Iterator[Event]:
        try:
            yield from at(0, 1)
        finally:
            closed.append(True)

    time, events = Time(), source()
    paced = pace(1.0, time.sleep, time.clock)(events)
    next(paced)
    close(paced)
    assert closed == [True]

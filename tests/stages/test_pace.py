"""Claimed: events come when their time has come, and sinks are never left waiting meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.clock import POLL_SECONDS
from chatstream.events import Content, Event
from chatstream.flow import Arrival, close, events_in
from chatstream.stages.pace import pace
from tests.support.arrivals import each

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


Passed = list[tuple[float, list[Event]]]


def played(events: list[Event], time: Time, speed: float = 1.0) -> Passed:
    """What passes of events that come one by one, and after how many seconds."""
    stage = pace(speed, time.sleep, time.clock)
    return [(round(time.now - BEGAN, 6), arrival.events) for arrival in stage(each(*events))]


def times(passed: Passed) -> list[float]:
    return [time for time, events in passed for _ in events]


@pytest.mark.parametrize(
    ("speed", "expected"), [(1.0, [0, 1, 1, 3]), (2.0, [0, 0.5, 0.5, 1.5]), (0.5, [0, 2, 2, 6])]
)
def test_events_come_at_the_pace_they_had_divided_by_the_speed(
    speed: float, expected: list[float]
) -> None:
    events = at(0, 1, 1, 3)
    passed = played(events, Time(), speed)
    assert times(passed) == expected
    assert [event for _, came in passed for event in came] == events


def test_events_of_one_arrival_come_at_the_pace_they_had() -> None:
    time = Time()
    stage = pace(1.0, time.sleep, time.clock)
    came = [time.now - BEGAN for _ in events_in(stage(iter([Arrival(at(0, 1, 1, 3))])))]
    assert [round(seconds, 6) for seconds in came] == [0, 1, 1, 3]


def test_times_count_from_the_first_event() -> None:
    assert times(played(at(60, 61), Time())) == [0, 1]


def test_nobody_waits_for_the_first_event() -> None:
    ((_, first), *_) = played(at(60, 61), Time())
    assert first


def test_a_heartbeat_comes_before_it_waits_and_then_every_tenth_of_a_second() -> None:
    passed = played(at(0, 1), Time())
    heartbeats = [time for time, events in passed if not events]
    assert heartbeats == [round(number * POLL_SECONDS, 6) for number in range(10)]


def test_no_sleep_is_longer_than_a_tenth_of_a_second_or_than_needed() -> None:
    time = Time()
    played(at(0, 0.25), time)
    assert [round(seconds, 6) for seconds in time.slept] == [0.1, 0.1, 0.05]


def test_what_is_late_is_passed_on_at_once() -> None:
    time = Time()

    def live() -> Iterator[Arrival]:
        for arrival in each(*at(0, 1, 2)):
            yield arrival
            time.now += 1.5  # the source itself takes its time

    passed = list(pace(1.0, time.sleep, time.clock)(live()))
    assert [arrival.events for arrival in passed] == [[event] for event in at(0, 1, 2)]
    assert time.slept == []


def test_a_delay_of_the_reader_is_made_up_for() -> None:
    time = Time()
    seen = []
    for event in events_in(pace(1.0, time.sleep, time.clock)(each(*at(0, 1, 2)))):
        seen.append(round(time.now - BEGAN, 6))
        if event.seq == 0:
            time.now += 1.7  # drawing it took that long
    assert seen == [0, 1.7, 2]


def test_an_event_without_a_time_is_passed_on_at_once() -> None:
    assert times(played([*at(5, 6), Content("unstamped")], Time())) == [0, 1, 1]


def test_heartbeats_of_the_source_pass() -> None:
    time = Time()
    heartbeat = Arrival(connected=False)
    assert list(pace(1.0, time.sleep, time.clock)(iter([heartbeat]))) == [heartbeat]
    assert time.slept == []


def test_a_sleep_that_is_cut_short_ends_the_events_and_closes_the_source() -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            yield from each(*at(0, 10, 20))
        finally:
            closed.append(True)

    time, events = Time(end=0.3), source()
    assert list(events_in(pace(1.0, time.sleep, time.clock)(events))) == at(0)
    assert len(time.slept) == 3
    assert closed == [True]


def test_closing_the_events_closes_the_source() -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            yield from each(*at(0, 1))
        finally:
            closed.append(True)

    time, events = Time(), source()
    paced = pace(1.0, time.sleep, time.clock)(events)
    next(paced)
    close(paced)
    assert closed == [True]

"""Progress never goes backwards, honours its weights, and promises nothing that it cannot know."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.progressing import ETA_FRACTION, ETA_SECONDS, Meter


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Step = tuple[float, Callable[[Meter], None]]

ANY_NUMBER = st.one_of(
    st.floats(), st.integers(-3, 30), st.none(), st.just(10**400), st.just("much")
)
WEIGHTS = st.lists(st.tuples(st.text(max_size=3), st.floats(0.001, 1000) | ANY_NUMBER), max_size=5)
SANE_WEIGHTS = st.lists(st.tuples(st.text(max_size=3), st.floats(0.001, 1000)), min_size=1)


def reporting(done: Any, total: Any) -> Callable[[Meter], None]:
    return lambda meter: meter.report(done, total)


def planning(stages: Any) -> Callable[[Meter], None]:
    return lambda meter: meter.plan(stages)


NONSENSE: st.SearchStrategy[Step] = st.tuples(
    st.floats(0, 100),
    st.one_of(
        st.builds(reporting, ANY_NUMBER, ANY_NUMBER),
        st.builds(reporting, st.integers(0, 10), st.sampled_from([10, 20, 5])),
        st.just(Meter.next_stage),
        st.builds(planning, WEIGHTS),
    ),
)


@given(WEIGHTS, st.lists(NONSENSE, max_size=60))
def test_whatever_is_reported_the_fraction_never_goes_backwards(
    stages: list[tuple[str, Any]], steps: list[Step]
) -> None:
    time = Time()
    meter = Meter(stages, time)
    before: float | None = None
    for seconds, step in steps:
        time.now += seconds
        step(meter)
        fraction = meter.fraction
        if before is not None:
            assert fraction is not None
            assert fraction >= before
        assert fraction is None or 0.0 <= fraction <= 1.0
        before = fraction


@given(WEIGHTS, st.lists(NONSENSE, max_size=60))
def test_whatever_is_reported_the_eta_comes_late_and_never_grows(
    stages: list[tuple[str, Any]], steps: list[Step]
) -> None:
    time = Time()
    meter = Meter(stages, time)
    told = math.inf
    for seconds, step in steps:
        time.now += seconds
        step(meter)
        eta = meter.eta()
        if eta is None:
            continue
        assert time.now - 1000.0 >= ETA_SECONDS
        assert (meter.fraction or 0.0) >= ETA_FRACTION
        assert 0.0 <= eta <= told
        told = eta


@given(SANE_WEIGHTS, st.data())
def test_weights_are_honoured_exactly(stages: list[tuple[str, float]], data: st.DataObject) -> None:
    meter = Meter(stages, Time())
    whole = math.fsum(weight for _, weight in stages)
    index = data.draw(st.integers(0, len(stages) - 1))
    done = data.draw(st.integers(0, 9))
    for _ in range(index):
        meter.next_stage()
    meter.report(done, 10)
    finished = math.fsum(weight for _, weight in stages[:index])
    assert meter.stage == stages[index][0]
    assert meter.fraction == pytest.approx((finished + stages[index][1] * done / 10) / whole)


@given(SANE_WEIGHTS, st.integers(1, 7))
def test_it_is_whole_with_the_last_stage_and_not_before(
    stages: list[tuple[str, float]], steps: int
) -> None:
    meter = Meter(stages, Time())
    for number in range(len(stages)):
        for done in range(1, steps + 1):
            assert meter.fraction is not None
            assert meter.fraction < 1.0
            meter.report(done, steps)
            assert meter.stage == stages[number][0]
    assert meter.fraction == 1.0


def test_an_end_is_whole_whatever_was_reported() -> None:
    meter = Meter([("fetch", 1), ("index", 3)], Time())
    meter.report(1, 7)
    meter.finish()
    assert (meter.fraction, meter.percentage) == (1.0, 100.0)


def test_nothing_is_known_until_something_is_planned_or_has_a_total() -> None:
    meter = Meter(clock=Time())
    assert meter.fraction is None
    meter.report(7)
    assert meter.fraction is None
    assert meter.event().current == 7.0
    meter.report(7, 0)
    assert meter.fraction is None
    meter.report(7, 14)
    assert meter.fraction == 0.5


def test_a_planned_stage_is_known_to_have_done_nothing() -> None:
    assert Meter([("fetch", 1)], Time()).fraction == 0.0


def test_a_report_of_its_total_ends_a_stage_and_the_next_report_is_of_the_next_one() -> None:
    meter = Meter([("fetch", 1), ("index", 3)], Time())
    meter.report(5, 5)
    assert (meter.stage, meter.fraction) == ("fetch", 0.25)
    meter.report(1, 2)
    assert (meter.stage, meter.fraction) == ("index", 0.625)


def test_the_next_stage_after_a_whole_one_skips_none() -> None:
    meter = Meter([("a", 1), ("b", 1), ("c", 2)], Time())
    meter.report(5, 5)
    meter.next_stage()
    assert (meter.stage, meter.fraction) == ("b", 0.25)


def test_a_skipped_stage_has_ended() -> None:
    meter = Meter([("a", 1), ("b", 1), ("c", 2)], Time())
    meter.next_stage()
    meter.next_stage()
    assert (meter.stage, meter.fraction) == ("c", 0.5)


def test_more_than_the_total_is_the_total() -> None:
    meter = Meter([("a", 1), ("b", 1)], Time())
    meter.report(12, 10)
    assert (meter.fraction, meter.current) == (0.5, 10.0)


def test_a_report_without_a_total_is_of_the_last_one() -> None:
    meter = Meter(clock=Time())
    meter.report(1, 10)
    meter.report(5)
    assert meter.fraction == 0.5


def test_stages_that_are_planned_late_share_what_is_left() -> None:
    meter = Meter(clock=Time())
    meter.report(1, 2)
    meter.plan([("fetch", 1), ("index", 1)])
    assert meter.fraction == 0.5
    meter.next_stage()
    assert meter.fraction == 0.75


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, None])
def test_a_weight_that_is_not_above_zero_is_no_share(weight: Any) -> None:
    meter = Meter([("a", weight), ("b", 1)], Time())
    meter.next_stage()
    assert meter.fraction == 0.0
    meter.report(1, 2)
    assert meter.fraction == 0.5


def test_a_last_stage_of_no_weight_to_speak_of_still_has_to_end() -> None:
    meter = Meter([("a", 1), ("b", 1e-20)], Time())
    meter.next_stage()
    assert meter.fraction is not None
    assert 0.99 < meter.fraction < 1.0
    meter.next_stage()
    assert meter.fraction == 1.0


def test_stages_without_any_weight_share_alike() -> None:
    meter = Meter([("a", 0), ("b", 0)], Time())
    meter.next_stage()
    assert meter.fraction == 0.5


def test_weights_of_any_size_can_be_summed() -> None:
    meter = Meter([("a", 1e308), ("b", 1e308)], Time())
    meter.next_stage()
    assert meter.fraction == 0.5


def test_the_eta_of_steady_work_is_right() -> None:
    time = Time()
    meter = Meter(clock=time)
    for second in range(1, 101):
        time.now += 1.0
        meter.report(second, 100)
        eta = meter.eta()
        assert eta == (None if second < 5 else pytest.approx(100 - second))


def test_there_is_no_eta_before_two_seconds_however_much_is_done() -> None:
    time = Time()
    meter = Meter(clock=time)
    meter.report(9, 10)
    time.now += 1.9
    assert meter.eta() is None
    time.now += 0.1
    assert meter.eta() == pytest.approx(2 / 9)


def test_between_reports_the_eta_counts_down() -> None:
    time = Time()
    meter = Meter(clock=time)
    time.now += 10.0
    meter.report(50, 100)
    assert meter.eta() == pytest.approx(10.0)
    time.now += 0.1
    first = meter.eta()
    assert first is not None
    assert first < 10.0


def test_an_eta_that_turns_out_to_be_wrong_by_far_is_withdrawn_and_comes_back() -> None:
    time = Time()
    meter = Meter(clock=time)
    time.now += 10.0
    meter.report(90, 100)
    told = meter.eta()
    assert told is not None
    assert told == pytest.approx(10 / 9)
    time.now += 60.0  # nothing happens for a minute: 8 s are left at this pace
    meter.report(91, 100)
    assert meter.eta() is None
    time.now += 1.0
    meter.report(98, 100)
    again = meter.eta()
    assert again is not None
    assert again <= told


def test_the_eta_is_smoothed() -> None:
    time = Time()
    meter = Meter(clock=time)
    time.now += 10.0
    meter.report(10, 100)
    assert meter.eta() == pytest.approx(90.0)
    time.now += 0.5
    meter.report(50, 100)  # a leap: 10.5 s are left at the mean pace
    eta = meter.eta()
    assert eta is not None
    assert 60.0 < eta < 90.0


def test_an_event_has_it_all() -> None:
    time = Time()
    meter = Meter([("fetch", 1), ("index", 2)], time)
    meter.report(5, 5, "fetched")
    time.now += 4.0
    event = meter.event()
    assert (event.stage, event.current, event.total, event.message) == ("fetch", 5, 5, "fetched")
    assert (event.percentage, event.elapsed, event.eta) == (33.33, 4.0, 8.0)


def test_an_event_says_100_percent_only_at_the_end() -> None:
    meter = Meter(clock=Time())
    meter.report(999_999, 1_000_000)
    assert meter.event().percentage == 99.99
    meter.report(1_000_000)
    assert meter.event().percentage == 100.0

"""Claimed: every run is counted once, as what it was, and figures equal those of `bench`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.bench.stats import fewest_for
from chatstream.stats.reckoning import UNKNOWN, By, grouped, total
from chatstream.store.figures import UNREADABLE, Figures

OUTCOMES = ["complete", "cancelled", "rate_limited", "truncated", "interrupted", "damaged"]


def run(outcome: str = "complete", **changes: Any) -> Figures:
    fields = {"id": "1", "started_at": "2026-11-20T10:30:00.000Z", "outcome": outcome}
    return Figures(**{**fields, "model": "m", "provider": "p", **changes})


RUNS = st.lists(
    st.builds(
        run,
        st.sampled_from(OUTCOMES),
        model=st.sampled_from(["a", "b", None]),
        provider=st.sampled_from(["x", "y", None]),
        ttft=st.none() | st.floats(0.001, 100),
        retries=st.none() | st.integers(0, 3),
        fallbacks=st.none() | st.integers(0, 1),
        continues=st.sampled_from([None, "0"]),
        output_tokens=st.none() | st.integers(0, 1000),
        dollars=st.none() | st.sampled_from([0.0, 0.25, 0.5]),
        started_at=st.sampled_from(["2026-11-20T10:30:00.000Z", "2026-11-21T23:30:00.000Z", "?"]),
    ),
    max_size=60,
)


@given(RUNS)
def test_every_run_is_whole_or_stopped_or_failed(runs: list[Figures]) -> None:
    it = total(runs)
    assert it.whole + it.stopped + it.failed == it.runs == len(runs)
    assert sum(it.outcomes.values()) == it.runs
    assert sum(it.failures.values()) == it.failed
    assert it.recovered <= min(it.troubled, it.whole)


@given(RUNS, st.sampled_from(By))
def test_the_groups_together_are_all_runs(runs: list[Figures], by: By) -> None:
    whole, groups = total(runs), grouped(runs, by)
    assert len({it.name for it in groups}) == len(groups)
    assert all(it.runs and it.by is by for it in groups)
    for name in ("runs", "whole", "stopped", "failed", "output_tokens", "cost_unknown"):
        assert sum(getattr(it, name) for it in groups) == getattr(whole, name)
    for name in ("retries", "fallbacks", "resumed", "troubled", "recovered"):
        assert sum(getattr(it, name) for it in groups) == getattr(whole, name)
    costs = [it.cost for it in groups if it.cost is not None]
    assert (sum(costs) if costs else None) == whole.cost


@given(st.lists(st.floats(0.001, 100), max_size=400))
def test_percentiles_are_nearest_ranks_and_left_out_for_too_few_runs(values: list[float]) -> None:
    runs = [run(ttft=it, tokens_per_second=1 / it) for it in values]
    found, pace = total([*runs, run()]).ttft, total([*runs, run()]).tokens_per_second
    ordered = sorted(values)
    assert found.n == pace.n == len(values)
    assert found.p50 == (statistics.median(values) if values else None)
    for q, time_, speed in ((0.9, found.p90, pace.p10), (0.99, found.p99, pace.p01)):
        if len(values) < fewest_for(q):
            assert time_ is speed is None
        else:
            assert time_ == ordered[math.ceil(q * len(values)) - 1]
            assert speed == pytest.approx(1 / time_)  # the slowest are the same runs


def test_a_paused_turn_and_an_unreadable_journal_are_no_successes() -> None:
    it = total([run(finish_reason="paused"), run(UNREADABLE), run(), run("cancelled")])
    assert (it.whole, it.stopped, it.failed) == (1, 1, 2)
    assert it.failures == {"paused": 1, UNREADABLE: 1}


def test_a_run_has_recovered_if_it_is_whole_though_it_was_in_trouble() -> None:
    runs = [
        run(retries=2),
        run("stalled", retries=1, fallbacks=1),
        run(continues="0"),
        run(retries=0, fallbacks=0),
        run(retries=None),
    ]
    it = total(runs)
    assert (it.retries, it.fallbacks, it.resumed) == (3, 1, 1)
    assert (it.troubled, it.recovered) == (3, 2)


def test_an_unknown_cost_is_no_zero_and_one_estimate_makes_an_estimate() -> None:
    assert total([run()]).cost is None
    free = total([run(dollars=0.0, estimated=0)])
    assert (free.cost, free.cost_estimated, free.cost_unknown) == (0.0, False, 0)
    mixed = total([run(dollars=0.1, estimated=0), run(dollars=0.2, estimated=1), run()])
    assert (mixed.cost, mixed.cost_estimated, mixed.cost_unknown) == (0.3, True, 1)


def test_nothing_is_a_total_too() -> None:
    it = total([])
    assert (it.runs, it.first, it.ttft.p50, it.cost, it.outcomes) == (0, None, None, None, {})
    assert grouped([], By.DAY) == []


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.MODEL, ["b@y", UNKNOWN, "a@x"]),
        (By.PROVIDER, ["y", UNKNOWN, "x"]),
        (By.DAY, ["2026-11-20", "2026-11-21"]),
        (By.HOUR, ["2026-11-20 23:00", "2026-11-21 00:00"]),
        (By.PROJECT, [UNKNOWN, "site"]),
        (By.AGENT, [UNKNOWN]),
    ],
)
def test_groups_have_the_names_that_people_use(
    by: By, names: list[str], move: Callable[[str], None]
) -> None:
    move("Europe/Berlin")
    early, late = "2026-11-20T22:59:00.000Z", "2026-11-20T23:00:00.000Z"
    runs = [
        run(model="a", provider="x", started_at=late, project="site"),
        run(model="b", provider="y", started_at=early),
        run(model="b", provider="y", started_at=early),
        run(model=None, provider=None, started_at=early),
    ]
    assert [it.name for it in grouped(runs, by)] == names

"""Claimed: cold and cancelled runs enter no figure, and a failed run counts exactly once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.bench.metrics import METRICS, summarize, summed, throughput, values_of
from chatstream.bench.result import OK, Arm, Sample, Stall

FAILURES = [
    "truncated",
    "stream_error",
    "http_429",
    "reset",
    "connect",
    "timeout_first_token",
    "timeout_total",
]


def whole(**changes: Any) -> Sample:
    """A run of 9 tokens in 4 arrivals, two tokens in the first."""
    fields: dict[str, Any] = {
        "number": 1,
        "arm": "a",
        "late": 0.125,
        "dns": 0.25,
        "tcp": 0.5,
        "ttfb": 0.75,
        "ttft": 1.0,
        "ttfa": 1.5,
        "duration": 4.5,
        "tokens": 9,
        "first_tokens": 2.0,
        "tpot": 0.5,
        "arrivals": [1.0, 1.5, 2.5, 4.5],
        "stalls": [Stall(2.5, 2.0)],
    }
    return Sample(**fields | changes)


def bare(**changes: Any) -> Sample:
    """A run that is ok and has nothing: no token came, on a connection that was there."""
    return Sample(number=1, arm="a", reused=True, **changes)


EXPECTED: dict[str, list[float]] = {
    "ttft": [1.0],
    "ttfa": [1.5],
    "ttfb": [0.75],
    "tpot": [0.5],
    "gap": [0.5, 1.0, 2.0],
    "tokens_per_second": [(9 - 2) / (4.5 - 1.0)],
    "duration": [4.5],
    "connect": [0.75],
    "late_ttft": [1.125],
    "stalls": [1.0],
}


def test_every_metric_tells_what_its_name_says() -> None:
    assert {name: values_of(name, [whole()]) for name in METRICS} == EXPECTED


@pytest.mark.parametrize("metric", METRICS)
def test_a_run_that_does_not_have_it_adds_nothing(metric: str) -> None:
    assert values_of(metric, [bare()]) == ([0.0] if metric == "stalls" else [])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("status", FAILURES)
@pytest.mark.parametrize("make", [whole, bare])
def test_a_failed_run_is_one_worst_value_whatever_it_got(
    metric: str, status: str, make: Callable[..., Sample]
) -> None:
    worst = 0.0 if metric == "tokens_per_second" else math.inf
    assert values_of(metric, [make(status=status)]) == [worst]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("status", [OK, "truncated"])
def test_a_cold_run_enters_nothing(metric: str, status: str) -> None:
    assert values_of(metric, [whole(cold=True, status=status)]) == []
    assert summarize(metric, [whole(cold=True, status=status)]).n == 0
    assert summarize(metric, [whole(cold=True, status=status), whole()]).failed == 0


@pytest.mark.parametrize("metric", METRICS)
def test_a_run_that_the_user_ended_says_nothing_of_the_server(metric: str) -> None:
    assert values_of(metric, [whole(status="cancelled")]) == []
    assert summarize(metric, [whole(), whole(status="cancelled")]).failed == 0


def test_gaps_are_pooled_over_runs() -> None:
    runs = [whole(), whole(arrivals=[1.0, 4.0]), whole(arrivals=[1.0]), whole(status="reset")]
    assert values_of("gap", runs) == [0.5, 1.0, 2.0, 3.0, math.inf]


def test_late_ttft_of_a_run_without_a_token_is_none() -> None:
    assert values_of("late_ttft", [bare(late=3.0)]) == []


def test_the_value_of_a_failed_run_can_be_chosen() -> None:
    runs = [whole(), whole(status="reset")]
    assert values_of("ttft", runs, of_failed=-math.inf) == [1.0, -math.inf]
    assert values_of("ttft", runs, of_failed=0.0) == [1.0, 0.0]


# ---- summaries


def test_a_summary_is_of_the_runs_that_are_not_cold() -> None:
    runs = [whole(cold=True, ttft=50.0), *(whole(ttft=float(n)) for n in range(1, 8))]
    it = summarize("ttft", runs)
    assert (it.n, it.failed, it.median, it.min, it.max) == (7, 0, 4.0, 1.0, 7.0)
    assert (it.low, it.high) == (1.0, 7.0)  # the exact interval of the median, n = 7
    assert (it.p90, it.p95, it.p99) == (None, None, None)


def test_percentiles_come_with_enough_runs() -> None:
    def of(n: int) -> tuple[float | None, ...]:
        it = summarize("ttft", [whole(ttft=float(k)) for k in range(1, n + 1)])
        return it.p90, it.p95, it.p99

    assert of(28) == (None, None, None)
    assert of(29) == (27.0, None, None)
    assert of(59) == (54.0, 57.0, None)
    assert of(299) == (270.0, 285.0, 297.0)


def test_failures_are_told_and_their_infinite_figures_are_not() -> None:
    failures = [whole(status="truncated")] * 3
    it = summarize("ttft", [*(whole(ttft=float(n)) for n in range(1, 7)), *failures])
    assert (it.n, it.failed, it.median, it.min, it.max) == (9, 3, 5.0, 1.0, None)
    assert (it.low, it.high) == (2.0, None)  # the second of nine, and the eighth


def test_where_most_runs_failed_the_median_is_infinite_too() -> None:
    it = summarize("ttft", [whole(), *[whole(status="reset")] * 2])
    assert (it.n, it.failed, it.median, it.min, it.max) == (3, 2, None, 1.0, None)
    it = summarize("ttft", [whole(), whole(status="reset")])
    assert it.median is None  # half of infinity


def test_a_failed_run_makes_no_token_a_second() -> None:
    it = summarize("tokens_per_second", [whole(), whole(), whole(status="reset")])
    assert (it.n, it.failed, it.median, it.min) == (3, 1, 2.0, 0.0)


def test_gaps_of_one_run_are_not_independent_so_their_median_has_no_interval() -> None:
    it = summarize("gap", [whole(arrivals=[float(n) for n in range(400)])])
    assert (it.n, it.median, it.p99) == (399, 1.0, 1.0)
    assert (it.low, it.high) == (None, None)


def test_a_summary_of_nothing_is_empty() -> None:
    it = summarize("ttfa", iter([bare(), bare()]))
    assert (it.n, it.failed, it.median, it.min, it.max) == (0, 0, None, None, None)


@given(st.lists(st.sampled_from([OK, OK, OK, "cancelled", *FAILURES]), max_size=70))
def test_n_is_what_is_whole_and_what_failed(statuses: list[str]) -> None:
    it = summarize("ttft", (whole(status=status) for status in statuses))
    good, cancelled = statuses.count(OK), statuses.count("cancelled")
    assert it.failed == len(statuses) - good - cancelled
    assert it.n == good + it.failed
    # More than half, exactly half: the median of the whole runs holds only below that.
    assert it.median == (1.0 if good > it.failed else None)


# ---- an arm


def test_an_arm_has_the_samples_of_its_name_only() -> None:
    runs = [
        whole(),
        whole(cold=True, number=0, ttft=9.0),
        whole(arm="b", ttft=50.0),
        whole(arm="b", status="http_503"),
        whole(status="reset"),
    ]
    arm = summed(Arm(name="a", provider="p", model="m", cache="reuse"), iter(runs))
    assert arm.statuses == {"ok": 2, "reset": 1}
    assert arm.cold is runs[1]
    assert (arm.provider, arm.model, arm.cache) == ("p", "m", "reuse")
    ttft = next(it for it in arm.summaries if it.metric == "ttft")
    assert (ttft.n, ttft.failed, ttft.min) == (2, 1, 1.0)


def test_an_arm_tells_only_the_metrics_that_it_has_in_the_order_of_the_table() -> None:
    arm = Arm(name="a", provider="p", model="m")
    assert [it.metric for it in summed(arm, [whole()]).summaries] == list(METRICS)
    reused = [whole(dns=None, tcp=None, ttfa=None), whole(status="reset")]
    told = [it.metric for it in summed(arm, reused).summaries]
    assert told == [name for name in METRICS if name not in ("connect", "ttfa")]


def test_an_arm_without_a_run_is_empty() -> None:
    arm = summed(Arm(name="a", provider="p", model="m", statuses={"ok": 9}), [])
    assert (arm.statuses, arm.summaries, arm.cold) == ({}, [], None)


def test_summing_again_changes_nothing() -> None:
    runs = [whole(cold=True), whole(), whole(status="reset")]
    once = summed(Arm(name="a", provider="p", model="m"), runs)
    assert summed(once, runs) == once


# ---- throughput


def run_at(started: float, duration: float | None, **changes: Any) -> Sample:
    return Sample(number=1, arm="a", started=started, duration=duration, tokens=10, **changes)


def test_throughput_is_whole_answers_and_their_tokens_over_the_time_of_all() -> None:
    found = throughput([run_at(1.0, 2.0), run_at(1.5, 2.0), run_at(3.0, 2.0)])
    assert found is not None
    assert found.requests_per_second == pytest.approx(3 / 4)
    assert found.tokens_per_second == pytest.approx(30 / 4)
    assert not found.approximate


def test_cold_and_cancelled_runs_are_not_in_the_throughput_and_failed_ones_take_time() -> None:
    others = [run_at(0.0, 0.5, cold=True), run_at(5.0, 50.0, status="cancelled")]
    found = throughput([*others, run_at(1.0, 1.0), run_at(1.0, 4.0, status="truncated")])
    assert found is not None
    assert found.requests_per_second == pytest.approx(1 / 4)
    assert found.tokens_per_second == pytest.approx(10 / 4)
    assert throughput(others) is None
    assert throughput([run_at(1.0, 4.0, status="reset")]) is None
    assert throughput([run_at(1.0, 0.0)]) is None
    assert throughput([run_at(1.0, None)]) is None


def test_a_throughput_of_counted_deltas_says_so() -> None:
    found = throughput([run_at(1.0, 2.0), run_at(1.0, 2.0, approximate=True)])
    assert found is not None
    assert found.approximate

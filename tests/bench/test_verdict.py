"""Claimed: a gate never passes unseen, failures always count, and the exit status says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.bench.gates import check, parse_gate
from chatstream.bench.result import (
    OK,
    Client,
    Comparison,
    Gate,
    Result,
    Sample,
    decode,
    encode,
)
from chatstream.bench.verdict import (
    BASELINE,
    CPU_LIMIT_SHARE,
    client_of,
    compare_arms,
    compare_results,
    exit_status,
)
from tests.support.fewruns import FAILED, result, runs, sample

# ---- comparisons

FAST = [0.50 + n / 1000 for n in range(12)]
SLOW = [1.00 + n / 1000 for n in range(12)]


def paced(ttfts: Sequence[float], arm: str = "a") -> list[Sample]:
    return [sample(it, arm, tpot=it / 100) for it in ttfts]


def told(compared: list[Comparison]) -> list[tuple[str, str, str, str]]:
    return [(it.arm, it.against, it.metric, it.verdict) for it in compared]


def test_slower_than_the_baseline_is_regressed_in_each_metric() -> None:
    compared = compare_results(result(*paced(SLOW)), result(*paced(FAST)))
    assert told(compared) == [
        ("a", BASELINE, "ttft", "REGRESSED"),
        ("a", BASELINE, "tpot", "REGRESSED"),
    ]
    ttft = compared[0]
    assert (ttft.old, ttft.new) == pytest.approx((0.5055, 1.0055))
    assert ttft.low is not None
    assert ttft.ratio is not None
    assert ttft.high is not None
    assert ttft.low <= ttft.ratio <= ttft.high
    assert ttft.ratio == pytest.approx(1.0055 / 0.5055)
    assert ttft.p is not None
    assert ttft.p < 0.001


def test_faster_than_the_baseline_is_ok() -> None:
    compared = compare_results(result(*paced(FAST)), result(*paced(SLOW)))
    assert {it.verdict for it in compared} == {"OK"}


def test_fewer_tokens_a_second_are_worse_and_more_are_not() -> None:
    slow, fast = result(*paced(SLOW)), result(*paced(FAST))
    (worse,) = compare_results(slow, fast, ["tokens_per_second"])
    (better,) = compare_results(fast, slow, ["tokens_per_second"])
    assert (worse.verdict, better.verdict) == ("REGRESSED", "OK")


def test_too_few_runs_are_inconclusive_and_say_how_many_more() -> None:
    (it,) = compare_results(result(*paced(SLOW[:4])), result(*paced(FAST)), ["ttft"])
    assert (it.verdict, it.low, it.high) == ("INCONCLUSIVE", None, None)
    assert it.more_runs is not None
    assert it.more_runs >= 2


def test_cold_runs_are_not_compared() -> None:
    cold = [sample(99.0, cold=True) for _ in range(12)]
    with_cold, without = result(*cold, *paced(FAST)), result(*paced(FAST))
    assert compare_results(with_cold, without) == compare_results(without, without)


def test_failures_make_it_worse_and_no_infinite_figure_is_told() -> None:
    (it,) = compare_results(
        result(*runs(*FAST[:2], *[FAILED] * 10)), result(*paced(FAST)), ["ttft"]
    )
    assert (it.new, it.ratio, it.high, it.verdict) == (None, None, None, "REGRESSED")
    now = result(
        comparisons=[it], gates=check(parse_gate("ttft.max>1s"), result(*runs(FAILED)), None)
    )
    assert decode(encode(now)) == now


def test_what_only_one_side_has_is_inconclusive_and_what_none_has_is_left_out() -> None:
    now, old = result(*paced(FAST)), result(*runs(*FAST))
    metrics = iter(["ttfa", "tpot"])
    assert told(compare_results(now, old, metrics)) == [("a", BASELINE, "tpot", "INCONCLUSIVE")]
    (it,) = compare_results(old, now, ["ttfa", "tpot"])
    assert (it.verdict, it.new, it.p) == ("INCONCLUSIVE", None, None)
    assert it.old == pytest.approx(0.005055)
    other = result(*paced(FAST, "x"), *paced(FAST, "y"), arms=("x", "y"))
    assert told(compare_results(now, other, ["ttft"])) == [("a", BASELINE, "ttft", "INCONCLUSIVE")]


def test_results_are_compared_arm_by_arm() -> None:
    old = result(*paced(FAST, "b"), *paced(SLOW), arms=("b", "a"))
    now = result(*paced(SLOW), *paced(SLOW, "b"), arms=("a", "b"))
    assert [it.verdict for it in compare_results(now, old, ["ttft"])] == ["OK", "REGRESSED"]
    renamed = result(*paced(SLOW, "new"), arms=("new",))
    (it,) = compare_results(renamed, result(*paced(FAST)), ["ttft"])
    assert (it.arm, it.verdict) == ("new", "REGRESSED")


def test_further_arms_are_compared_with_the_first() -> None:
    now = result(
        *paced(FAST), *paced(SLOW, "b"), *runs(*FAST, arm="whole"), arms=("a", "b", "whole")
    )
    assert told(compare_arms(now, iter(["ttft", "tpot"]))) == [
        ("b", "a", "ttft", "SLOWER"),
        ("b", "a", "tpot", "SLOWER"),
        ("whole", "a", "ttft", "SAME"),  # it has no TPOT: nothing to compare
    ]
    assert compare_arms(result(*paced(FAST))) == []
    assert compare_arms(result(arms=())) == []


def test_an_arm_is_faster_by_the_rule_by_which_another_is_slower() -> None:
    now = result(*paced(SLOW), *paced(FAST, "b"), arms=("a", "b"))
    for it in compare_arms(now):
        assert (it.verdict, it.more_runs) == ("FASTER", None)
        assert it.ratio == pytest.approx(0.5055 / 1.0055)


def test_what_may_be_faster_or_the_same_is_inconclusive() -> None:
    """It is surely not slower: against a baseline it would be OK."""
    spread = [*(0.300 + n / 1000 for n in range(5)), *(0.505 + n / 1000 for n in range(7))]
    now = result(*paced(FAST), *paced(spread, "b"), arms=("a", "b"))
    (it,) = compare_arms(now, ["ttft"])
    (back,) = compare_results(result(*paced(spread)), result(*paced(FAST)), ["ttft"])
    assert (it.verdict, back.verdict) == ("INCONCLUSIVE", "OK")
    assert it.more_runs


def test_fewer_tokens_a_second_are_slower_between_arms_too() -> None:
    now = result(*paced(FAST), *paced(SLOW, "b"), arms=("a", "b"))
    assert [it.verdict for it in compare_arms(now, ["tokens_per_second"])] == ["SLOWER"]


def test_a_failed_run_is_no_sign_that_an_arm_has_the_metric() -> None:
    """Failed runs count as infinite in every metric, also one that no whole run knows."""
    one = runs(*FAST, FAILED)
    other = [sample(it, "b", tpot=0.01) for it in FAST]
    now = result(*one, *other, arms=("a", "b"))
    assert [it.metric for it in compare_arms(now)] == ["ttft"]
    assert [it.metric for it in compare_results(result(*one), result(*one))] == ["ttft"]


# ---- our own part


def timed(*lags: float, gap: float = 0.01, kernel: bool = True, **changes: Any) -> Sample:
    arrivals = [1.0 + n * gap for n in range(max(2, len(lags)))]
    return sample(arrivals=arrivals, lags=list(lags), kernel=kernel, **changes)


def test_small_lags_are_trusted_and_their_figures_told() -> None:
    it = client_of([timed(0.0001, 0.0002), timed(0.0003)], 0.1)
    assert (it.clock, it.verdict, it.cpu) == ("kernel", "TRUSTED", 0.1)
    assert (it.lag_p50, it.lag_p99, it.lag_max) == (0.0002, 0.0003, 0.0003)
    assert it.reason == "client lag p99 0.30 ms; the limit is 2 ms"


def test_p99_is_the_nearest_rank_over_all_runs() -> None:
    lags = [n / 1e6 for n in range(1, 201)]
    it = client_of([timed(*lags[100:]), timed(*lags[:100])], 0.0)
    assert (it.lag_p50, it.lag_p99, it.lag_max) == pytest.approx((100.5e-6, 198e-6, 200e-6))


@pytest.mark.parametrize(
    ("gap", "lag", "verdict"),
    [
        (0.010, 0.0019, "TRUSTED"),
        (0.010, 0.0021, "CLIENT-BOUND"),
        (0.040, 0.0039, "TRUSTED"),  # a tenth of the gap
        (0.040, 0.0041, "CLIENT-BOUND"),
        (1.000, 0.0049, "TRUSTED"),  # never more than 5 ms
        (1.000, 0.0051, "CLIENT-BOUND"),
    ],
)
def test_the_lag_that_is_fine_hangs_on_the_gaps_in_bounds(
    gap: float, lag: float, verdict: str
) -> None:
    assert client_of([timed(lag, lag, lag, gap=gap)], 0.0).verdict == verdict


def test_one_late_arrival_in_many_is_no_verdict() -> None:
    assert client_of([timed(*[0.0001] * 199, 0.5)], 0.0).verdict == "TRUSTED"
    assert client_of([timed(*[0.0001] * 97, *[0.5] * 3)], 0.0).verdict == "CLIENT-BOUND"


def test_a_process_without_idle_time_is_client_bound() -> None:
    assert client_of([timed(0.0001)], CPU_LIMIT_SHARE).verdict == "TRUSTED"
    it = client_of([timed(0.0001)], 0.93)
    assert it.verdict == "CLIENT-BOUND"
    assert it.reason == "this process used 93% of a core; the limit is 80%"


def test_the_clock_is_the_kernels_only_if_every_run_with_arrivals_says_so() -> None:
    def clock(*samples: Sample) -> str:
        return client_of(samples, 0.0).clock

    assert clock(timed(0.0), sample(None, status="reset")) == "kernel"
    assert clock(timed(0.0), timed(0.0, kernel=False)) == "user"
    assert clock(timed(0.0), timed(0.0, kernel=False, cold=True)) == "user"
    assert clock() == "user"
    assert clock(sample(None, kernel=True)) == "user"


def test_without_kernel_times_the_lag_decides_as_well() -> None:
    assert client_of([timed(0.001, kernel=False)], 0.12).verdict == "TRUSTED"
    late = client_of([timed(0.5, kernel=False)], 0.12)
    assert late.verdict == "CLIENT-BOUND"
    assert late.reason == "client lag p99 500.00 ms; the limit is 2 ms"


def test_a_benchmark_without_an_arrival_has_a_client_too() -> None:
    it = client_of(iter([sample(None, status="connect")]), 0.0)
    assert (it.verdict, it.lag_p50, it.lag_p99, it.lag_max) == ("TRUSTED", 0.0, 0.0, 0.0)


# ---- the exit status

GOOD = runs(*[1.0] * 10)
PASSED = Gate(text="g", failed=False)
BROKEN = Gate(text="g", failed=True)
BOUND = Client(clock="user", verdict="CLIENT-BOUND", reason="r")
TRUSTED = Client(clock="user", verdict="TRUSTED", reason="r")


def verdict(it: str, against: str = BASELINE) -> Comparison:
    fields = {"metric": "ttft", "arm": "b", "against": against, "old": 1, "new": 1, "verdict": it}
    return msgspec.convert(fields, Comparison)


def status(now: Result, *, strict: bool = False, stopped: bool = False) -> int:
    return exit_status(now, strict=strict, stopped=stopped)


def test_without_anything_wrong_it_is_zero() -> None:
    now = result(*GOOD, gates=[PASSED], client=TRUSTED, comparisons=[verdict("OK")])
    assert status(now, strict=True) == 0
    assert status(result(*GOOD), strict=True) == 0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], 3),
        (runs(FAILED), 3),
        (runs("cancelled"), 3),
        (runs(*[1.0] * 9, FAILED), 0),  # a tenth
        (runs(*[1.0] * 8, FAILED), 3),
        ([sample(cold=True, status="http_503"), *runs(*[1.0] * 8)], 3),
        ([sample(cold=True), *runs(*[FAILED] * 8)], 3),
    ],
)
def test_too_many_failures_are_three(samples: list[Sample], expected: int) -> None:
    assert status(result(*samples)) == expected


def test_a_failed_gate_or_a_regression_is_one() -> None:
    assert status(result(*GOOD, gates=[PASSED, BROKEN])) == 1
    assert status(result(*GOOD, comparisons=[verdict("OK"), verdict("REGRESSED")])) == 1


def test_an_arm_that_is_slower_than_another_is_no_regression() -> None:
    assert status(result(*GOOD, comparisons=[verdict("REGRESSED", "a")]), strict=True) == 0


def test_only_strict_minds_an_open_question_and_a_slow_client() -> None:
    open_question = result(*GOOD, comparisons=[verdict("INCONCLUSIVE")])
    slow = result(*GOOD, client=BOUND)
    assert [status(it) for it in (open_question, slow)] == [0, 0]
    assert [status(it, strict=True) for it in (open_question, slow)] == [4, 5]


def test_of_several_the_first_in_the_order_counts() -> None:
    fields: dict[str, Any] = {"comparisons": [verdict("INCONCLUSIVE")]}
    good, bad = result(*GOOD, **fields), result(*runs(FAILED), **fields)
    assert status(good, strict=True) == 4
    good.client = bad.client = BOUND
    assert status(good, strict=True) == 5
    good.gates = bad.gates = [BROKEN]
    assert status(good, strict=True) == 1
    assert status(bad, strict=True) == 3
    assert status(bad, strict=True, stopped=True) == 130


@given(st.lists(st.sampled_from([OK, OK, OK, OK, FAILED, "cancelled"]), max_size=40))
def test_a_benchmark_that_was_stopped_is_130_whatever_it_had(statuses: list[str]) -> None:
    now = result(*(sample(status=it) for it in statuses), gates=[BROKEN])
    assert status(now, strict=True, stopped=True) == 130
    assert status(now) in (1, 3)

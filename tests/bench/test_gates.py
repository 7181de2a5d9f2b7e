"""Claimed: a gate never passes unseen, and failures always count."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.bench.gates import STATISTICS, check, parse_gate
from chatstream.bench.metrics import METRICS
from chatstream.bench.result import (
    Gate,
    Result,
    Sample,
    Stall,
)
from chatstream.errors import UsageError
from tests.support.fewruns import FAILED, result, runs, sample


def gate(text: str, now: Result, baseline: Result | None = None) -> Gate:
    (only,) = check(parse_gate(text), now, baseline)
    return only


# ---- reading a gate


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("ttft.p50>500ms", ("ttft", "p50", ">", None, 0.5, False)),
        ("tpot.median>=20ms", ("tpot", "median", ">=", None, 0.02, False)),
        ("gap.p99>0.1s", ("gap", "p99", ">", None, 0.1, False)),
        ("ttfb.p90<250us", ("ttfb", "p90", "<", None, 0.00025, False)),
        ("late_ttft.mean<=.5s", ("late_ttft", "mean", "<=", None, 0.5, False)),
        ("stalls.max>0", ("stalls", "max", ">", None, 0.0, False)),
        ("tokens_per_second.p50<30", ("tokens_per_second", "p50", "<", None, 30.0, False)),
        ("errors>0", ("errors", "", ">", None, 0.0, False)),
        ("errors>=5%", ("errors", "", ">=", None, 0.05, True)),
        ("ttft.p50>baseline", ("ttft", "p50", ">", 1.0, 0.0, False)),
        ("ttft.min>baseline+10%", ("ttft", "min", ">", 1.1, 0.0, False)),
        ("ttft.p50>baseline-5%", ("ttft", "p50", ">", 0.95, 0.0, False)),
        ("ttft.p50>baseline-100%", ("ttft", "p50", ">", 0.0, 0.0, False)),
        ("ttft.p95>baseline+20ms", ("ttft", "p95", ">", 1.0, 0.02, False)),
        ("ttft.p50>baseline-1.5ms", ("ttft", "p50", ">", 1.0, -0.0015, False)),
        ("stalls.mean>baseline+2", ("stalls", "mean", ">", 1.0, 2.0, False)),
        (" TTFT . p50\t> 500 MS\n", ("ttft", "p50", ">", None, 0.5, False)),
        ("ttft.p50 > baseline + 10 %", ("ttft", "p50", ">", 1.1, 0.0, False)),
        ("errors > 5 %", ("errors", "", ">", None, 0.05, True)),
    ],
)
def test_a_gate_is_read(text: str, read: tuple[object, ...]) -> None:
    it = parse_gate(text)
    assert (it.metric, it.statistic, it.operator, it.scale, it.constant, it.share) == read
    assert it.text == text.strip()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is not a condition", "for example: 'ttft.p50>500ms'"),
        ("fast", "is not a condition", "for example"),
        ("ttft.p50=500ms", "is not a condition", "for example"),
        ("ttft.p50==500ms", "is not a condition", "for example"),
        ("ttft.p50!=500ms", "is not a condition", "for example"),
        (">500ms", "is not a condition", "for example"),
        ("ttft.p50.p90>500ms", "is not a condition", "for example"),
        ("tt ft.p50>500ms", "is not a condition", "for example"),
        ("ttft.p50>", "'' is not a limit", "for example"),
        ("ttft.p50>>500ms", "'>500ms' is not a limit", "for example"),
        ("ttft.p50=>500ms", "is not a condition", "for example"),
        ("ttft.p50>-5ms", "'-5ms' is not a limit", "for example"),
        ("ttft.p50>5 00ms", "'5 00ms' is not a limit", "for example"),
        ("ttft.p50>1,5s", "'1,5s' is not a limit", "for example"),
        ("ttft.p50>5.s", "'5.s' is not a limit", "for example"),
        ("ttft.p50>1e3s", "'1e3s' is not a limit", "for example"),
        ("ttft.p50>nan", "'nan' is not a limit", "for example"),
        ("ttft.p50>infs", "'infs' is not a limit", "for example"),
        ("ttft.p50>" + "9" * 400 + "s", "is not a limit", "for example"),
        ("ttft.p50>\u0665ms", "is not a limit", "for example"),
        ("ttft.p50>baseline+", "'baseline+' is not a limit", "for example"),
        ("ttft.p50>baseline10%", "'baseline10%' is not a limit", "for example"),
        ("ttft.p50>baseline+-5%", "'-5%' is not a limit", "for example"),
        ("ttft.p50>baseline*2", "'baseline*2' is not a limit", "for example"),
        ("ttft.p50>base+5%", "'base+5%' is not a limit", "for example"),
        ("ttfft.p50>500ms", "unknown metric 'ttfft'", "did you mean 'ttft'?"),
        ("error>0", "unknown metric 'error'", "did you mean 'errors'?"),
        ("quux.p50>1", "unknown metric 'quux'", "choose from: ttft, ttfa"),
        ("ttft>500ms", "has no statistic for ttft", "ttft.p50; statistics: p50, median"),
        ("ttft.p>500ms", "unknown statistic 'p'", "p95"),
        ("ttft.medain>500ms", "unknown statistic 'medain'", "did you mean 'median'?"),
        ("ttft.p75>500ms", "unknown statistic 'p75'", "p9"),
        ("ttft.p50>500", "ttft is a time: 500 needs a unit", "us, ms and s"),
        ("ttft.p50>0", "ttft is a time: 0 needs a unit", "us, ms and s"),
        ("ttft.p50>5min", "unknown unit 'min'", "us, ms and s"),
        ("ttft.p50>baseline+20", "ttft is a time: 20 needs a unit", "us, ms and s"),
        ("ttft.p50>10%", "'10%' is a percentage, which needs a baseline", "baseline+10%"),
        ("stalls.max>0ms", "stalls takes a plain number", ""),
        ("tokens_per_second.p50<baseline-3s", "tokens_per_second takes a plain number", ""),
        ("errors.p50>0", "errors take no statistic, but 'p50'", "errors>5%"),
        ("errors>5ms", "errors take a count or a percentage", "errors>5%"),
        ("errors>baseline", "'baseline' is not a limit", "for example"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_what_there_is(
    text: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    told = caught.value
    assert message in told.message
    assert hint in (told.hint or "")
    assert "\n" not in told.message + (told.hint or "")


@given(st.text(max_size=30) | st.from_regex(r"(ttft|errors)(\.\w+)?[<>]=?.{0,15}", fullmatch=True))
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        it = parse_gate(text)
    except UsageError:
        return
    assert math.isfinite(it.constant)
    assert it.metric == "errors" or (it.metric in METRICS and it.statistic in STATISTICS)


@given(
    st.sampled_from(sorted(METRICS)),
    st.sampled_from(sorted(STATISTICS)),
    st.sampled_from([">", ">=", "<", "<="]),
    st.integers(0, 10**6),
)
def test_every_metric_with_every_statistic_can_be_a_gate(
    metric: str, statistic: str, symbol: str, number: int
) -> None:
    unit, factor = ("ms", 1000) if METRICS[metric].unit == "s" else ("", 1)
    it = parse_gate(f"{metric}.{statistic} {symbol} {number}{unit}")
    assert (it.metric, it.statistic, it.operator) == (metric, statistic, symbol)
    assert it.constant == number / factor


# ---- what becomes of it


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("ttft.p50>2s", False),
        ("ttft.p50>=2s", True),
        ("ttft.p50>1.99s", True),
        ("ttft.p50<2s", False),
        ("ttft.p50<=2s", True),
        ("ttft.min<1s", False),
        ("ttft.min<=1s", True),
        ("ttft.max>5.9s", True),
        ("ttft.max>6s", False),
        ("ttft.mean>=3s", True),
        ("ttft.mean>3s", False),
    ],
)
def test_the_condition_is_what_fails(text: str, failed: bool) -> None:
    assert gate(text, result(*runs(1.0, 2.0, 6.0))).failed is failed


def test_a_gate_tells_what_was_measured_and_its_limit() -> None:
    it = gate(" ttft.p50>1500ms ", result(*runs(1.0, 2.0, 6.0)))
    assert it == Gate(text="ttft.p50>1500ms", failed=True, measured=2.0, limit=1.5)


def test_a_cold_run_enters_no_figure() -> None:
    now = result(sample(90.0, cold=True), *runs(1.0, 2.0))
    assert gate("ttft.max>10s", now) == Gate(
        text="ttft.max>10s", failed=False, measured=2.0, limit=10.0
    )


def test_a_cold_run_that_failed_is_not_among_the_runs_of_a_figure() -> None:
    it = gate("ttft.max>10s", result(sample(None, cold=True, status=FAILED), *runs(1.0)))
    assert (it.failed, it.note) == (False, None)


@pytest.mark.parametrize(("n", "told"), [(28, 28.0), (29, 27.0)])
def test_a_percentile_that_is_not_there_yet_is_the_maximum(n: int, told: float) -> None:
    it = gate("ttft.p90>100s", result(*runs(*(float(k) for k in range(1, n + 1)))))
    assert it.measured == told
    assert it.note == (None if n == 29 else "28 values are too few for p90, so this is the maximum")


def test_a_failure_is_infinite_in_the_tail_and_counts() -> None:
    it = gate("ttft.max>100s", result(*runs(1.0, 2.0, FAILED)))
    assert (it.failed, it.measured, it.note) == (True, None, "1 of 3 runs failed")
    it = gate("ttft.p95>100s", result(*runs(*[1.0] * 20, FAILED)))
    assert (it.failed, it.measured) == (True, None)
    assert it.note == "1 of 21 runs failed; 21 values are too few for p95, so this is the maximum"


def test_with_many_runs_a_percentile_bears_its_share_of_failures_and_no_more() -> None:
    assert not gate("ttft.p95>2s", result(*runs(*[1.0] * 57, *[FAILED] * 3))).failed
    assert gate("ttft.p95>2s", result(*runs(*[1.0] * 56, *[FAILED] * 4))).failed


def test_a_failure_counts_against_a_gate_of_either_direction() -> None:
    pace = [sample(tpot=0.01) for _ in range(3)]
    lost = [*pace, *runs(FAILED)]
    assert not gate("tokens_per_second.min<50", result(*pace)).failed
    assert gate("tokens_per_second.min<50", result(*lost)).failed
    assert not gate("tokens_per_second.max>200", result(*pace)).failed
    assert gate("tokens_per_second.max>200", result(*lost)).failed
    assert not gate("ttft.min<500ms", result(*runs(1.0, 1.0))).failed
    assert gate("ttft.min<500ms", result(*runs(1.0, FAILED))).failed


@given(
    st.lists(st.floats(0.001, 100.0), min_size=1, max_size=70),
    st.data(),
    st.sampled_from(sorted(STATISTICS)),
    st.sampled_from([">", ">=", "<", "<="]),
    st.integers(1, 100_000),
)
def test_no_failure_ever_makes_a_gate_pass(
    ttfts: list[float], data: st.DataObject, statistic: str, symbol: str, limit: int
) -> None:
    text = f"ttft.{statistic}{symbol}{limit}ms"
    kept = [data.draw(st.booleans()) for _ in ttfts]
    lost = [it if keep else FAILED for it, keep in zip(ttfts, kept, strict=True)]
    before, after = gate(text, result(*runs(*ttfts))), gate(text, result(*runs(*lost)))
    assert after.failed or not before.failed


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("ttft.p50>1s", []),
        ("ttft.p50>1s", [sample(cold=True)]),
        ("ttft.p50<1s", [sample(None)]),
        ("ttfa.p99>1s", runs(1.0, 2.0)),
        ("connect.max>1s", [sample(reused=True)]),
        ("gap.max>1s", [sample(arrivals=[1.0])]),
        ("tokens_per_second.p50<1", [sample(tpot=None)]),
        ("errors>0", []),
        ("errors>5%", []),
        ("ttft.p50>1s", [sample(status="cancelled")]),
        ("errors>0", [sample(status="cancelled")]),
        ("ttft.p50>1s", [sample(arm="other")]),
    ],
)
def test_a_gate_on_what_nobody_measured_fails(text: str, samples: list[Sample]) -> None:
    it = gate(text, result(*samples))
    assert (it.failed, it.measured, it.note) == (True, None, "nothing was measured")


def test_a_gate_on_a_result_without_an_arm_fails() -> None:
    assert gate("ttft.p50>1s", result(arms=())).failed
    assert gate("errors>0", result(arms=())).failed


@pytest.mark.parametrize(
    ("text", "measured", "failed"),
    [
        ("errors>0", 2.0, True),
        ("errors>2", 2.0, False),
        ("errors>=2", 2.0, True),
        ("errors>50%", 0.5, False),
        ("errors>=50%", 0.5, True),
        ("errors>49%", 0.5, True),
    ],
)
def test_errors_are_the_runs_that_failed_the_cold_one_too(
    text: str, measured: float, failed: bool
) -> None:
    cold = sample(None, cold=True, status="connect")
    it = gate(text, result(cold, *runs(1.0, "http_429", "cancelled", 2.0)))
    assert (it.measured, it.failed, it.note) == (measured, failed, "2 of 4 runs failed")


def test_stalls_are_counted_a_run() -> None:
    stalled = sample(stalls=[Stall(1.0, 0.5), Stall(2.0, 0.5)])
    assert not gate("stalls.max>0", result(*runs(1.0, 1.0))).failed
    it = gate("stalls.max>0", result(sample(), stalled))
    assert (it.failed, it.measured) == (True, 2.0)


def test_each_arm_has_a_gate_that_names_it() -> None:
    now = result(*runs(1.0), *runs(3.0, arm="b"), arms=("a", "b"))
    told = [(it.text, it.failed, it.measured) for it in check(parse_gate("ttft.p50>2s"), now, None)]
    assert told == [("a: ttft.p50>2s", False, 1.0), ("b: ttft.p50>2s", True, 3.0)]


def test_an_arm_that_is_not_streamed_answers_only_for_its_errors() -> None:
    now = result(*runs(1.0), *runs(9.0, FAILED, arm="whole"), arms=("a", "whole"))
    now.arms[1] = msgspec.structs.replace(now.arms[1], streamed=False)
    assert [it.text for it in check(parse_gate("ttft.p50>2s"), now, None)] == ["a: ttft.p50>2s"]
    assert [it.failed for it in check(parse_gate("errors>0"), now, None)] == [False, True]
    now.arms.pop(0)
    assert gate("ttft.p50>99s", now).failed  # nobody is left to ask


# ---- against a baseline


@pytest.mark.parametrize(
    ("text", "limit", "failed"),
    [
        ("ttft.p50>baseline", 2.0, True),
        ("ttft.p50>baseline+25%", 2.5, False),
        ("ttft.p50>=baseline+25%", 2.5, True),
        ("ttft.p50>baseline+400ms", 2.4, True),
        ("ttft.p50>baseline+600ms", 2.6, False),
        ("ttft.p50<baseline-5%", 1.9, False),
    ],
)
def test_a_gate_on_a_baseline_takes_its_figure(text: str, limit: float, failed: bool) -> None:
    it = gate(text, result(*runs(2.5)), result(*runs(1.0, 2.0, 3.0)))
    assert it.limit == pytest.approx(limit)
    assert (it.failed, it.measured, it.note) == (failed, 2.5, None)


def test_arms_meet_by_name_or_where_each_result_has_only_one() -> None:
    text = parse_gate("ttft.p50>baseline")
    old = result(*runs(9.0, arm="x"), *runs(2.0, arm="b"), arms=("x", "b"))
    now = result(*runs(1.0), *runs(1.0, arm="b"), arms=("a", "b"))
    first, second = check(text, now, old)
    assert (first.failed, first.limit, first.note) == (True, None, "the baseline has no 'a'")
    assert (second.failed, second.limit) == (False, 2.0)
    assert gate("ttft.p50>baseline", result(*runs(1.0)), old).failed
    only = result(*runs(3.0, arm="x"), arms=("x",))
    assert gate("ttft.p50>baseline", result(*runs(1.0)), only).limit == 3.0


@pytest.mark.parametrize(
    ("old", "note"),
    [
        (None, "there is no baseline"),
        (result(), "baseline: nothing was measured"),
        (result(sample(cold=True)), "baseline: nothing was measured"),
        (result(*runs(1.0, FAILED, FAILED)), "baseline: 2 of 3 runs failed"),
    ],
)
def test_a_baseline_that_says_nothing_fails_the_gate(old: Result | None, note: str) -> None:
    for text in ("ttft.p50>baseline", "ttft.p50<baseline", "ttft.p50>baseline-100%"):
        it = gate(text, result(*runs(1.0)), old)
        assert (it.failed, it.measured, it.limit, it.note) == (True, 1.0, None, note)


def test_both_maxima_in_place_of_percentiles_are_told() -> None:
    it = gate("ttft.p90>baseline", result(*runs(1.0, 2.0)), result(*runs(1.0, 2.0, 3.0)))
    assert (it.failed, it.measured, it.limit) == (False, 2.0, 3.0)
    assert it.note == (
        "2 values are too few for p90, so this is the maximum; "
        "baseline: 3 values are too few for p90, so this is the maximum"
    )

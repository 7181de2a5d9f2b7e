"""Claimed: a gate never passes unseen, failures always count, and the exit status says it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.bench.metrics import METRICS
from chatstream.bench.result import (
    OK,
    Arm,
    Client,
    Comparison,
    Gate,
    Result,
    Sample,
    Stall,
    decode,
    encode,
)
from chatstream.bench.verdict import (
    BASELINE,
    CPU_LIMIT,
    STATISTICS,
    check,
    client_of,
    compare_arms,
    compare_results,
    exit_status,
    parse_gate,
)
from chatstream.errors import UsageError

FAILED = "truncated"


def sample(ttft: float | None = 1.0, arm: str = "a", **changes: Any) -> Sample:
    return Sample(number=1, arm=arm, ttft=ttft, **changes)


def runs(*ttfts: float | str, arm: str = "a") -> list[Sample]:
    """A run of each: a number is the TTFT of one that is ok, a word the status of another."""
    return [
        sample(it, arm) if isinstance(it, float) else sample(None, arm, status=it) for it in ttfts
    ]


def result(*samples: Sample, arms: Sequence[str] = ("a",), **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "version": 1,
        "chatstream": "0",
        "started_at": "2026-03-02T09:30:00Z",
        "target": "http://127.0.0.1:1",
        "samples": list(samples),
        "arms": [Arm(name=name, provider="p", model=name) for name in arms],
    }
    return Result(**fields | changes)


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
        ("ttfft.p50>500ms", "there is no metric 'ttfft'", "did you mean 'ttft'?"),
        ("error>0", "there is no metric 'error'", "did you mean 'errors'?"),
        ("quux.p50>1", "there is no metric 'quux'", "there are: ttft, ttfa"),
        ("ttft>500ms", "does not say which ttft", "ttft.p50; there are: p50, median"),
        ("ttft.p>500ms", "there is no statistic 'p'", "p95"),
        ("ttft.medain>500ms", "there is no statistic 'medain'", "did you mean 'median'?"),
        ("ttft.p75>500ms", "there is no statistic 'p75'", "p9"),
        ("ttft.p50>500", "ttft is a time: 500 needs a unit", "us, ms, s"),
        ("ttft.p50>0", "ttft is a time: 0 needs a unit", "us, ms, s"),
        ("ttft.p50>5min", "there is no unit 'min'", "us, ms, s"),
        ("ttft.p50>baseline+20", "ttft is a time: 20 needs a unit", "us, ms, s"),
        ("ttft.p50>10%", "'10%' of what?", "baseline+10%"),
        ("stalls.max>0ms", "stalls has no unit 'ms'", "plain number"),
        ("tokens_per_second.p50<baseline-3s", "has no unit 's'", "plain number"),
        ("errors.p50>0", "errors have no 'p50'", "errors>5%"),
        ("errors>5ms", "errors have no unit 'ms'", "errors>5%"),
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


@settings(deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"(ttft|errors)(\.\w+)?[<>]=?.{0,15}", fullmatch=True))
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        it = parse_gate(text)
    except UsageError:
        return
    assert math.isfinite(it.constant)
    assert it.metric == "errors" or (it.metric in METRICS and it.statistic in STATISTICS)


@settings(deadline=None)
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
    assert it.note == (None if n == 29 else "28 are too few for p90: the maximum instead")


def test_a_failure_is_infinite_in_the_tail_and_counts() -> None:
    it = gate("ttft.max>100s", result(*runs(1.0, 2.0, FAILED)))
    assert (it.failed, it.measured, it.note) == (True, None, "1 of 3 runs failed")
    it = gate("ttft.p95>100s", result(*runs(*[1.0] * 20, FAILED)))
    assert (it.failed, it.measured) == (True, None)
    assert it.note == "1 of 21 runs failed; 21 are too few for p95: the maximum instead"


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


@settings(deadline=None)
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
        "2 are too few for p90: the maximum instead; "
        "baseline: 3 are too few for p90: the maximum instead"
    )


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
    now = result(comparisons=[it], gates=[gate("ttft.max>1s", result(*runs(FAILED)))])
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
        ("b", "a", "ttft", "REGRESSED"),
        ("b", "a", "tpot", "REGRESSED"),
        ("whole", "a", "ttft", "OK"),  # it has no TPOT: nothing to compare
    ]
    assert compare_arms(result(*paced(FAST))) == []
    assert compare_arms(result(arms=())) == []


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
    assert it.reason == "client lag p99 0.30 ms, at most 2 ms is fine"


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
    assert client_of([timed(0.0001)], CPU_LIMIT).verdict == "TRUSTED"
    it = client_of([timed(0.0001)], 0.93)
    assert it.verdict == "CLIENT-BOUND"
    assert it.reason == "it used 93% of a core, at most 80% is fine"


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
    assert late.reason == "client lag p99 500.00 ms, at most 2 ms is fine"


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


@settings(deadline=None)
@given(st.lists(st.sampled_from([OK, OK, OK, OK, FAILED, "cancelled"]), max_size=40))
def test_a_benchmark_that_was_stopped_is_130_whatever_it_had(statuses: list[str]) -> None:
    now = result(*(sample(status=it) for it in statuses), gates=[BROKEN])
    assert status(now, strict=True, stopped=True) == 130
    assert status(now) in (1, 3)

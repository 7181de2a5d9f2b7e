"""Claimed: an interval is as sure as it says, and a verdict needs an effect and a test."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import combinations, product
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.bench import stats
from chatstream.bench.stats import (
    MAX_MORE_RUNS,
    MIN_VALUES,
    Judgement,
    judge,
    mann_whitney,
    median,
    median_interval,
    percentile,
    precision,
    ratio_interval,
)
from tests.bench.coverage import COVERED, FALSE_ALARMS, LATENCIES, coverage, false_alarms

INF = math.inf
latencies = st.floats(0.001, 100) | st.just(INF)


def spread(n: int, scale: float = 1.0, sigma: float = 0.02, seed: int = 1) -> list[float]:
    """Latencies around `scale`."""
    seeded = random.Random(seed)
    return [seeded.lognormvariate(math.log(scale), sigma) for _ in range(n)]


def ramp(start: int, stop: int, step: int = 1) -> list[float]:
    return [float(it) for it in range(start, stop, step)]


# --- the median and its interval


def test_the_median_is_the_middle_value_or_the_mean_of_two() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert median([1.0, INF, 2.0, INF]) == INF
    assert median([INF, INF]) == INF
    with pytest.raises(ValueError, match="median"):
        median([])


def exact_coverage(n: int, rank: int) -> Fraction:
    """The chance that the rank-th value from both ends enclose the median."""
    below = sum(math.comb(n, i) for i in range(rank))
    return 1 - Fraction(2 * below, 2**n)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_is_the_narrowest_that_is_sure_enough(confidence: float) -> None:
    for n in range(121):
        interval = median_interval(ramp(1, n + 1), confidence)
        sure = [r for r in range(1, n // 2 + 1) if exact_coverage(n, r) >= confidence]
        assert interval == ((max(sure), n + 1 - max(sure)) if sure else None), n


def test_there_is_no_interval_for_fewer_than_six() -> None:
    assert [median_interval(ramp(0, n)) for n in range(MIN_VALUES)] == [None] * MIN_VALUES
    assert median_interval([6.0, 2.0, 4.0, 1.0, 3.0, 5.0]) == (1.0, 6.0)


def test_the_interval_of_many_values_is_found_too() -> None:
    # 2**5000 fits no float. The ranks are those of the normal distribution.
    low, high = median_interval(ramp(1, 5001)) or (0.0, 0.0)
    assert low == pytest.approx(2500.5 - 1.96 * math.sqrt(5000) / 2, abs=1)
    assert low + high == 5001


def test_a_failed_run_can_be_the_end_of_the_interval() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0, INF]) == (1.0, INF)


@pytest.mark.parametrize("name", LATENCIES)
def test_the_interval_holds_the_true_median_as_often_as_it_says(name: str) -> None:
    shares = coverage(LATENCIES[name], (6, 9, 17, 30, 60), 3_000)
    assert min(shares.values()) >= COVERED, shares


def test_precision_is_half_the_width_of_the_interval_to_the_median() -> None:
    assert precision([9.0, 10.0, 10.0, 10.0, 10.0, 12.0]) == pytest.approx(0.15)
    assert precision([10.0] * 6) == 0.0
    assert precision([0.0] * 6) == 0.0
    assert precision([0.0] * 5 + [1.0]) == INF
    assert precision([10.0] * 5 + [INF]) == INF
    assert precision([INF] * 6) == INF
    assert precision([10.0] * 5) is None
    assert precision([]) is None


# --- percentiles


@pytest.mark.parametrize(("q", "n"), [(0.90, 29), (0.95, 59), (0.99, 299)])
def test_a_percentile_needs_enough_values_for_a_bound(q: float, n: int) -> None:
    assert stats.fewest_for(q) == n
    assert 1 - q**n >= 0.95 > 1 - q ** (n - 1)
    assert percentile(ramp(0, n - 1), q) is None
    assert percentile(ramp(0, n), q) is not None
    assert percentile([], q) is None


@pytest.mark.parametrize("q", [90, 95, 99])
def test_a_percentile_is_the_one_of_the_nearest_rank(q: int) -> None:
    for n in [*range(299, 402), 1000, 10_000]:
        values = ramp(n, 0, -1)
        assert percentile(values, q / 100) == -(-q * n // 100), n


def test_failed_runs_are_the_tail() -> None:
    values = [*ramp(0, 26), INF, INF, INF, INF]
    assert percentile(values, 0.90) == INF
    assert percentile([*ramp(0, 27), INF, INF, INF], 0.90) == 26.0


# --- Mann-Whitney


@pytest.mark.parametrize(
    ("old", "new", "p"),
    [  # scipy.stats.mannwhitneyu 1.17: exact
        ([1, 2, 3], [4, 5, 6], 0.1),
        (ramp(1, 7), ramp(7, 13), 0.0021645021645021645),
        ([1, 4, 5, 9], [2, 3, 6, 7, 8], 0.9047619047619049),
        ([3, 4, 5, 6, 9, 10], [1, 2, 7, 8, 11, 12], 0.8181818181818182),
        ([7], [*ramp(1, 7), *ramp(8, 23)], 0.6363636363636365),
        (ramp(0, 60, 2), ramp(7, 67, 2), 0.14623105238959136),
        (ramp(0, 60, 2), ramp(15, 75, 2), 0.003193540818593945),
        # asymptotic, with ties or many values
        ([1, 1, 2, 3, 3], [2, 3, 3, 4, 5, 5], 0.05980900023086612),
        ([5, 5, 5, 5, 5, 6], [5, 5, 6, 6, 6, 6], 0.11219582408468011),
        ([1, 2, 3, 4, 5, INF], [3, 4, 5, INF, INF, INF], 0.16358371160503804),
        (ramp(0, 62, 2), ramp(21, 83, 2), 0.00014398837230272557),
        ([1] * 6, [2] * 6, 0.0012619447673879731),
        ([1, 1, 1, 1, 1, 1, 2], [1], 1.0),
    ],
)
def test_mann_whitney_gives_the_figures_of_scipy(
    old: list[float], new: list[float], p: float
) -> None:
    assert mann_whitney(old, new) == pytest.approx(p, rel=1e-9)
    assert mann_whitney(new, old) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 5), (5, 2), (4, 4), (6, 5)])
def test_mann_whitney_counts_every_order(n: int, m: int) -> None:
    places = range(n + m)
    orders = [set(chosen) for chosen in combinations(places, n)]
    u = [sum(a > b for a in old for b in places if b not in old) for old in orders]
    for old, mine in zip(orders, u, strict=True):
        lower = sum(it <= min(mine, n * m - mine) for it in u)
        p = mann_whitney([float(it) for it in old], [float(it) for it in places if it not in old])
        assert p == pytest.approx(min(1, 2 * lower / len(orders)))


def test_what_is_all_the_same_is_no_evidence() -> None:
    assert mann_whitney([2.0] * 9, [2.0] * 7) == 1.0
    assert mann_whitney([INF] * 9, [INF] * 7) == 1.0
    assert mann_whitney([], [1.0, 2.0]) == 1.0
    assert mann_whitney([], []) == 1.0


@given(st.lists(latencies, max_size=40), st.lists(latencies, max_size=40))
def test_mann_whitney_is_a_probability_of_the_order_alone(
    old: list[float], new: list[float]
) -> None:
    p = mann_whitney(old, new)
    assert 0 <= p <= 1
    assert mann_whitney(new, old) == p
    assert mann_whitney([it * 8 for it in old], [it * 8 for it in new]) == p


# --- the ratio of two medians


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_the_interval_of_the_ratio_is_that_of_all_resamples(n: int) -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0][:n]
    medians = sorted(median(it) for it in product(values, repeat=n))
    low, high = (medians[math.floor(len(medians) * q)] for q in (0.025, 0.975))
    assert ratio_interval([1.0], values) == (low, high)
    assert ratio_interval(values, [1.0]) == (1 / high, 1 / low)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_middle_of_a_resample_is_as_often_where_it_is_in_all_of_them(n: int) -> None:
    resamples = [sorted(it) for it in product(range(n), repeat=n)]
    middles = Counter((it[(n - 1) // 2], it[n // 2]) for it in resamples)
    drawn = Counter(stats._middles(n, 20_000, "any"))
    for pair in drawn | middles:
        share = middles[pair] / len(resamples)
        assert drawn[pair] / 20_000 == pytest.approx(share, abs=0.015), pair


@pytest.mark.parametrize("n", [7, 30, 31])
def test_the_interval_of_the_ratio_is_that_of_plain_resampling(n: int) -> None:
    values, seeded = spread(n, sigma=1.0), random.Random(3)
    medians = sorted(median(seeded.choices(values, k=n)) for _ in range(20_000))
    low, high = ratio_interval([1.0], values, resamples=20_000)
    assert low == pytest.approx(medians[500], rel=0.02)
    assert high == pytest.approx(medians[-501], rel=0.02)


def test_both_sides_are_resampled_apart_and_always_in_the_same_way() -> None:
    values = spread(10)
    low, high = ratio_interval(values, values)
    assert low < 1 < high
    assert ratio_interval(values, values) == (low, high)
    for old, new in ((values, [1.0]), ([1.0], values)):
        assert ratio_interval(old, new, resamples=20) != ratio_interval(
            old, new, resamples=20, seed=1
        )


def test_a_single_resample_is_both_ends() -> None:
    low, high = ratio_interval(spread(9), spread(9, seed=2), resamples=1)
    assert low == high


def test_nothing_has_no_ratio() -> None:
    for old, new in (([], [1.0]), ([1.0], [])):
        with pytest.raises(ValueError, match="no values"):
            ratio_interval(old, new)
        with pytest.raises(ValueError, match="median"):
            judge(old, new)


# --- the verdict


def test_what_is_clearly_slower_is_a_regression() -> None:
    found = judge(spread(10), spread(10, 1.2, seed=2))
    assert found.verdict == "REGRESSED"
    assert found.ratio == pytest.approx(1.2, rel=0.03)
    assert found.low is not None
    assert found.high is not None
    assert 1.05 < found.low <= found.ratio <= found.high < 1.35
    assert found.p < 0.001
    assert found.more_runs is None


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0])
def test_what_is_as_fast_or_faster_is_ok(scale: float) -> None:
    found = judge(spread(10), spread(10, scale, seed=2))
    assert (found.verdict, found.more_runs) == ("OK", None)


def test_an_effect_below_the_threshold_is_ok_however_sure_it_is() -> None:
    old, new = spread(30, sigma=0.002), spread(30, 1.03, sigma=0.002, seed=2)
    found = judge(old, new)
    assert found.p < 1e-6
    assert found.verdict == "OK"
    assert judge(old, new, threshold=0.02).verdict == "REGRESSED"


def test_a_large_effect_that_may_be_chance_is_no_regression() -> None:
    old = [1.0, 1.1, 1.2, 1.3, 2.0, 2.1]
    new = [0.9, 1.15, 1.5, 1.6, 1.7, 2.2]
    found = judge(old, new)
    assert found.ratio > 1.2
    assert found.p > 0.05
    assert found.verdict == "INCONCLUSIVE"
    assert judge(old, new, alpha=0.99).verdict == "REGRESSED"


def test_an_interval_beyond_the_threshold_is_not_ok() -> None:
    found = judge(spread(10, sigma=0.2), spread(10, sigma=0.2, seed=4))
    assert found.ratio < 1.05 < (found.high or 0)
    assert found.verdict == "INCONCLUSIVE"


def test_where_an_interval_is_too_wide_its_width_tells_how_many_more_runs() -> None:
    found = judge([1.0] * 10, [0.90, 0.92, 0.94, 0.96, 0.98, 1.0, 1.06, 1.07, 1.08, 1.09])
    assert found.verdict == "INCONCLUSIVE"
    assert found.high is not None
    times = (found.high - found.ratio) / (1.05 - found.ratio)
    assert found.more_runs == math.ceil(10 * (times**2 - 1)) > 1


def test_where_the_test_is_unsure_its_p_tells_how_many_more_runs() -> None:
    found = judge([1.0, 1.1, 1.2, 1.3, 2.0, 2.1], [0.9, 1.15, 1.5, 1.6, 1.7, 2.2])
    times = NormalDist().inv_cdf(0.975) / NormalDist().inv_cdf(1 - found.p / 2)
    assert found.more_runs == math.ceil(6 * (times**2 - 1)) > 1


def test_what_a_hair_would_decide_takes_one_more_run() -> None:
    old, new = spread(10), spread(10, 1.2, seed=2)
    assert judge(old, new, alpha=judge(old, new).p).more_runs == 1


def test_more_runs_than_anybody_makes_are_not_promised() -> None:
    values = ramp(1, 8)
    assert (
        judge(values, [it * 1.0499 for it in values]).more_runs == MAX_MORE_RUNS
    )  # of the interval
    found = judge([10.0] * 8, [1.0, 2.0, 3.0, 9.0, 15.0, 17.0, 18.0, 19.0])
    assert (found.ratio, found.p) == (1.2, 1.0)
    assert found.more_runs == MAX_MORE_RUNS  # of the test


@pytest.mark.parametrize(("n", "m", "more"), [(1, 1, 5), (5, 30, 1), (30, 4, 2)])
def test_fewer_than_six_on_a_side_decide_nothing(n: int, m: int, more: int) -> None:
    old, new = spread(n), spread(m, 9.0)
    assert judge(old, new) == Judgement(
        median(new) / median(old), None, None, mann_whitney(old, new), "INCONCLUSIVE", more
    )


def test_six_on_a_side_are_enough() -> None:
    assert judge(spread(6), spread(6, 1.3)).verdict == "REGRESSED"
    assert judge(spread(6), spread(6, 0.7)).verdict == "OK"


def test_fewer_tokens_a_second_are_a_regression_and_more_are_none() -> None:
    slow, fast = spread(11, 40.0), spread(11, 50.0, seed=2)
    assert judge(fast, slow, higher_is_worse=False).verdict == "REGRESSED"
    assert judge(slow, fast, higher_is_worse=False).verdict == "OK"
    assert judge(fast, slow, higher_is_worse=False).ratio == pytest.approx(0.8, rel=0.03)


@pytest.mark.parametrize("worse", [1.049, 1.051])
def test_a_pace_and_its_inverse_have_one_verdict_at_one_threshold(worse: float) -> None:
    old = spread(11, sigma=0.0002)
    new = [it * worse for it in old]
    turned = judge([1 / it for it in old], [1 / it for it in new], higher_is_worse=False)
    assert turned.verdict == judge(old, new).verdict == ("OK" if worse < 1.05 else "REGRESSED")
    assert turned.ratio == pytest.approx(1 / worse)


def test_an_unsure_pace_asks_for_more_runs_too() -> None:
    found = judge(spread(10, sigma=0.2), spread(10, sigma=0.2, seed=4), higher_is_worse=False)
    assert found.verdict == "INCONCLUSIVE"
    assert found.more_runs is not None


def test_failed_runs_are_the_worst() -> None:
    whole, broken = spread(10), [*spread(2), *[INF] * 8]
    assert judge(whole, broken).verdict == "REGRESSED"
    assert judge(whole, broken).ratio == INF
    assert judge(broken, whole).verdict == "OK"
    assert judge(broken, whole).ratio == 0.0
    stopped = [*spread(2), *[0.0] * 8]
    assert judge(whole, stopped, higher_is_worse=False).verdict == "REGRESSED"
    assert judge(stopped, whole, higher_is_worse=False).verdict == "OK"


def test_nothing_is_said_where_most_runs_of_both_sides_failed() -> None:
    broken = [1.0, 2.0, *[INF] * 8]
    found = judge(broken, broken)
    assert (found.verdict, found.more_runs, found.ratio) == ("INCONCLUSIVE", None, 1.0)
    stopped = [1.0, 2.0, *[0.0] * 8]
    assert judge(stopped, stopped, higher_is_worse=False).more_runs is None
    # No stalls at all, before and after, are no failure.
    assert judge([0.0] * 10, [0.0] * 10).verdict == "OK"


@given(
    st.lists(latencies | st.just(0.0), min_size=1, max_size=8),
    st.lists(latencies | st.just(0.0), min_size=1, max_size=8),
    st.booleans(),
)
def test_there_is_a_verdict_for_whatever_was_measured(
    old: list[float], new: list[float], higher_is_worse: bool
) -> None:
    found = judge(old, new, higher_is_worse=higher_is_worse)
    figures = [found.ratio, found.p, found.low or 0.0, found.high or 0.0]
    assert not any(math.isnan(it) or it < 0 for it in figures)
    assert found.more_runs is None or 1 <= found.more_runs <= MAX_MORE_RUNS


@pytest.mark.parametrize("name", LATENCIES)
@pytest.mark.parametrize("n", [6, 30])
def test_a_thing_is_seldom_worse_than_itself(name: str, n: int) -> None:
    assert false_alarms(LATENCIES[name], n, 400) <= FALSE_ALARMS

"""How sure a figure is, and whether it got worse: intervals, tests and their limits. Arithmetic.

1. No distribution is assumed. Latencies are skewed, have two modes and a long tail.
2. A failed run is `math.inf`, slower than every answer; all of them are equal. NaN never occurs.
3. What n is too small for is None, never a guess.
4. The interval of a median is exact. A bootstrap of it covers only 0.90 at small n, so one serves
   only where nothing exact is: for the ratio of two medians.
5. That something got worse needs both: an effect that matters, and a test that rules out chance.
"""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec

CONFIDENCE = 0.95

MIN_VALUES = 6
"""Values a side for a verdict; also the fewest for an interval of the median."""

MAX_EXACT_VALUES = 30
"""Up to this many values a side, a whole plan, Mann-Whitney counts every order."""

MAX_MORE_RUNS = 1000
"""This many more runs stand for "that many or more"."""

Verdict = Literal["REGRESSED", "OK", "INCONCLUSIVE"]


class Judgement(msgspec.Struct, frozen=True):
    """New values against old ones.

    `ratio` is median(new) / median(old), `low` and `high` its 95 % interval, None for fewer than
    6 values on a side; each may be infinite. `p` is that of Mann-Whitney, two-sided. `more_runs`
    says about how many more a side would decide what is INCONCLUSIVE; None if none would.
    """

    ratio: float
    low: float | None
    high: float | None
    p: float
    verdict: Verdict
    more_runs: int | None = None


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones. Raises `ValueError` for none."""
    return statistics.median(values)


def median_interval(
    values: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """The interval that holds the true median with at least this confidence, or None.

    Two order statistics, equally far from both ends: as a value is below the median with
    probability 1/2, the ranks follow from the binomial distribution, whatever the values'
    distribution is. The narrowest pair that is sure enough; at 95 % no pair is, for n < 6.
    (W. R. Thompson, Ann. Math. Statist. 7 (1936) 122; David & Nagaraja, Order Statistics, 3rd
    edition, 7.1.)
    """
    rank = _interval_rank(len(values), confidence)
    if rank is None:
        return None
    ordered = sorted(values)
    return ordered[rank - 1], ordered[-rank]


@lru_cache
def _interval_rank(n: int, confidence: float) -> int | None:
    """The largest rank r such that the r-th smallest and the r-th largest are sure enough.

    They enclose the median when B, how many of the n values are below it, is r to n - r.
    """
    rank = n // 2
    ways = math.comb(n, rank)  # of 2**n: those with B = rank, a middle one
    enclosed = ways if n == 2 * rank else 2 * ways
    while enclosed / 2**n < confidence:
        if rank <= 1:
            return None
        ways = ways * rank // (n - rank + 1)
        rank -= 1
        enclosed += 2 * ways
    return rank or None


def precision(values: Sequence[float]) -> float | None:
    """Half the width of the median's interval, as a share of the median.

    None where there is no interval; infinite where it ends in a failed run. Runs that stop as soon
    as it is small have an interval that covers 0.93 at worst (tests.bench.coverage shows it).
    """
    interval = median_interval(values)
    if interval is None:
        return None
    low, high = interval
    if math.isinf(high):
        return math.inf
    return _over((high - low) / 2, median(values)) if high > low else 0.0


def percentile(values: Sequence[float], q: float) -> float | None:
    """The nearest-rank percentile for a `q` of 0.90, 0.95 or 0.99: the ceil(q n)-th smallest.

    None where n is too small for it.
    """
    n = len(values)
    return sorted(values)[math.ceil(q * n) - 1] if n >= fewest_for(q) else None


def fewest_for(q: float) -> int:
    """The smallest n with which a percentile has an upper bound at all: 29, 59 and 299.

    All n values are below it with probability q**n; only where that is at most 5 % is their
    maximum a 95 % bound. (S. S. Wilks, Ann. Math. Statist. 12 (1941) 91.)
    """
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(q))


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """The two-sided p of the U test: could both be of one distribution?

    Exact for up to 30 values a side without ties, else by the normal distribution, corrected for
    ties and continuity. 1.0 when all values are tied, or a side has no values.
    (Mann & Whitney, Ann. Math. Statist. 18 (1947) 50; Hollander, Wolfe & Chicken, Nonparametric
    Statistical Methods, 3rd edition, 4.1.)
    """
    n, m = len(old), len(new)
    ordered = sorted(old)
    u = sum(bisect_left(ordered, it) + bisect_right(ordered, it) for it in new) / 2
    u = min(u, n * m - u)
    ties = [count for count in Counter([*old, *new]).values() if count > 1]
    if not ties and max(n, m) <= MAX_EXACT_VALUES:
        return min(1.0, 2 * sum(_orders(n, m)[: int(u) + 1]) / math.comb(n + m, n))
    both = n + m
    tied = sum(count**3 - count for count in ties) / (both * (both - 1))
    deviation = math.sqrt(n * m / 12 * (both + 1 - tied))
    if deviation == 0:
        return 1.0
    z = (n * m / 2 - u - 0.5) / deviation
    return min(1.0, math.erfc(z / math.sqrt(2)))


@lru_cache
def _orders(n: int, m: int) -> list[int]:
    """How many orders of n and m values have U = 0, 1, ... n m.

    They are the coefficients of the Gaussian binomial, the product over i = 1 ... n of
    (1 - x**(m + i)) / (1 - x**i).
    """
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            counts[u] -= counts[u - m - i]
        for u in range(i, n * m + 1):
            counts[u] += counts[u - i]
    return counts


def ratio_interval(
    old: Sequence[float], new: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of median(new) / median(old), by the percentile bootstrap.

    Each side is resampled by itself. Raises `ValueError` for nothing on a side. (Efron &
    Tibshirani, An Introduction to the Bootstrap, 13.3.)
    """
    if not old or not new:
        raise ValueError("no values to compare")
    below, above = sorted(old), sorted(new)
    ratios = sorted(
        _over((above[c] + above[d]) / 2, (below[a] + below[b]) / 2)
        for (a, b), (c, d) in zip(
            _middles(len(old), resamples, f"{seed} old"),
            _middles(len(new), resamples, f"{seed} new"),
            strict=True,
        )
    )
    outside = math.floor(resamples * (1 - CONFIDENCE) / 2)
    return ratios[outside], ratios[-1 - outside]


@lru_cache(maxsize=16)
def _middles(n: int, resamples: int, seed: str) -> list[tuple[int, int]]:
    """The two (or one, twice) values in the middle of each resample, as indices of the sorted n.

    A resample is n uniform numbers, taken as places in the sorted values. Its middle ones can be
    drawn without the others, so that ten thousand gaps cost what ten do: the k-th smallest of n
    uniform numbers has the distribution Beta(k, n + 1 - k), and the one after it is the least of
    n - k that are uniform above it. (David & Nagaraja, 2.1 and 2.5.)
    """
    seeded = random.Random(seed)
    k = (n + 1) // 2
    found = []
    for _ in range(resamples):
        first = second = seeded.betavariate(k, n + 1 - k)
        if n % 2 == 0:
            second = 1 - (1 - first) * (1 - seeded.random()) ** (1 / (n - k))
        # A float may round up to 1.0, which is not a place.
        found.append((min(int(first * n), n - 1), min(int(second * n), n - 1)))
    return found


def judge(
    old: Sequence[float],
    new: Sequence[float],
    *,
    threshold: float = 0.05,
    alpha: float = 0.05,
    higher_is_worse: bool = True,
) -> Judgement:
    """Whether the new median is worse than the old one by more than `threshold` (0.05 is 5 %).

    REGRESSED: the ratio is beyond 1 + threshold, and Mann-Whitney's p is below `alpha`.
    OK: the whole interval of the ratio is below 1 + threshold; so is that of an improvement.
    INCONCLUSIVE: anything else, fewer than 6 values on a side, and where most runs of both sides
    failed. Where lower is worse the inverse of the ratio is judged, so that tokens per second
    and seconds per token have one verdict; a failed run is 0.0 there.

    Raises `ValueError` for nothing on a side.
    """
    before, after = median(old), median(new)
    ratio = _over(after, before)
    p = mann_whitney(old, new)
    n = min(len(old), len(new))
    if n < MIN_VALUES:
        return Judgement(ratio, None, None, p, "INCONCLUSIVE", MIN_VALUES - n)
    low, high = ratio_interval(old, new)
    if before == after == (math.inf if higher_is_worse else 0.0):
        return Judgement(ratio, low, high, p, "INCONCLUSIVE")
    worse, worst = (ratio, high) if higher_is_worse else (_over(1, ratio), _over(1, low))
    limit = 1 + threshold
    if worse > limit and p < alpha:
        return Judgement(ratio, low, high, p, "REGRESSED")
    if worst < limit:
        return Judgement(ratio, low, high, p, "OK")
    # What keeps it from a verdict shrinks, or grows, with the square root of n.
    if worse > limit:
        factor = _over(_deviations(alpha), _deviations(p)) ** 2
    else:
        factor = _over(worst - worse, limit - worse) ** 2
    more = math.ceil(min(MAX_MORE_RUNS, max(1, n * (factor - 1))))
    return Judgement(ratio, low, high, p, "INCONCLUSIVE", more)


def _deviations(p: float) -> float:
    """How many standard deviations from the mean a two-sided p is."""
    return statistics.NormalDist().inv_cdf(1 - p / 2)


def _over(a: float, b: float) -> float:
    """a / b of values from 0 to infinity; equal ones, two failures too, have the ratio 1."""
    if a == b:
        return 1.0
    return a / b if b else math.inf

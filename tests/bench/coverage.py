"""`python -m tests.bench.coverage`: how often the statistics of `bench` are right.

Latencies of known distributions, all seeded: the share of 95 % intervals that hold the true
median, for every n from 6 to 60; the same where each value may be the last, as it is when runs
stop by their precision; and the share of comparisons of a thing with itself that are REGRESSED.
Exit status 1 if a line is missed. About a minute.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import NamedTuple

from chatstream.bench.stats import judge, median_interval, precision

COVERED = 0.94
STOPPED_COVERED = 0.92
FALSE_ALARMS = 0.05
SIZES = range(6, 61)
STOPS = range(6, 31)


class Latency(NamedTuple):
    """A distribution of seconds, and its median."""

    draw: Callable[[random.Random], float]
    median: float


def _bimodal(seeded: random.Random) -> float:
    return seeded.lognormvariate(math.log(0.2 if seeded.random() < 0.7 else 1.0), 0.1)


# The upper mode has nothing near the median, so half of all is 5/7 of the lower one.
LATENCIES = {
    "lognormal": Latency(lambda seeded: seeded.lognormvariate(math.log(0.3), 0.5), 0.3),
    "bimodal": Latency(_bimodal, 0.2 * math.exp(0.1 * NormalDist().inv_cdf(5 / 7))),
    "Pareto": Latency(lambda seeded: 0.2 * seeded.paretovariate(1.5), 0.2 * 2 ** (1 / 1.5)),
}


def coverage(latency: Latency, sizes: Iterable[int], repetitions: int) -> dict[int, float]:
    """The share of intervals that hold the true median, for each n."""
    seeded = random.Random(5)
    held = dict.fromkeys(sizes, 0)
    for _ in range(repetitions):
        values = [latency.draw(seeded) for _ in range(max(held))]
        for n in held:
            interval = median_interval(values[:n])
            held[n] += interval is not None and interval[0] <= latency.median <= interval[1]
    return {n: count / repetitions for n, count in held.items()}


def stopped_coverage(sigma: float, repetitions: int) -> float:
    """The same of lognormal values that stop when the interval is within 5 % of the median."""
    seeded = random.Random(5)
    held = 0
    for _ in range(repetitions):
        values = [seeded.lognormvariate(0, sigma) for _ in range(STOPS[-1])]
        narrow = (n for n in STOPS if (precision(values[:n]) or 0.0) <= 0.05)
        low, high = median_interval(values[: next(narrow, STOPS[-1])]) or (1.0, 0.0)
        held += low <= 1 <= high
    return held / repetitions


def false_alarms(latency: Latency, n: int, repetitions: int) -> float:
    """The share of comparisons with itself, n values a side, that are REGRESSED."""
    seeded = random.Random(5)
    alarms = 0
    for _ in range(repetitions):
        old, new = ([latency.draw(seeded) for _ in range(n)] for _ in range(2))
        alarms += judge(old, new).verdict == "REGRESSED"
    return alarms / repetitions


def main() -> int:
    """Print the table; returns the exit status."""
    missed = 0
    covered = {name: coverage(it, SIZES, 20_000) for name, it in LATENCIES.items()}
    print(f"the median's interval, 20,000 repetitions, at least {COVERED}")
    print("   n", *(f"{name:>10}" for name in LATENCIES))
    for n in SIZES:
        shares = [covered[name][n] for name in LATENCIES]
        missed += any(share < COVERED for share in shares)
        print(f"{n:4}", *(f"{share:10.4f}" for share in shares))
    print(f"\nthe same at the stop, 5,000 repetitions, at least {STOPPED_COVERED}")
    for sigma in (0.03, 0.05, 0.07, 0.1, 0.15, 0.3):
        share = stopped_coverage(sigma, 5_000)
        missed += share < STOPPED_COVERED
        print(f"values that spread by {sigma:4.0%} {share:8.4f}", flush=True)
    print(f"\nREGRESSED against itself, 3,000 repetitions, at most {FALSE_ALARMS}")
    for n in (6, 8, 10, 15, 20, 30, 60):
        shares = [false_alarms(it, n, 3_000) for it in LATENCIES.values()]
        missed += any(share > FALSE_ALARMS for share in shares)
        print(f"{n:4}", *(f"{share:10.4f}" for share in shares), flush=True)
    print("all lines met" if not missed else f"{missed} lines missed")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())

"""The figures of a result, as they stand on a screen.

1. A dash is a figure that is not there; "≈" one that depends on a count of tokens that the
   server did not report. A figure that failed runs have made infinite reads "failed".
2. All of this is about whole runs that are not cold.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chatstream.bench import stats
from chatstream.bench.layout import Span, number, seconds
from chatstream.bench.metrics import METRICS, values_of
from chatstream.bench.result import OK, Arm, Result, Sample, Summary

NONE = "\u2013"  # an en dash

COUNTED = frozenset({"tpot", "tokens_per_second"})
"""The metrics that depend on N."""

PERCENTILES = {
    name: stats.fewest_for(q) for name, q in (("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
}
"""With the least n that each one needs."""

MAX_UNBUNDLED_TOKENS = 1.05
"""Tokens per arrival up to which there are no bundles: an end token is counted and never sent."""


# ---- of a metric


def figure(metric: str, value: float | None, approximate: bool = False) -> str:
    """A value in the unit of its metric."""
    if value is None:
        return NONE
    known = METRICS.get(metric)
    text = seconds(value) if known is not None and known.unit == "s" else number(value)
    return f"≈{text}" if approximate and metric in COUNTED else text


def cell(it: Summary, value: float | None, approximate: bool, least: int = 1) -> str:
    """A figure that takes `least` values. Enough values and still no figure: runs failed."""
    if value is None and it.failed and it.n >= least:
        return "failed"
    return figure(it.metric, value, approximate)


def interval(it: Summary, approximate: bool) -> str:
    """The 95 % interval of the median: `[370, 407] ms`; where the units differ, with both."""
    if it.low is None:
        return NONE
    mark = "≈" if approximate and it.metric in COUNTED else ""
    low, _, unit = figure(it.metric, it.low).partition(" ")
    high, _, same = cell(it, it.high, False).partition(" ")
    if unit == same:
        return f"{mark}[{low}, {high}] {unit}".rstrip()
    return f"{mark}[{f'{low} {unit}'.rstrip()}, {f'{high} {same}'.rstrip()}]"


def row(it: Summary | None, approximate: bool, percentiles: Sequence[str] = ()) -> list[Span]:
    """Median, interval, min, max and percentiles."""
    if it is None:
        return [(NONE, "")] * (4 + len(percentiles))
    return [
        (cell(it, it.median, approximate), "bold"),
        (interval(it, approximate), ""),
        (cell(it, it.min, approximate), ""),
        (cell(it, it.max, approximate), ""),
        *((cell(it, getattr(it, at), approximate, PERCENTILES[at]), "") for at in percentiles),
    ]


def percentiles_of(summaries: Iterable[Summary | None]) -> list[str]:
    """The percentiles that any of them has enough values for."""
    most = max((it.n for it in summaries if it is not None), default=0)
    return [at for at, least in PERCENTILES.items() if most >= least]


# ---- of an arm


def summaries_of(arm: Arm) -> dict[str, Summary]:
    """The summaries that have anything, by their metric."""
    return {it.metric: it for it in arm.summaries if it.n}


def runs_of(result: Result, arm: Arm) -> list[Sample]:
    """The whole runs, without the cold one."""
    return [it for it in result.samples if it.arm == arm.name and not it.cold and it.status == OK]


def ttfts_of(result: Result, arm: Arm) -> list[float]:
    """The TTFT of each run; infinite where it failed."""
    return values_of("ttft", (it for it in result.samples if it.arm == arm.name))


def gaps_of(runs: Iterable[Sample]) -> list[float]:
    """The gaps of all runs."""
    return [gap for it in runs for gap in it.gaps]


def is_approximate(runs: Iterable[Sample]) -> bool:
    """Whether any count of tokens is not the server's own."""
    return any(it.approximate for it in runs)


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of what is known."""
    known = [it for it in values if it is not None]
    return statistics.median(known) if known else None


def cold_ttft(arm: Arm) -> float | None:
    """Connect and TTFT of the cold run, in seconds; None without one, or if it failed."""
    run = arm.cold
    if run is None or run.status != OK or run.ttft is None:
        return None
    return (run.connect or 0.0) + run.ttft


class Parts(NamedTuple):
    """Medians of the parts of TTFT, in seconds; None is what is not known.

    One round trip is the network's: the request goes there, the token comes back.
    """

    network: float | None
    load: float | None
    prompt: float | None
    rest: float | None

    @property
    def server(self) -> float:
        """What the server itself accounts for."""
        return (self.load or 0.0) + (self.prompt or 0.0)


def parts_of(runs: Sequence[Sample]) -> Parts:
    """Where the median TTFT went. `rest` is None where the server reports nothing."""
    servers = [it.server for it in runs if it.server is not None]
    load, prompt = median_of(it.load for it in servers), median_of(it.prompt for it in servers)
    network, ttft = median_of(it.rtt for it in runs), median_of(it.ttft for it in runs)
    rest = None
    if ttft is not None and (load is not None or prompt is not None):
        # Medians of parts do not add up exactly, and the server has a clock of its own.
        rest = max(0.0, ttft - (network or 0.0) - (load or 0.0) - (prompt or 0.0))
    return Parts(network, load, prompt, rest)


def per_arrival(runs: Sequence[Sample]) -> str | None:
    """Tokens per arrival; None where each arrival brought one, or nothing is known.

    Answers that came in one piece say nothing about it.
    """
    known = [(it.tokens, it) for it in runs if it.tokens and it.deltas and len(it.deltas_at) > 1]
    if not known:
        return None
    mean = sum(n for n, _ in known) / sum(len(it.deltas_at) for _, it in known)
    most = max(max(it.deltas_at) * n / it.deltas for n, it in known)
    if mean < MAX_UNBUNDLED_TOKENS and all(max(it.deltas_at) == 1 for _, it in known):
        return None
    counted = is_approximate(runs)
    shared = counted or any(n != it.deltas for n, it in known)
    return f"mean {'≈' * counted}{number(mean)}, max {'≈' * shared}{number(most)}"

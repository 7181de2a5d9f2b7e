"""The figures of runs, together and by group: ends, latencies, tokens, cost, recoveries. Pure.

1. A run is whole, stopped by the user, or failed. `outcomes` counts each kind of end.
2. Percentiles are those of the runs that have the figure, and None for too few runs
   (`bench.stats.percentile`). Those of the pace count from the slow side, as those of a latency do:
   `p05` is the pace that 95 % of the runs reached.
3. Sums are of what is known. `cost_unknown` counts the runs whose cost is not; `cost` is None if
   that is all of them.
4. A run was in trouble if it was retried, fell back to another model, or resumed an answer that had
   broken off. It recovered if it is whole.
5. A day and an hour are those of the local time zone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import msgspec

from chatstream.bench import stats
from chatstream.store.figures import Figures
from chatstream.terminal.runs import local_time, outcome

WHOLE, STOPPED = "complete", "cancelled"
"""Outcomes that are no failures."""

UNKNOWN = "-"
"""The name of the group of runs that do not say."""


class By(StrEnum):
    """What runs are grouped by."""

    MODEL = "model"
    PROVIDER = "provider"
    DAY = "day"
    HOUR = "hour"
    PROJECT = "project"
    AGENT = "agent"


class Latency(msgspec.Struct, frozen=True):
    """Percentiles of a time in seconds, over `n` runs."""

    n: int
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class Pace(msgspec.Struct, frozen=True):
    """Percentiles of tokens per second, over `n` runs."""

    n: int
    p50: float | None
    p10: float | None
    p05: float | None
    p01: float | None


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What some runs came to. `name` is that of the group; None for all runs."""

    by: By | None = None
    name: str | None = None
    first: str | None
    last: str | None
    runs: int
    whole: int
    stopped: int
    failed: int
    outcomes: dict[str, int]
    ttft: Latency
    tokens_per_second: Pace
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost: float | None
    cost_estimated: bool
    cost_unknown: int
    retries: int
    fallbacks: int
    resumed: int
    troubled: int
    recovered: int

    @property
    def failures(self) -> dict[str, int]:
        """The kinds of failure, the most frequent first."""
        kinds = {name: n for name, n in self.outcomes.items() if name not in (WHOLE, STOPPED)}
        return dict(sorted(kinds.items(), key=lambda it: (-it[1], it[0])))


def total(runs: Sequence[Figures], by: By | None = None, name: str | None = None) -> Total:
    """What these runs came to."""
    outcomes = Counter(map(outcome, runs))
    troubled = [it for it in runs if it.retries or it.fallbacks or it.continues]
    costs = [it.dollars for it in runs if it.dollars is not None]
    begun = [it.started_at for it in runs]
    return Total(
        by=by,
        name=name,
        first=min(begun, default=None),
        last=max(begun, default=None),
        runs=len(runs),
        whole=outcomes[WHOLE],
        stopped=outcomes[STOPPED],
        failed=len(runs) - outcomes[WHOLE] - outcomes[STOPPED],
        outcomes=dict(outcomes.most_common()),
        ttft=_latency(it.ttft for it in runs),
        tokens_per_second=_pace(it.tokens_per_second for it in runs),
        input_tokens=_sum(it.input_tokens for it in runs),
        output_tokens=_sum(it.output_tokens for it in runs),
        reasoning_tokens=_sum(it.reasoning_tokens for it in runs),
        cached_tokens=_sum(it.cached_tokens for it in runs),
        cost=round(sum(costs), 10) if costs else None,
        cost_estimated=any(it.estimated for it in runs),
        cost_unknown=len(runs) - len(costs),
        retries=_sum(it.retries for it in runs),
        fallbacks=_sum(it.fallbacks for it in runs),
        resumed=sum(it.continues is not None for it in runs),
        troubled=len(troubled),
        recovered=sum(outcome(it) == WHOLE for it in troubled),
    )


def grouped(runs: Iterable[Figures], by: By) -> list[Total]:
    """What each group came to: times in their order, others with the most runs first."""
    groups: dict[str, list[Figures]] = {}
    for run in runs:
        groups.setdefault(_NAMES[by](run) or UNKNOWN, []).append(run)
    totals = [total(its, by, name) for name, its in sorted(groups.items())]
    return totals if by in (By.DAY, By.HOUR) else sorted(totals, key=lambda it: -it.runs)


def _model(run: Figures) -> str | None:
    """As `--model` takes it."""
    return f"{run.model}@{run.provider}" if run.model and run.provider else run.model


_NAMES: dict[By, Callable[[Figures], str | None]] = {
    By.MODEL: _model,
    By.PROVIDER: lambda run: run.provider,
    By.DAY: lambda run: local_time(run.started_at)[:10],
    By.HOUR: lambda run: f"{local_time(run.started_at)[:13]}:00",
    By.PROJECT: lambda run: run.project,
    By.AGENT: lambda run: run.agent,
}


def _latency(values: Iterable[float | None]) -> Latency:
    known = sorted(it for it in values if it is not None)
    median = stats.median(known) if known else None
    return Latency(len(known), median, *(stats.percentile(known, q) for q in (0.90, 0.95, 0.99)))


def _pace(values: Iterable[float | None]) -> Pace:
    slow = _latency(-it for it in values if it is not None)
    tail = (slow.p50, slow.p90, slow.p95, slow.p99)
    return Pace(slow.n, *(None if it is None else -it for it in tail))


def _sum(counts: Iterable[int | None]) -> int:
    return sum(it for it in counts if it is not None)

"""What follows from the figures: comparisons, the client's own part, and the exit status.

1. A comparison judges the runs that are not cold; `stats.judge` says how.
2. The client is CLIENT-BOUND if this process was too late or too busy for its figures to be
   trusted.

Times are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from chatstream.bench import stats
from chatstream.bench.metrics import METRICS, counterpart, failed, finite, samples_of, values_of
from chatstream.bench.result import OK, Arm, Client, Comparison, Result, Sample

BASELINE = "baseline"
"""What a `Comparison` with a baseline is `against`; `Result.baseline` has its name."""

LAG_LIMIT_SECONDS = 0.002
"""Seconds. A lag of 2 ms at the 99th percentile is below what anyone compares servers by."""

LAG_SHARE, LAG_CEILING_SECONDS = 0.1, 0.005
"""Slow streams forgive more: a tenth of the median gap, but never more than 5 ms."""

CPU_LIMIT_SHARE = 0.8
"""Of one core: above it, work queues up behind work, and the lag grows without a bound."""

FAILURES_LIMIT_SHARE = 0.1
"""The share of failed runs above which the figures speak of another load than was asked for."""


def compare_results(
    new: Result, old: Result, metrics: Iterable[str] = ("ttft", "tpot")
) -> list[Comparison]:
    """Each arm against the baseline's same arm; `against` is `BASELINE`.

    What whole runs of only one of the two have is INCONCLUSIVE. The metrics have one value a run:
    many values of one run are not independent, and the test assumes that they are.
    """
    metrics = list(metrics)
    compared: list[Comparison] = []
    for arm in new.arms:
        old_arm = counterpart(arm, new, old)
        now = samples_of(new, arm)
        before = samples_of(old, old_arm) if old_arm is not None else []
        for metric in metrics:
            if _have(metric, now) or _have(metric, before):
                compared.append(_compared(metric, now, before, arm.name, BASELINE))
    return compared


def compare_arms(result: Result, metrics: Iterable[str] = ("ttft", "tpot")) -> list[Comparison]:
    """Each further arm against the first, in the metrics that whole runs of both have."""
    metrics = list(metrics)
    compared: list[Comparison] = []
    for arm in result.arms[1:]:
        for metric in metrics:
            if (found := between(metric, result, arm, result.arms[0])) is not None:
                compared.append(found)
    return compared


def between(metric: str, result: Result, arm: Arm, other: Arm) -> Comparison | None:
    """One arm against another; None where not both have whole runs with this metric.

    FASTER and SLOWER follow the rule for REGRESSED, in either direction. SAME: neither can be,
    the whole interval of the ratio is within the threshold. As with `compare_results`, the metric
    has one value per run.
    """
    now, before = samples_of(result, arm), samples_of(result, other)
    if not (_have(metric, now) and _have(metric, before)):
        return None
    comparison = _compared(metric, now, before, arm.name, other.name)
    back = _compared(metric, before, now, other.name, arm.name)
    if comparison.verdict == "REGRESSED":
        return msgspec.structs.replace(comparison, verdict="SLOWER")
    if back.verdict == "REGRESSED":
        return msgspec.structs.replace(comparison, verdict="FASTER", more_runs=None)
    if comparison.verdict == back.verdict == "OK":
        return msgspec.structs.replace(comparison, verdict="SAME")
    more = max((it.more_runs or 0 for it in (comparison, back)), default=0)
    return msgspec.structs.replace(comparison, verdict="INCONCLUSIVE", more_runs=more or None)


def _have(metric: str, samples: list[Sample]) -> bool:
    return bool(values_of(metric, [sample for sample in samples if sample.status == OK]))


def _compared(
    metric: str, now: list[Sample], before: list[Sample], arm: str, against: str
) -> Comparison:
    new, old = values_of(metric, now), values_of(metric, before)
    medians = [finite(stats.median(values)) if values else None for values in (old, new)]
    comparison = Comparison(
        metric=metric,
        arm=arm,
        against=against,
        old=medians[0],
        new=medians[1],
        verdict="INCONCLUSIVE",
    )
    if not new or not old:
        return comparison
    judged = stats.judge(old, new, higher_is_worse=METRICS[metric].better == "lower")
    return msgspec.structs.replace(
        comparison,
        ratio=finite(judged.ratio),
        low=finite(judged.low),
        high=finite(judged.high),
        p=judged.p,
        verdict=judged.verdict,
        more_runs=judged.more_runs,
    )


def client_of(samples: Iterable[Sample], cpu: float) -> Client:
    """Our own part, over all runs. `cpu` is the share of one core that this process used."""
    runs = [sample for sample in samples if sample.arrivals]
    lags = sorted(lag for run in runs for lag in run.lags)
    gaps = [gap for run in runs for gap in run.gaps]
    p50 = stats.median(lags) if lags else 0.0
    p99 = lags[math.ceil(0.99 * len(lags)) - 1] if lags else 0.0  # the nearest rank
    forgiven = LAG_SHARE * stats.median(gaps) if gaps else 0.0
    limit = max(LAG_LIMIT_SECONDS, min(forgiven, LAG_CEILING_SECONDS))
    clock: Literal["kernel", "user"] = (
        "kernel" if runs and all(run.kernel for run in runs) else "user"
    )
    late, busy = p99 > limit, cpu > CPU_LIMIT_SHARE
    reason = f"client lag p99 {p99 * 1e3:.2f} ms; the limit is {limit * 1e3:.3g} ms"
    if busy and not late:
        reason = f"this process used {cpu:.0%} of a core; the limit is {CPU_LIMIT_SHARE:.0%}"
    return Client(
        clock=clock,
        verdict="CLIENT-BOUND" if late or busy else "TRUSTED",
        reason=reason,
        lag_p50=p50,
        lag_p99=p99,
        lag_max=lags[-1] if lags else 0.0,
        cpu=cpu,
    )


def exit_status(result: Result, *, strict: bool, stopped: bool) -> int:
    """What the process returns; `Result` says what each number means."""
    runs = len(result.samples)
    failures = sum(map(failed, result.samples))
    whole = sum(sample.status == OK for sample in result.samples)
    if stopped:
        return 130
    if not whole or failures > FAILURES_LIMIT_SHARE * runs:
        return 3
    regressed = any(
        it.against == BASELINE and it.verdict == "REGRESSED" for it in result.comparisons
    )
    if regressed or any(gate.failed for gate in result.gates):
        return 1
    if strict and result.client is not None and result.client.verdict == "CLIENT-BOUND":
        return 5
    if strict and any(it.verdict == "INCONCLUSIVE" for it in result.comparisons):
        return 4
    return 0

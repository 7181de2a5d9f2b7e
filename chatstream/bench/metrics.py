"""The table of the metrics of a run, and the summaries of an arm.

A cold run enters no value. A run that failed counts exactly once, as the worst that its metric
knows: infinite where lower is better, 0 where higher is. A run that was cancelled says nothing
about the server, so it counts nowhere. Times are in seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from chatstream.bench import stats
from chatstream.bench.result import OK, Arm, Result, Sample, Summary, Throughput

CANCELLED = "cancelled"
"""The `status` of a run that the user ended."""


class Metric(msgspec.Struct, frozen=True):
    """A figure of one whole run; `values` is empty where the run does not have it.

    `pooled`: a run has many values. Those of one run resemble each other, so no interval that
    takes them for independent holds.
    """

    unit: Literal["s", "tokens/s", ""]
    label: str
    better: Literal["lower", "higher"]
    values: Callable[[Sample], list[float]]
    pooled: bool = False


def _known(*parts: float | None) -> list[float]:
    """The sum as the only value; no value where a part is missing."""
    known = [part for part in parts if part is not None]
    return [math.fsum(known)] if len(known) == len(parts) else []


METRICS: dict[str, Metric] = {
    "ttft": Metric("s", "TTFT", "lower", lambda it: _known(it.ttft)),
    "ttfa": Metric("s", "TTFA", "lower", lambda it: _known(it.ttfa)),
    "ttfb": Metric("s", "TTFB", "lower", lambda it: _known(it.ttfb)),
    "tpot": Metric("s", "TPOT", "lower", lambda it: _known(it.tpot)),
    "gap": Metric("s", "gap", "lower", lambda it: it.gaps, pooled=True),
    "tokens_per_second": Metric(
        # By definition (N - first_tokens) / (last - first arrival): the inverse of TPOT.
        "tokens/s",
        "tokens/s",
        "higher",
        lambda it: [1.0 / it.tpot] if it.tpot else [],
    ),
    "duration": Metric("s", "duration", "lower", lambda it: _known(it.duration)),
    "connect": Metric("s", "connect", "lower", lambda it: _known(it.connect)),
    "late_ttft": Metric("s", "late + TTFT", "lower", lambda it: _known(it.late, it.ttft)),
    "stalls": Metric("", "stalls", "lower", lambda it: [float(len(it.stalls))]),
}
"""Every metric by its name. `late_ttft` counts from the intended start of an open loop."""


def failed(sample: Sample) -> bool:
    """Whether the run failed: it is not ok, and the user did not end it."""
    return sample.status not in (OK, CANCELLED)


def values_of(
    metric: str, samples: Iterable[Sample], *, of_failed: float | None = None
) -> list[float]:
    """The values of the runs that are not cold, in their order.

    Each failed run gives one value: `of_failed`, by default the worst that the metric knows.
    Raises `KeyError` for a metric that is not in the table.
    """
    it = METRICS[metric]
    if of_failed is None:
        of_failed = math.inf if it.better == "lower" else 0.0
    values: list[float] = []
    for sample in samples:
        if sample.cold:
            continue
        if sample.status == OK:
            values += it.values(sample)
        elif failed(sample):
            values.append(of_failed)
    return values


def finite(value: float | None) -> float | None:
    """The value as it is reported: an infinite one is not."""
    return value if value is not None and math.isfinite(value) else None


def summarize(metric: str, samples: Iterable[Sample]) -> Summary:
    """One metric over the samples of one arm; failed runs are among the `n` values.

    Raises `KeyError` for a metric that is not in the table.
    """
    samples = list(samples)
    values = sorted(values_of(metric, samples))
    failures = sum(failed(sample) for sample in samples if not sample.cold)
    if not values:
        return Summary(metric=metric, n=0)
    interval = None if METRICS[metric].pooled else stats.median_interval(values)
    low, high = interval or (None, None)
    return Summary(
        metric=metric,
        n=len(values),
        failed=failures,
        median=finite(stats.median(values)),
        low=finite(low),
        high=finite(high),
        min=finite(values[0]),
        max=finite(values[-1]),
        p90=finite(stats.percentile(values, 0.90)),
        p95=finite(stats.percentile(values, 0.95)),
        p99=finite(stats.percentile(values, 0.99)),
    )


def summed(arm: Arm, samples: Iterable[Sample]) -> Arm:
    """The arm with its statuses, its cold run, and a summary of each metric that it has.

    Of `samples` those of this arm are taken. A metric that no whole run has is left out.
    """
    own = [sample for sample in samples if sample.arm == arm.name]
    whole = [sample for sample in own if sample.status == OK]
    return msgspec.structs.replace(
        arm,
        statuses=dict(Counter(sample.status for sample in own)),
        summaries=[summarize(name, own) for name in METRICS if values_of(name, whole)],
        cold=next((sample for sample in own if sample.cold), None),
    )


def throughput(samples: Iterable[Sample]) -> Throughput | None:
    """Whole answers, and their tokens, per second; None without any.

    The time is that from the first start of a run that counts to the last token of one. At the
    end of a benchmark fewer streams are open; that is in it, too.
    """
    warm = [it for it in samples if not it.cold and it.status != CANCELLED]
    whole = [it for it in warm if it.status == OK]
    ends = [it.started + it.duration for it in warm if it.duration is not None]
    span = max(ends) - min(it.started for it in warm) if ends else 0.0
    if not whole or span <= 0.0:
        return None
    return Throughput(
        requests_per_second=len(whole) / span,
        tokens_per_second=sum(it.tokens or 0 for it in whole) / span,
        approximate=any(it.approximate for it in whole),
    )


def samples_of(result: Result, arm: Arm) -> list[Sample]:
    """All runs of the arm, the cold one too."""
    return [sample for sample in result.samples if sample.arm == arm.name]


def counterpart(arm: Arm, new: Result, old: Result) -> Arm | None:
    """The same arm of another result: by name, or the only one where each has one."""
    if len(new.arms) == len(old.arms) == 1:
        return old.arms[0]
    return next((it for it in old.arms if it.name == arm.name), None)

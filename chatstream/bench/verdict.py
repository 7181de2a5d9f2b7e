"""What follows from the figures: gates, comparisons, our own part, and the exit status.

1. A gate is a condition under which the benchmark fails (`--fail-if`). What cannot be looked at
   (nothing measured, no baseline) fails it too: a gate never passes unseen.
2. A failed run stands at the end of the scale that fails the gate, whichever that is.
3. A comparison judges the runs that are not cold; `stats.judge` says how.
4. The client is CLIENT-BOUND where this process was too late or too busy to be believed.

Times are in seconds.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import fmean
from typing import Literal

import msgspec

from chatstream.bench import stats
from chatstream.bench.metrics import CANCELLED, METRICS, failed, finite, values_of
from chatstream.bench.result import OK, Arm, Client, Comparison, Gate, Result, Sample
from chatstream.errors import UsageError

BASELINE = "baseline"
"""What a `Comparison` with a baseline is `against`; `Result.baseline` has its name."""

ERRORS = "errors"
"""What a gate says for the runs that failed."""

STATISTICS: dict[str, Callable[[Sequence[float]], float | None]] = {
    "p50": stats.median,
    "median": stats.median,
    "p90": partial(stats.percentile, q=0.90),
    "p95": partial(stats.percentile, q=0.95),
    "p99": partial(stats.percentile, q=0.99),
    "min": min,
    "max": max,
    "mean": fmean,
}
"""What a gate can ask of a metric's values; None where there are too few of them."""

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

PER_SECOND = {"us": 1e6, "ms": 1e3, "s": 1.0}

LAG_LIMIT = 0.002
"""Seconds. A lag of 2 ms at the 99th percentile is below what anyone compares servers by."""

LAG_SHARE, LAG_CEILING = 0.1, 0.005
"""Slow streams forgive more: a tenth of the median gap, but never more than 5 ms."""

CPU_LIMIT = 0.8
"""Of one core: above it, work queues up behind work, and the lag grows without a bound."""

FAILURES_LIMIT = 0.1
"""The share of failed runs above which the figures speak of another load than was asked for."""

_GATE = re.compile(r"\s*(\w+)\s*(?:\.\s*(\w+))?\s*([<>]=?)\s*(.*?)\s*", re.ASCII | re.DOTALL)
_RELATIVE = re.compile(r"baseline\s*(?:([+-])\s*(.+))?", re.DOTALL)
_AMOUNT = re.compile(r"([0-9]{0,12}\.?[0-9]{1,12})\s*([a-z]+|%)?")
_EXAMPLES = "for example: 'ttft.p50>500ms', 'ttft.p50>baseline+10%', 'errors>0'"
_NOTHING = "nothing was measured"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A gate that was read. Its limit is `constant`, in the metric's unit.

    `scale`: that many times the baseline's figure are added; None without a baseline.
    `share`: the errors are meant as a share of the runs.
    """

    text: str
    metric: str
    statistic: str = ""  # none for errors
    operator: str
    scale: float | None = None
    constant: float = 0.0
    share: bool = False


def parse_gate(text: str) -> Condition:
    """Read `METRIC.STATISTIC OPERATOR LIMIT`, or `errors OPERATOR LIMIT`.

    A limit is a number, a time with its unit (us, ms, s), a percentage of the runs for errors, or
    `baseline`, `baseline+10%`, `baseline-20ms`. Raises `UsageError` for anything else.
    """
    parts = _GATE.fullmatch(text.lower())
    if parts is None:
        raise UsageError(f"{text!r} is not a condition to fail on", hint=_EXAMPLES)
    text = text.strip()
    metric, statistic, symbol, limit = parts.groups()
    if metric == ERRORS:
        number, unit = _amount(limit)
        if statistic is not None:
            raise UsageError(f"errors have no {statistic!r}", hint="for example: 'errors>5%'")
        if unit not in ("", "%"):
            raise UsageError(f"errors have no unit {unit!r}", hint="for example: 'errors>5%'")
        if unit == "%":
            number /= 100
        return Condition(
            text=text, metric=metric, operator=symbol, constant=number, share=unit == "%"
        )
    if metric not in METRICS:
        hint = _nearest(metric, [*METRICS, ERRORS])
        raise UsageError(f"there is no metric {metric!r}", hint=hint)
    if statistic is None:
        hint = f"for example: {metric}.p50; there are: {', '.join(STATISTICS)}"
        raise UsageError(f"{text!r} does not say which {metric}", hint=hint)
    if statistic not in STATISTICS:
        hint = _nearest(statistic, list(STATISTICS))
        raise UsageError(f"there is no statistic {statistic!r}", hint=hint)
    scale, constant = _limit(metric, limit)
    return Condition(
        text=text,
        metric=metric,
        statistic=statistic,
        operator=symbol,
        scale=scale,
        constant=constant,
    )


def _nearest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"


def _limit(metric: str, text: str) -> tuple[float | None, float]:
    """The scale and the constant of a limit."""
    relative = _RELATIVE.fullmatch(text)
    if relative is None:
        number, unit = _amount(text)
        if unit == "%":
            raise UsageError(f"{text!r} of what?", hint=f"for example: {metric}.p50>baseline+10%")
        return None, _in_units(metric, number, unit)
    sign, change = relative.groups()
    if sign is None:
        return 1.0, 0.0
    number, unit = _amount(change)
    if sign == "-":
        number = -number
    if unit == "%":
        return 1.0 + number / 100, 0.0
    return 1.0, _in_units(metric, number, unit)


def _amount(text: str) -> tuple[float, str]:
    """A number and what stands behind it."""
    parts = _AMOUNT.fullmatch(text)
    if parts is None:
        raise UsageError(f"{text!r} is not a limit", hint=_EXAMPLES)
    return float(parts[1]), parts[2] or ""


def _in_units(metric: str, number: float, unit: str) -> float:
    """The number in the metric's own unit."""
    if METRICS[metric].unit != "s":
        if unit:
            raise UsageError(f"{metric} has no unit {unit!r}", hint="it takes a plain number")
        return number
    if unit not in PER_SECOND:
        what = f"{number:g} needs a unit" if not unit else f"there is no unit {unit!r}"
        raise UsageError(f"{metric} is a time: {what}", hint="the units are: us, ms, s")
    return number / PER_SECOND[unit]


def check(condition: Condition, result: Result, baseline: Result | None) -> list[Gate]:
    """What became of the condition, for each arm; the text names it where there are several.

    An arm that is not streamed is there for comparison: only its errors count.
    """
    arms = [arm for arm in result.arms if arm.streamed or condition.metric == ERRORS]
    if not arms:
        return [Gate(text=condition.text, failed=True, note=_NOTHING)]
    return [_gate(condition, arm, result, baseline) for arm in arms]


def _gate(condition: Condition, arm: Arm, result: Result, baseline: Result | None) -> Gate:
    measured, notes = _figure(condition, _samples(result, arm))
    limit: float | None = condition.constant
    if condition.scale is not None:
        old, more = _old_figure(condition, arm, result, baseline)
        limit = None if old is None else condition.scale * old + condition.constant
        notes += more
    passed = (
        measured is not None
        and limit is not None
        and not OPERATORS[condition.operator](measured, limit)
    )
    return Gate(
        text=condition.text if len(result.arms) == 1 else f"{arm.name}: {condition.text}",
        failed=not passed,
        measured=finite(measured),
        limit=limit,
        note="; ".join(notes) or None,
    )


def _figure(condition: Condition, samples: list[Sample]) -> tuple[float | None, list[str]]:
    """What the condition asks of these samples, None where there is nothing, and notes."""
    errors = condition.metric == ERRORS
    runs = [it for it in samples if it.status != CANCELLED and (errors or not it.cold)]
    failures = sum(map(failed, runs))
    notes = [f"{failures} of {len(runs)} runs failed"] if failures else []
    if errors and runs:
        return failures / len(runs) if condition.share else float(failures), notes
    worst = math.inf if condition.operator.startswith(">") else -math.inf
    values = [] if errors else values_of(condition.metric, runs, of_failed=worst)
    if not values:
        return None, [*notes, _NOTHING]
    figure = STATISTICS[condition.statistic](values)
    if figure is None:
        notes.append(f"{len(values)} are too few for {condition.statistic}: the maximum instead")
        figure = max(values)
    return figure, notes


def _old_figure(
    condition: Condition, arm: Arm, result: Result, baseline: Result | None
) -> tuple[float | None, list[str]]:
    """The same of the baseline's same arm; None where that is infinite, too."""
    if baseline is None:
        return None, ["there is no baseline"]
    old = _counterpart(arm, result, baseline)
    if old is None:
        return None, [f"the baseline has no {arm.name!r}"]
    figure, notes = _figure(condition, _samples(baseline, old))
    return finite(figure), [f"baseline: {note}" for note in notes]


def _samples(result: Result, arm: Arm) -> list[Sample]:
    return [sample for sample in result.samples if sample.arm == arm.name]


def _counterpart(arm: Arm, new: Result, old: Result) -> Arm | None:
    """The same arm of another result: by name, or the only one where each has one."""
    if len(new.arms) == len(old.arms) == 1:
        return old.arms[0]
    return next((it for it in old.arms if it.name == arm.name), None)


def compare_results(
    new: Result, old: Result, metrics: Iterable[str] = ("ttft", "tpot")
) -> list[Comparison]:
    """Each arm against the baseline's same arm; `against` is `BASELINE`.

    What whole runs of only one of the two have is INCONCLUSIVE. The metrics have one value a run:
    many values of one run are not independent, and the test takes them for that.
    """
    metrics = list(metrics)
    compared: list[Comparison] = []
    for arm in new.arms:
        counterpart = _counterpart(arm, new, old)
        now = _samples(new, arm)
        before = _samples(old, counterpart) if counterpart is not None else []
        for metric in metrics:
            if _have(metric, now) or _have(metric, before):
                compared.append(_compared(metric, now, before, arm.name, BASELINE))
    return compared


def compare_arms(result: Result, metrics: Iterable[str] = ("ttft", "tpot")) -> list[Comparison]:
    """Each further arm against the first, in the metrics that whole runs of both have.

    As with `compare_results`, these have one value a run.
    """
    metrics = list(metrics)
    compared: list[Comparison] = []
    for arm in result.arms[1:]:
        first = result.arms[0]
        one, other = _samples(result, first), _samples(result, arm)
        for metric in metrics:
            if _have(metric, one) and _have(metric, other):
                compared.append(_compared(metric, other, one, arm.name, first.name))
    return compared


def _have(metric: str, samples: list[Sample]) -> bool:
    return bool(values_of(metric, [sample for sample in samples if sample.status == OK]))


def _compared(
    metric: str, now: list[Sample], before: list[Sample], arm: str, against: str
) -> Comparison:
    new, old = values_of(metric, now), values_of(metric, before)
    medians = [finite(stats.median(values)) if values else None for values in (old, new)]
    told = Comparison(
        metric=metric,
        arm=arm,
        against=against,
        old=medians[0],
        new=medians[1],
        verdict="INCONCLUSIVE",
    )
    if not new or not old:
        return told
    judged = stats.judge(old, new, higher_is_worse=METRICS[metric].better == "lower")
    return msgspec.structs.replace(
        told,
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
    limit = max(LAG_LIMIT, min(forgiven, LAG_CEILING))
    clock: Literal["kernel", "user"] = (
        "kernel" if runs and all(run.kernel for run in runs) else "user"
    )
    late, busy = p99 > limit, cpu > CPU_LIMIT
    reason = f"client lag p99 {p99 * 1e3:.2f} ms, at most {limit * 1e3:.3g} ms is fine"
    if busy and not late:
        reason = f"it used {cpu:.0%} of a core, at most {CPU_LIMIT:.0%} is fine"
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
    """What the process returns; `Result` tells what each number means."""
    runs = len(result.samples)
    failures = sum(map(failed, result.samples))
    whole = sum(sample.status == OK for sample in result.samples)
    if stopped:
        return 130
    if not whole or failures > FAILURES_LIMIT * runs:
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

"""Gates: conditions under which a benchmark fails (`--fail-if`).

1. What cannot be looked at (nothing measured, no baseline) fails a gate too: none passes unseen.
2. A failed run stands at the end of the scale that fails the gate, whichever that is.

Times are in seconds.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean

import msgspec

from chatstream.bench import stats
from chatstream.bench.metrics import (
    CANCELLED,
    METRICS,
    counterpart,
    failed,
    finite,
    samples_of,
    values_of,
)
from chatstream.bench.result import Arm, Gate, Result, Sample
from chatstream.errors import UsageError
from chatstream.nearest import did_you_mean

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
        raise UsageError(f"--fail-if: {text!r} is not a condition", hint=_EXAMPLES)
    text = text.strip()
    metric, statistic, symbol, limit = parts.groups()
    if metric == ERRORS:
        number, unit = _amount(limit)
        if statistic is not None:
            raise UsageError(
                f"--fail-if: errors take no statistic, but {statistic!r} is given",
                hint="for example: 'errors>5%'",
            )
        if unit not in ("", "%"):
            raise UsageError(
                f"--fail-if: errors take a count or a percentage, not {unit!r}",
                hint="for example: 'errors>5%'",
            )
        if unit == "%":
            number /= 100
        return Condition(
            text=text, metric=metric, operator=symbol, constant=number, share=unit == "%"
        )
    if metric not in METRICS:
        hint = _nearest(metric, [*METRICS, ERRORS])
        raise UsageError(f"--fail-if: unknown metric {metric!r}", hint=hint)
    if statistic is None:
        hint = f"for example: {metric}.p50; statistics: {', '.join(STATISTICS)}"
        raise UsageError(f"--fail-if: {text!r} has no statistic for {metric}", hint=hint)
    if statistic not in STATISTICS:
        hint = _nearest(statistic, list(STATISTICS))
        raise UsageError(f"--fail-if: unknown statistic {statistic!r}", hint=hint)
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
    there = f"choose from: {', '.join(names)}"
    return did_you_mean(name, names, there) or there


def _limit(metric: str, text: str) -> tuple[float | None, float]:
    """The scale and the constant of a limit."""
    relative = _RELATIVE.fullmatch(text)
    if relative is None:
        number, unit = _amount(text)
        if unit == "%":
            raise UsageError(
                f"--fail-if: {text!r} is a percentage, which needs a baseline",
                hint=f"for example: {metric}.p50>baseline+10%",
            )
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
        raise UsageError(f"--fail-if: {text!r} is not a limit", hint=_EXAMPLES)
    return float(parts[1]), parts[2] or ""


def _in_units(metric: str, number: float, unit: str) -> float:
    """The number in the metric's own unit."""
    if METRICS[metric].unit != "s":
        if unit:
            raise UsageError(f"--fail-if: {metric} takes a plain number, without {unit!r}")
        return number
    if unit not in PER_SECOND:
        what = f"{number:g} needs a unit" if not unit else f"unknown unit {unit!r}"
        raise UsageError(
            f"--fail-if: {metric} is a time: {what}", hint="the units are us, ms and s"
        )
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
    measured, notes = _figure(condition, samples_of(result, arm))
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
        notes.append(
            f"{len(values)} values are too few for {condition.statistic}, so this is the maximum"
        )
        figure = max(values)
    return figure, notes


def _old_figure(
    condition: Condition, arm: Arm, result: Result, baseline: Result | None
) -> tuple[float | None, list[str]]:
    """The same of the baseline's same arm; None where that is infinite, too."""
    if baseline is None:
        return None, ["there is no baseline"]
    old = counterpart(arm, result, baseline)
    if old is None:
        return None, [f"the baseline has no {arm.name!r}"]
    figure, notes = _figure(condition, samples_of(baseline, old))
    return finite(figure), [f"baseline: {note}" for note in notes]

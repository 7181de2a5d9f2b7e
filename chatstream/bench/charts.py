"""The plots of a result as SVG, for a page of HTML.

Each plot is a `<figure>` with a title and a description in words, which says all that it shows.
Steps that are too small to see are left out, and so are timelines beyond `MAX_TIMELINES`.
"""

from __future__ import annotations

import html as markup
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from chatstream.bench.layout import name, number, seconds
from chatstream.bench.metrics import failed, values_of
from chatstream.bench.plots import Scale, scale_of
from chatstream.bench.result import OK, Arm, Result
from chatstream.wording import counted

MAX_TIMELINES = 40
"""Runs whose arrivals are drawn; more lines than that hide each other."""

Format = Callable[[float], str]
Axis = tuple[Scale, Format]

NOTHING = "\u2013"  # an en dash
_LEFT, _TOP, _WIDE, _HIGH = 58, 26, 404, 214
"""Where a plot draws, and how much, in a view box of 480 x 280; around it is room for labels."""

_MIN_SLOT_PIXELS = 40
"""The least height of an arm that stands beside others."""

_MARKS = ("m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "m-3-3h6v6h-6", "m0-4l4 7h-8", "m0-4l4 4-4 4-4-4")
"""A shape for each arm, so that colour is not all that sets them apart."""

_CROSS = "m-3.5-3.5l7 7m0-7l-7 7"


def _x(scale: Scale, value: float) -> float:
    return _LEFT + scale.share(value) * _WIDE


def _y(scale: Scale, value: float) -> float:
    return _TOP + (1.0 - scale.share(value)) * _HIGH


def drawn(result: Result) -> Iterator[str]:
    """Each plot as HTML; empty where there is nothing to draw."""
    arms, samples = result.arms, result.samples
    if len(arms) > 1:
        yield _side_by_side("Time to first token (TTFT) of each model", arms, "ttft", seconds)
        yield _side_by_side("Tokens per second of each arm", arms, "tokens_per_second", number)
    runs = [[it for it in samples if it.arm == arm.name] for arm in arms]
    ttfts = [values_of("ttft", its) for its in runs]
    yield _histogram("TTFT: number of runs", ttfts)
    yield _ecdf(arms, ttfts)
    yield _drift(result)
    yield _timelines(result)
    yield _histogram(
        "Gaps between arrivals: number of gaps", [values_of("gap", its) for its in runs]
    )


def _side_by_side(title: str, arms: list[Arm], metric: str, shown: Format) -> str:
    """A bar for each arm, as long as its median, with the 95 % interval across its end."""
    found = [(arm, it) for arm in arms for it in arm.summaries if it.metric == metric and it.n]
    ends = [it.median if it.high is None else it.high for _, it in found if it.median is not None]
    if not ends:
        return ""
    scale = Scale(0.0, max(ends) or 1.0, False)
    slot = max(_MIN_SLOT_PIXELS, _HIGH / len(found))
    marks, words = [], []
    for at, (arm, it) in enumerate(found):
        top = _TOP + at * slot
        colour = arms.index(arm) % 6
        median = "failed" if it.median is None else shown(it.median)
        label = escaped(f"{name(arm.name, 40)}: {median}")
        marks.append(f'<text x="{_LEFT}" y="{top + 12:.1f}" class="name">{label}</text>')
        words.append(f"{arm.name}: median {median}, 95 % {interval(it.low, it.high, shown)}.")
        if it.median is None:
            continue
        long, y = _x(scale, it.median) - _LEFT, top + 18
        marks.append(_path(f"a{colour} area", f"M{_LEFT} {y:.1f}h{long:.1f}v12H{_LEFT}z"))
        if it.low is not None:
            end = scale.high if it.high is None else it.high
            span = f"M{_x(scale, it.low):.1f} {y + 6:.1f}H{_x(scale, end):.1f}"
            marks.append(_path(f"a{colour} range", span))
    return _plot(title, " ".join(words), (scale, shown), None, marks, slot * len(found))


def _histogram(title: str, arms: list[list[float]]) -> str:
    """2 ∛n bins (the Rice rule) over the finite values, the same bins for all arms."""
    arms = [[it for it in values if math.isfinite(it)] for values in arms]
    scale = scale_of([it for values in arms for it in values])
    if scale is None:
        return ""
    bins = min(60, math.ceil(2 * max(map(len, arms)) ** (1 / 3)) | 1)
    bars = [Counter(min(bins - 1, int(scale.share(it) * bins)) for it in its) for its in arms]
    up = Scale(0.0, max(max(it.values(), default=0) for it in bars), False)
    marks = []
    for at, counts in enumerate(bars):
        outline = ""
        for n in range(bins):
            top = _y(up, counts[n]) - 2 * bool(counts[n])  # one among thousands is seen too
            outline += f"V{top:.1f}H{_LEFT + (n + 1) * _WIDE / bins:.1f}"
        marks.append(_path(f"a{at % 6} area", f"M{_LEFT} {_TOP + _HIGH}{outline}V{_TOP + _HIGH}z"))
    words = f"{counted(sum(map(len, arms)), 'value')}, {interval(scale.low, scale.high, seconds)}."
    return _plot(title, words, (scale, seconds), (up, whole), marks)


def _ecdf(arms: list[Arm], ttfts: list[list[float]]) -> str:
    """A failed run is one that never gets there: its arm's line ends below 100 %."""
    scale = scale_of([it for values in ttfts for it in values])
    if scale is None:
        return ""
    up = Scale(0.0, 1.0, False)
    marks, words = [], ["The share of runs whose first token had arrived by that time."]
    for at, (arm, values) in enumerate(zip(arms, ttfts, strict=True)):
        finite = sorted(it for it in values if math.isfinite(it))
        points = [(_x(scale, it), _y(up, n / len(values))) for n, it in enumerate(finite, 1)]
        marks.append(_path(f"a{at % 6} line d{at % 4}", f"{_steps(points)}H{_LEFT + _WIDE}"))
        for it in arm.summaries:
            if it.metric == "ttft" and it.low is not None and it.median is not None:
                y = _y(up, 0.5) + 7 * at  # those of several arms must not hide each other
                end = scale.high if it.high is None else it.high
                span = f"M{_x(scale, it.low):.1f} {y:.1f}H{_x(scale, end):.1f}"
                middle = f"M{_x(scale, it.median):.1f} {y:.1f}{_MARKS[at % 4]}"
                marks += [_path(f"a{at % 6} range", span), _path(f"a{at % 6} mark", middle)]
                between = interval(it.low, it.high, seconds)
                words.append(
                    f"Median of {arm.name}: {seconds(it.median)}, 95 % interval {between}."
                )
    return _plot(
        "TTFT: share of runs", " ".join(words), (scale, seconds), (up, "{:.0%}".format), marks
    )


def _drift(result: Result) -> str:
    runs = [it for it in result.samples if not it.cold]
    got = [(it, it.ttft) for it in runs if it.ttft is not None and it.status == OK]
    up = scale_of([ttft for _, ttft in got])
    if up is None:
        return ""
    numbers = [it.number for it in runs]
    scale = Scale(min(numbers) - 1.0, max(numbers) + 1.0, False)
    marks = []
    for at, arm in enumerate(result.arms):
        places = [(_x(scale, it.number), _y(up, ttft)) for it, ttft in got if it.arm == arm.name]
        path = "".join(f"M{x:.1f} {y:.1f}{_MARKS[at % 4]}" for x, y in places)
        marks.append(_path(f"a{at % 6} mark", path))
    bad = [f"M{_x(scale, it.number):.1f} {_TOP}{_CROSS}" for it in runs if failed(it)]
    marks.append(_path("wrong", "".join(bad)))
    words = "Shows drift and warm-up. Crosses at the top are failed runs."
    return _plot(
        "Time to first token (TTFT) by run number", words, (scale, whole), (up, seconds), marks
    )


def _timelines(result: Result) -> str:
    got = [it for it in result.samples if it.arrivals]
    if not got:
        return ""
    step = max(1, len(got) / MAX_TIMELINES)
    shown = [got[int(n * step)] for n in range(min(len(got), MAX_TIMELINES))]
    scale = Scale(0.0, max(1e-6, *(max(it.arrivals) for it in shown)), False)
    up = Scale(0.0, max(1, *(sum(it.deltas_at) for it in shown)), False)
    colours = {arm.name: at % 6 for at, arm in enumerate(result.arms)}
    marks, stalls = [], ""
    for it in shown:
        sums = list(accumulate(it.deltas_at))
        points = [(_x(scale, at), _y(up, n)) for at, n in zip(it.arrivals, sums, strict=False)]
        kind = f"a{colours.get(it.arm, 0)} run{' cold' * it.cold}"
        marks.append(_path(kind, _steps(points), f"run {it.number}, {it.arm}"))
        for stall in it.stalls:
            before = bisect_right(it.arrivals, stall.at + 1e-9)  # arrivals until it began
            y = _y(up, sums[before - 1] if 0 < before <= len(sums) else 0)
            end = min(stall.at + stall.seconds, scale.high)
            stalls += f"M{_x(scale, min(stall.at, end)):.1f} {y:.1f}H{_x(scale, end):.1f}"
    words = f"Each line is one run. {len(shown)} of {counted(len(got), 'run')} are shown, "
    words += "at even intervals. "
    words += "Cold runs are dashed, stalls are thick."
    marks.append(_path("stall", stalls))
    return _plot("Deltas received, over time", words, (scale, seconds), (up, whole), marks)


def _steps(points: list[tuple[float, float]]) -> str:
    """A step line from the bottom, up at each point, without steps too small to see."""
    if not points:
        return f"M{_LEFT} {_TOP + _HIGH}"
    (x, y), pending = points[0], ""
    path = f"M{x:.1f} {_TOP + _HIGH}V{y:.1f}"
    for to_x, to_y in points:
        pending = f"H{to_x:.1f}V{to_y:.1f}"
        if to_x - x >= 1.5 or y - to_y >= 1.5:
            path, x, y, pending = path + pending, to_x, to_y, ""
    return path + pending


def _ticks(scale: Scale, least: float) -> list[float]:
    """About six round values at least `least` apart (Heckbert, Graphics Gems, 1990)."""
    if scale.log:
        powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)))
        ticks = [n * 10.0**power for power in powers for n in (1, 2, 5)]
        ticks = [it for it in ticks if scale.low <= it <= scale.high]
        return ticks[:: math.ceil(len(ticks) / 6) or 1]
    span = scale.high - scale.low
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = max(least, next(n * power for n in (1, 2, 5, 10) if n * power * 5.001 >= span))
    return [n * step for n in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)]


def _path(kind: str, path: str, title: str = "") -> str:
    return f'<path class="{kind}" d="{path}">{title and f"<title>{escaped(title)}</title>"}</path>'


def _plot(
    title: str, words: str, x: Axis, y: Axis | None, marks: list[str], high: float = _HIGH
) -> str:
    """A figure with its frame and what it shows in words; `marks` is SVG."""
    label = re.sub(r"\W+", "-", title.lower())
    grid = []
    if y is not None:
        for value in _ticks(y[0], y[1] is whole):
            at, tick = _y(y[0], value), escaped(y[1](value))
            grid.append(_path("grid", f"M{_LEFT} {at:.1f}h{_WIDE}"))
            grid.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" class="end">{tick}</text>')
    for value in _ticks(x[0], x[1] is whole):
        at, tick = _x(x[0], value), escaped(x[1](value))
        grid.append(_path("grid", f"M{at:.1f} {_TOP + high:g}v5"))
        grid.append(f'<text x="{at:.1f}" y="{_TOP + high + 19:g}">{tick}</text>')
    return (
        f'<figure><svg viewBox="0 0 480 {_TOP + high + 40:g}" role="img" '
        f'aria-labelledby="{label} {label}-words">'
        f'<title id="{label}">{escaped(title)}</title>'
        f'<desc id="{label}-words">{escaped(words)}</desc>'
        f'<text x="4" y="13" class="name">{escaped(title)}</text>{"".join(grid + marks)}</svg>'
        f"<figcaption>{escaped(words)}</figcaption></figure>"
    )


def legend(arms: list[Arm]) -> str:
    """Which line and mark is which arm's, as HTML; empty where there is only one."""
    items = ""
    for at, arm in enumerate(arms):
        sign = _path(f"line d{at % 4}", "M0 6h40") + _path("mark", f"M20 6{_MARKS[at % 4]}")
        items += f'<li><svg viewBox="0 0 40 12" class="a{at % 6}" aria-hidden="true">{sign}</svg>'
        items += f"<bdi>{escaped(arm.name)}</bdi></li>"
    return f'<ul class="legend">{items}</ul>' if len(arms) > 1 else ""


def escaped(text: str) -> str:
    """A text fit for HTML, its attributes and SVG; what is invisible or turns it is replaced."""
    seen = "".join(it if it.isprintable() or it == "\n" else "\ufffd" for it in text)
    return markup.escape(seen)


def interval(low: float | None, high: float | None, shown: Format) -> str:
    """From where to where, in words; an end that is None is infinite."""
    if low is None:
        return NOTHING
    return f"{shown(low)} to {'∞' if high is None else shown(high)}"


def whole(value: float) -> str:
    """A number without a fraction."""
    return f"{value:,.0f}"

"""Distributions, drawn with characters: a histogram and an empirical distribution function.

1. Values are seconds and not negative. +∞ is a failed run: it is never drawn, always reported.
2. A scale is logarithmic when the largest value is at least `LOGARITHMIC_RATIO` times the smallest.
3. Every line is at most `width` characters, each one cell wide, however odd the values are.
4. `ascii_only` draws for a terminal that has no block characters.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from chatstream.bench.layout import ASCII, Line, seconds

LOGARITHMIC_RATIO = 20.0
"""Largest / smallest from which a scale is logarithmic: a linear one would show one bar."""

SIDE_BY_SIDE_COLUMNS = 66
"""Columns from which both plots stand side by side."""

LEVELS = " ▁▂▃▄▅▆▇█"
ASCII_LEVELS = " .:#"

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # [column][row]; ISO/IEC 10646


class Scale(msgspec.Struct, frozen=True):
    """An axis from `low` to `high`, where `low` < `high`."""

    low: float
    high: float
    log: bool

    def share(self, value: float) -> float:
        """Where a value lies, from 0 at `low` to 1 at `high`."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def value(self, share: float) -> float:
        """The value that lies there; the inverse of `share`."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return math.exp(low + share * (high - low))
        return self.low + share * (self.high - self.low)


def scale_of(values: Sequence[float]) -> Scale | None:
    """The scale that shows all finite values; None without any.

    A spread that three digits would not show is widened to 1 % around its middle.
    """
    finite = [it for it in values if math.isfinite(it)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    if low > 0.0 and high / low >= LOGARITHMIC_RATIO:
        return Scale(low, high, True)
    middle = low / 2 + high / 2
    if high - low >= 0.01 * middle > 0.0:
        return Scale(low, high, False)
    half = 0.005 * middle or 0.0005
    return Scale(max(0.0, middle - half), middle + half, False)


def labels(scale: Scale, columns: int) -> str:
    """The figures under an axis: both ends, and the middle where there is room."""
    low, high = seconds(scale.low), seconds(scale.high)
    room = columns - len(low) - len(high)
    if room < 1:
        return low[:columns]
    middle = seconds(scale.value(0.5)) + (" (log)" if scale.log else "")
    before = (columns - len(middle)) // 2 - len(low)
    after = room - len(middle) - before
    between = " " * before + middle + " " * after if min(before, after) > 1 else " " * room
    return low + between + high


def bars(
    values: Sequence[float],
    scale: Scale,
    columns: int,
    height: int,
    bins: int,
    *,
    ascii_only: bool = False,
) -> list[str]:
    """The bars of a histogram, `height` lines; the fullest bin is as high as all of them.

    A bin that holds anything is always seen. `bins` is at most `columns`.
    """
    counts = _counts(values, scale, bins)
    top = max(*counts, 1)
    levels = ASCII_LEVELS if ascii_only else LEVELS
    steps = len(levels) - 1
    heights = [max(1, round(n / top * height * steps)) if n else 0 for n in counts]
    rows = []
    for row in range(height - 1, -1, -1):
        filled = [levels[min(steps, max(0, it - row * steps))] for it in heights]
        rows.append("".join(filled[at * bins // columns] for at in range(columns)))
    return rows


def histogram(
    values: Sequence[float], width: int, height: int = 5, *, ascii_only: bool = False
) -> list[str]:
    """How many values lie where, with an axis: `height` + 2 lines, and one more with failures.

    2 ∛n bins (the Rice rule), for n finite values. `width` is at least 16.
    """
    scale = scale_of(values)
    failed = _failed(values)
    if scale is None:
        return [_nothing(failed)]
    n = len(values) - failed
    bins = math.ceil(2 * n ** (1 / 3)) | 1  # odd: equal values stand in the middle
    margin = len(str(n)) + 1
    columns = max(1, width - margin)
    bins = min(bins, columns)
    top = max(_counts(values, scale, bins))
    rows = bars(values, scale, columns, height, bins, ascii_only=ascii_only)
    marks = [str(top), *[""] * (height - 1)]
    lines = _framed(rows, marks, margin, labels(scale, columns))
    if failed:
        lines.append(f"{failed} of {len(values)} failed"[:width])
    return [it.translate(ASCII) for it in lines] if ascii_only else lines


def ecdf(
    values: Sequence[float], width: int, height: int = 5, *, ascii_only: bool = False
) -> list[str]:
    """The share of all runs that were done by each time: `height` + 2 lines, and one more with
    failures, for which the line ends below 100 %. `width` is at least 16.
    """
    scale = scale_of(values)
    failed = _failed(values)
    if scale is None:
        return [_nothing(failed)]
    margin = 5
    columns = max(1, width - margin)
    finite = sorted(it for it in values if math.isfinite(it))
    across, down = (1, 1) if ascii_only else (2, 4)
    steps = [_share_below(finite, scale, at / (columns * across)) for at in _ends(columns * across)]
    shares = [it * len(finite) / len(values) for it in steps]
    dots = _line(shares, height * down)
    rows = _stars(dots, columns, height) if ascii_only else _braille(dots, columns, height)
    marks = [""] * height
    marks[height // 2] = "50%" if height % 2 else ""
    marks[0] = "100%"
    lines = _framed(rows, marks, margin, labels(scale, columns))
    if failed:
        end = math.floor(100 * len(finite) / len(values))
        lines.append(f"{failed} of {len(values)} failed: the line ends at {end} %"[:width])
    return [it.translate(ASCII) for it in lines] if ascii_only else lines


def both(what: str, values: Sequence[float], width: int, *, ascii_only: bool = False) -> list[Line]:
    """Both plots of these values, which are `what` of runs; no lines where nothing can be drawn."""
    if scale_of(values) is None:
        return []
    beside = width >= SIDE_BY_SIDE_COLUMNS
    size = max(16, width // 2 - 1 if beside else width)
    left = [f"{what}: number of runs", *histogram(values, size, ascii_only=ascii_only)]
    right = [f"{what}: share of runs done by then"]
    right += ecdf(values, size, ascii_only=ascii_only)
    if not beside:
        return [[(it, "")] for it in (*left, *right)]
    return [[(f"{a:<{size + 2}}{b}", "")] for a, b in zip_longest(left, right, fillvalue="")]


def _failed(values: Sequence[float]) -> int:
    return sum(not math.isfinite(it) for it in values)


def _nothing(failed: int) -> str:
    return f"all {failed} failed" if failed else "nothing to draw"


def _counts(values: Sequence[float], scale: Scale, bins: int) -> list[int]:
    counts = [0] * bins
    for value in values:
        if math.isfinite(value):
            counts[min(bins - 1, max(0, int(scale.share(value) * bins)))] += 1
    return counts


def _framed(rows: list[str], marks: list[str], margin: int, under: str) -> list[str]:
    """The rows behind their marks, on an axis with its figures."""
    columns = len(rows[0])
    lines = [f"{mark:>{margin - 1}}│{row}" for mark, row in zip(marks, rows, strict=True)]
    lines.append(f"{'0':>{margin - 1}}└{'─' * columns}")
    lines.append(" " * margin + under)
    return [it.rstrip() for it in lines]


def _ends(columns: int) -> range:
    """The right edges of the columns: what lies within one counts as reached."""
    return range(1, columns + 1)


def _share_below(finite: list[float], scale: Scale, share: float) -> float:
    """Which share of the sorted values lies at or before a place of the scale."""
    return bisect_right(finite, share, key=scale.share) / len(finite)


def _line(shares: list[float], rows: int) -> list[range]:
    """The rows, 0 at the top, that a step line covers in each column."""
    before = rows - 1
    covered = []
    for share in shares:
        row = round((1.0 - share) * (rows - 1))
        covered.append(range(row, before + 1))
        before = row
    return covered


def _braille(dots: list[range], columns: int, height: int) -> list[str]:
    grid = [[_BRAILLE] * columns for _ in range(height)]
    for x, rows in enumerate(dots):
        for y in rows:
            grid[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    return ["".join(" " if it == _BRAILLE else chr(it) for it in row) for row in grid]


def _stars(dots: list[range], columns: int, height: int) -> list[str]:
    return ["".join("*" if y in dots[x] else " " for x in range(columns)) for y in range(height)]

"""Claimed: both plots show the distribution, name what failed, and stay in their bounds."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.bench.layout import cells
from chatstream.bench.plots import Scale, bars, both, ecdf, histogram, labels, scale_of
from tests.support.sampling import examples

RNG = Random(7)
STEADY = [0.4 * RNG.lognormvariate(0.0, 0.1) for _ in range(30)]
ODD = st.lists(
    st.one_of(
        st.floats(min_value=0.0, allow_nan=False, allow_infinity=False),
        st.sampled_from([0.0, 5e-324, 1e-9, 0.4, 0.4000000001, 1.7e308, math.inf]),
    ),
    max_size=40,
)


def test_a_histogram_shows_where_the_values_lie() -> None:
    values = [0.1] * 8 + [0.2] * 4 + [0.3] * 1
    assert histogram(values, 24, 4) == [
        " 8│█████",
        "  │█████",
        "  │█████    ████",
        "  │█████    ████    ▄▄▄▄",
        " 0└─────────────────────",
        "   100 ms         300 ms",
    ]
    assert histogram(values, 24, 4, ascii_only=True) == [
        " 8|#####",
        "  |#####",
        "  |#####    ####",
        "  |#####    ####    ::::",
        " 0+---------------------",
        "   100 ms         300 ms",
    ]


def test_an_ecdf_rises_by_the_share_of_each_value() -> None:
    values = [0.1] * 4 + [0.2] * 2 + [0.3] * 2
    assert ecdf(values, 26) == [
        "100%│                    ⢸",
        "    │          ⢰⠒⠒⠒⠒⠒⠒⠒⠒⠒⠚",
        " 50%│⡤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠼",
        "    │⡇",
        "    │⡇",
        "   0└─────────────────────",
        "     100 ms         300 ms",
    ]
    assert ecdf(values, 26, ascii_only=True) == [
        "100%|                    *",
        "    |          ***********",
        " 50%|***********",
        "    |*",
        "    |*",
        "   0+---------------------",
        "     100 ms         300 ms",
    ]


def test_a_rare_value_is_seen_beside_many() -> None:
    rows = histogram([0.1] * 5000 + [0.2], 40)
    assert rows[4].endswith("▁")


def test_every_value_is_in_the_bars() -> None:
    scale = Scale(0.0, 1.0, False)
    values = [0.05, 0.15, 0.15, 0.95, 1.0]
    assert bars(values, scale, 10, 2, 10) == [" █       █", "██       █"]


def test_one_value_and_equal_values_stand_in_the_middle() -> None:
    for values in ([0.4], [0.4] * 3, [0.4, 0.4000001]):
        top = histogram(values, 38)[0]
        middle = (top.index("█") + len(top)) / 2
        assert middle == pytest.approx(20, abs=1)
        assert "400 ms" in histogram(values, 38)[-1]


def test_a_wide_range_has_a_logarithmic_axis_that_says_so() -> None:
    assert scale_of([0.1, 1.9]) == Scale(0.1, 1.9, False)
    wide = scale_of([0.001, 10.0])
    assert wide == Scale(0.001, 10.0, True)
    assert labels(wide, 40) == "1.00 ms       100 ms (log)        10.0 s"
    assert wide.share(0.1) == pytest.approx(0.5)
    assert scale_of([0.0, 10.0]) == Scale(0.0, 10.0, False)


def test_failures_are_named_and_the_line_ends_below_all() -> None:
    values = [*STEADY, math.inf, math.inf, math.inf]
    assert histogram(values, 38)[-1] == "3 of 33 failed"
    assert ecdf(values, 38)[-1] == "3 of 33 failed: the line ends at 90 %"
    assert histogram(values, 38)[:-1] == histogram(STEADY, 38)
    assert ecdf(STEADY, 38, ascii_only=True)[0].endswith("*")
    assert ecdf([*STEADY, *[math.inf] * 30], 38, ascii_only=True)[0] == "100%|"


def test_what_cannot_be_drawn_is_said() -> None:
    for plot in (histogram, ecdf):
        assert plot([], 38) == ["nothing to draw"]
        assert plot([math.inf] * 2, 38) == ["all 2 failed"]


@settings(max_examples=examples(150))
@given(ODD, st.integers(16, 90), st.integers(1, 8), st.booleans())
def test_plots_stay_in_their_bounds(
    values: list[float], width: int, height: int, ascii_only: bool
) -> None:
    for lines in (
        histogram(values, width, height, ascii_only=ascii_only),
        ecdf(values, width, height, ascii_only=ascii_only),
    ):
        assert max(map(len, lines)) <= width
        assert len(lines) <= height + 3
        assert all(line.isprintable() for line in lines)
        assert not ascii_only or "".join(lines).isascii()


@given(st.lists(st.floats(min_value=1e-6, max_value=1e4), min_size=1, max_size=60))
def test_an_ecdf_only_rises_and_reaches_the_top(values: list[float]) -> None:
    rows = ecdf(values, 45, 8, ascii_only=True)[:8]
    heights = []
    for column in range(5, 45):
        marked = [8 - y for y, row in enumerate(rows) if len(row) > column and row[column] == "*"]
        heights.append(max(marked))
    assert heights == sorted(heights)
    assert heights[-1] == 8


@pytest.mark.parametrize("width", [20, 65, 66, 80])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_both_plots_stand_side_by_side_where_there_is_room(width: int, ascii_only: bool) -> None:
    lines = [text for ((text, _),) in both("TTFT", STEADY, width, ascii_only=ascii_only)]
    assert lines[0].startswith("TTFT: number of runs")
    assert ("share of runs" in lines[0]) == (width >= 66)
    assert max(map(cells, lines)) <= max(width, len("TTFT: share of runs done by then"))


@pytest.mark.parametrize("values", [[], [math.inf]])
def test_without_values_there_are_no_plots(values: list[float]) -> None:
    assert both("TTFT", values, 80) == []

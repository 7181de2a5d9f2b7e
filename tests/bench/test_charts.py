"""The plots of a page: what they draw is where the figures are."""

from __future__ import annotations

import re

import pytest

from chatstream.bench import charts
from chatstream.bench.page import html
from chatstream.bench.result import OK, Arm, Result, Sample, Stall
from tests.support.pages import paths, plots
from tests.support.results import result


def test_a_histogram_has_an_outline_for_each_arm() -> None:
    shown = plots(html(result(n=12, arms=3)))
    for title in ("TTFT: number of runs", "Gaps between arrivals: number of gaps"):
        assert len(paths(shown[title], "area")) == 3


def test_arms_stand_side_by_side_with_bars_as_long_as_their_medians() -> None:
    made = result(n=12, arms=4)
    plot = plots(html(made))["Time to first token (TTFT) of each model"]
    bars, ranges = paths(plot, "area"), paths(plot, "range")
    assert len(bars) == len(ranges) == 4
    long = [float(re.findall(r"h([\d.]+)", it)[0]) for it in bars]
    medians = [arm.summaries[0].median or 0.0 for arm in made.arms]
    assert [it / long[0] for it in long] == pytest.approx(
        [it / medians[0] for it in medians], rel=0.01
    )
    for bar, span in zip(long, ranges, strict=True):  # the interval lies across the bar's end
        low, high = (float(it) for it in re.findall(r"[MH]([\d.]+)", span))
        assert low < charts._LEFT + bar < high
    words = plot.findtext("desc") or ""
    labels = [it.text or "" for it in plot.iter("text")]
    for arm, median in zip(made.arms, medians, strict=True):
        assert f"{arm.name}: median {median * 1e3:.0f} ms, 95 % " in words
        assert f"{arm.name}: {median * 1e3:.0f} ms" in labels
    assert "Time to first token (TTFT) of each model" not in plots(html(result(n=12)))


def test_an_arm_whose_median_failed_has_no_bar_and_says_so() -> None:
    made = result(n=12, arms=2)
    made.arms[1].summaries[0].median = None
    plot = plots(html(made))["Time to first token (TTFT) of each model"]
    assert len(paths(plot, "area")) == 1
    assert f"{made.arms[1].name}: failed" in [it.text for it in plot.iter("text")]
    assert "Time to first token (TTFT) of each model" not in plots(
        html(result(n=12, arms=2, failures=8))
    )


def test_no_cold_run_is_in_the_plots_of_latencies() -> None:
    made = result(n=12)
    shown = plots(html(made))
    slowest = max(it.ttft or 0.0 for it in made.samples if not it.cold)
    told = shown["TTFT: number of runs"].findtext("desc") or ""
    assert told.startswith("12 values")
    assert told.endswith(f" to {slowest * 1e3:.0f} ms.")


def test_the_line_of_an_arm_with_failures_ends_below_all() -> None:
    """4 of 8 runs failed: the line ends at half the height."""
    samples = [
        Sample(number=n, arm="a", ttft=0.4 + n / 100, status=OK if n < 4 else "reset")
        for n in range(8)
    ]
    arm = Arm(name="a", provider="p", model="m")
    made = Result(version=1, chatstream="", started_at="", target="", samples=samples, arms=[arm])
    (line,) = paths(plots(html(made))["TTFT: share of runs"], "line")
    heights = [float(it) for it in re.findall(r"V([\d.]+)", line)]
    assert heights[-1] == charts._TOP + charts._HIGH / 2
    assert heights == sorted(heights, reverse=True)


def test_the_median_and_its_interval_are_drawn_and_told() -> None:
    made = result(n=12, arms=2)
    plot = plots(html(made))["TTFT: share of runs"]
    assert len(paths(plot, "range")) == 2
    words = plot.findtext("desc") or ""
    assert all(f"Median of {arm.name}" in words for arm in made.arms)


def test_each_warm_run_is_marked_by_its_number_and_each_failed_one_crossed() -> None:
    plot = plots(html(result(n=12, failures=3)))["Time to first token (TTFT) by run number"]
    assert "".join(paths(plot, "mark")).count("M") == 9
    assert "".join(paths(plot, "wrong")).count("M") == 3


def test_each_run_is_a_timeline_and_each_stall_is_marked_where_it_was() -> None:
    sample = Sample(
        number=1,
        arm="a",
        arrivals=[1.0, 2.0, 4.0],
        deltas_at=[1, 1, 2],
        stalls=[Stall(2.0, 2.0)],
    )
    arm = Arm(name="a", provider="p", model="m")
    made = Result(version=1, chatstream="", started_at="", target="", samples=[sample], arms=[arm])
    plot = plots(html(made))["Deltas received, over time"]
    left, right = charts._LEFT, charts._LEFT + charts._WIDE
    half = charts._TOP + charts._HIGH / 2  # 2 of 4 deltas were there
    middle = (left + right) / 2
    assert paths(plot, "stall") == [f"M{middle:.1f} {half:.1f}H{right:.1f}"]
    (run,) = paths(plot, "run")
    assert run.endswith(f"H{middle:.1f}V{half:.1f}H{right:.1f}V{charts._TOP:.1f}")


def test_a_step_too_short_to_see_is_left_out_but_never_a_high_one() -> None:
    """After a burst the line stays where the burst ended."""
    sample = Sample(
        number=1,
        arm="a",
        arrivals=[1.0, 1.0001, 1.0002, 1.0003, 2.0],
        deltas_at=[1, 498, 1, 1, 499],
    )
    arm = Arm(name="a", provider="p", model="m")
    made = Result(version=1, chatstream="", started_at="", target="", samples=[sample], arms=[arm])
    (run,) = paths(plots(html(made))["Deltas received, over time"], "run")
    heights = [float(it) for it in re.findall(r"V([\d.]+)", run)]
    low, half, top = charts._TOP + charts._HIGH, charts._TOP + charts._HIGH / 2, charts._TOP
    assert heights == pytest.approx([low, half, top], abs=1.0)


def test_too_many_timelines_are_thinned_and_the_page_says_so() -> None:
    made = result(n=99)
    plot = plots(html(made))["Deltas received, over time"]
    assert len(paths(plot, "run")) == charts.MAX_TIMELINES
    assert "40 of 100 runs" in (plot.findtext("desc") or "")
    assert "run 1," in (plot.findtext("path/title") or "")

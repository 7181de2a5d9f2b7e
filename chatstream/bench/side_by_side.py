"""The part of the screen that several arms share: tables with a row for each, and strips.

Pure, as `report` is, which puts it between the title and the verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

from chatstream.bench import plots
from chatstream.bench.figures import (
    NONE,
    cold_ttft,
    figure,
    gaps_of,
    is_approximate,
    median_of,
    parts_of,
    per_arrival,
    percentiles_of,
    row,
    runs_of,
    summaries_of,
    ttfts_of,
)
from chatstream.bench.layout import (
    TIMES,
    Line,
    Span,
    cells,
    heads,
    name,
    number,
    said,
    seconds,
    table,
)
from chatstream.bench.result import OK, Arm, Result, Sample, Summary

NAME_CELLS = 24
"""Cells of an arm's name in a table."""

_AXIS = "TTFT"
"""What stands below the strips."""


def together(result: Result, width: int, ascii_only: bool) -> list[list[Line]]:
    """The blocks of lines: starts, paces, where the time to the first token went, and strips."""
    by = [(arm, summaries_of(arm), runs_of(result, arm)) for arm in result.arms]
    percentiles = percentiles_of(summaries.get("ttft") for _, summaries, _ in by)
    starts = [heads("TTFT", "median", "95 % interval", "min", "max", "cold", *percentiles)]
    paces = [heads("pace", "TPOT", "95 % interval", "tokens/s", "max gap", "stalls", "ok")]
    wents = [heads("of TTFT", "network", "load", "prompt", "unexplained")]
    bundles: list[Line] = []
    for arm, summaries, runs in by:
        called: Span = (name(arm.name, NAME_CELLS), "")
        ttft = row(summaries.get("ttft"), False, percentiles)
        cold = cold_ttft(arm)
        failed = cold is None and arm.cold is not None
        starts.append(
            [called, *ttft[:4], ("failed" if failed else figure("ttft", cold), ""), *ttft[4:]]
        )
        paces.append([called, *_paced(arm, summaries, runs)])
        parts: list[Span] = [(figure("ttft", it), "") for it in parts_of(runs)]
        wents.append([called, *parts])
        tokens = per_arrival(runs)
        if tokens:
            bundles += said("bundles", [(f"{called[0]}: tokens per arrival {tokens}", "")], width)
    return [
        table(starts, width),
        table(paces, width),
        [*table(wents, width), *bundles, *_sooner(result)],
        _strips(result, width, ascii_only),
    ]


def _paced(arm: Arm, summaries: dict[str, Summary], runs: Sequence[Sample]) -> list[Span]:
    approximate = is_approximate(runs)
    gaps = gaps_of(runs)
    stalls = sum(len(it.stalls) for it in runs)
    total, fine = sum(arm.statuses.values()), arm.statuses.get(OK, 0)
    return [
        *row(summaries.get("tpot"), approximate)[:2],
        row(summaries.get("tokens_per_second"), approximate)[0],
        (seconds(max(gaps)) if gaps else NONE, ""),
        (str(stalls), "warn" if stalls else ""),
        (f"{fine}/{total}", "" if fine == total else "bad"),
    ]


def _sooner(result: Result) -> list[Line]:
    """What streaming is good for: the first visible text against the wait for the whole."""
    lines: list[Line] = []
    texts = [(arm, median_of(it.ttfa for it in runs_of(result, arm))) for arm in result.arms]
    for whole, last in texts:
        for arm, first in texts:
            same = (arm.provider, arm.model, arm.cache) == (
                whole.provider,
                whole.model,
                whole.cache,
            )
            if not same or not arm.streamed or whole.streamed or not first or not last:
                continue
            waits = f"{seconds(first)} with streaming, {seconds(last)} without"
            times = f"{number(last / first)} {TIMES} sooner" if last > first else "no sooner"
            lines.append([(f"first visible text: {waits}: {times}", "bold")])
    return lines


def _strips(result: Result, width: int, ascii_only: bool) -> list[Line]:
    """A histogram of one line for each arm, all on one scale."""
    values = [(name(arm.name, NAME_CELLS), ttfts_of(result, arm)) for arm in result.arms]
    scale = plots.scale_of([it for _, own in values for it in own])
    margin = max(len(_AXIS), *(cells(called) for called, _ in values)) + 2
    columns = width - margin
    if scale is None or columns < 16:
        return []
    lines: list[Line] = []
    for called, own in values:
        (bar,) = plots.bars(own, scale, columns, 1, columns // 2, ascii_only=ascii_only)
        lines.append([(called + " " * (margin - cells(called)), ""), (bar, "")])
    return [*lines, [(f"{_AXIS:<{margin}}{plots.labels(scale, columns)}", "dim")]]

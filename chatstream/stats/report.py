"""The figures of runs, as one screen of text, or as a table for a pipe.

1. Pure: totals in, lines or rows out. Whatever a colour means is also in the text.
2. No line is wider than `width`. Groups that do not fit as a table stand below each other, with the
   same figures.
3. A dash marks a figure that is unknown or needs more runs; "≈" marks a sum with estimates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from chatstream.bench import plots
from chatstream.bench.figures import NONE
from chatstream.bench.layout import (
    Line,
    Span,
    clean,
    heads,
    joined,
    name,
    number,
    said,
    seconds,
    table,
)
from chatstream.sinks.words import dollars
from chatstream.stats.reckoning import UNKNOWN, Total
from chatstream.terminal.runs import local_time
from chatstream.wording import counted

NAME_CELLS = 28
"""The most that the name of a group takes in a table."""

_MOST_LINES = 100  # of one figure: all kinds of failure


def screen(
    whole: Total,
    groups: Sequence[Total],
    ttfts: Sequence[float],
    width: int,
    *,
    ascii_only: bool = False,
) -> list[Line]:
    """The lines of these figures; `ttfts` are those of all runs, in seconds."""
    blocks = [
        [_title(whole)],
        [*_ends(whole, width), *_latencies(whole, width), *_spent(whole, width)],
        plots.both("TTFT", ttfts, width, ascii_only=ascii_only),
        _groups(groups, width),
    ]
    return joined(blocks, width, ascii_only=ascii_only)


def rows(totals: Iterable[Total]) -> Iterator[list[str]]:
    """The same as a table: names of columns, then a row for each of these totals."""
    yield list(_COLUMNS)
    for it in totals:
        yield [
            "all" if it.name is None else it.name,
            *map(str, (it.runs, it.whole, it.stopped, it.failed)),
            ", ".join(f"{kind} {n}" for kind, n in it.failures.items()) or UNKNOWN,
            *map(_plain, (it.ttft.p50, it.ttft.p90, it.ttft.p95, it.ttft.p99)),
            *map(_plain, (it.tokens_per_second.p50, it.tokens_per_second.p05)),
            *map(str, (it.input_tokens, it.output_tokens)),
            *(_plain(it.cost), str(it.cost_unknown)),
            *map(str, (it.retries, it.fallbacks, it.resumed, it.troubled, it.recovered)),
        ]


_COLUMNS = (
    *("name", "runs", "whole", "stopped", "failed", "failures"),
    *("ttft_p50", "ttft_p90", "ttft_p95", "ttft_p99"),
    *("tokens_per_second_p50", "tokens_per_second_p05"),
    *("input_tokens", "output_tokens", "cost", "cost_unknown"),
    *("retries", "fallbacks", "resumed", "troubled", "recovered"),
)


def _plain(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.10g}"


def _title(it: Total) -> Line:
    days = [local_time(at)[:10] for at in (it.first, it.last) if at is not None]
    span = " to ".join(dict.fromkeys(days))
    return [(counted(it.runs, "run", commas=True), "bold"), (f" · {span}", "")]


def _ends(it: Total, width: int) -> list[Line]:
    lines = _said("whole", [(f"{it.whole:,} ({_share(it)})", "good")], width)
    if it.failed:
        kinds: list[Span] = [(f"{clean(kind, 40)} {n:,}", "") for kind, n in it.failures.items()]
        lines += _said("failed", [(f"{it.failed:,}", "bad"), *kinds], width)
    if it.stopped:
        lines += _said("stopped", [(f"{it.stopped:,} by you", "")], width)
    if it.troubled:
        share: Span = (f"{it.recovered:,} of {counted(it.troubled, 'run', commas=True)}", "")
        ways = {"retries": it.retries, "fallbacks": it.fallbacks, "resumed": it.resumed}
        used: list[Span] = [(f"{way} {n:,}", "") for way, n in ways.items() if n]
        lines += _said("recovered", [share, *used], width)
    return lines


def _latencies(it: Total, width: int) -> list[Line]:
    times, paces = it.ttft, it.tokens_per_second
    lines: list[Line] = []
    if times.n:
        shown = {"p50": times.p50, "p90": times.p90, "p95": times.p95, "p99": times.p99}
        spans = [f"{at} {seconds(its)}" for at, its in shown.items() if its is not None]
        lines += _said("TTFT", [(it, "") for it in spans], width)
    if paces.n:
        shown = {"p50": paces.p50, "p10": paces.p10, "p05": paces.p05, "p01": paces.p01}
        spans = [f"{at} {number(its)}" for at, its in shown.items() if its is not None]
        lines += _said("tokens/s", [(it, "") for it in spans], width)
    return lines


def _spent(it: Total, width: int) -> list[Line]:
    cached = f" ({it.cached_tokens:,} cached)" if it.cached_tokens else ""
    thought = f" ({it.reasoning_tokens:,} reasoning)" if it.reasoning_tokens else ""
    tokens: list[Span] = [
        (f"{it.input_tokens:,} in{cached}", ""),
        (f"{it.output_tokens:,} out{thought}", ""),
    ]
    costs: list[Span] = [(_cost(it), "")]
    if 0 < it.cost_unknown < it.runs:
        costs.append((f"unknown for {counted(it.cost_unknown, 'run', commas=True)}", ""))
    return [*_said("tokens", tokens, width), *_said("cost", costs, width)]


def _groups(groups: Sequence[Total], width: int) -> list[Line]:
    if not groups:
        return []
    figures = ("runs", "whole", "TTFT p50", "p95", "tokens/s", "out", "cost")
    head = heads(f"by {groups[0].by}", *figures)
    lines = table([head, *map(_row, groups)], width)
    if len(lines[0]) == len(head):
        return lines
    return [line for it in groups for line in _card(it, width)]


def _row(it: Total) -> list[Span]:
    return [
        (name(it.name or UNKNOWN, NAME_CELLS), "bold"),
        (f"{it.runs:,}", ""),
        (_share(it), "warn" if it.failed else "good"),
        (_seconds(it.ttft.p50), ""),
        (_seconds(it.ttft.p95), ""),
        (_number(it.tokens_per_second.p50), ""),
        (f"{it.output_tokens:,}", ""),
        (_cost(it), ""),
    ]


def _card(it: Total, width: int) -> list[Line]:
    """A group that has no room for a row."""
    _, runs, whole, p50, p95, pace, out, cost = _row(it)
    spans: list[Span] = [
        (f"{runs[0]} runs" if it.runs != 1 else "1 run", ""),
        (f"{whole[0]} whole", whole[1]),
        (f"TTFT p50 {p50[0]}", ""),
        (f"p95 {p95[0]}", ""),
        (f"{pace[0]} tokens/s", ""),
        (f"{out[0]} out", ""),
        (f"cost {cost[0]}", ""),
    ]
    return [[(name(it.name or UNKNOWN, width), "bold")], *_said("", spans, width)]


def _share(it: Total) -> str:
    """The share of whole runs, rounded down: only all of them are 100 %."""
    share = math.floor(100 * it.whole / it.runs)
    return f"{share} %" if share or not it.whole else "<1 %"


def _cost(it: Total) -> str:
    return NONE if it.cost is None else dollars(it.cost, estimated=it.cost_estimated)


def _seconds(value: float | None) -> str:
    return NONE if value is None else seconds(value)


def _number(value: float | None) -> str:
    return NONE if value is None else number(value)


def _said(label: str, parts: Sequence[Span], width: int) -> list[Line]:
    return said(label, parts, width, most=_MOST_LINES)

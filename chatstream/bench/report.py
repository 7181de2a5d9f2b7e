"""A result as one screen of text: what was measured, how sure that is, and what it means.

1. Pure: a result in, lines out. Whoever prints paints the roles, or does not; every meaning that
   a role has stands in the text as well.
2. No line is wider than `width`. What has no room ends in "…"; of a table the last columns are
   left out.
3. What a server or a file wrote (names, messages) is cleaned and cut.
4. `figures` says what a dash, "≈" and "failed" mean in the place of a figure.
"""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from itertools import groupby

from chatstream.bench import plots
from chatstream.bench.conclusion import conclusion
from chatstream.bench.figures import (
    cold_ttft,
    figure,
    gaps_of,
    is_approximate,
    parts_of,
    per_arrival,
    percentiles_of,
    row,
    runs_of,
    summaries_of,
    ttfts_of,
)
from chatstream.bench.layout import (
    LABEL_COLUMNS,
    TIMES,
    Line,
    Role,
    Span,
    clean,
    heads,
    joined,
    name,
    number,
    prose,
    said,
    seconds,
    table,
    text_of,
)
from chatstream.bench.metrics import METRICS
from chatstream.bench.result import OK, Arm, Comparison, Gate, Result, Sample, Summary
from chatstream.bench.side_by_side import NAME_CELLS, together
from chatstream.bench.verdict import BASELINE
from chatstream.wording import counted

__all__ = ["Line", "Role", "screen", "text_of"]

SHORT_NAME_CELLS = 16
"""The same where a row has less room."""

MAX_SHOWN = 6
"""The number of failures, gates or warnings that are shown one by one."""

ENDS = {
    1: "a gate failed, or a figure is worse than the baseline",
    3: "too many runs failed",
    4: "inconclusive: more runs are needed to decide",
    5: "this client was the limit, not the server",
    130: "stopped early: only the runs up to then are included",
}

ROLES: dict[str, Role] = {
    "REGRESSED": "bad",
    "OK": "good",
    "FASTER": "good",
    "SLOWER": "bad",
    "SAME": "",
    "INCONCLUSIVE": "warn",
}

EXPLAIN = "chatstream bench --explain"
"""The command that says what each figure means."""


def screen(result: Result, width: int = 80, *, ascii_only: bool = False) -> list[Line]:
    """The lines of a result. `ascii_only`: for a terminal that can show nothing else."""
    arms = result.arms
    blocks = [_title(result, width)]
    if not arms:
        blocks.append([[("nothing was measured", "warn")]])
    elif len(arms) == 1:
        blocks += _alone(result, arms[0], width, ascii_only)
    else:
        blocks += together(result, width, ascii_only)
    blocks.append(
        [
            *_load(result, width),
            *_client(result, width),
            *said("terms", [(EXPLAIN, ""), ("explains each figure", "dim")], width, joint=" "),
            *_failures(result, width),
        ]
    )
    blocks.append(_comparisons(result, width))
    blocks.append([*_gates(result, width), *_remarks(result, width)])
    blocks.append(_conclusion(result, width))
    return joined(blocks, width, ascii_only=ascii_only)


def _title(result: Result, width: int) -> list[Line]:
    arms = result.arms
    colds = sum(arm.cold is not None for arm in arms)
    warm = sum(sum(arm.statuses.values()) for arm in arms) - colds
    many, rate = result.settings.get("concurrency"), result.settings.get("rate")
    first = name(arms[0].name, 2 * NAME_CELLS) if len(arms) == 1 else "chatstream bench"
    providers = ", ".join(dict.fromkeys(clean(arm.provider, NAME_CELLS) for arm in arms))
    rest = "".join(f" · {it}" for it in (providers, clean(result.target, 200)) if it)
    facts = [
        counted(warm, "run") + (f" and {colds} cold" if colds else ""),
        seconds(result.elapsed),
        f"{many} at once" if isinstance(many, int) and many > 1 else "",
        f"{number(rate)} requests/s" if isinstance(rate, int | float) and rate else "",
        clean(result.started_at[:16].replace("T", " "), 16) + " UTC",
        f"chatstream {clean(result.chatstream, NAME_CELLS)}",
    ]
    wrapped = textwrap.wrap(" · ".join(it for it in facts if it), width, break_on_hyphens=False)
    lines: list[Line] = [[(line, "dim")] for line in wrapped]
    return [[(first, "bold"), (rest, "")], *lines]


# ---- one arm


def _alone(result: Result, arm: Arm, width: int, ascii_only: bool) -> list[list[Line]]:
    runs = runs_of(result, arm)
    details = _cold(arm, width)
    if runs:
        details += [*_went(runs, width), *_pace(runs, width), *_stalls(runs, width)]
    figures = _figures(arm, is_approximate(runs), width)
    return [
        figures,
        details,
        plots.both("TTFT", ttfts_of(result, arm), width, ascii_only=ascii_only),
    ]


def _figures(arm: Arm, approximate: bool, width: int) -> list[Line]:
    """A row for each metric that says something of its own."""
    by = summaries_of(arm)
    shown = [by[it] for it in ("ttft", "late_ttft", "ttfa") if it in by]
    shown = [it for it in shown if it is shown[0] or not _alike(it, shown[0])]
    shown += [by[it] for it in ("ttfb", "tpot", "tokens_per_second", "duration") if it in by]
    if not shown:
        return [[("no run completed, so there are no figures", "warn")]]
    percentiles = percentiles_of(shown)
    rows = [heads("", "median", "95 % interval", "min", "max", *percentiles)]
    for it in shown:
        rows.append([(METRICS[it.metric].label, ""), *row(it, approximate, percentiles)])
    note = "≈ each delta counts as one token, because the server reports no count"
    return table(rows, width) + ([[(note, "dim")]] if approximate else [])


def _alike(a: Summary, b: Summary) -> bool:
    return (a.median, a.low, a.high, a.min, a.max) == (b.median, b.low, b.high, b.min, b.max)


def _cold(arm: Arm, width: int) -> list[Line]:
    run, total = arm.cold, cold_ttft(arm)
    if run is None:
        return []
    if total is None or run.ttft is None:
        why = "no token" if run.status == OK else clean(run.status, NAME_CELLS)
        return said("ttft_cold", [(f"failed: {why}", "bad")], width)
    if run.connect is None:
        return said("ttft_cold", [(f"{seconds(total)} without a new connection", "")], width)
    both = f"connect {seconds(run.connect)} + ttft {seconds(run.ttft)}"
    phases = [("dns", run.dns), ("tcp", run.tcp), ("tls", run.tls)]
    text = ", ".join(f"{phase} {seconds(it)}" for phase, it in phases if it is not None)
    return said("ttft_cold", [(f"{seconds(total)} = {both}", ""), (text, "")], width)


def _went(runs: Sequence[Sample], width: int) -> list[Line]:
    """Where the median TTFT went, with a bar of it."""
    it = parts_of(runs)
    network = f"network {figure('ttft', it.network)}"
    if it.rest is None:
        return said("of TTFT", [(network, ""), ("the server reports no times", "")], width)
    phases = [("load", it.load), ("prompt", it.prompt)]
    sums = " + ".join(f"{phase} {seconds(own)}" for phase, own in phases if own is not None)
    spans: list[Span] = [
        (f"▒ {network}", ""),
        (f"█ server {seconds(it.server)} ({sums})", ""),
        (f"░ unexplained {seconds(it.rest)}", ""),
    ]
    bar = _stacked(
        [("▒", it.network or 0.0), ("█", it.server), ("░", it.rest)], width - LABEL_COLUMNS
    )
    return [*said("of TTFT", spans, width), [(" " * LABEL_COLUMNS + bar, "")]]


def _stacked(shares: Sequence[tuple[str, float]], columns: int) -> str:
    """A bar of this many columns. Its inner edges are rounded, so that the parts add up."""
    total = sum(size for _, size in shares)
    bar, done = "", 0.0
    for glyph, size in shares:
        done += size
        bar += glyph * (round(done / total * columns) - len(bar)) if total else ""
    return bar


def _pace(runs: Sequence[Sample], width: int) -> list[Line]:
    gaps = gaps_of(runs)
    if not gaps:
        return said("pace", [("each answer came in one piece", "")], width)
    gap = f"gap p50 {seconds(statistics.median(gaps))}, max {seconds(max(gaps))}"
    tokens = per_arrival(runs)
    text = f"tokens per arrival {tokens}" if tokens else "one token per arrival"
    return said("pace", [(gap, ""), (text, "")], width)


def _stalls(runs: Sequence[Sample], width: int) -> list[Line]:
    stalls = [(it, run.number) for run in runs for it in run.stalls]
    if not stalls:
        return said("stalls", [("none", "")], width)
    longest, where = max(stalls, key=lambda it: it[0].seconds)
    hit = sum(bool(it.stalls) for it in runs)
    spans: list[Span] = [
        (f"{len(stalls)} in {counted(hit, 'run')}", "warn"),
        (f"longest {seconds(longest.seconds)} at {seconds(longest.at)} of run {where}", ""),
    ]
    streaming = sum(it.arrivals[-1] - it.arrivals[0] for it in runs if it.arrivals)
    if streaming > 0:
        lost = sum(it.seconds for it, _ in stalls)
        spans.append((f"{number(100 * lost / streaming)} % of the time", ""))
    return said("stalls", spans, width)


# ---- what it means


def _load(result: Result, width: int) -> list[Line]:
    """What all streams together got."""
    it = result.throughput
    if it is None:
        return []
    tokens = "≈" * it.approximate + number(it.tokens_per_second)
    spans: list[Span] = [
        (f"{number(it.requests_per_second)} requests/s", "bold"),
        (f"{tokens} tokens/s in total", "bold"),
    ]
    return said("load", spans, width)


def _conclusion(result: Result, width: int) -> list[Line]:
    text = conclusion(result)
    lines = textwrap.wrap(clean(text, 10 * width), width, break_on_hyphens=False)
    return [[(line, "bold")] for line in lines]


def _client(result: Result, width: int) -> list[Line]:
    it = result.client
    if it is None:
        return []
    if it.clock == "kernel":
        lag = f"lag p50 {seconds(it.lag_p50)}, p99 {seconds(it.lag_p99)}"
        spans: list[Span] = [("kernel receive times", ""), (lag, "")]
    else:
        error = f"error up to {seconds(it.lag_max)}" if it.lag_max > 0 else "error unknown"
        spans = [("user clock", ""), (error, "")]
    spans.append((it.verdict, "good" if it.verdict == "TRUSTED" else "bad"))
    lines = said("client", spans, width)
    if it.verdict != "TRUSTED":
        lines += prose("", it.reason, "", width)
    return lines


def _failures(result: Result, width: int) -> list[Line]:
    """Each way in which runs ended other than well, with its first message."""
    lines: list[Line] = []
    kinds = [(arm, it, n) for arm in result.arms for it, n in arm.statuses.items() if it != OK]
    for arm, status, n in kinds[:MAX_SHOWN]:
        own = (it for it in result.samples if it.arm == arm.name and it.status == status)
        message = next((it.message for it in own if it.message), "")
        whose = f"{name(arm.name, SHORT_NAME_CELLS)}: " if len(result.arms) > 1 else ""
        text = f"{whose}{n} of {sum(arm.statuses.values())} {clean(status, NAME_CELLS)}"
        lines += said("failed", [(text, "bad")], width)
        if message:
            lines += prose("", message, "", width, most=2)
    return lines + _more(len(kinds), width)


def _more(n: int, width: int) -> list[Line]:
    return said("", [(f"and {n - MAX_SHOWN} more", "")], width) if n > MAX_SHOWN else []


def _comparisons(result: Result, width: int) -> list[Line]:
    lines: list[Line] = []
    for against, group in groupby(result.comparisons, key=lambda it: it.against):
        compared = list(group)
        whose = name(against, 2 * NAME_CELLS)
        if against == BASELINE:
            whose = f"the baseline {name(result.baseline or '', 2 * NAME_CELLS)}".rstrip()
        lines.append(heads(f"against {whose}"))
        lines += table([_compared(it, result) for it in compared], width, left=3)
        more = max((it.more_runs or 0 for it in compared), default=0)
        if more:
            lines.append([(f"about {counted(more, 'more run')} would decide", "warn")])
    return lines


def _compared(it: Comparison, result: Result) -> list[Span]:
    arm = next((own for own in result.arms if own.name == it.arm), None)
    approximate = arm is not None and is_approximate(runs_of(result, arm))
    known = METRICS.get(it.metric)
    between = "" if it.low is None or it.high is None else f"[{number(it.low)}, {number(it.high)}]"
    old, new = figure(it.metric, it.old), figure(it.metric, it.new, approximate)
    whose: list[Span] = [(name(it.arm, SHORT_NAME_CELLS), "")] if len(result.arms) > 1 else []
    return [
        (it.verdict, ROLES[it.verdict]),
        *whose,
        (known.label if known is not None else clean(it.metric, SHORT_NAME_CELLS), ""),
        (f"{old} -> {new}", ""),
        ("" if it.ratio is None else f"{TIMES}{number(it.ratio)}", "bold"),
        (between, ""),
        ("" if it.p is None else "p < 0.001" if it.p < 0.001 else f"p = {it.p:.3f}", ""),
    ]


def _gates(result: Result, width: int) -> list[Line]:
    """The gates, those that failed first."""
    lines: list[Line] = []
    for gate in sorted(result.gates, key=lambda it: not it.failed)[:MAX_SHOWN]:
        verdict: Span = ("FAIL", "bad") if gate.failed else ("PASS", "good")
        spans: list[Span] = [(f"fail if {name(gate.text, width - LABEL_COLUMNS - 8)}", "")]
        if gate.measured is not None:
            spans.append((f"measured {_gated(gate, gate.measured)}", ""))
        if gate.limit is not None and BASELINE in gate.text:
            spans.append((f"limit {_gated(gate, gate.limit)}", ""))
        if gate.note:
            spans.append((clean(gate.note, width - LABEL_COLUMNS), ""))
        lines += said(verdict[0], spans, width, role=verdict[1])
    return lines + _more(len(result.gates), width)


def _gated(gate: Gate, value: float) -> str:
    """A figure of a gate, whose text is `METRIC.STATISTIC…`, behind an arm's name or not."""
    metric = gate.text.rpartition(": ")[2].partition(".")[0].strip().lower()
    share = metric not in METRICS and gate.text.endswith("%")
    return f"{number(100 * value)} %" if share else figure(metric, value)


def _remarks(result: Result, width: int) -> list[Line]:
    """Warnings, and why the exit status is not 0."""
    lines: list[Line] = []
    for text in result.warnings[:MAX_SHOWN]:
        lines += prose("warning", text, "warn", width)
    lines += _more(len(result.warnings), width)
    if result.exit_status:
        why = ENDS.get(result.exit_status, "")
        lines += said(f"exit {result.exit_status}", [(why, "bad")], width, role="bad")
    return lines

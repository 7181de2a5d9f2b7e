"""A result as one page of HTML that needs nothing else: no network, no script, no other file.

1. Every text of the result goes through `_text`, which escapes it and shows what is invisible.
   Should that ever fail, the page's own policy forbids the browser to run or to load anything.
2. What a reader needs is text and tables; the plots are SVG with a title and a description.
3. The size is bounded. Plots leave out steps that are too small to see; the timelines, the table
   of failures and the raw data leave out runs, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from chatstream.bench.charts import NOTHING, drawn, escaped, interval, legend, whole
from chatstream.bench.conclusion import conclusion
from chatstream.bench.layout import clean, number, seconds
from chatstream.bench.metrics import METRICS, failed
from chatstream.bench.result import (
    Arm,
    Client,
    Comparison,
    Gate,
    Result,
    Sample,
    Throughput,
    encode,
)
from chatstream.bench.verdict import BASELINE
from chatstream.wording import counted

MAX_FAILURES = 20
"""Failed runs in their table."""

MAX_ARRIVALS = 100_000
"""Arrivals in the raw data, about 5 MB; later runs keep their other figures only."""

VERDICTS = {
    1: ("bad", "Failed: a gate failed, or a figure is worse than the baseline"),
    3: ("bad", "Failed: too many runs failed"),
    4: ("warn", "Inconclusive: more runs are needed to decide"),
    5: ("warn", "Not reliable: this client was the limit, not the server"),
    130: ("warn", "Stopped early: only the runs up to then are included"),
}
"""The exit statuses but 0: a colour, and words."""

Row = Sequence[str]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CSS = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#59636e;--line:#d8dee4;
--box:#f6f8fa;--good:#1a7f37;--bad:#c4202f;--warn:#8a5d00;
--c0:#0068b3;--c1:#c9510c;--c2:#00805f;--c3:#a8499a;--c4:#8f6c00;--c5:#5a6672}
@media screen and (prefers-color-scheme:dark){:root{--back:#14171b;--text:#e6e9ec;--soft:#9ea8b3;
--line:#333b44;--box:#1d2228;--good:#4ac26b;--bad:#ff7b72;--warn:#e3b341;
--c0:#5aa9e6;--c1:#ff8f4d;--c2:#3cc79d;--c3:#df8fd0;--c4:#e0b43c;--c5:#a7b3bf}}
.a0{--arm:var(--c0)}.a1{--arm:var(--c1)}.a2{--arm:var(--c2)}.a3{--arm:var(--c3)}.a4{--arm:var(--c4)}.a5{--arm:var(--c5)}
*{box-sizing:border-box}
body{margin:0 auto;max-width:74rem;padding:1rem;background:var(--back);color:var(--text);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0}h2{font-size:1.2rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
.soft,figcaption,caption,dt{color:var(--soft)}
.verdict{margin:1rem 0;padding:.5rem 1rem;border-left:.4rem solid;background:var(--box)}
.plain{color:var(--soft)}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.verdict p{color:var(--text)}
.scroll{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:normal}
caption{text-align:left;padding-bottom:.2rem;max-width:calc(100vw - 2rem)}
th,td{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;
white-space:nowrap}.words td:last-child{white-space:normal;min-width:12rem}
th[scope=row]{font-weight:400}.figures :is(th,td):not(:first-child){text-align:right}
dl{display:grid;grid-template-columns:fit-content(40%) 1fr;gap:.2rem 1rem;margin:.5rem 0}
dd{margin:0}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));gap:1rem}
figure{margin:0;padding:.6rem;border:1px solid var(--line);border-radius:.4rem;break-inside:avoid}
figcaption{font-size:.85rem}svg{display:block;width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--soft);text-anchor:middle}
svg .end{text-anchor:end}svg .name{fill:var(--text);text-anchor:start}
.grid{stroke:var(--line)}.mark{fill:var(--arm)}.area{fill:var(--arm);fill-opacity:.2;stroke:var(--arm);stroke-width:1.3}
.line,.run{fill:none;stroke:var(--arm);stroke-width:1.6}
.run{stroke-width:1;stroke-opacity:.6}.cold{stroke-dasharray:5 3}
.range{stroke:var(--arm);stroke-width:5;opacity:.6}.wrong,.stall{fill:none;stroke:var(--bad);stroke-width:3}
.d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 2}.d3{stroke-dasharray:8 3 2 3}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.5rem;list-style:none;padding:0;margin:.5rem 0}
.legend svg{display:inline-block;width:2.5rem;vertical-align:middle;margin-right:.4rem}
@media print{body{max-width:none;padding:0;font-size:.75rem}.scroll{overflow:visible}}
"""


def html(result: Result) -> str:
    """The page."""
    colour, words = _verdict(result)
    about = f"{result.started_at} · {counted(len(result.samples), 'run')} in "
    about += f"{seconds(result.elapsed)} · chatstream {result.chatstream}"
    client = f" · client {result.client.verdict}" if result.client else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Benchmark of {escaped(result.target)}</title><style>{_CSS}</style></head><body><header>
<h1>Benchmark of <bdi>{escaped(result.target)}</bdi></h1><p class="soft">{escaped(about)}</p>
<div class="verdict {colour}"><strong>{words}</strong>
<p>{escaped(conclusion(result))}</p>
<p>Exit status {result.exit_status}{escaped(client)}</p></div></header>
<main>{"".join(_sections(result))}</main>{_raw(result)}</body></html>
"""


def _verdict(result: Result) -> tuple[str, str]:
    """A colour, and words. Only what was judged passes, and nothing that is in doubt."""
    if result.exit_status:
        return VERDICTS.get(result.exit_status, ("bad", "Failed"))
    if result.client is not None and result.client.verdict != "TRUSTED":
        return VERDICTS[5]
    judged = [it.verdict for it in result.comparisons if it.against == BASELINE]
    if "INCONCLUSIVE" in judged:
        return VERDICTS[4]
    if any(map(failed, result.samples)):
        return "warn", "Some runs failed"
    words = "Passed" if judged or result.gates else "Measured"
    if result.warnings:
        return "warn", f"{words}, with warnings"
    return "good" if judged or result.gates else "plain", words


def _sections(result: Result) -> Iterator[str]:
    arms = result.arms
    baseline = f"The baseline is {result.baseline}." if result.baseline else ""
    yield _section("Warnings", *(f"<p>{escaped(it)}</p>" for it in result.warnings))
    plots = "".join(drawn(result))
    yield _section("Plots", plots and f'{legend(arms)}<div class="plots">{plots}</div>')
    yield _section("Side by side", _side_by_side(arms) if len(arms) > 1 else "")
    yield _section("Comparisons", _comparisons(result.comparisons, baseline))
    yield _section("Gates", _gates(result.gates))
    yield _section("Throughput", _throughput(result.throughput) if result.throughput else "")
    yield _section("Figures", *(_summaries(arm, result.samples) for arm in arms))
    yield _section("Cold runs", _cold(arms))
    yield _section("Failed runs", _failures([it for it in result.samples if failed(it)]))
    yield _section("Client", _client(result.client) if result.client else "")
    yield _section("Settings", _pairs((name, str(it)) for name, it in result.settings.items()))
    yield _section("Definitions", _pairs(result.definitions.items()))


def _side_by_side(arms: list[Arm]) -> str:
    """A row for each metric and a column for each arm."""
    by = [{it.metric: it for it in arm.summaries} for arm in arms]
    rows = []
    for metric in dict.fromkeys(it for summaries in by for it in summaries):
        row = [_label(metric)]
        for it in (summaries.get(metric) for summaries in by):
            shown = partial(_figure, metric)
            median = "∞" if it is not None and it.failed and it.median is None else None
            row.append(NOTHING if it is None else median or shown(it.median))
            row.append(NOTHING if it is None else interval(it.low, it.high, shown))
        rows.append(row)
    head = ["Metric", *(text for arm in arms for text in (arm.name, "95 % interval"))]
    return _table("Medians", head, rows)


def _throughput(it: Throughput) -> str:
    tokens = "≈" * it.approximate + number(it.tokens_per_second)
    text = f"{number(it.requests_per_second)} requests/s, {tokens} tokens/s in total"
    return f"<p>{escaped(text)}</p>"


def _comparisons(comparisons: list[Comparison], baseline: str) -> str:
    head = ("Metric", "Arm", "Against", "Old", "New", "Ratio", "95 % interval", "p", "Verdict")
    rows = []
    for it in comparisons:
        old, new = _figure(it.metric, it.old), _figure(it.metric, it.new)
        ratio = NOTHING if it.ratio is None else f"{it.ratio:.3f}"
        between = interval(it.low, it.high, "{:.3f}".format)
        p = NOTHING if it.p is None else f"{it.p:.3g}"
        more = f", about {counted(it.more_runs, 'more run')} would decide" if it.more_runs else ""
        rows.append(
            (_label(it.metric), it.arm, it.against, old, new, ratio, between, p, it.verdict + more)
        )
    return _table(f"Ratio of the medians: new / old. {baseline}", head, rows, "words")


def _gates(gates: list[Gate]) -> str:
    rows = []
    for it in gates:
        condition = it.text.rpartition(": ")[2]  # the arm stands before it where there are more
        metric = re.split(r"[.<>\s]", condition.strip())[0]
        measured, limit = _figure(metric, it.measured), _figure(metric, it.limit)
        rows.append((it.text, "failed" if it.failed else "passed", measured, limit, it.note or ""))
    head = ("Condition of failure", "Verdict", "Measured", "Limit", "Note")
    return _table("", head, rows, "words")


def _summaries(arm: Arm, samples: list[Sample]) -> str:
    about = ["streamed" if arm.streamed else "not streamed", f"cache: {arm.cache}"]
    about += [f"{counted(n, 'run')} {status}" for status, n in arm.statuses.items()]
    guessed = any(it.approximate for it in samples if it.arm == arm.name)
    rows = []
    for it in arm.summaries:
        label = _label(it.metric)
        if guessed and it.metric in ("tpot", "tokens_per_second"):
            label = f"≈ {label}"
        shown = partial(_figure, it.metric)
        median, least, most = shown(it.median), shown(it.min), shown(it.max)
        if it.failed and it.max is None:  # those of failed runs are infinite
            most, median = "∞", "∞" if it.median is None else median
        between = interval(it.low, it.high, shown)
        shares = (shown(it.p90), shown(it.p95), shown(it.p99))
        rows.append((label, median, between, least, most, *shares, str(it.n), str(it.failed)))
    caption = f"{arm.name} ({arm.provider}, {arm.model}): {', '.join(about)}"
    if guessed:
        caption += ". ≈: in some runs each delta counts as one token: the server reports no count"
    head = ("Metric", "Median", "95 % interval", "Min", "Max", "p90", "p95", "p99", "n", "Failed")
    return _table(caption, head, rows)


def _cold(arms: list[Arm]) -> str:
    rows = []
    for arm in arms:
        if it := arm.cold:
            whole = None if it.ttft is None else (it.connect or 0.0) + it.ttft
            times = (it.dns, it.tcp, it.tls, it.ttft, whole)
            rows.append((arm.name, it.status, *(_figure("ttft", time) for time in times)))
    head = ("Arm", "Status", "DNS", "TCP", "TLS", "TTFT", "Connect + TTFT")
    return _table("The first run of each arm. It counts in no other figure.", head, rows)


def _failures(samples: list[Sample]) -> str:
    rows = []
    for it in samples[:MAX_FAILURES]:
        message = clean(it.message or "", 500)  # it may be a whole page
        rows.append((str(it.number), it.arm, it.status, message))
    caption = f"{len(rows)} of {counted(len(samples), 'failed run')}"
    return _table(caption, ("Run", "Arm", "Status", "Message"), rows, "words")


def _client(it: Client) -> str:
    lags = f"p50 {seconds(it.lag_p50)}, p99 {seconds(it.lag_p99)}, longest {seconds(it.lag_max)}"
    clock = "the kernel" if it.clock == "kernel" else "this process"
    text = f"{it.verdict}: {it.reason}. Receive times are those of {clock}. Client lag: {lags}."
    return f"<p>{escaped(text)} It used {it.cpu:.0%} of one core.</p>"


def _raw(result: Result) -> str:
    """The result as JSON, for programs: `decode` reads it as it stands between the tags.

    Every `<` is written as an escape of JSON: whatever the texts are, none ends the element.
    """
    room = MAX_ARRIVALS
    samples = []
    for it in result.samples:
        room -= len(it.arrivals)
        bare = msgspec.structs.replace(it, arrivals=[], deltas_at=[], lags=[])
        samples.append(it if room >= 0 else bare)
    data = encode(msgspec.structs.replace(result, samples=samples)).decode()
    data = data.replace("<", r"\u003c")
    note = ", except the arrivals of the later runs" if room < 0 else ""
    return (
        f'<footer class="soft"><p>The page source contains all data as JSON{note}.</p></footer>'
        f'<script type="application/json" id="result">{data}</script>'
    )


# ---- texts and tables


def _section(title: str, *blocks: str) -> str:
    """A section; none where there is nothing in it. `blocks` are HTML."""
    return f"<section><h2>{title}</h2>{''.join(blocks)}</section>" if any(blocks) else ""


def _table(caption: str, head: Row, rows: Sequence[Row], kind: str = "figures") -> str:
    """A table of texts, the first column its row headers; none without a row."""
    heads = "".join(f'<th scope="col">{escaped(it)}</th>' for it in head)
    lines = ""
    for first, *others in rows:
        cells = "".join(f"<td>{escaped(it)}</td>" for it in others)
        lines += f'<tr><th scope="row">{escaped(first)}</th>{cells}</tr>'
    table = f"<caption>{escaped(caption)}</caption><thead><tr>{heads}</tr></thead>{lines}"
    name = f'tabindex="0" role="region" aria-label="{escaped(caption or head[0])}"'
    whole = f'<div class="scroll" {name}><table class="{kind}">{table}</table></div>'
    return whole if rows else ""


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    inside = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in pairs)
    return inside and f"<dl>{inside}</dl>"


def _label(metric: str) -> str:
    return METRICS[metric].label if metric in METRICS else metric


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    if metric in METRICS and METRICS[metric].unit == "s":
        return seconds(value)
    return whole(value) if value == int(value) else number(value)

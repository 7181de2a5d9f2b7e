"""What each figure means, exactly: printed by `bench --explain`, stored in every export.

The limits in the text are those of the code.
"""

from __future__ import annotations

import textwrap

from chatstream.bench.measure import STALL, STALL_GAPS
from chatstream.bench.stats import fewest_for
from chatstream.bench.verdict import CPU_LIMIT, LAG_CEILING, LAG_LIMIT, LAG_SHARE

_INDENT = 4

DEFINITIONS: dict[str, str] = {
    "t0": (
        "The moment before the first byte of the request goes to the kernel, on a connected "
        "socket. Every latency counts from it, on the monotonic clock, in seconds. Name look-up, "
        "TCP and TLS come before it and are measured apart (connect)."
    ),
    "token": (
        "A piece of text that the model has generated: of the answer, of its reasoning or of a "
        "tool call (its name, its arguments). Frames with a role only, empty ones, pings, "
        "comments and usage do not count. White space does."
    ),
    "delta": "One piece of text as the server sends it. It may bring several tokens.",
    "arrival": (
        "One receive instant with at least one delta. On Linux without TLS it is the kernel's "
        "receive time, elsewhere the moment when this process had the bytes. What one read "
        "brings is one arrival."
    ),
    "ttfb": "Time to the first byte of the response body, decrypted.",
    "ttft": "Time to the first token of any kind: reasoning, answer or tool call.",
    "ttfa": (
        "Time to the first token of the answer: text that is more than white space, or a tool "
        "call. Reasoning does not count, in its own field or between <think> tags."
    ),
    "ttft_cold": (
        "connect + ttft of the first run, on a new connection. It is shown apart and enters no "
        "other figure."
    ),
    "gap": (
        "The time between two arrivals, never 0. Tokens that arrive together make no gap; the "
        "deltas of each arrival are told beside the gaps."
    ),
    "N": (
        "The number of generated tokens, as the server counts them (usage, or its own counters); "
        "without a count the number of deltas, marked with ≈. There is no tokenizer. Reasoning "
        "that is counted apart and never sent is not in N."
    ),
    "tpot": (
        "Time per output token: (last arrival - first arrival) / (N - n_first). n_first is the "
        "number of tokens in the first arrival: one for each delta or as many as deltas bring on "
        "average, whichever its share of the characters is nearer to; by that share alone where "
        "the server had held text back. An N of one more than the deltas counts the end token, "
        "which is never sent and takes no part. Tokens per second are 1 / tpot."
    ),
    "duration": "Time to the last token.",
    "stall": (
        f"A gap over {STALL * 1000:.0f} ms and over {STALL_GAPS} x the median gap of its run. "
        "Told with its start and its length."
    ),
    "status": (
        "ok: the protocol's own end mark came. truncated: the stream ended before it. "
        "stream_error: the server told of an error in the stream, or sent something else. "
        "http_NNN: that HTTP status. timeout_connect, timeout_first_token, "
        "timeout_between_tokens, timeout_total: that limit passed. reset: the connection was "
        "reset after the request was sent. connect: there was no connection. cancelled: the "
        "user ended it."
    ),
    "failures": (
        "Only runs that are ok have latencies. A run that failed counts as infinitely slow: it "
        "stands at the end of the tail and against every gate. A cancelled run counts nowhere."
    ),
    "interval": (
        "The 95 % interval of a median: two order statistics, exact for every distribution, from "
        "6 runs on. The interval of a ratio of two medians is a bootstrap."
    ),
    "percentiles": (
        f"p90, p95 and p99 are shown from {fewest_for(0.90)}, {fewest_for(0.95)} and "
        f"{fewest_for(0.99)} values on. With fewer the maximum stands in their place."
    ),
    "verdict": (
        "Of two medians. REGRESSED: worse by more than 5 %, and Mann-Whitney's test has p < 0.05. "
        "OK: the whole interval of the ratio is below that limit. INCONCLUSIVE: neither, or fewer "
        "than 6 runs on a side."
    ),
    "late": (
        "Of an open loop (--rate): how far behind its intended start the request was sent. A "
        "latency from the intended start is late + ttft, so a server that falls behind cannot "
        "hide it."
    ),
    "lag": (
        "How late this process was to a delta: the time of its read less the kernel's receive "
        "time. Of several deltas in one read the kernel tells only when the last came: there it "
        "is the longest that the first can have waited, and so it is for all without the "
        "kernel's times: the time since the socket was last seen empty."
    ),
    "client": (
        f"TRUSTED, or CLIENT-BOUND: the 99th percentile of lag is over {LAG_LIMIT * 1000:g} ms "
        f"(over {LAG_SHARE:.0%} of the median gap if that is more, but at most "
        f"{LAG_CEILING * 1000:g} ms), or this process used more than {CPU_LIMIT:.0%} of one core. "
        "The figures may then be those of this machine and not of the server."
    ),
}
"""Each term and its definition, in the order in which they build on one another."""


def explain(width: int = 80) -> list[str]:
    """The definitions as lines of at most `width` columns, for a terminal."""
    lines: list[str] = []
    for term, text in DEFINITIONS.items():
        indent = " " * _INDENT
        lines += [
            term,
            *textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent),
        ]
    return lines

"""What each figure means, exactly: printed by `bench --explain` and stored in every export.

The limits in the text come from the code.
"""

from __future__ import annotations

import textwrap

from chatstream.bench.measure import MIN_STALL_SECONDS, STALL_MEDIAN_GAPS
from chatstream.bench.stats import fewest_for
from chatstream.bench.verdict import (
    CPU_LIMIT_SHARE,
    LAG_CEILING_SECONDS,
    LAG_LIMIT_SECONDS,
    LAG_SHARE,
)

_INDENT_COLUMNS = 4

DEFINITIONS: dict[str, str] = {
    "t0": (
        "The moment just before the first byte of the request is written to a connected socket. "
        "Every latency starts here and is measured in seconds on the monotonic clock. Name "
        "lookup, TCP and TLS happen before t0 and are reported separately, as connect."
    ),
    "token": (
        "A piece of text that the model generated: part of its answer, of its reasoning or of a "
        "tool call (the tool's name or arguments). White space counts. These do not count: "
        "frames that carry only a role, empty frames, pings, comments and usage reports."
    ),
    "delta": "One piece of text as the server sends it. It can hold several tokens.",
    "arrival": (
        "The moment at which one or more deltas were received. All the data that one read "
        "operation returns is one arrival. On Linux without TLS, the time is the one that the "
        "kernel recorded on receipt. Otherwise it is the time at which this program got the data."
    ),
    "ttfb": "Time to the first byte of the response body, after decryption.",
    "ttft": "Time to the first token of any kind: reasoning, answer or tool call.",
    "ttfa": (
        "Time to the first token of the answer: a tool call, or text other than white space. "
        "Reasoning does not count, whether it has a field of its own or stands between <think> "
        "tags."
    ),
    "ttft_cold": (
        "connect + ttft of the first run, which opens a new connection. It is shown separately "
        "and counts in no other figure."
    ),
    "gap": (
        "The time between one arrival and the next. Deltas that are received together are one "
        "arrival, so a gap is never 0. The number of deltas per arrival is shown next to the gaps."
    ),
    "N": (
        "The number of tokens generated, as counted by the server (its usage or its own "
        "counters). If the server reports no count, N is the number of deltas, and figures that "
        "depend on it are marked with ≈. chatstream runs no tokenizer of its own. Reasoning that "
        "the server counts separately and never sends is not part of N."
    ),
    "tpot": (
        "Time per output token: (last arrival - first arrival) / (N - n_first), where n_first is "
        "the number of tokens in the first arrival. It is estimated as one per delta, or as the "
        "average number of tokens per delta, whichever is closer to that arrival's share of all "
        "characters. If the server held text back at first, that share alone decides. If N is "
        "one more than the number of deltas, the extra token is the end token, which is never "
        "sent, and it is left out. Tokens per second are 1 / tpot."
    ),
    "duration": "Time to the last token.",
    "stall": (
        f"A gap over {MIN_STALL_SECONDS * 1000:.0f} ms and over {STALL_MEDIAN_GAPS} x the median "
        "gap of its run. Each stall is reported with its start and its length."
    ),
    "status": (
        "How a run ended. ok: the protocol's own end mark arrived. truncated: the stream ended "
        "before it. stream_error: the server reported an error in the stream, or sent something "
        "that is not a stream. http_NNN: the server answered with that HTTP status. "
        "timeout_connect, timeout_first_token, timeout_between_tokens, timeout_total: that limit "
        "was reached. reset: the connection was reset after the request was sent. connect: no "
        "connection could be made. cancelled: you stopped it."
    ),
    "failures": (
        "Latencies are measured only for runs with the status ok. In percentiles and in limits "
        "(--fail-if), a failed run is treated as slower than every successful one. Cancelled runs "
        "are ignored."
    ),
    "interval": (
        "The 95 % confidence interval of a median, taken from two of the sorted values. It is "
        "exact for any distribution and needs at least 6 runs. The interval of a ratio of two "
        "medians is a bootstrap interval."
    ),
    "percentiles": (
        f"p90, p95 and p99 need at least {fewest_for(0.90)}, {fewest_for(0.95)} and "
        f"{fewest_for(0.99)} values. With fewer, look at the maximum instead."
    ),
    "verdict": (
        "The result of comparing two medians. Against a baseline, REGRESSED: more than 5 % worse, "
        "with p < 0.05 in the Mann-Whitney test. OK: the whole interval of the ratio of the "
        "medians is below 5 % worse. Between two models, SLOWER: more than 5 % worse, with "
        "p < 0.05. FASTER: more than 5 % better, with p < 0.05. SAME: the whole interval is within "
        "5 % in either direction. In both cases, INCONCLUSIVE: none of the above, or fewer than 6 "
        "runs on either side."
    ),
    "throughput": (
        "With several streams at once (-c) or a rate (--rate): the number of complete answers per "
        "second, and of their tokens (N) per second. The time is measured from the start of the "
        "first run after the cold one until the last token of the last run, so it includes the "
        "final phase, when fewer streams are open."
    ),
    "late": (
        "With --rate: the delay between the time at which a request should have been sent and "
        "the time at which it was sent. The sum of late and ttft is the whole wait for the first "
        "token. It shows when a server falls behind."
    ),
    "lag": (
        "How long a delta had been there before this program read it: the time of the read minus "
        "the kernel's receive time. If one read returns several deltas, the kernel reports only "
        "when the last one arrived. Lag is then an upper limit: the time since the socket was "
        "last seen empty. If the kernel reports no times, lag is this upper limit for every delta."
    ),
    "client": (
        "Whether this machine was fast enough for its figures to be trusted. CLIENT-BOUND: the "
        "99th percentile of lag is over its limit, or this program used more than "
        f"{CPU_LIMIT_SHARE:.0%} of one core. The figures may then describe this machine rather "
        f"than the server. The limit for lag is {LAG_LIMIT_SECONDS * 1000:g} ms or "
        f"{LAG_SHARE:.0%} of the median gap, whichever is larger, and at most "
        f"{LAG_CEILING_SECONDS * 1000:g} ms. TRUSTED: neither limit was exceeded."
    ),
}
"""Each term and its definition; each uses only terms that come before it."""


def explain(width: int = 80) -> list[str]:
    """The definitions as lines of at most `width` columns, for a terminal."""
    lines: list[str] = []
    for term, text in DEFINITIONS.items():
        indent = " " * _INDENT_COLUMNS
        lines += [
            term,
            *textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent),
        ]
    return lines

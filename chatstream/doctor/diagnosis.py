"""Why a stream does not stream: findings from the headers and the arrival times of two requests.

1. Pure: two exchanges in, findings out. `CHECKS` has a function for each question; it gives one
   finding or none. It says what was seen, with figures, and what to do about it.
2. A "problem" keeps tokens from their reader, a "note" may do so or costs time, and "ok" is the
   stream itself. Whatever the requests brought, there is at least one finding.
3. A limit of a proxy is recognised by its default, a proxy by its headers. Both are guesses and
   are worded so: a proxy need not show itself, and any limit can be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import inf
from statistics import median
from typing import Literal

import msgspec

from chatstream.bench.result import OK, Sample
from chatstream.doctor.proxies import ADVICE, IDLE_LIMITS, PROXIES, TOTAL_LIMITS
from chatstream.timing import Trace
from chatstream.wording import counted, excerpt

MIN_TOKENS = 20  # fewer say nothing about the pace: a short answer may come in one write
WHOLE_SHARE = 0.05  # of the whole time: all tokens within so little of it were held to the end
MIN_WHOLE_SECONDS = 0.3  # an answer that is whole sooner may truly be made that fast
MADE_SHARE = 0.2  # of the server's own generation time; a true stream takes nearly all of it
MIN_MADE_SECONDS = 0.1  # of that time are a proof; below, its rounding matters
MANY_TOKENS = 4  # in one arrival are no accident: two or three may share a segment
APART_SECONDS = 0.1  # between arrivals are seen as jerks
BLOCK_BYTES = (4096, 8192, 16384, 32768, 65536)  # the buffers of proxies and libraries
TOGETHER_SECONDS = 0.005  # reads so close are one write of the sender, in several segments
DELAYED_ACK_SECONDS = (0.036, 0.048)  # Linux waits 40 ms (TCP_DELACK_MIN), and Nagle for that
NEAR_SECONDS = 2.0  # to each side of a limit: a proxy looks at its timers about once a second
LOAD_SECONDS = 1.0  # a model that is in memory starts sooner
SLOWER_RATIO = 3.0  # times the second request; less may be chance

KEEP_ALIVE_SECONDS = 15.0
"""Seconds between two signs of life (WHATWG HTML, server-sent events, authoring notes: a comment
"every 15 seconds or so"); half of the shortest limit that is common."""

SLOW = {
    "dns": (0.1, "use a caching resolver, or the IP address itself"),
    "tcp": (0.25, "use a nearer region; on this machine, 127.0.0.1 instead of localhost"),
    "tls": (0.5, "keep connections open; check the length of the certificate chain"),
}
"""Seconds of a phase of connecting, and what to do. A known name takes milliseconds, TCP one round
trip (0.25 s around the world), TLS one or two and some arithmetic."""

LONGER = "ask for a longer answer: --prompt 'Write 400 words about rivers.' --max-tokens 800"

STREAMS = frozenset({"text/event-stream", "application/x-ndjson"})


class Finding(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="finding", omit_defaults=True
):
    """One line of the diagnosis: `what` was seen, with figures, and what `todo` about it."""

    code: str  # in kebab case, for programs
    severity: Literal["ok", "note", "problem"]
    what: str
    todo: str | None = None


class Exchange(msgspec.Struct, frozen=True):
    """One request. `ended` is when it was over, in seconds on the clock of the trace.

    `hint` is what to do, as its failure says.
    """

    sample: Sample
    trace: Trace
    ended: float
    hint: str | None = None


class Case(msgspec.Struct, frozen=True):
    """The same question twice; `warm` is None where the first shows that a second is of no use."""

    cold: Exchange
    warm: Exchange | None = None

    @property
    def exchanges(self) -> list[Exchange]:
        """All exchanges in order."""
        return [it for it in (self.cold, self.warm) if it is not None]

    @property
    def best(self) -> Exchange:
        """The exchange to judge the stream by: the latest that brought tokens, else the latest."""
        answers = [it for it in self.exchanges if it.sample.arrivals]
        return (answers or self.exchanges)[-1]


def is_worth_repeating(cold: Exchange) -> bool:
    """Whether the same question may end otherwise: it was answered, or the server failed."""
    return cold.sample.status == OK or cold.sample.status.startswith("http_5")


def diagnose(case: Case) -> list[Finding]:
    """The findings about this stream, in the order of `CHECKS`. Empty only if cancelled."""
    status = case.best.trace.status
    checks = CHECKS if status is not None and status < 400 else (broken,)
    return [it for check in checks if (it := check(case)) is not None]


def streamed(case: Case) -> Finding | None:
    """Did the tokens come one after another? That all came in little time is not enough to say no:
    after a long wait a fast model is soon done. What was held back also came with few reads, and
    where the server reports how long it wrote, that counts and not the wait.
    """
    sample = case.best.sample
    count, arrivals = _count(sample), sample.arrivals
    if not arrivals:
        done = sample.status == OK
        todo = "the model may have sent only reasoning: check with `chatstream ask --json`"
        return _problem("empty", "the answer is complete but has no tokens", todo) if done else None
    span, whole = arrivals[-1] - arrivals[0], arrivals[-1]
    if _is_one_body(case.best):
        todo = 'the server or a gateway ignores "stream": true; try the server without the gateway'
        what = f"not a stream: one JSON body after {_time(whole)}"
        return _problem("not-streamed", what, todo)
    few_reads = len(arrivals) == 1 or count / len(arrivals) >= MANY_TOKENS - 1
    made = sample.server.generation if sample.server else None
    share, full, least = (
        (MADE_SHARE, made, MIN_MADE_SECONDS) if made else (WHOLE_SHARE, whole, MIN_WHOLE_SECONDS)
    )
    if few_reads and span < share * full:
        beside = f"after {_time(arrivals[0])}"
        if made:
            beside = f"though the server took {_time(made)} to write them"
        what = f"all {counted(count, 'token')} arrived within {_time(span)}, {beside}"
        if count < MIN_TOKENS:
            return _note("too-short", what + ": too few to judge", LONGER)
        if full < least:
            return _note("too-fast", what + ": too fast to judge", LONGER)
        return _problem("buffered", what, _unbuffer(case.best.trace.headers))
    if in_blocks(case) is not None:
        return None
    pace = sample.tpot or span / max(1, count - 1)
    what = f"a stream: first token after {_time(arrivals[0])}, then one every {_time(pace)}"
    return Finding(code="stream", severity="ok", what=what)


def in_blocks(case: Case) -> Finding | None:
    """Are the writes as large as somebody's buffer?"""
    writes = _writes(case.best.trace)
    sizes = [size for _, size in writes[:-1]]  # the last is what was left
    if not sizes or median(b - a for (a, _), (b, _) in pairwise(writes)) < APART_SECONDS:
        return None
    block = min(BLOCK_BYTES, key=lambda it: abs(it - median(sizes)))
    alike = [size for size in sizes if 0.97 * block <= size <= 1.04 * block]  # chunk sizes, TLS
    if len(alike) < 2 / 3 * len(sizes):
        return None
    what = f"arrives in blocks of {block // 1024} KB: {len(alike)} of {len(sizes)} writes"
    return _problem("blocks", what, _unbuffer(case.best.trace.headers))


def bundled(case: Case) -> Finding | None:
    """Do the tokens come in jerks, by time and not by size?"""
    sample = case.best.sample
    gaps = sample.gaps
    if not gaps or in_blocks(case) is not None:
        return None
    gap, each = median(gaps), _count(sample) / len(sample.arrivals)
    low, high = DELAYED_ACK_SECONDS
    if len(gaps) >= MANY_TOKENS and low <= gap <= high and median(sample.deltas_at) > 1:
        what = f"several tokens at a time, {_time(gap)} apart, which suggests Nagle's algorithm"
        return _note("nagle", what, "set TCP_NODELAY in the server and in every proxy")
    if each < MANY_TOKENS or gap < APART_SECONDS:
        return None
    what = f"{each:.0f} tokens at a time, {_time(gap)} apart"
    todo = "lower the server's stream interval or batch size; a proxy may also flush on a timer"
    return _note("bundled", what, todo)


def compressed(case: Case) -> Finding | None:
    """Was it compressed, though we ask for `identity`? A compressor without a flush holds all."""
    headers = case.best.trace.headers
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return None
    verdict = streamed(case)
    held = verdict is None or verdict.severity == "problem"
    what = f"compressed with {excerpt(encoding, 20)}, although not requested{_by(headers)}"
    todo = "do not compress streams (nginx: `gzip off;`), or send `Cache-Control: no-transform`"
    return (_problem if held else _note)("compressed", what, todo)


def framing(case: Case) -> Finding | None:
    """Can the body grow, and does its end look different from a cut?"""
    headers = case.best.trace.headers
    if "chunked" in headers.get("transfer-encoding", "").lower() or _is_one_body(case.best):
        return None
    if length := headers.get("content-length"):
        what = f"Content-Length: {excerpt(length, 20)}: the answer was complete before it was sent"
        todo = "something buffers the whole answer first: ask the server directly"
        return _problem("sized", what, todo)
    what = "not chunked: the body ends when the connection does, so HTTP cannot detect a cut"
    return _note("unframed", what, "use HTTP/1.1 everywhere (nginx: `proxy_http_version 1.1;`)")


def media_type(case: Case) -> Finding | None:
    """Is it marked as a stream? Proxies and compressors go by that."""
    kind = case.best.trace.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in STREAMS or _is_one_body(case.best):
        return None
    what = f"its Content-Type is {excerpt(kind, 40)}" if kind else "it has no Content-Type"
    todo = "send text/event-stream (Ollama: application/x-ndjson), which proxies pass on at once"
    return _note("content-type", what, todo)


def reused(case: Case) -> Finding | None:
    """Does every request pay for a connection of its own? Only what a header says is sure."""
    headers, paid = case.best.trace.headers, case.best.trace.connect
    if headers.get("connection", "").lower() != "close" or "transfer-encoding" not in headers:
        return None
    cost = f", at {_time(paid)}" if paid is not None else ""
    what = f"Connection: close: each request needs a new connection{cost}"
    return _note("no-reuse", what, "allow keep-alive in the server and in every proxy")


def silent(case: Case) -> Finding | None:
    """Was it without a byte for so long that a proxy may take it for dead?"""
    longest, where = max((_longest_silence(it) for it in case.exchanges), key=lambda it: it[0])
    if longest < KEEP_ALIVE_SECONDS:
        return None
    what = f"{_time(longest)} without a byte {where}; proxies often cut at 30, 60 or 100 s"
    todo = "have the server send an SSE comment (`: ping`) every 15 s, or raise the proxies' limits"
    return _note("no-keep-alive", what, todo)


def broken(case: Case) -> Finding | None:
    """How did a request fail, and whose limit is it?"""
    failed = [it for it in case.exchanges if it.sample.status not in {OK, "cancelled"}]
    if not failed:
        return None
    exchange = failed[-1]
    sample, trace = exchange.sample, exchange.trace
    message = excerpt(sample.message or sample.status, 160)
    only = "" if len(failed) == len(case.exchanges) else f"request {sample.number} of 2: "
    if trace.status is not None and trace.status >= 400:
        return _refused(exchange, only, message)
    if sample.status in {"connect", "timeout_connect"}:
        firewall = "check that the server runs and listens there, and that no firewall blocks it"
        return _problem("no-connection", only + message, exchange.hint or firewall)
    if sample.status not in {"truncated", "reset"}:
        late = sample.status.startswith("timeout_")
        todo = "check the server's log" + ("; a model may still be loading" if late else "")
        return _problem(sample.status.replace("_", "-"), only + message, todo)
    heard = _heard(exchange)
    silence, total = exchange.ended - heard[-1], exchange.ended - heard[0]
    after = counted(_count(sample), "token") if sample.arrivals else "no token"
    if whose := _near(IDLE_LIMITS, silence):
        what = f"cut after {after} and {_time(silence)} of silence, like the {whose}"
        todo = "raise that limit, or have the server send a keep-alive every 15 s"
        return _problem("idle-cut", only + what, todo)
    if whose := _near(TOTAL_LIMITS, total):
        what = f"cut after {after}, {_time(total)} after the request, like the {whose}"
        return _problem("time-cut", only + what, "raise that limit; it applies to the whole answer")
    what = f"cut after {after}, {_time(silence)} after the last byte: {message}"
    todo = "check the logs of the server and the proxies: a crash, a restart, a limit"
    return _problem("cut", only + what, todo)


def loading(case: Case) -> Finding | None:
    """Was the model put into memory first, or each time?"""
    loads = [it.sample.server.load or 0.0 if it.sample.server else 0.0 for it in case.exchanges]
    keep = "keep the model in memory (Ollama: OLLAMA_KEEP_ALIVE=-1)"
    if case.warm is not None and min(loads) >= LOAD_SECONDS:
        what = f"the model was loaded for each request: {' and '.join(map(_time, loads))}"
        return _problem("loading", what, keep + "; check that all models fit into memory together")
    todo = keep + ", or send it a request after each start"
    if loads[0] >= LOAD_SECONDS:
        return _note("loading", f"the model had to be loaded first: {_time(loads[0])}", todo)
    cold, warm = case.cold.sample.ttft, case.warm.sample.ttft if case.warm else None
    if cold is None or warm is None or cold < SLOWER_RATIO * warm or cold < warm + LOAD_SECONDS:
        return None
    what = f"the first request waited {_time(cold)} for a token, the second {_time(warm)}"
    return _note("loading", f"{what}: a model or a machine was starting", todo)


def connecting(case: Case) -> Finding | None:
    """Which phase of the new connection is slow, if one is?"""
    trace = case.cold.trace
    phases = {"dns": trace.dns, "tcp": trace.tcp, "tls": trace.tls}
    slow = [(took, name) for name, took in phases.items() if took and took > SLOW[name][0]]
    if not slow:
        return None
    took, name = max(slow)
    away = f"; a round trip is {_time(trace.rtt)}" if trace.rtt is not None else ""
    return _note("slow-connect", f"{name.upper()} took {_time(took)}{away}", SLOW[name][1])


CHECKS: tuple[Callable[[Case], Finding | None], ...] = (
    streamed,
    in_blocks,
    bundled,
    compressed,
    framing,
    media_type,
    reused,
    silent,
    broken,
    loading,
    connecting,
)


def _refused(exchange: Exchange, only: str, message: str) -> Finding:
    """An HTTP status that is an error; a page comes from a proxy, not from a model's server."""
    status, headers = exchange.trace.status or 0, exchange.trace.headers
    if status == 503 and "load" in message.lower():
        todo = "wait until it is loaded, and send it a request before users do"
        return _problem("loading", f"{only}HTTP 503: {message}", todo)
    waited = exchange.ended - _heard(exchange)[0]
    whose = _near(IDLE_LIMITS, waited) if status in {408, 502, 504, 524} else None
    after = f" after {_time(waited)}, like the {whose}" if whose else ""
    by = _by(headers) or " from a proxy" * ("text/html" in headers.get("content-type", ""))
    todo = ADVICE.get(status, "check the log of the server or the proxy")
    return _problem(f"http-{status}", f"{only}HTTP {status}{by}{after}: {message}", todo)


def _is_one_body(exchange: Exchange) -> bool:
    """Whether a whole JSON answer came in place of a stream."""
    kind = exchange.trace.headers.get("content-type", "").lower()
    return kind.startswith("application/json") and len(exchange.sample.arrivals) == 1


def _writes(trace: Trace) -> list[tuple[float, int]]:
    """When the sender wrote how many bytes at once: reads that came together, joined."""
    writes: list[tuple[float, int]] = []
    before = -inf
    for receipt in trace.receipts:
        start, size = writes.pop() if receipt.at - before < TOGETHER_SECONDS else (receipt.at, 0)
        writes.append((start, size + receipt.size))
        before = receipt.at
    return writes


def _heard(exchange: Exchange) -> list[float]:
    """When the request was sent, and when bytes came after it."""
    trace = exchange.trace
    moments = [trace.sent, trace.head, *(it.at for it in trace.receipts)]
    return [it for it in moments if it is not None] or [exchange.ended]


def _longest_silence(exchange: Exchange) -> tuple[float, str]:
    """The longest time without a byte since the request, in seconds, and where it was."""
    sample, heard = exchange.sample, _heard(exchange)
    if sample.status != OK:
        heard.append(exchange.ended)
    seconds, start = max(((b - a, a - heard[0]) for a, b in pairwise(heard)), default=(0.0, 0.0))
    early = not sample.arrivals or start < sample.arrivals[0]
    return seconds, "before the first token" if early else "between two tokens"


def _near(limits: tuple[tuple[float, str], ...], seconds: float) -> str | None:
    """Whose limit this is."""
    limit, whose = min(limits, key=lambda it: abs(it[0] - seconds))
    return f"{limit:.0f} s limit of {whose}" if abs(limit - seconds) <= NEAR_SECONDS else None


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    """The proxies that the headers reveal, and what to do about each."""
    return {
        name: todo
        for header, part, name, todo in PROXIES
        if header in headers and part in headers[header].lower()
    }


def _by(headers: Mapping[str, str]) -> str:
    names = _names(headers)
    return f" (through {' and '.join(names)})" if names else ""


def _unbuffer(headers: Mapping[str, str]) -> str:
    """How to find what holds a body back. nginx never passes `X-Accel-Buffering` on."""
    known = [f"{name}: {todo}" for name, todo in _names(headers).items()]
    if headers.get("x-accel-buffering", "").strip().lower() == "no":
        known.append("nginx is not the cause, or it would have removed X-Accel-Buffering")
    elif not known:
        known.append("nginx: `proxy_buffering off;`, or have the server send X-Accel-Buffering: no")
    return "; ".join([*known, "if that does not help, ask the server directly"])


def _count(sample: Sample) -> int:
    return max(sample.tokens or 0, sample.deltas)


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"


def _problem(code: str, what: str, todo: str | None) -> Finding:
    return Finding(code=code, severity="problem", what=what, todo=todo)


def _note(code: str, what: str, todo: str) -> Finding:
    return Finding(code=code, severity="note", what=what, todo=todo)

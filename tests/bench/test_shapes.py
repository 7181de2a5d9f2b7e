"""Every shape in which a server may send the same tokens, in each protocol: what a sample says.

Each shape is a script: what is read when, in seconds since the request was sent, and what is true
of it. First a provider reads it with those very times, so that status, N, TTFT and the pace can be
told exactly; then the same bytes come over a real socket, where only status and N are.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chatstream.bench.measure import Taking, sample_of
from chatstream.bench.result import Arm, Sample
from chatstream.cancel import CancelToken
from chatstream.clock import Deadline
from chatstream.engine.measuring import Measuring
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError, Truncated
from chatstream.flow import Arrival, pipe
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Endpoint, dialect, find
from chatstream.recovery.watchdog import Limits, watchdog
from chatstream.stages.thinking import thinking
from chatstream.timing import Receipt, Stopwatch, Trace
from chatstream.transport import Call, Head, Tick, Transport
from chatstream.transport.body import Inflater
from tests.support.answers import DIALECTS, failure, headers
from tests.support.loopback import JSON, Reply, Script

LIMIT = 20.0  # seconds that any answer over a socket takes at most
SENT = 1000.0
FIRST = 0.5  # of the first token
PACE = 0.02  # of every token
REQUEST = ChatRequest("m", (Message("user", "hi"),))

PROSE = (
    "The lighthouse keeper counted waves, not hours: each seventh one broke over the rocks. "
    "Nobody had told him why; he found it out in his third winter, when the lamp failed and "
    "there was nothing to do but listen. Straightforward people, he thought, would have slept. "
    "“Perhaps”, said the sea — café, naïve, 東京 🌍 — and went on counting by itself. "
)
TOKENS = re.findall(r" ?[^\W\d_]{1,7}|\S|\s", PROSE * 2)[:120]
N = len(TOKENS)
TIMES = [FIRST + PACE * n for n in range(N)]

Read = tuple[float, bytes | None]
"""Seconds since t0, and the bytes of one read; None where nothing came until then."""


@dataclass(frozen=True)
class Case:
    """What is read, and what is true of it."""

    reads: Sequence[Read]
    status: str = "ok"
    tokens: int | None = N
    approximate: bool = False
    pace: float | None = PACE
    ttft: float | None = FIRST
    ttfa: float | None = FIRST
    arrivals: int | None = None  # None: not told
    stalls: int = 0
    http: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False
    in_time: bool = False  # it is about time alone, and says nothing over a socket


# ---- what each protocol writes


def frame(kind: str, value: Mapping[str, object]) -> bytes:
    text = json.dumps(value, ensure_ascii=False)
    if kind == "ollama":
        return f"{text}\n".encode()
    name = f"event: {value['type']}\n" if "type" in value else ""
    return f"{name}data: {text}\n\n".encode()


def delta(kind: str, text: str) -> bytes:
    """A piece of the answer."""
    if kind == "ollama":
        return frame(kind, {"message": {"role": "assistant", "content": text}, "done": False})
    if kind == "openai":
        return frame(kind, {"choices": [{"index": 0, "delta": {"content": text}}]})
    piece = {"type": "text_delta", "text": text}
    return frame(kind, {"type": "content_block_delta", "index": 0, "delta": piece})


def thought(kind: str, text: str) -> bytes:
    """A piece of reasoning, in the field for it."""
    if kind == "ollama":
        return frame(kind, {"message": {"content": "", "thinking": text}, "done": False})
    if kind == "openai":
        return frame(kind, {"choices": [{"index": 0, "delta": {"reasoning_content": text}}]})
    piece = {"type": "thinking_delta", "thinking": text}
    return frame(kind, {"type": "content_block_delta", "index": 0, "delta": piece})


def opening(kind: str) -> bytes:
    """What comes before the first token, with a role and no text."""
    if kind == "ollama":
        return delta(kind, "")
    if kind == "openai":
        role = {"role": "assistant", "content": ""}
        return frame(kind, {"choices": [{"index": 0, "delta": role}]})
    message = {"role": "assistant", "content": [], "usage": {"output_tokens": 1}}
    block = {"type": "text", "text": ""}
    return frame(kind, {"type": "message_start", "message": message}) + frame(
        kind, {"type": "content_block_start", "index": 0, "content_block": block}
    )


def ping(kind: str) -> bytes:
    """What only keeps the connection alive."""
    return {
        "ollama": b"\n" + delta("ollama", ""),
        "openai": b': keep-alive\n\ndata: {"choices":[]}\n\n',
        "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n: still here\n\n',
    }[kind]


def stop(kind: str) -> bytes:
    """The reason why the answer ends; Ollama has it in its last line only."""
    if kind == "openai":
        return frame(kind, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return frame(kind, {"type": "content_block_stop", "index": 0}) if kind == "anthropic" else b""


def usage(kind: str, count: int | None, unseen: int = 0) -> bytes:
    """The count of tokens, if any, and the end mark."""
    if kind == "ollama":
        told: dict[str, object] = {} if count is None else {"eval_count": count}
        return frame(
            kind, {"message": {"content": ""}, "done": True, "done_reason": "stop", **told}
        )
    if kind == "anthropic":
        told = {} if count is None else {"usage": {"output_tokens": count}}
        reason = {"stop_reason": "end_turn"}
        return frame(kind, {"type": "message_delta", "delta": reason, **told}) + frame(
            kind, {"type": "message_stop"}
        )
    counts: dict[str, object] = {"completion_tokens": count}
    if unseen:
        counts["completion_tokens_details"] = {"reasoning_tokens": unseen}
    told_ = b"" if count is None else frame(kind, {"choices": [], "usage": counts})
    return told_ + b"data: [DONE]\n\n"


def ending(kind: str, count: int | None = N, unseen: int = 0) -> bytes:
    return stop(kind) + usage(kind, count, unseen)


# ---- how they are read


def deltas(kind: str, tokens: Sequence[str] = TOKENS) -> list[Read]:
    """A token a read, each at its time."""
    return [(t, delta(kind, token)) for t, token in zip(TIMES, tokens, strict=False)]


def bundles(kind: str, sizes: Iterator[int]) -> list[Read]:
    """So many tokens a delta, each sent when its last token is there."""
    reads: list[Read] = []
    begin = 0
    while begin < N:
        end = min(begin + next(sizes), N)
        reads.append((TIMES[end - 1], delta(kind, "".join(TOKENS[begin:end]))))
        begin = end
    return reads


def segments(reads: Sequence[Read], sizes: Iterator[int]) -> list[Read]:
    """So many of these reads in one, when the last of them is there."""
    left = list(reads)
    joined: list[Read] = []
    while left:
        size = next(sizes)
        part, left = left[:size], left[size:]
        joined.append((part[-1][0], b"".join(data for _, data in part if data)))
    return joined


def bytewise(reads: Sequence[Read]) -> list[Read]:
    """Each byte by itself, the last of each read at its time."""
    return [
        (t - (len(data) - 1 - at) * 1e-7, data[at : at + 1])
        for t, data in reads
        if data
        for at in range(len(data))
    ]


def rewritten(reads: Sequence[Read], rewrite: Callable[[bytes], bytes]) -> list[Read]:
    return [(t, rewrite(data) if data is not None else None) for t, data in reads]


def whole(kind: str, reads: Sequence[Read], count: int | None = N, unseen: int = 0) -> list[Read]:
    """The reads between what opens an answer and what ends it."""
    last = reads[-1][0]
    return [(0.2, opening(kind)), *reads, (last + 0.001, ending(kind, count, unseen))]


# ---- the shapes


def plain(kind: str) -> Case:
    return Case([*deltas(kind), (TIMES[-1] + 0.001, ending(kind))], arrivals=N)


def role_first(kind: str) -> Case:
    return Case(whole(kind, deltas(kind)), arrivals=N)


def pings(kind: str) -> Case:
    reads = [(0.1, ping(kind)), (0.2, opening(kind)), (0.3, ping(kind))]
    for t, data in deltas(kind):
        assert data is not None
        reads += [(t - 0.007, ping(kind)), (t, data + ping(kind)), (t + 0.007, ping(kind))]
    return Case([*reads, (TIMES[-1] + 0.01, ending(kind))], arrivals=N)


def crlf(kind: str) -> Case:
    return Case(
        rewritten(whole(kind, deltas(kind)), lambda it: it.replace(b"\n", b"\r\n")), arrivals=N
    )


def bundled(kind: str) -> Case:
    case = Case(whole(kind, bundles(kind, itertools.repeat(4))), arrivals=30)
    return replace(case, ttft=TIMES[3], ttfa=TIMES[3])


def bundled_after_the_first(kind: str) -> Case:
    sizes = itertools.chain([1], itertools.repeat(5))
    return Case(whole(kind, bundles(kind, sizes)), arrivals=25)


def bundled_unevenly(kind: str) -> Case:
    rng = random.Random(3)
    sizes = itertools.chain([1], iter(lambda: rng.randint(1, 6), 0))
    return Case(whole(kind, bundles(kind, sizes)))


def coalesced(kind: str) -> Case:
    case = Case(whole(kind, segments(deltas(kind), itertools.repeat(5))), arrivals=24)
    return replace(case, ttft=TIMES[4], ttfa=TIMES[4])


def coalesced_at_first(kind: str) -> Case:
    """A proxy that holds everything back for a while."""
    sizes = itertools.chain([40], itertools.repeat(1))
    case = Case(whole(kind, segments(deltas(kind), sizes)), arrivals=81)
    return replace(case, ttft=TIMES[39], ttfa=TIMES[39])


def bundled_and_coalesced(kind: str) -> Case:
    reads = segments(bundles(kind, itertools.repeat(3)), itertools.repeat(2))
    return replace(Case(whole(kind, reads)), ttft=TIMES[5], ttfa=TIMES[5])


def all_at_once(kind: str) -> Case:
    """A proxy that holds everything back until the end."""
    case = Case(segments(whole(kind, deltas(kind)), itertools.repeat(1000)), arrivals=1, pace=None)
    return replace(case, ttft=TIMES[-1] + 0.001, ttfa=TIMES[-1] + 0.001)


def reasoning_field(kind: str) -> Case:
    reads = [(t, thought(kind, token)) for t, token in zip(TIMES[:50], TOKENS, strict=False)]
    reads += [(TIMES[50], delta(kind, "\n\n"))]
    reads += [(t, delta(kind, token)) for t, token in zip(TIMES[51:], TOKENS[51:], strict=True)]
    return Case(whole(kind, reads), ttfa=TIMES[51], arrivals=N)


def reasoning_tags(kind: str) -> Case:
    tokens = ["<think>", *TOKENS[1:50], "</think>", "\n\n", *TOKENS[52:]]
    return Case(whole(kind, deltas(kind, tokens)), ttfa=TIMES[52], arrivals=N)


def reasoning_tags_in_pieces(kind: str) -> Case:
    tokens = ["<th", "ink>", *TOKENS[2:49], "</", "think>", "\n", *TOKENS[52:]]
    return Case(whole(kind, deltas(kind, tokens)), ttfa=TIMES[52], arrivals=N)


def hidden_reasoning(kind: str) -> Case | None:
    """Only OpenAI's protocol counts apart what it does not send."""
    if kind != "openai":
        return None
    return Case(whole(kind, deltas(kind), N + 300, unseen=300), arrivals=N)


def reasoning_counted_beside(kind: str) -> Case | None:
    """As xAI does; here its thinking is not sent."""
    if kind != "openai":
        return None
    return Case(whole(kind, deltas(kind), N, unseen=83), arrivals=N)


def end_token_counted(kind: str) -> Case:
    return Case(whole(kind, deltas(kind), N + 1), tokens=N + 1, arrivals=N)


def characters_over_several_tokens(kind: str) -> Case:
    """The server holds a character back until all of its tokens are there."""
    sizes = itertools.cycle([1] * 9 + [3])
    return Case(whole(kind, bundles(kind, sizes)))


def stalled(kind: str) -> Case:
    reads = [(t + (0.9 if n >= 60 else 0.0), data) for n, (t, data) in enumerate(deltas(kind))]
    return Case(whole(kind, reads), pace=PACE + 0.9 / (N - 1), stalls=1, arrivals=N)


def late_usage(kind: str) -> Case:
    end = TIMES[-1]
    reads = [*deltas(kind), (end + 0.01, stop(kind)), (end + 0.8, usage(kind, N))]
    return Case([read for read in reads if read[1]], arrivals=N)


def no_usage(kind: str) -> Case:
    reads = [*deltas(kind), (TIMES[-1] + 0.001, ending(kind, None))]
    return Case(reads, approximate=True, arrivals=N)


def truncated(kind: str) -> Case:
    reads = [(0.2, opening(kind)), *deltas(kind)[:50]]
    return Case(reads, "truncated", 50, True, cut=True, arrivals=50)


def truncated_in_a_frame(kind: str) -> Case:
    reads = [(0.2, opening(kind)), *deltas(kind)[:50], (2.0, delta(kind, "gone")[:-9])]
    return Case(reads, "truncated", 50, True, cut=True, arrivals=50)


def truncated_silently(kind: str) -> Case:
    """The body is whole as HTTP has it; only the end mark is missing."""
    return Case([(0.2, opening(kind)), *deltas(kind)[:50]], "truncated", 50, True, arrivals=50)


def reset(kind: str) -> Case:
    reads = [(0.2, opening(kind)), *deltas(kind)[:50]]
    return Case(reads, "reset", 50, True, cut=True, reset=True, arrivals=50)


def error_event(kind: str) -> Case:
    reads = [(0.2, opening(kind)), *deltas(kind)[:50], (2.0, failure(kind))]
    return Case(reads, "stream_error", 50, True, arrivals=50)


def error_event_at_once(kind: str) -> Case:
    reads = [(0.2, failure(kind))]
    return Case(reads, "stream_error", None, pace=None, ttft=None, ttfa=None, arrivals=0)


def refused(kind: str) -> Case:
    body = {"error": {"message": "too many requests", "type": "rate_limit_error"}}
    return Case(
        [(0.2, json.dumps(body).encode())],
        "http_429",
        None,
        pace=None,
        ttft=None,
        ttfa=None,
        http=429,
        headers=JSON,
    )


def login_page(kind: str) -> Case:
    reads = [(0.2, b"<html><head><title>Log in</title></head></html>")]
    return Case(reads, "stream_error", None, pace=None, ttft=None, ttfa=None)


def empty(kind: str) -> Case:
    return Case([], "truncated", None, pace=None, ttft=None, ttfa=None)


def every_byte(kind: str) -> Case:
    return Case(bytewise(whole(kind, deltas(kind))), arrivals=N)


def every_byte_crlf(kind: str) -> Case:
    return Case(bytewise(crlf(kind).reads), arrivals=N)


def byte_order_mark(kind: str) -> Case | None:
    if kind == "ollama":
        return None  # it is no event stream
    reads = [(0.1, b"\xef\xbb\xbf\n\n"), *whole(kind, deltas(kind))]
    return Case(reads, arrivals=N)


def whole_body(kind: str) -> Case:
    """One JSON text, in two reads, in place of a stream."""
    text = "".join(TOKENS)
    value: dict[str, dict[str, Any]] = {
        "ollama": {"message": {"content": text}, "done": True, "eval_count": N},
        "openai": {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"completion_tokens": N},
        },
        "anthropic": {
            "type": "message",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"output_tokens": N},
        },
    }
    body = json.dumps(value[kind]).encode()
    reads = [(2.0, body[:70]), (3.0, body[70:])]
    return Case(reads, pace=None, ttft=3.0, ttfa=3.0, arrivals=1, headers=JSON)


def tool_call(kind: str) -> Case:
    """Its arguments come in pieces; Ollama's in one."""
    pieces = ['{"text": "', *(token if token.isalpha() else "-" for token in TOKENS[3:]), '"}']
    if kind == "ollama":
        function = {"name": "write", "arguments": {"text": "".join(pieces)}}
        call = frame(kind, {"message": {"content": "", "tool_calls": [{"function": function}]}})
        return Case(whole(kind, [(FIRST, call)]), pace=None, arrivals=1)
    if kind == "openai":
        begin = {"index": 0, "id": "c1", "function": {"name": "write", "arguments": ""}}
        calls: list[object] = [begin]
        calls += [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
        frames = [frame(kind, {"choices": [{"delta": {"tool_calls": [it]}}]}) for it in calls]
    else:
        block = {"type": "tool_use", "id": "c1", "name": "write", "input": {}}
        start = {"type": "content_block_start", "index": 1, "content_block": block}
        frames = [
            frame(
                kind,
                {
                    "type": "content_block_delta",
                    "index": 1,
                    "delta": {"type": "input_json_delta", "partial_json": piece},
                },
            )
            for piece in ("", *pieces)
        ]
        frames[0] = frame(kind, start) + frames[0]
    return Case(whole(kind, list(zip(TIMES, frames, strict=True))), arrivals=N)


def compressed(kind: str) -> Case:
    """By a proxy that flushes each read."""
    pack = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)

    def packed(data: bytes) -> bytes:
        return pack.compress(data) + pack.flush(zlib.Z_SYNC_FLUSH)

    reads = rewritten(whole(kind, deltas(kind)), packed)
    return Case(reads, headers={"Content-Encoding": "gzip"}, arrivals=N)


def silence(begin: float, seconds: float) -> list[Read]:
    """Looks in which nothing came."""
    return [(begin + n / 4, None) for n in range(int(seconds * 4) + 2)]


def silent(kind: str) -> Case:
    reads = [(0.2, opening(kind)), *silence(0.3, 70.0)]
    status = "timeout_first_token"
    return Case(reads, status, None, pace=None, ttft=None, ttfa=None, in_time=True)


def hanging(kind: str) -> Case:
    reads = [*deltas(kind)[:50], *silence(2.0, 40.0)]
    return Case(reads, "timeout_between_tokens", 50, True, in_time=True)


SHAPES: list[Callable[[str], Case | None]] = [
    *(plain, role_first, pings, crlf, bundled, bundled_after_the_first, bundled_unevenly),
    *(coalesced, coalesced_at_first, bundled_and_coalesced, all_at_once),
    *(reasoning_field, reasoning_tags, reasoning_tags_in_pieces, hidden_reasoning),
    *(reasoning_counted_beside, end_token_counted, characters_over_several_tokens, stalled),
    *(late_usage, no_usage, truncated, truncated_in_a_frame, truncated_silently, reset),
    *(error_event, error_event_at_once, refused, login_page, empty, every_byte, every_byte_crlf),
    *(byte_order_mark, whole_body, tool_call, compressed, silent, hanging),
]
CASES = [
    pytest.param(kind, case, id=f"{shape.__name__}-{kind}")
    for shape in SHAPES
    for kind in DIALECTS
    if (case := shape(kind)) is not None
]


# ---- with their times


class Scripted(Transport):
    """Hands the reads out, the clock held at the time of each."""

    def __init__(self, case: Case, clock: Stopwatch) -> None:
        super().__init__()
        self.trace = Trace(sent=SENT)
        self._case = case
        self._clock = clock

    def exchange(
        self, call: Call, token: CancelToken
    ) -> Generator[Tick | Head | bytes, None, None]:
        case, trace = self._case, self.trace
        inflater = Inflater(zlib.MAX_WBITS | 16) if "Content-Encoding" in case.headers else None
        self._clock.held = SENT
        yield Tick(connected=True)
        trace.status = case.http
        yield Head(case.http, {name.lower(): value for name, value in case.headers.items()})
        for t, data in case.reads:
            at = self._clock.held = SENT + t
            if data is None:
                yield Tick(connected=True)
                continue
            trace.receipts.append(Receipt(at, at + 1e-5, at - 0.001, len(data), kernel=True))
            yield from [data] if inflater is None else inflater.feed(data)
        if case.reset:
            raise Truncated("the connection broke") from ConnectionResetError()
        if case.cut:
            raise Truncated("the connection was closed in the middle of the answer")


def measure(kind: str, case: Case) -> Sample:
    """The sample of this case, read with its times."""
    clock = Stopwatch()
    transport = Scripted(case, clock)
    provider = dialect(find(kind))(Endpoint(kind, "http://127.0.0.1"), transport, clock)
    taking, ended = Taking(), None

    def told(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        return pipe(provider.open(request, token), taking.raw, thinking, taking.answer)

    limits = Limits(first_token=60.0, between_tokens=30.0)
    try:
        for _ in watchdog(told, limits, clock)(REQUEST, CancelToken()):
            pass
    except ChatstreamError as error:
        ended = error
    return sample_of(taking, transport.trace, number=1, arm=kind, failure=ended)


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_status_and_n_are_exact_and_so_is_the_pace(kind: str, case: Case) -> None:
    sample = measure(kind, case)
    assert sample.status == case.status, sample.message
    assert sample.tokens == case.tokens
    assert sample.approximate == case.approximate
    assert sample.ttft == pytest.approx(case.ttft, abs=1e-6)
    assert sample.ttfa == pytest.approx(case.ttfa, abs=1e-6)
    if case.arrivals is not None:
        assert len(sample.arrivals) == case.arrivals
    assert sum(sample.deltas_at) == sample.deltas
    assert len(sample.lags) == sample.deltas
    if case.pace is None:
        assert sample.tpot is None
    else:
        assert sample.tpot == pytest.approx(case.pace, rel=0.005)
    assert len(sample.stalls) == case.stalls


def test_there_are_the_shapes_of_the_issue_and_more() -> None:
    assert len(SHAPES) >= 14
    assert len(CASES) >= 3 * 14


@pytest.mark.parametrize("kind", DIALECTS)
def test_the_first_byte_is_not_the_first_token(kind: str) -> None:
    sample = measure(kind, role_first(kind))
    assert sample.ttfb == pytest.approx(0.2)
    assert sample.ttft == pytest.approx(FIRST)


@pytest.mark.parametrize("kind", DIALECTS)
def test_a_stall_is_told_where_it_was(kind: str) -> None:
    (stall,) = measure(kind, stalled(kind)).stalls
    assert stall.at == pytest.approx(TIMES[59])
    assert stall.seconds == pytest.approx(PACE + 0.9)


# ---- over a real socket


def reply_of(kind: str, case: Case, taken: threading.Event) -> Reply:
    """The same bytes from a server. A reset overtakes what is on its way: it waits for `taken`."""
    writes = [data for _, data in case.reads if data]
    size = sum(map(len, writes))
    return Reply(
        writes,
        case.http,
        {**headers(kind), **case.headers},
        cut_after=size if case.cut else None,
        rst=case.reset,
        hold={len(writes): taken} if case.reset else {},
    )


@pytest.mark.parametrize("kind", DIALECTS)
def test_status_and_n_are_the_same_over_a_real_socket(kind: str) -> None:
    cases = {
        shape.__name__: case
        for shape in SHAPES
        if (case := shape(kind)) is not None and not case.in_time
    }
    arm = Arm(name="m", provider=kind, model="m")
    taken = threading.Event()
    found = {}
    with Script(*(reply_of(kind, case, taken) for case in cases.values())) as server:
        settings = Settings(provider=kind, base_url=server.url, model="m", api_key="test-key")
        with Measuring({"m": settings}) as wires:
            source = wires.source(arm)
            for name, case in cases.items():
                taking, ended = Taking(), None
                events = source.open(REQUEST, CancelToken(), taking.raw, taking.answer)
                deadline = Deadline(LIMIT)
                try:
                    while next(events, None) is not None and not deadline.passed:
                        if case.reset and len(taking.deltas) == case.tokens:
                            taken.set()
                        if not source.news:
                            wires.wait()
                except ChatstreamError as error:
                    ended = error
                sample = sample_of(taking, source.trace, number=1, arm="m", failure=ended)
                found[name] = (sample.status, sample.tokens, sample.approximate)
    true = {name: (it.status, it.tokens, it.approximate) for name, it in cases.items()}
    assert found == true

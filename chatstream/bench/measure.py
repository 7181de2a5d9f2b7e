"""What one run was: the events and the trace of a request become a `Sample`.

`Taking` notes what passes and does nothing else, because it is in the measured path;
`sample_of` makes the figures once the run has ended. The rules:

1. A *delta* is an event that brings at least one generated token: a piece of the answer, of the
   reasoning or of a tool call's arguments, the name that begins a call, a whole call. Nothing
   else that a server sends is one.
2. An *arrival* is one receive instant with at least one delta. Latencies are those of arrivals.
3. N comes from the server if it reports it, see `_count`. No server reports how many tokens the
   first arrival brought, see `first_tokens`.
4. A run that failed keeps what had arrived. Its usage is not of a whole answer and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from chatstream.bench.result import OK, Sample, Stall
from chatstream.errors import (
    Cancelled,
    ChatstreamError,
    ConnectError,
    Stalled,
    TimedOut,
    TLSError,
    Truncated,
)
from chatstream.events import (
    Content,
    Event,
    Metadata,
    Reasoning,
    ServerTimes,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from chatstream.flow import Arrival, Finish, close
from chatstream.timing import Receipt, Trace

MIN_STALL_SECONDS = 0.250
"""No shorter gap is a stall, because it is hardly noticed."""

STALL_MEDIAN_GAPS = 8
"""A stall is also longer than this many median gaps: a slow model does not stall at each token."""


class Taking:
    """What passed in one run. `raw` and `answer` are stages, each for one pass.

    `raw` goes over what the server sent. `answer` goes over that after the model's thinking was
    separated from its answer; it notes when the answer began and whether thinking was shown.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.server: ServerTimes | None = None
        self._begin()

    def _begin(self) -> None:
        self.deltas: list[tuple[float, int]] = []  # when each came (-1: at the end), its characters
        self.answered: float | None = None
        self.reasoned = False
        self._calls: dict[str, bool] = {}  # calls that come in pieces, and whether they are named

    def raw(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """What comes, unchanged."""
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    self._take(event, arrival.t)
                yield arrival
        finally:
            close(arrivals)

    def answer(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """What comes, unchanged."""
        try:
            for arrival in arrivals:
                for event in arrival.events:
                    if type(event) is Reasoning:
                        self.reasoned = True
                    elif self.answered is None and _is_answer(event):
                        # What was held back as a possible tag came with the last delta.
                        self.answered = arrival.t if event.t >= 0 else self.deltas[-1][0]
                yield arrival
        finally:
            close(arrivals)

    def _take(self, event: Event, t: float) -> None:
        if type(event) is Content or type(event) is Reasoning:
            self._add(t, len(event.delta))
        elif type(event) is ToolCallDelta:
            named = self._calls.get(event.id, False)
            self._calls[event.id] = named or bool(event.name)
            self._add(t, len(event.delta) + (0 if named else len(event.name)))
        elif type(event) is ToolCall:
            if event.id not in self._calls:
                self._add(t, len(event.name) + len(event.arguments))
        elif type(event) is Usage:
            self.usage = event
        elif type(event) is Finish:
            self.server = event.server
        elif type(event) is Metadata and event.restart:
            self._begin()  # the server started its answer over, and its usage too

    def _add(self, t: float, characters: int) -> None:
        if characters:
            self.deltas.append((t, characters))


def sample_of(
    taking: Taking,
    trace: Trace,
    *,
    number: int,
    arm: str,
    cold: bool = False,
    began: float = 0.0,
    intended: float | None = None,
    failure: ChatstreamError | None = None,
) -> Sample:
    """The sample of a run that has ended, all times in seconds.

    `began` is the monotonic time when the benchmark began, `intended` the one when this run of
    an open loop should have. `failure` is what ended the run, if something did.
    """
    sent, receipts = trace.sent, trace.receipts
    start = intended if sent is None else sent
    sample = Sample(
        number=number,
        arm=arm,
        cold=cold,
        status=status_of(failure, trace),
        message=failure.message if failure else None,
        started=max(0.0, start - began) if start is not None else 0.0,
        reused=trace.reused,
        dns=trace.dns,
        tcp=trace.tcp,
        tls=trace.tls,
        rtt=trace.rtt,
        server=taking.server,
        deltas=len(taking.deltas),
    )
    if sent is None:
        return sample
    if intended is not None:
        sample.late = max(0.0, sent - intended)
    if receipts:
        sample.ttfb = max(0.0, receipts[0].at - sent)
    if taking.deltas:
        end = receipts[-1].at if receipts else sent
        _fill(sample, taking, trace, sent, end)
    return sample


def _fill(sample: Sample, taking: Taking, trace: Trace, sent: float, end: float) -> None:
    """What there is only where tokens came. `end` is the time of what was known at the end."""
    came: dict[float, list[int]] = {}  # the characters of the deltas of each arrival
    for t, characters in taking.deltas:
        came.setdefault(t if t >= 0 else end, []).append(characters)
    times = sorted(came)
    sample.arrivals = [max(0.0, t - sent) for t in times]
    sample.deltas_at = [len(came[t]) for t in times]
    sample.ttft, sample.duration = sample.arrivals[0], sample.arrivals[-1]
    if (answered := taking.answered) is not None:
        sample.ttfa = max(0.0, (answered if answered >= 0 else end) - sent)
    sample.stalls = stalls_of(sample.arrivals)

    sample.tokens, sample.approximate = _count(taking, whole=sample.status == OK)
    first = came[times[0]]
    share = sum(first) / sum(map(sum, came.values()))
    # Most servers count the end token, which is never sent: one more than deltas is that one.
    written = sample.deltas if sample.tokens == sample.deltas + 1 else sample.tokens
    sample.first_tokens = first_tokens(written, sample.deltas, len(first), share)
    further = written - sample.first_tokens
    if further >= 1:
        sample.tpot = (sample.duration - sample.ttft) / further

    by_time = {receipt.at: receipt for receipt in trace.receipts}
    used = [(by_time[t], len(came[t])) for t in times if t in by_time]
    sample.lags = [_lag(receipt, deltas) for receipt, deltas in used for _ in range(deltas)]
    sample.kernel = bool(used) and all(receipt.kernel for receipt, _ in used)


def _is_answer(event: Event) -> bool:
    """Whether the answer has begun with this: white space before it does not count."""
    if type(event) is Content:
        return bool(event.delta.strip())
    if type(event) is ToolCallDelta:
        return bool(event.name or event.delta)
    return type(event) is ToolCall


def _count(taking: Taking, *, whole: bool) -> tuple[int, bool]:
    """N, and whether it is only the number of deltas.

    Usage counts thinking too. What of it was never sent is taken off, else each token that came
    would seem to have taken less time than it did. xAI counts thinking beside the output: there
    the output is no more than the deltas as it stands, or less than them with thinking shown.
    """
    deltas = len(taking.deltas)
    usage = taking.usage
    tokens = (usage.output_tokens or 0) if usage is not None and whole else 0
    if usage is None or tokens < 1:  # some gateways fill in zeros
        return deltas, True
    thought = usage.reasoning_tokens or 0
    if taking.reasoned:
        return (tokens + thought if tokens < deltas else tokens), False
    return (tokens - thought if tokens - thought >= deltas else tokens), False


def first_tokens(tokens: int, deltas: int, first: int, share: float) -> float:
    """How many of all `tokens` the first arrival brought: an estimate, since no server says.

    It brought `first` of all `deltas` and `share` of all characters. Servers send their first
    token by itself, or as many at once as always: whichever of the two its text is nearer to. A
    text of more than three times that was held back and came as one delta: it counts by its
    characters, but leaves a token for each other delta. More deltas than tokens share them alike.
    """
    usual = first * tokens / deltas
    if tokens <= deltas:
        return usual
    by_text = share * tokens
    if by_text > 3 * usual:
        return min(by_text, tokens - (deltas - first))
    return float(first) if by_text**2 < first * usual else usual


def stalls_of(arrivals: list[float]) -> list[Stall]:
    """The gaps over 250 ms and over 8 median gaps; `arrivals` in seconds, in order."""
    gaps = [b - a for a, b in pairwise(arrivals)]
    if not gaps:
        return []
    limit = max(MIN_STALL_SECONDS, STALL_MEDIAN_GAPS * median(gaps))
    return [Stall(at, gap) for at, gap in zip(arrivals, gaps, strict=False) if gap > limit]


def _lag(receipt: Receipt, deltas: int) -> float:
    """How late this process was at most to what it read, in seconds.

    The kernel keeps only the time of the last of several packets that it has merged: the others
    may have waited since the socket was last seen empty. Without its times, all of them may.
    """
    known = receipt.kernel and deltas == 1
    return max(0.0, receipt.read - (receipt.at if known else min(receipt.at, receipt.since)))


def status_of(failure: ChatstreamError | None, trace: Trace) -> str:
    """The `status` of a run that `failure` ended, see `result.OK`."""
    if failure is None:
        return OK
    if isinstance(failure, Cancelled):
        return "cancelled"
    if trace.status is not None and trace.status >= 400:
        return f"http_{trace.status}"
    if isinstance(failure, TimedOut | Stalled):
        return f"timeout_{failure.phase}"
    if isinstance(failure, Truncated | ConnectError) and trace.sent is not None:
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, ConnectionResetError | BrokenPipeError):
                return "reset"
            cause = cause.__cause__ or cause.__context__
    if isinstance(failure, Truncated):
        return "truncated"
    return "connect" if isinstance(failure, ConnectError | TLSError) else "stream_error"

"""A sample out of events and a trace that are written down here, with every time given."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from chatstream.bench.measure import (
    MIN_STALL_SECONDS,
    STALL_MEDIAN_GAPS,
    Taking,
    first_tokens,
    sample_of,
    stalls_of,
    status_of,
)
from chatstream.bench.result import Sample, Stall
from chatstream.cancel import CancelToken
from chatstream.errors import (
    AuthError,
    Cancelled,
    ChatstreamError,
    ConnectError,
    HungUp,
    InternalError,
    ProtocolError,
    RateLimited,
    ServerError,
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
    Warn,
    new_run,
)
from chatstream.flow import Arrival, Finish, close, pipe
from chatstream.stages.seal import seal
from chatstream.stages.thinking import thinking
from chatstream.timing import Receipt, Trace
from tests.support.arrivals import each, events_of

pytestmark = pytest.mark.serial

SENT = 100.0


def receipt(at: float, late: float = 0.0, *, since: float | None = None) -> Receipt:
    return Receipt(at, at + late, at if since is None else since, 10, kernel=True)


def trace_of(arrivals: Iterable[Arrival]) -> Trace:
    """A trace with a read for each time at which events came."""
    times = sorted({it.t for it in arrivals if it.t >= 0 and it.events})
    return Trace(sent=SENT, status=200, receipts=[receipt(t) for t in times])


def take(*steps: Event | Arrival, trace: Trace | None = None, **options: Any) -> Sample:
    """The sample of these events, with the thinking told from the answer."""
    taking = Taking()
    trace = trace or trace_of(each(*steps))
    for _ in pipe(each(*steps), taking.raw, thinking, taking.answer):
        pass
    options.setdefault("number", 1)
    options.setdefault("arm", "m")
    return sample_of(taking, trace, **options)


def words(*at: float, text: str = "word") -> list[Event]:
    return [Content(text, t=SENT + t) for t in at]


def steady(n: int, pace: float = 0.02, first: float = 0.5) -> list[Event]:
    return words(*(first + i * pace for i in range(n)))


# ---- what a token is


@pytest.mark.parametrize(
    "event",
    [
        Content("a", t=SENT + 1),
        Content("\n", t=SENT + 1),
        Reasoning("a", t=SENT + 1),
        ToolCallDelta("i", "n", "", t=SENT + 1),
        ToolCallDelta("i", "", "{", t=SENT + 1),
        ToolCall("i", "n", "{}", t=SENT + 1),
        Arrival([Content("a"), Content("b")], SENT + 1),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_kind_of_token_is_an_arrival(event: Event | Arrival) -> None:
    sample = take(event)
    assert sample.ttft == 1.0
    assert sample.arrivals == [1.0]


@pytest.mark.parametrize(
    "event",
    [
        Metadata(provider="p", t=SENT + 1),
        Content("", t=SENT + 1),
        Reasoning("", t=SENT + 1),
        ToolCallDelta("i", "", "", t=SENT + 1),
        Arrival([Content(""), Content("")], SENT + 1),
        Usage(output_tokens=3, t=SENT + 1),
        Warn("c", "m", t=SENT + 1),
        Arrival(t=SENT + 1, alive=True),
    ],
    ids=lambda event: type(event).__name__,
)
def test_nothing_else_is(event: Event | Arrival) -> None:
    sample = take(event, *words(2.0))
    assert sample.ttft == sample.ttfa == 2.0
    assert sample.deltas_at == [1]


def test_the_name_of_a_call_is_one_token_and_its_whole_form_none() -> None:
    sample = take(
        ToolCallDelta("i", "weather", "", t=SENT + 1),
        ToolCallDelta("i", "weather", "", t=SENT + 2),
        ToolCallDelta("i", "weather", '{"a"', t=SENT + 3),
        ToolCallDelta("j", "", "", t=SENT + 4),
        ToolCallDelta("j", "time", "", t=SENT + 5),
        ToolCall("i", "weather", '{"a"'),
        ToolCall("j", "time", "{}"),
    )
    assert sample.arrivals == [1.0, 3.0, 5.0]


def test_a_call_that_is_known_only_at_the_end_came_with_the_last_read() -> None:
    events = [*words(1.0), ToolCall("i", "n", "{}")]
    trace = Trace(sent=SENT, receipts=[receipt(SENT + t) for t in (1.0, 3.0)])
    assert take(*events, trace=trace).arrivals == [1.0, 3.0]
    alone = take(events[1], trace=trace)
    assert (alone.ttft, alone.ttfa) == (3.0, 3.0)


def test_events_of_one_instant_are_one_arrival() -> None:
    sample = take(*words(1.0, 1.0, 1.5), Arrival([Content("a"), Content("b")], SENT + 2))
    assert sample.arrivals == [1.0, 1.5, 2.0]
    assert sample.deltas_at == [2, 1, 2]
    assert sample.deltas == 5
    assert sample.gaps == [0.5, 0.5]


# ---- when the answer begins


@pytest.mark.parametrize(
    ("events", "ttfa"),
    [
        ([Content("a", t=SENT + 1)], 1.0),
        ([Reasoning("a", t=SENT + 1), Content("b", t=SENT + 2)], 2.0),
        ([Reasoning("a", t=SENT + 1), Content("\n\n", t=SENT + 2), Content("b", t=SENT + 3)], 3.0),
        ([Content("\n", t=SENT + 1), Content("b", t=SENT + 2)], 2.0),
        ([Content("<think>", t=SENT + 1), Content("a", t=SENT + 2),
          Content("</think>", t=SENT + 3), Content("\n\nb", t=SENT + 4)], 4.0),
        ([Content("<think>a</think>b", t=SENT + 1)], 1.0),
        ([Reasoning("a", t=SENT + 1), ToolCallDelta("i", "n", "", t=SENT + 2)], 2.0),
        ([Reasoning("a", t=SENT + 1), ToolCall("i", "n", "{}", t=SENT + 2)], 2.0),
        ([Content(" ", t=SENT + 1), Arrival([Content(" "), Content("b")], SENT + 2)], 2.0),
        ([Reasoning("a", t=SENT + 1)], None),
        ([Content(" \n", t=SENT + 1)], None),
    ],
)  # fmt: skip
def test_the_answer_begins_with_text_or_a_call_and_not_with_thinking(
    events: list[Event | Arrival], ttfa: float | None
) -> None:
    sample = take(*events)
    assert sample.ttft == 1.0
    assert sample.ttfa == ttfa


def test_an_arrival_of_white_space_does_not_begin_the_answer() -> None:
    blank = [Content(" "), Content("\n")]
    taking = Taking()
    for event in blank:
        event.t = 0.0
    arrivals = iter([Arrival([*blank], SENT + 1), Arrival([*blank, Content("a", t=0.0)], SENT + 2)])
    assert len(list(taking.answer(taking.raw(arrivals)))) == 2
    assert taking.answered == SENT + 2


def test_text_that_was_held_back_as_a_possible_tag_has_the_time_of_its_delta() -> None:
    trace = Trace(sent=SENT, receipts=[receipt(SENT + t) for t in (1.0, 3.0)])
    steps: list[Event | Arrival] = [Content("<thi", t=SENT + 1), Arrival(t=SENT + 3)]
    assert take(*steps, Finish(reason="stop"), trace=trace).ttfa == 1.0


def test_an_answer_that_is_begun_anew_is_measured_anew() -> None:
    sample = take(*words(1.0, 1.1), Metadata(restart=True, t=SENT + 2), *words(3.0, 3.5))
    assert (sample.ttft, sample.ttfa, sample.deltas) == (3.0, 3.0, 2)


# ---- N


@pytest.mark.parametrize(
    ("usage", "thinking_shown", "expected"),
    [
        (None, False, (10, True)),
        (Usage(input_tokens=5), False, (10, True)),
        (Usage(output_tokens=0), False, (10, True)),
        (Usage(output_tokens=-3), False, (10, True)),
        (Usage(output_tokens=37), False, (37, False)),
        (Usage(output_tokens=4), False, (4, False)),
        # thinking that was counted and never sent
        (Usage(output_tokens=37, reasoning_tokens=20), False, (17, False)),
        (Usage(output_tokens=37, reasoning_tokens=20), True, (37, False)),
        # xAI counts it beside the output
        (Usage(output_tokens=10, reasoning_tokens=83), False, (10, False)),
        (Usage(output_tokens=9, reasoning_tokens=7), True, (16, False)),
    ],
)
def test_the_number_of_tokens(
    usage: Usage | None, thinking_shown: bool, expected: tuple[int, bool]
) -> None:
    begin: Event = Reasoning("a", t=SENT + 1) if thinking_shown else Content("a", t=SENT + 1)
    sample = take(begin, *words(*range(2, 11)), *([usage] if usage else []))
    assert (sample.tokens, sample.approximate) == expected


def test_thinking_between_tags_was_shown() -> None:
    usage = Usage(output_tokens=37, reasoning_tokens=20)
    sample = take(Content("<think>a</think>", t=SENT + 1), *words(2, 3), usage)
    assert sample.tokens == 37


def test_the_last_usage_holds() -> None:
    assert take(*words(1, 2), Usage(output_tokens=1), Usage(output_tokens=8)).tokens == 8


def test_the_usage_of_an_answer_that_is_not_whole_is_not_its_own() -> None:
    """Anthropic opens with a count of 1 or so, and ends with the true one."""
    sample = take(*words(1, 2, 3), Usage(output_tokens=1), failure=Truncated("cut"))
    assert (sample.tokens, sample.approximate) == (3, True)


# ---- TPOT


def test_one_token_an_arrival() -> None:
    sample = take(*steady(50), Usage(output_tokens=50))
    assert sample.tpot == pytest.approx(0.02)
    assert sample.first_tokens == 1.0


def test_an_end_token_that_has_no_text_takes_no_part() -> None:
    sample = take(*steady(50), Usage(output_tokens=51))
    assert (sample.tokens, sample.first_tokens) == (51, 1.0)
    assert sample.tpot == pytest.approx(0.02)


def test_a_long_first_word_is_still_one_token() -> None:
    events = [Content("Straightforwardly", t=SENT + 0.5), *steady(50)[1:]]
    for count in (50, 51):
        assert take(*events, Usage(output_tokens=count)).tpot == pytest.approx(0.02)


def test_several_tokens_in_the_first_arrival_took_no_time_after_it() -> None:
    events = [*words(0.5, 0.5, 0.5, 0.5), *steady(46, first=0.52)]
    sample = take(*events, Usage(output_tokens=50))
    assert sample.first_tokens == 4.0
    assert sample.tpot == pytest.approx(0.02)


@pytest.mark.parametrize("events", [words(1.0), words(1.0, 1.0, 1.0)])
def test_one_arrival_has_no_pace(events: list[Event]) -> None:
    assert take(*events, Usage(output_tokens=9)).tpot is None


def test_fewer_than_one_further_token_has_no_pace() -> None:
    assert take(*words(1.0, 2.0), Usage(output_tokens=1)).tpot is None
    assert take(*words(1.0, 2.0), Usage(output_tokens=2)).tpot == 1.0


_LENGTHS = (8, 10, 16, 18, 16, 12, 9, 5, 3, 2, 1)
"""Of 100 English tokens, how many have 1, 2, ... characters."""


def _bundled(rng: random.Random, sizes: list[int]) -> tuple[float, float]:
    """How far off the pace is, as a share, for tokens of a realistic length in such deltas."""
    lengths = [rng.choices(range(1, 12), _LENGTHS, k=n) for n in sizes]
    share = sum(lengths[0]) / sum(map(sum, lengths))
    tokens = sum(sizes)
    estimate = first_tokens(tokens, len(sizes), 1, share)
    return (tokens - sizes[0]) / (tokens - estimate) - 1, estimate


@pytest.mark.parametrize("first", [1, 4], ids=["single-first", "all-alike"])
def test_the_share_of_bundles_is_found_whatever_the_words_are(first: int) -> None:
    """A wrong guess is rare, and costs no more than the bundle is long."""
    rng = random.Random(7)
    errors = [abs(_bundled(rng, [first, *[4] * 49])[0]) for _ in range(300)]
    assert sum(error <= 0.005 for error in errors) >= 285
    assert max(errors) < 0.05


def test_text_that_was_held_back_counts_by_its_length() -> None:
    rng = random.Random(7)
    found = [_bundled(rng, [60, *[1] * 140])[1] for _ in range(50)]
    assert all(45 <= estimate <= 61 for estimate in found)


def test_the_first_arrival_leaves_a_token_for_each_other_delta() -> None:
    assert first_tokens(20, deltas=11, first=1, share=0.9) == 10.0


def test_more_deltas_than_tokens_share_them() -> None:
    assert first_tokens(50, deltas=100, first=2, share=0.5) == 1.0


# ---- latencies


def test_every_latency_counts_from_the_first_byte_of_the_request() -> None:
    reads = [receipt(SENT + t) for t in (0.25, 0.5, 0.75)]
    trace = Trace(sent=SENT, receipts=reads, dns=0.1, tcp=0.2, tls=0.3, rtt=0.01)
    sample = take(*words(0.5, 0.75), trace=trace, began=90.0, number=3, arm="x", cold=True)
    assert (sample.ttfb, sample.ttft, sample.ttfa, sample.duration) == (0.25, 0.5, 0.5, 0.75)
    assert (sample.number, sample.arm, sample.cold) == (3, "x", True)
    assert sample.started == 10.0
    assert sample.connect == pytest.approx(0.6)
    assert (sample.rtt, sample.reused, sample.late) == (0.01, False, 0.0)


def test_no_latency_is_negative() -> None:
    """Two clocks that disagree by a little."""
    trace = Trace(sent=SENT, receipts=[receipt(SENT - 0.0001)])
    sample = take(*words(-0.0001), trace=trace, began=SENT + 1, intended=SENT + 1)
    assert (sample.ttfb, sample.ttft, sample.ttfa, sample.duration) == (0.0, 0.0, 0.0, 0.0)
    assert (sample.started, sample.late) == (0.0, 0.0)


def test_an_open_loop_tells_how_late_its_request_was() -> None:
    sample = take(*words(1.0), began=SENT - 5, intended=SENT - 0.75)
    assert (sample.late, sample.started) == (0.75, 5.0)


def test_a_request_that_was_never_sent_has_no_latency() -> None:
    failure = ConnectError("connection refused")
    sample = take(trace=Trace(dns=0.1), failure=failure, began=90.0, intended=92.0)
    assert (sample.status, sample.message) == ("connect", "connection refused")
    assert sample.ttfb is sample.ttft is sample.ttfa is sample.duration is None
    assert (sample.started, sample.tokens, sample.dns) == (2.0, None, 0.1)


def test_an_answer_without_a_token_has_only_a_first_byte() -> None:
    trace = Trace(sent=SENT, receipts=[receipt(SENT + 1)])
    sample = take(Finish(reason="stop"), trace=trace)
    assert (sample.ttfb, sample.ttft, sample.arrivals, sample.tokens) == (1.0, None, [], None)


def test_the_servers_own_times_are_kept() -> None:
    times = ServerTimes(load=1.0, prompt=0.2)
    assert take(*words(1.0), Finish(reason="stop", server=times)).server == times


def test_a_failed_run_keeps_what_had_arrived() -> None:
    sample = take(*words(1.0, 1.5), failure=Truncated("cut"))
    assert sample.status == "truncated"
    assert sample.arrivals == [1.0, 1.5]


# ---- stalls


def test_a_stall_is_longer_than_a_quarter_of_a_second() -> None:
    calm = [n / 64 for n in range(20)]  # exact sums, so that one gap is the limit itself
    found = stalls_of([*calm, 1.0, 1.0 + MIN_STALL_SECONDS, 1.5 + MIN_STALL_SECONDS])
    assert found == [Stall(19 / 64, 45 / 64), Stall(1.25, 0.5)]


def test_a_slow_stream_stalls_only_beyond_eight_median_gaps() -> None:
    slow = [0.0, 1.0, 2.0, 3.0, 3.0 + STALL_MEDIAN_GAPS, 12.0, 13.0]
    assert stalls_of(slow) == []
    slow[4] += 0.25
    assert stalls_of([*slow[:5], 12.25, 13.25]) == [Stall(3.0, 8.25)]


@pytest.mark.parametrize("arrivals", [[], [1.0], [1.0, 1.1]])
def test_few_arrivals_have_no_stall(arrivals: list[float]) -> None:
    assert stalls_of(arrivals) == []


# ---- the client's own part


def test_the_lag_is_that_of_the_read_which_brought_the_token() -> None:
    reads = [receipt(SENT + 1, 0.001), receipt(SENT + 2, 0.5), receipt(SENT + 3, 0.002)]
    sample = take(*words(1.0, 3.0), trace=Trace(sent=SENT, receipts=reads))
    assert sample.lags == pytest.approx([0.001, 0.002])
    assert sample.kernel


def test_several_deltas_of_one_read_may_have_waited_since_the_socket_was_empty() -> None:
    reads = [receipt(SENT + 1, 0.001, since=SENT + 0.9), receipt(SENT + 2, 0.001, since=SENT + 1.9)]
    sample = take(*words(1.0, 1.0, 2.0), trace=Trace(sent=SENT, receipts=reads))
    assert sample.lags == pytest.approx([0.101, 0.101, 0.001])


def test_without_the_kernels_times_every_delta_may_have_waited_since_then() -> None:
    reads = [Receipt(SENT + 1, SENT + 1, SENT + 0.9, 10, kernel=False)]
    sample = take(*words(1.0), trace=Trace(sent=SENT, receipts=reads))
    assert sample.lags == pytest.approx([0.1])


def test_receive_times_are_the_kernels_only_if_all_are() -> None:
    reads = [receipt(SENT + 1), Receipt(SENT + 2, SENT + 2, SENT + 1, 10, kernel=False)]
    trace = Trace(sent=SENT, receipts=reads)
    assert not take(*words(1.0, 2.0), trace=trace).kernel
    assert take(*words(1.0), trace=trace).kernel
    assert not take(*words(1.0), trace=Trace(sent=SENT)).kernel


# ---- status


def caused(failure: ChatstreamError, *chain: BaseException) -> ChatstreamError:
    """The failure with these causes, the outermost first."""
    error: BaseException = failure
    for cause in chain:
        error.__cause__ = cause
        error = cause
    return failure


def limit(failure: ChatstreamError, phase: str | None) -> ChatstreamError:
    failure.phase = phase
    return failure


RESET = ConnectionResetError(104, "Connection reset by peer")
FAILURES: list[tuple[ChatstreamError | None, Trace, str]] = [
    (None, Trace(sent=1.0, status=200), "ok"),
    (RateLimited("wait", status=429), Trace(sent=1.0, status=429), "http_429"),
    (ServerError("oh"), Trace(sent=1.0, status=503), "http_503"),
    (AuthError("no"), Trace(sent=1.0, status=401), "http_401"),
    (RateLimited("wait", status=429), Trace(sent=1.0, status=200), "stream_error"),
    (ServerError("oh"), Trace(sent=1.0, status=200), "stream_error"),
    (ProtocolError("what"), Trace(sent=1.0, status=200), "stream_error"),
    (ProtocolError("what"), Trace(sent=1.0), "stream_error"),
    (InternalError("what"), Trace(sent=1.0, status=200), "stream_error"),
    (Cancelled("bye"), Trace(sent=1.0, status=200), "cancelled"),
    (HungUp("bye"), Trace(), "cancelled"),
    (Truncated("cut"), Trace(sent=1.0, status=200), "truncated"),
    (caused(Truncated("cut"), OSError("x")), Trace(sent=1.0, status=200), "truncated"),
    (caused(Truncated("cut"), RESET), Trace(sent=1.0, status=200), "reset"),
    (caused(Truncated("cut"), BrokenPipeError()), Trace(sent=1.0, status=200), "reset"),
    (caused(ConnectError("no"), OSError("x"), RESET), Trace(sent=1.0), "reset"),
    (caused(ConnectError("no"), RESET), Trace(), "connect"),
    (ConnectError("refused"), Trace(), "connect"),
    (TLSError("who"), Trace(), "connect"),
    (limit(TimedOut("long"), "connect"), Trace(), "timeout_connect"),
    (limit(TimedOut("long"), "first_token"), Trace(sent=1.0), "timeout_first_token"),
    (limit(TimedOut("long"), "total"), Trace(sent=1.0, status=200), "timeout_total"),
    (limit(Stalled("long"), "between_tokens"), Trace(sent=1.0), "timeout_between_tokens"),
]


@pytest.mark.parametrize(("failure", "trace", "status"), FAILURES)
def test_every_failure_has_its_status(
    failure: ChatstreamError | None, trace: Trace, status: str
) -> None:
    assert status_of(failure, trace) == status


def test_a_reset_is_found_below_an_error_that_came_up_while_it_was_handled() -> None:
    aborted = OSError("aborted")
    aborted.__context__ = RESET
    failure = caused(ConnectError("no answer"), aborted)
    assert status_of(failure, Trace(sent=1.0)) == "reset"


# ---- the stages


def test_every_event_passes_unchanged_in_its_order() -> None:
    steps: list[Event | Arrival] = [
        Metadata(),
        *steady(3),
        Arrival([Content("a")], SENT + 1),
        Arrival(),
        Usage(),
        Warn("c", "m"),
    ]
    taking = Taking()
    expected = list(each(*deepcopy(steps)))
    assert list(taking.answer(taking.raw(each(*steps)))) == expected


def test_leaving_a_stage_closes_the_source() -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            while True:
                yield Arrival()
        finally:
            closed.append(True)

    for stage in (Taking().raw, Taking().answer):
        events = stage(source())
        next(events)
        close(events)
    assert closed == [True, True]


def test_later_stages_that_stamp_the_events_change_no_figure() -> None:
    events = [*steady(20), Usage(output_tokens=20), Finish(reason="stop")]
    trace = trace_of(each(*events))
    taking = Taking()
    sealed = seal(new_run(), CancelToken(), clock=lambda: SENT)
    stamped = events_of(pipe(each(*events), taking.raw, taking.answer, sealed))
    assert stamped[1].t == 0.5
    sample = sample_of(taking, trace, number=1, arm="m")
    assert sample.ttft == 0.5
    assert sample.tpot == pytest.approx(0.02)

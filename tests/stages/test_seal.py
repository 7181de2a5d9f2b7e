"""Claimed: every run opens once, ends in one terminal event, and is numbered and timed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import (
    ApprovalNeeded,
    AuthError,
    Cancelled,
    ChatstreamError,
    ConnectError,
    Stalled,
    Terminated,
    Truncated,
)
from chatstream.events import (
    Approval,
    Content,
    Counts,
    Done,
    Error,
    Event,
    Fallback,
    Image,
    Metadata,
    Reasoning,
    Retry,
    ServerTimes,
    ToolCall,
    ToolCallDelta,
    ToolComplete,
    ToolStart,
    Usage,
    Warn,
    new_run,
)
from chatstream.flow import Arrival, Finish, close, events_in
from chatstream.grammar import check
from chatstream.stages.seal import seal
from tests.support.arrivals import each

BEGAN = 100.0


class Clock:
    """Moves only when told to."""

    now = BEGAN

    def __call__(self) -> float:
        return self.now


Step = Event | Arrival | BaseException


def source(*steps: Step) -> Iterator[Arrival]:
    for step in steps:
        if isinstance(step, BaseException):
            raise step
        yield from each(step)


def run(
    *steps: Step,
    token: CancelToken | None = None,
    clock: Clock | None = None,
    earlier: Sequence[Event] = (),
    resume: str | None = None,
    keeps_images: bool = False,
    calls_resume: bool = False,
) -> list[Event]:
    stage = seal(
        new_run(),
        token or CancelToken(),
        earlier=earlier,
        resume=lambda: resume,
        keeps_images=keeps_images,
        calls_resume=calls_resume,
        redact=lambda text: text.replace("sk-key", "***"),
        clock=clock or Clock(),
    )
    events = list(events_in(stage(source(*steps))))
    check(events)
    return events


def done(*steps: Event | Arrival) -> Done:
    last = run(*steps)[-1]
    assert isinstance(last, Done)
    return last


def error(*steps: Step, token: CancelToken | None = None) -> Error:
    last = run(*steps, token=token)[-1]
    assert isinstance(last, Error)
    return last


def finish(reason: str = "stop") -> Finish:
    return Finish(reason="length" if reason == "length" else "stop", raw=reason)


def test_a_run_opens_before_anything_is_asked() -> None:
    asked = []

    def source() -> Iterator[Arrival]:
        asked.append(True)
        yield Arrival([finish()])

    events = seal(new_run(), CancelToken())(source())
    opening = next(events)
    (first,) = opening.events
    assert isinstance(first, Metadata)
    assert (first.seq, opening.connected, asked) == (0, False, [])


def test_each_run_has_an_id_of_its_own_and_a_start_in_utc() -> None:
    run, other = new_run(), new_run()
    assert run.run != other.run
    assert re.fullmatch(r"\d{8}-\d{6}-\d{6}-[0-9a-f]{4}", run.run or "")
    started = datetime.fromisoformat(run.started_at or "")
    assert (run.run or "").startswith(f"{started:%Y%m%d-%H%M%S}")
    assert (run.started_at or "").endswith("Z")
    assert datetime.fromisoformat(run.started_at or "").utcoffset() is not None


def test_ids_are_in_the_order_of_time() -> None:
    ids = [new_run().run or "" for _ in range(100)]
    assert [it[:22] for it in ids] == sorted(it[:22] for it in ids)


def test_a_finish_becomes_one_done_and_nothing_follows() -> None:
    events = run(Content("a", t=101.0), finish("end_turn"), Content("late", t=102.0))
    assert [type(event) for event in events] == [Metadata, Content, Done]
    last = events[-1]
    assert isinstance(last, Done)
    assert (last.finish_reason, last.raw_finish_reason, last.attempts) == ("stop", "end_turn", 1)


def test_a_length_stop_is_told() -> None:
    assert done(Content("a"), finish("length")).finish_reason == "length"


FAILURES: list[tuple[Exception, str, bool]] = [
    (ConnectError("m"), "connect", True),
    (AuthError("m"), "auth", False),
    (Truncated("m"), "truncated", True),
    (Stalled("m"), "stalled", True),
    (ChatstreamError("m"), "internal", False),
    (Cancelled("m"), "cancelled", False),
]


@pytest.mark.parametrize(("failure", "code", "recoverable"), FAILURES)
def test_a_failure_becomes_one_error(failure: Exception, code: str, recoverable: bool) -> None:
    event = error(failure)
    assert (event.code, event.message, event.recoverable) == (code, "m", recoverable)
    assert event.partial is False


def test_the_error_tells_all_that_is_known() -> None:
    failure = ConnectError("m", hint="h", status=502, request_id="r")
    failure.retryable = False
    event = error(failure)
    assert (event.hint, event.status, event.request_id) == ("h", 502, "r")
    assert event.recoverable is False


def test_a_mistake_of_ours_becomes_one_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    event = error(Content("a"), ZeroDivisionError("division by zero"))
    assert (event.code, event.message) == ("internal", "ZeroDivisionError: division by zero")
    assert event.partial
    assert "Traceback" in caplog.text


def test_events_that_end_without_a_finish_are_truncated() -> None:
    assert error(Content("a")).code == "truncated"
    assert error().code == "truncated"


@pytest.mark.parametrize("reason", [Cancelled("ctrl-c"), Terminated("sigterm")])
def test_what_the_cancel_broke_is_told_as_the_cancel(reason: Cancelled) -> None:
    token = CancelToken()
    token.cancel(reason)
    assert error(Content("a"), ConnectError("m"), token=token).message == reason.message
    assert error(Content("a"), token=token).message == reason.message


def test_an_answer_that_was_whole_before_the_cancel_is_done() -> None:
    token = CancelToken()
    token.cancel()
    assert isinstance(run(Content("a"), finish(), token=token)[-1], Done)


def test_the_source_is_closed_before_the_terminal_event_is_out() -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            yield Arrival([Content("a")])
            yield Arrival([finish()])
        finally:
            closed.append(True)

    events = seal(new_run(), CancelToken())(source())
    kinds = [type(event) for _ in range(3) for event in next(events).events]
    assert kinds == [Metadata, Content]
    assert closed == []
    assert [type(event) for event in next(events).events] == [Done]
    assert closed == [True]


def test_a_source_that_fails_while_it_is_closed_still_ends_in_one_terminal_event() -> None:
    def source() -> Iterator[Arrival]:
        try:
            yield Arrival([Content("a")])
            yield Arrival([finish()])
        finally:
            raise OSError("on close")

    kinds = [type(event) for event in events_in(seal(new_run(), CancelToken())(source()))]
    assert kinds[:2] == [Metadata, Content]
    assert kinds[2:] in ([Done], [Error])


def test_closing_the_events_closes_the_source() -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            yield Arrival([Content("a")])
        finally:
            closed.append(True)

    events = seal(new_run(), CancelToken())(source())
    next(events), next(events)
    close(events)
    assert closed == [True]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupt_passes(interrupt: BaseException) -> None:
    with pytest.raises(type(interrupt)):
        run(interrupt)


def test_heartbeats_pass_without_a_number() -> None:
    steps: list[Step] = [Arrival(t=100.5), Content("a", t=101.0), Arrival(t=101.0), finish()]
    arrivals = seal(new_run(), CancelToken())(source(*steps))
    assert [[event.seq for event in it.events] for it in arrivals] == [[0], [], [1], [], [], [2]]


def test_the_events_of_an_arrival_share_its_time_and_an_end_among_them_is_the_end() -> None:
    late = Arrival([Content("late")], 103.0)
    came = Arrival([Content("a"), Usage(), Content("b"), finish()], 102.0)
    events = run(came, late)
    assert [type(event) for event in events] == [Metadata, Content, Usage, Content, Done]
    assert [event.t for event in events] == [0.0, 2.0, 2.0, 2.0, 2.0]


def test_times_are_seconds_since_the_run_began_and_never_go_back() -> None:
    clock = Clock()

    def source() -> Iterator[Arrival]:
        yield Arrival([Content("a"), Content("b")], 101.5)
        yield Arrival([Content("c")], 101.0)
        clock.now = 103.0
        yield Arrival([Warn("c", "m")])
        yield Arrival([Content("d")], 102.0)
        yield Arrival([finish()])

    events = list(events_in(seal(new_run(), CancelToken(), clock=clock)(source())))
    assert [event.t for event in events] == [0.0, 1.5, 1.5, 1.5, 3.0, 3.0, 3.0]
    assert [event.seq for event in events] == list(range(7))


def test_the_figures_of_a_run() -> None:
    clock = Clock()
    clock.now = 100.0

    def source() -> Iterator[Arrival]:
        yield Arrival([Metadata()], 100.5)
        yield Arrival([Reasoning("r")], 102.0)
        yield Arrival([Content("a")], 102.5)
        yield Arrival([Usage(input_tokens=7, output_tokens=11, cost=0.5)])
        yield Arrival([Content("b")], 104.0)
        clock.now = 105.0
        yield Arrival([finish()])

    *_, last = events_in(seal(new_run(), CancelToken(), clock=clock)(source()))
    assert isinstance(last, Done)
    assert last.usage == Counts(input_tokens=7, output_tokens=11, cost=0.5)
    stats = last.stats
    assert (stats.ttft, stats.duration, stats.chunks) == (2.0, 5.0, 3)
    assert stats.tokens_per_second == 5.0  # ten tokens after the first, in two seconds


def test_without_usage_the_rate_counts_deltas() -> None:
    last = done(*(Content("a", t=100.0 + n) for n in range(1, 6)), finish())
    assert (last.usage, last.stats.tokens_per_second) == (None, 1.0)


def test_the_rate_is_the_servers_own_where_it_tells_its_times() -> None:
    server = ServerTimes(generation=2.0)
    last = done(
        Content("a", t=101.0), Usage(output_tokens=50), Finish(reason="stop", server=server)
    )
    assert (last.stats.tokens_per_second, last.stats.server) == (25.0, server)


@pytest.mark.parametrize("contents", [[], [Content("a", t=101.0)]])
def test_there_is_no_rate_of_less_than_two_tokens(contents: list[Event]) -> None:
    assert done(*contents, finish()).stats.tokens_per_second is None


def test_the_last_usage_of_a_response_holds() -> None:
    last = done(Usage(output_tokens=1), Content("a"), Usage(output_tokens=2), finish())
    assert last.usage == Counts(output_tokens=2)


def test_the_usage_of_all_responses_adds_up() -> None:
    first = [Metadata(provider="p"), Usage(input_tokens=7, output_tokens=1), Content("a")]
    second = [Metadata(provider="p"), Usage(output_tokens=2, cost=0.5)]
    assert done(*first, *second, finish()).usage == Counts(7, 3, cost=0.5)


def again(attempt: int) -> Retry:
    return Retry(attempt=attempt, max=3, delay=0.0, cause="m", action="reset")


def test_attempts_are_counted() -> None:
    assert done(again(2), again(3), Content("a"), finish()).attempts == 3


@pytest.mark.parametrize(
    "event",
    [Content("a"), ToolCall("i", "n", "{}"), ToolCallDelta("i", "n", "{")],
)
def test_an_error_after_some_of_the_answer_is_partial(event: Event) -> None:
    assert error(event, Truncated("m")).partial


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([Reasoning("r")], id="reasoning-is-no-answer"),
        pytest.param([Content("a"), again(2)], id="retry-with-reset"),
        pytest.param([Content("a"), Metadata(restart=True)], id="metadata-with-restart"),
    ],
)
def test_an_error_with_nothing_of_the_answer_left_is_not_partial(events: list[Event]) -> None:
    assert not error(*events, Truncated("m")).partial


def test_the_usage_of_an_attempt_that_was_dropped_is_not_the_answers() -> None:
    assert done(Usage(output_tokens=9), again(2), Content("a"), finish()).usage is None


def test_secrets_are_masked_in_all_words_of_others() -> None:
    secret = "key sk-key"
    events = run(
        Warn("c", secret),
        Retry(attempt=2, max=2, delay=0.0, cause=secret, action="reset"),
        Fallback("a", "b", secret),
        ConnectError(secret, hint=secret),
    )
    assert all("sk-key" not in repr(event) for event in events)


def test_the_answer_itself_is_never_masked() -> None:
    answer = run(Content("sk-key"), finish())[1]
    assert isinstance(answer, Content)
    assert answer.delta == "sk-key"


# ---- a run that goes on with another


EARLIER = (Reasoning("hm"), Content("Hello"))


def test_the_earlier_text_comes_first_so_that_the_deltas_are_the_whole_answer() -> None:
    events = run(Content(" world", t=101.0), finish(), earlier=EARLIER)
    assert [type(event) for event in events] == [Metadata, Reasoning, Content, Content, Done]
    assert "".join(e.delta for e in events if isinstance(e, Content)) == "Hello world"
    assert [e.delta for e in events if isinstance(e, Reasoning)] == ["hm"]


def test_it_comes_before_anything_is_asked() -> None:
    asked = []

    def source() -> Iterator[Arrival]:
        asked.append(True)
        yield Arrival([finish()])

    events = seal(new_run(), CancelToken(), earlier=EARLIER)(source())
    assert [type(event) for event in next(events).events] == [Metadata, Reasoning, Content]
    assert asked == []


def test_nothing_earlier_is_nothing() -> None:
    events = run(Content("a"), finish())
    assert [type(event) for event in events] == [Metadata, Content, Done]


def test_the_figures_are_those_of_the_new_text() -> None:
    last = run(
        Content("a", t=102.0),
        Content("b", t=103.0),
        Content("c", t=104.0),
        finish(),
        earlier=EARLIER,
    )[-1]
    assert isinstance(last, Done)
    assert (last.stats.ttft, last.stats.chunks, last.stats.tokens_per_second) == (2.0, 3, 1.0)


def test_where_nothing_new_came_there_is_no_first_token() -> None:
    last = run(Truncated("m"), earlier=EARLIER)[-1]
    assert isinstance(last, Error)
    assert last.stats is not None
    assert (last.partial, last.stats.ttft, last.stats.chunks) == (True, None, 0)


def test_after_a_restart_the_earlier_text_counts_no_more() -> None:
    for anew in (again(2), Metadata(restart=True)):
        last = run(anew, Truncated("m"), earlier=EARLIER, resume="go on")[-1]
        assert isinstance(last, Error)
        assert (last.partial, last.resume) == (False, None)


def test_the_rate_of_an_answer_in_several_attempts_counts_deltas() -> None:
    going_on = Retry(attempt=2, max=3, delay=0.0, cause="m", action="continue", emitted_chars=1)
    last = done(
        Content("a", t=101.0), going_on, Content("b", t=102.0), Usage(output_tokens=500), finish()
    )
    assert last.stats.tokens_per_second == 1.0


# ---- how to go on


@pytest.mark.parametrize(
    ("events", "resume"),
    [
        pytest.param([Content("a")], "go on", id="text"),
        pytest.param([Reasoning("r"), Content("a")], "go on", id="text-after-thinking"),
        pytest.param(
            [Content("a"), Retry(attempt=2, max=2, delay=0.0, cause="m", action="continue")],
            "go on",
            id="text-that-was-continued",
        ),
        pytest.param([], None, id="nothing"),
        pytest.param([Reasoning("r")], None, id="thinking-alone"),
        pytest.param([Content("a"), ToolCallDelta("i", "n", "{")], None, id="a-call-had-begun"),
        pytest.param([Content("a"), ToolCall("i", "n", "{}")], None, id="a-call"),
        pytest.param([Content("a"), again(2)], None, id="text-that-was-dropped"),
        pytest.param(
            [ToolCall("i", "n", "{}"), again(2), Content("a")],
            "go on",
            id="a-call-that-was-dropped",
        ),
    ],
)
def test_the_way_to_go_on_is_told_where_there_is_text_to_go_on_after(
    events: list[Event], resume: str | None
) -> None:
    last = run(*events, Truncated("m"), resume="go on")[-1]
    assert isinstance(last, Error)
    assert last.resume == resume


def test_without_a_journal_there_is_no_way_to_go_on() -> None:
    last = run(Content("a"), Truncated("m"), resume=None)[-1]
    assert isinstance(last, Error)
    assert (last.partial, last.resume) == (True, None)


# ---- an answer that nobody would see


def warnings(*steps: Step, **how: Any) -> list[tuple[str, str]]:
    """Those of the run; they come right before its end."""
    events = run(*steps, **how)
    warned = [event for event in events if isinstance(event, Warn)]
    assert events[len(events) - 1 - len(warned) : -1] == warned
    return [(event.code, event.message) for event in warned]


NOTHING = "the model wrote no answer"
ONLY_THOUGHT = "the model only thought and wrote no answer; --reasoning show prints its thinking"
USED_UP = (
    "the model used up the token limit with thinking and wrote no answer; "
    "a larger --max-tokens leaves room for one"
)


@pytest.mark.parametrize(
    ("steps", "reason", "message"),
    [
        pytest.param([], "stop", NOTHING, id="nothing"),
        pytest.param([Usage(output_tokens=0)], "length", NOTHING, id="no-room"),
        pytest.param([Content("\n"), Content(" ")], "stop", NOTHING, id="white-space"),
        pytest.param([Reasoning("r")], "stop", ONLY_THOUGHT, id="thinking"),
        pytest.param([Reasoning("r"), Content("\n\n")], "stop", ONLY_THOUGHT, id="and-space"),
        pytest.param([Reasoning("r")], "length", USED_UP, id="too-much-thinking"),
        pytest.param([Content("a"), again(2)], "stop", NOTHING, id="dropped"),
        pytest.param([Reasoning("r"), again(2)], "stop", NOTHING, id="thinking-dropped"),
        pytest.param([Arrival([Content(" "), Content("\n")])], "stop", NOTHING, id="together"),
    ],
)
def test_a_whole_run_without_an_answer_is_told_of(
    steps: list[Event | Arrival], reason: str, message: str
) -> None:
    assert warnings(*steps, finish(reason)) == [("no_answer", message)]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Content(" "), Content("a")], id="text"),
        pytest.param([Reasoning("r"), Content("a")], id="text-after-thinking"),
        pytest.param([Arrival([Content(" "), Content("a")])], id="text-in-one-arrival"),
        pytest.param([ToolCall("i", "n", "{}")], id="a-call"),
        pytest.param([Reasoning("r"), ToolCallDelta("i", "n", "{")], id="a-call-begun"),
    ],
)
def test_an_answer_of_any_kind_is_one(steps: list[Event | Arrival]) -> None:
    assert warnings(*steps, finish()) == []


def test_an_image_is_an_answer() -> None:
    assert warnings(Image(data="AAAA"), finish(), keeps_images=True) == []


def test_the_words_of_a_refusal_are_an_answer() -> None:
    assert [code for code, _ in warnings(Warn("refusal", "I cannot."), finish())] == ["refusal"]


def test_a_run_that_goes_on_after_a_text_has_an_answer() -> None:
    assert warnings(finish(), earlier=EARLIER) == []


def test_only_a_whole_run_can_lack_an_answer() -> None:
    assert warnings(Truncated("m")) == []


def png() -> Image:
    return Image(media_type="image/png", data="A" * 16_000)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        pytest.param(
            [png()],
            "the answer contains an image that is not shown (image/png, 12 KB); "
            "--save-images DIR saves it",
            id="one",
        ),
        pytest.param(
            [png(), Image(data="AAAA"), Image(url="https://a.example/1.png"), png()],
            "the answer contains 4 images that are not shown (image/png, 12 KB; image, 3 bytes; "
            "image at https://a.example/1.png; …); --save-images DIR saves them",
            id="several",
        ),
        pytest.param(
            [Image(media_type="image/webp\n", url="https://a.example/1?key=sk-key")],
            "the answer contains an image that is not shown "
            "(image/webp at https://a.example/1?key=***)",
            id="elsewhere",
        ),
    ],
)
@pytest.mark.parametrize("end", [finish(), Truncated("m")])
def test_images_that_nobody_keeps_are_told_of_once(
    images: list[Event], message: str, end: Event | BaseException
) -> None:
    assert warnings(*images, Content("a"), end) == [("image", message)]


def test_images_that_are_kept_or_were_dropped_are_not_told_of() -> None:
    assert warnings(png(), Content("a"), finish(), keeps_images=True) == []
    assert warnings(png(), again(2), Content("a"), finish()) == []


def test_an_image_is_a_part_of_the_answer_that_came() -> None:
    last = run(png(), Truncated("m"))[-2:]
    assert isinstance(last[1], Error)
    assert last[1].partial


def a_round(call_id: str = "a", t: float = -1.0) -> list[Event]:
    """A call and its fate."""
    return [
        ToolCall(call_id, "add", "{}", t=t),
        ToolStart(call_id, "add", t=t),
        ToolComplete(call_id, "add", "1", 0.5, t=t),
    ]


def test_after_a_round_a_failure_can_be_resumed_where_the_loop_can() -> None:
    steps: list[Step] = [*a_round(), Metadata(), Truncated("m")]
    for calls_resume, command in ((True, "go on"), (False, None)):
        last = run(*steps, resume="go on", calls_resume=calls_resume)[-1]
        assert isinstance(last, Error)
        assert (last.partial, last.resume) == (True, command)


def test_a_restart_of_a_later_response_leaves_the_rounds() -> None:
    steps: list[Step] = [*a_round(), Metadata(), Content("x"), again(2), Truncated("m")]
    last = run(*steps, resume="go on", calls_resume=True)[-1]
    assert isinstance(last, Error)
    assert (last.partial, last.resume) == (True, "go on")


def test_the_attempts_of_all_responses_are_counted() -> None:
    first = [again(2), Metadata(attempt=2), *a_round()]
    second = [Metadata(attempt=1), again(2), Metadata(attempt=2), Content("x"), finish()]
    assert done(*first, *second).attempts == 3


def test_the_pace_leaves_out_the_time_of_the_tools() -> None:
    first = [Content("a", t=101.0), Content("b", t=102.0), *a_round(t=102.0)]
    second = [Metadata(t=150.0), Content("c", t=151.0), Content("d", t=152.0), finish()]
    last = done(*first, *second)
    assert (last.stats.ttft, last.stats.tokens_per_second) == (1.0, 1.0)


def test_calls_with_an_answer_that_never_came_are_no_answer() -> None:
    events = run(*a_round(), Metadata(), finish())
    assert [it.code for it in events if isinstance(it, Warn)] == ["no_answer"]


def test_the_rounds_of_an_earlier_run_come_first_and_can_be_resumed_again() -> None:
    earlier = [Metadata(provider="p"), *a_round()]
    events = run(Truncated("m"), earlier=earlier, resume="go on", calls_resume=True)
    assert [type(it) for it in events[1:4]] == [Metadata, ToolCall, ToolStart]
    last = events[-1]
    assert isinstance(last, Error)
    assert (last.partial, last.resume, last.stats and last.stats.chunks) == (True, "go on", 0)


def test_a_dry_run_ends_with_its_plan_and_lacks_no_answer() -> None:
    planned = [ToolCall("a", "add", "{}"), Approval("a", "add", "allow", "dry_run")]
    events = run(*planned, Finish(reason="tool_calls"))
    assert [it for it in events if isinstance(it, Warn)] == []


def test_the_command_that_resumes_says_what_the_failure_needs() -> None:
    call = ToolCall("1", "write", "{}")
    needed = ApprovalNeeded("write needs approval", ["write", "shell"])
    last = run(call, needed, resume="chatstream resume R", calls_resume=True)[-1]
    assert isinstance(last, Error)
    assert (last.code, last.resume) == (
        "approval_needed",
        "chatstream resume R --allow write,shell",
    )
    last = run(call, needed, calls_resume=True)[-1]
    assert isinstance(last, Error)
    assert (last.resume, last.hint) == (None, "--allow write,shell lets it run")

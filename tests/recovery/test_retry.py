"""Claimed: an attempt that fails is made again where that is free, or as the user chose; text is
never there twice, and what is there is what the server is asked to go on after."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.cancel import CancelToken
from chatstream.errors import (
    AuthError,
    BadRequest,
    Cancelled,
    ChatstreamError,
    ConnectError,
    ContentPolicy,
    ContextLength,
    ModelNotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Stalled,
    Terminated,
    TimedOut,
    Truncated,
)
from chatstream.events import (
    Content,
    Event,
    Image,
    Metadata,
    Reasoning,
    Retry,
    ToolCall,
    ToolCallDelta,
    Usage,
    Waiting,
    Warn,
)
from chatstream.flow import Arrival, Finish, Open, close, events_in
from chatstream.messages import ChatRequest, ContinuationMethod, Message
from chatstream.recovery import retry as module
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.retry import OnDrop, Plan, retry
from chatstream.transcript import Transcript
from tests.support.arrivals import Scripted, events_of, heartbeats
from tests.support.sampling import examples

REQUEST = ChatRequest("m", (Message("user", "q"),))
FINISH = Finish(reason="stop")
STOP = Plan()
RESTART = Plan("restart")
CONTINUE = Plan("continue", method="prefill")


class Time:
    """A clock that only sleeping moves. `on_sleep` runs in each sleep."""

    def __init__(self, on_sleep: Callable[[CancelToken], None] = lambda token: None) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._on_sleep = on_sleep

    def clock(self) -> float:
        return self.now

    def sleep(self, token: CancelToken, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += seconds
        self._on_sleep(token)
        return token.cancelled


class Source(Scripted):
    """It is asked what the user asked, whatever else changes."""

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        assert request.messages is REQUEST.messages
        yield from super().open(request, token)


def again(source: Open, retries: int, time: Time | None = None, plan: Plan = STOP) -> Open:
    time = time or Time()
    return retry(source, Attempts(retries), plan, time.clock, time.sleep)


def run(
    source: Open,
    retries: int = 2,
    time: Time | None = None,
    plan: Plan = STOP,
    request: ChatRequest = REQUEST,
) -> list[Event]:
    return events_of(asked(source, retries, time, plan, request))


def asked(
    source: Open,
    retries: int = 2,
    time: Time | None = None,
    plan: Plan = STOP,
    request: ChatRequest = REQUEST,
) -> list[Arrival]:
    return list(again(source, retries, time, plan)(request, CancelToken()))


class Ended:
    """What a run came to: its events, its answer, and the failure if there was one."""

    def __init__(
        self, source: Open, plan: Plan, retries: int = 3, request: ChatRequest = REQUEST
    ) -> None:
        self.events: list[Event] = []
        self.failure: ChatstreamError | None = None
        answer = Transcript()
        answer.add(Content(request.partial))
        try:
            for event in events_in(again(source, retries, plan=plan)(request, CancelToken())):
                answer.add(event)
                self.events.append(event)
        except ChatstreamError as error:
            self.failure = error
        self.text = answer.message.content

    @property
    def actions(self) -> list[tuple[str, int]]:
        """Of each retry what it does, and with how many characters."""
        return [(e.action, e.emitted_chars) for e in self.events if isinstance(e, Retry)]

    @property
    def warnings(self) -> list[tuple[str, str]]:
        return [(e.code, e.message) for e in self.events if isinstance(e, Warn)]


def words(text: str) -> list[Event | Exception]:
    """A text as it arrives."""
    return [Content(char) for char in text]


def busy(message: str = "busy") -> ServerError:
    return ServerError(message, retry_after=0.1)


def cut(message: str = "cut") -> Truncated:
    return Truncated(message, retry_after=0.1)


def test_an_answer_passes_as_it_is() -> None:
    answer: list[Event] = [Metadata(), Content("a"), Usage(), Content("b"), FINISH]
    assert run(Source([*answer]).open) == answer


def test_a_failure_before_the_first_token_is_tried_again() -> None:
    failure = RateLimited("slow down", status=429, retry_after=0.25)
    source = Source([Metadata(), Waiting("connect", 1.0), failure], [Metadata(), Content("a")])
    arrivals = asked(source.open)
    assert events_of(arrivals) == [
        Metadata(attempt=1),
        Waiting("connect", 1.0),
        Retry(attempt=2, max=3, delay=0.25, cause="slow down", status=429, action="reset"),
        Metadata(attempt=2),
        Content("a"),
    ]
    assert [it.t for it in arrivals if it.events and isinstance(it.events[0], Retry)] == [100.0]
    assert source.closed == 2


@pytest.mark.parametrize(
    "token",
    [
        Content("a"),
        Reasoning("a"),
        ToolCallDelta("i", "n", ""),
        ToolCall("i", "n", "{}"),
        Image(data="AAAA"),
    ],
)
def test_after_the_first_visible_token_nothing_is_tried_again(token: Event) -> None:
    source = Source([Metadata(), token, Usage(), Stalled("m")])
    with pytest.raises(Stalled):
        run(source.open, retries=9)
    assert (len(source.tokens), source.closed) == (1, 1)


def test_a_failure_that_cannot_heal_is_raised_at_once() -> None:
    source, time = Source([AuthError("m")]), Time()
    with pytest.raises(AuthError):
        run(source.open, time=time)
    assert (source.closed, time.slept) == (1, [])


def test_the_last_failure_is_raised_when_the_retries_are_used_up() -> None:
    failures = [ConnectError(str(n), retry_after=1.0) for n in (1, 2, 3)]
    source = Source([failures[0]], [failures[1]], [failures[2]])
    with pytest.raises(ConnectError) as raised:
        run(source.open, retries=2)
    assert raised.value is failures[2]
    assert source.closed == 3


def test_no_retries_are_none() -> None:
    source = Source([ConnectError("m")])
    with pytest.raises(ConnectError):
        run(source.open, retries=0)
    assert source.closed == 1


def test_a_mistake_of_ours_is_never_tried_again() -> None:
    source = Source([ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        run(source.open)
    assert source.closed == 1


def test_an_attempt_is_closed_before_the_pause_begins() -> None:
    source = Source([ConnectError("m")], [Content("a")])
    events = again(source.open, 1)(REQUEST, CancelToken())
    assert isinstance(next(events).events[0], Retry)
    assert source.closed == 1


def test_the_pause_is_as_long_as_told_and_beats_ten_times_a_second() -> None:
    time = Time()
    source = Source([RateLimited("m", retry_after=1.25)], [FINISH])
    arrivals = asked(source.open, time=time)
    assert sum(time.slept) == pytest.approx(1.25)
    assert max(time.slept) <= 0.1
    beats = heartbeats(arrivals)
    assert len(beats) >= 12
    assert not any(beat.connected or beat.alive for beat in beats)
    assert [beat.t for beat in beats] == sorted({beat.t for beat in beats})


@pytest.mark.parametrize("reason", [Cancelled("stop"), Terminated("stop")])
def test_a_cancel_ends_the_pause_at_once_with_its_reason(reason: Cancelled) -> None:
    token = CancelToken()
    time = Time(on_sleep=lambda sleeping: sleeping.cancel(reason))
    source = Source([RateLimited("m", retry_after=60.0)])
    with pytest.raises(Cancelled) as raised:
        list(again(source.open, 2, time)(REQUEST, token))
    assert raised.value is reason
    assert len(time.slept) == 1


def test_a_failure_that_the_cancel_made_is_the_cancel() -> None:
    token = CancelToken()

    def source(request: ChatRequest, child: CancelToken) -> Iterator[Arrival]:
        yield Arrival([Metadata()])
        token.cancel()
        raise ConnectError("the socket was shut down")

    with pytest.raises(Cancelled):
        list(again(source, 2)(REQUEST, token))


def test_each_attempt_has_a_token_that_the_run_cancels_and_not_the_other_way_round() -> None:
    token = CancelToken()
    source = Source([ConnectError("m", retry_after=0.1)], [Metadata(), FINISH])
    time = Time()
    events = events_in(again(source.open, 1, time)(REQUEST, token))
    for event in events:
        if isinstance(event, Metadata):
            break
    first, second = source.tokens
    second.cancel()
    assert not token.cancelled
    token.cancel()
    assert not first.cancelled, "an attempt that is over holds on to nothing"
    assert second.cancelled


def test_closing_the_events_closes_the_attempt() -> None:
    for read in (1, 2, 3):
        source = Source([Metadata(), Content("a"), Content("b"), FINISH])
        events = again(source.open, 1)(REQUEST, CancelToken())
        for _ in range(read):
            next(events)
        close(events)
        assert source.closed == 1


def test_only_the_failure_that_is_raised_decides_and_not_an_earlier_one() -> None:
    source = Source([ConnectError("m", retry_after=0.1)], [Content("a"), ConnectError("again")])
    with pytest.raises(ConnectError, match="again"):
        run(source.open, retries=5)
    assert source.closed == 2


# ---- after the first visible token


PASSING = [
    Truncated("m"),
    Stalled("m"),
    TimedOut("m"),
    ConnectError("m"),
    ServerError("m"),
    Overloaded("m"),
    RateLimited("m", retry_after=2.0),
]
PERMANENT = [
    AuthError("m"),
    ModelNotFound("m"),
    QuotaExceeded("m"),
    BadRequest("m"),
    ContextLength("m"),
    ContentPolicy("m"),
    RateLimited("m", retry_after=3600.0),
]


def named(failure: ChatstreamError) -> str:
    return f"{type(failure).__name__}-{failure.retry_after}"


@pytest.mark.parametrize("failure", PASSING, ids=named)
def test_a_drop_that_may_pass_goes_on_after_exactly_what_is_there(failure: ChatstreamError) -> None:
    source = Source([*words("Hello"), failure], [*words(" world"), FINISH])
    ended = Ended(source.open, CONTINUE)
    assert (ended.text, ended.failure) == ("Hello world", None)
    assert ended.actions == [("continue", 5)]
    assert source.asked == [("", None), ("Hello", "prefill")]
    assert (source.closed, ended.events[-1]) == (2, FINISH)


@pytest.mark.parametrize("failure", PASSING, ids=named)
def test_a_drop_that_may_pass_restarts_with_nothing_left(failure: ChatstreamError) -> None:
    source = Source([*words("Hello"), failure], [*words("Hi there"), FINISH])
    ended = Ended(source.open, RESTART)
    assert (ended.text, ended.failure, ended.actions) == ("Hi there", None, [("reset", 0)])
    assert source.asked == [("", None), ("", None)]


@pytest.mark.parametrize("failure", PERMANENT, ids=named)
@pytest.mark.parametrize("plan", [CONTINUE, RESTART, Plan("continue", None, in_words=True)])
@pytest.mark.parametrize("before", ["", "Hello"])
def test_a_failure_for_good_is_never_asked_about_again(
    failure: ChatstreamError, plan: Plan, before: str
) -> None:
    source = Source([*words(before), failure])
    ended = Ended(source.open, plan)
    assert (ended.text, ended.failure, ended.actions, ended.warnings) == (before, failure, [], [])
    assert source.closed == 1


@pytest.mark.parametrize("on_drop", ["stop", "fallback"])
@pytest.mark.parametrize("token", [Content("a"), Reasoning("a")])
def test_stop_and_fallback_leave_the_failure_to_others(on_drop: OnDrop, token: Event) -> None:
    failure = cut()
    source = Source([token, failure])
    ended = Ended(source.open, Plan(on_drop, method="prefill", in_words=True))
    assert (ended.failure, ended.actions, source.closed) == (failure, [], 1)


def test_a_server_that_does_not_go_on_is_not_asked_to() -> None:
    failure = cut()
    source = Source([*words("Hello"), failure])
    ended = Ended(source.open, Plan("continue", method=None))
    assert (ended.text, ended.failure, source.closed) == ("Hello", failure, 1)


def test_in_words_only_where_that_was_asked_for() -> None:
    source = Source([*words("Hello"), cut()], [*words(" world"), FINISH])
    ended = Ended(source.open, Plan("continue", method=None, in_words=True))
    assert ended.text == "Hello world"
    assert source.asked[1] == ("Hello", "user_turn")


@pytest.mark.parametrize("plan", [CONTINUE, RESTART, Plan("continue", "prefill", in_words=True)])
@pytest.mark.parametrize("call", [ToolCallDelta("i", "n", "{"), ToolCall("i", "n", "{}")])
@pytest.mark.parametrize("text", ["", "I will look."])
def test_nothing_is_asked_again_once_calls_of_tools_had_begun(
    plan: Plan, call: Event, text: str
) -> None:
    failure = cut()
    source = Source([*words(text), call, failure])
    ended = Ended(source.open, plan)
    assert (ended.text, ended.failure, ended.actions) == (text, failure, [])
    assert source.closed == 1


@pytest.mark.parametrize("on_drop", ["continue", "restart"])
@pytest.mark.parametrize("text", ["", "I will look."])
def test_a_response_whose_calls_have_not_run_is_asked_for_again(on_drop: OnDrop, text: str) -> None:
    source = Source([*words(text), ToolCallDelta("i", "n", "{"), cut()], [*words("42"), FINISH])
    ended = Ended(source.open, Plan(on_drop, "prefill", after_calls=True))
    assert (ended.text, ended.actions, ended.failure) == ("42", [("reset", 0)], None)


def test_a_response_that_may_call_tools_and_has_thought_is_asked_for_again() -> None:
    """What signs its thinking has not come, and the server wants it back with the calls."""
    plan = Plan("continue", "prefill", after_calls=True)
    source = Source([Reasoning("hm"), *words("I wi"), cut()], [*words("42"), FINISH])
    ended = Ended(source.open, plan)
    assert (ended.text, ended.actions, ended.failure) == ("42", [("reset", 0)], None)
    without = Source([*words("I wi"), cut()], [*words("ll"), FINISH])
    assert Ended(without.open, plan).text == "I will"


@pytest.mark.parametrize("plan", [Plan("stop", after_calls=True), Plan("fallback")])
def test_it_is_not_where_the_user_wants_no_second_attempt(plan: Plan) -> None:
    failure = cut()
    ended = Ended(Source([ToolCall("i", "n", "{}"), failure]).open, plan)
    assert (ended.failure, ended.actions) == (failure, [])


def test_it_is_not_where_text_was_shown_that_cannot_be_taken_back() -> None:
    failure, call = cut(), ToolCall("i", "n", "{}")
    plan = Plan("continue", "prefill", after_calls=True, resettable=False)
    assert Ended(Source([*words("a"), call, failure]).open, plan).failure is failure
    ended = Ended(Source([call, failure], [*words("42"), FINISH]).open, plan)
    assert (ended.text, ended.failure) == ("42", None)


def test_white_space_is_asked_anew_and_not_there_twice() -> None:
    source = Source([Content(" \n"), cut()], [*words(" \nHello"), FINISH])
    ended = Ended(source.open, CONTINUE)
    assert (ended.text, ended.actions) == (" \nHello", [("continue", 2)])


@pytest.mark.parametrize(
    ("before", "plan"),
    [
        ([Reasoning("hm")], CONTINUE),
        ([Reasoning("hm"), Content("\n\n")], CONTINUE),
        ([Image(data="AAAA")], CONTINUE),
        ([Reasoning("hm")], RESTART),
        ([Content(" \n")], RESTART),
    ],
)
def test_thinking_images_and_white_space_are_nothing_to_go_on_after(
    before: list[Event], plan: Plan
) -> None:
    source = Source([*before, cut()], [*words("Hello"), FINISH])
    ended = Ended(source.open, plan)
    assert (ended.text, ended.actions) == ("Hello", [("reset", 0)])
    assert source.asked[1] == ("", None)


def test_each_drop_adds_to_what_is_there() -> None:
    source = Source(
        [*words("one "), cut("first")],
        [*words("two "), Stalled("second", retry_after=0.1)],
        [Metadata(), busy("nothing new")],
        [*words("three"), FINISH],
    )
    ended = Ended(source.open, CONTINUE)
    assert ended.text == "one two three"
    assert [partial for partial, _ in source.asked] == ["", "one ", "one two ", "one two "]
    assert ended.actions == [("continue", 4), ("continue", 8), ("continue", 8)]


def test_all_attempts_draw_on_one_budget() -> None:
    """Two before the first token, one in mid-answer: the fourth failure ends the run."""
    last = cut("the last")
    source = Source([busy()], [busy()], [*words("one "), cut()], [*words("two "), last])
    ended = Ended(source.open, CONTINUE, retries=3)
    assert (ended.text, ended.failure) == ("one two ", last)
    assert source.closed == 4
    told = [(e.attempt, e.max) for e in ended.events if isinstance(e, Retry)]
    assert told == [(2, 4), (3, 4), (4, 4)]


def test_the_failure_of_an_answer_is_what_broke_it_off_and_why_it_stayed_so_is_a_warning() -> None:
    drop = cut("the cable")
    for vain in (AuthError("no key"), ModelNotFound("gone"), ContextLength("too long")):
        source = Source([*words("Hello"), drop], [vain])
        ended = Ended(source.open, CONTINUE)
        assert (ended.text, ended.failure) == ("Hello", drop)
        assert ended.warnings == [("not_continued", vain.message)]
        assert source.closed == 2


def test_when_the_budget_ends_in_vain_attempts_the_failure_is_still_the_drop() -> None:
    drop = cut("the cable")
    source = Source([*words("Hello"), drop], [busy("one")], [busy("two")])
    ended = Ended(source.open, CONTINUE, retries=2)
    assert (ended.failure, ended.warnings) == (drop, [("not_continued", "two")])


def test_a_failure_after_a_restart_is_its_own() -> None:
    """The text that the first failure broke off is gone, so nothing is truncated any more."""
    vain = AuthError("no key")
    ended = Ended(Source([*words("Hello"), cut()], [vain]).open, RESTART)
    assert (ended.text, ended.failure, ended.warnings) == ("", vain, [])


def test_a_refusal_to_go_on_ends_with_the_drop_and_a_warning() -> None:
    drop = cut()
    source = Source([*words("Hello"), drop], [BadRequest("no prefill", status=400)])
    ended = Ended(source.open, CONTINUE)
    assert (ended.text, ended.failure) == ("Hello", drop)
    assert ended.warnings == [("not_continued", "no prefill")]
    assert len(source.asked) == 2


def test_a_server_that_says_something_else_ends_with_the_drop_and_a_warning() -> None:
    text = "The sky is blue because of the air."
    drop = cut()
    source = Source(
        [*words(text), drop], [*words("The sky is blue because light is scattered."), FINISH]
    )
    ended = Ended(source.open, CONTINUE)
    assert (ended.text, ended.failure) == (text, drop)
    assert [code for code, _ in ended.warnings] == ["not_continued"]
    assert source.closed == 2


def test_a_server_that_answers_anew_is_not_shown_twice() -> None:
    text = "The sky is blue because of the air."
    for first in (1, 9, 20, len(text)):
        source = Source([*words(text[:first]), cut()], [*words(text), FINISH])
        ended = Ended(source.open, CONTINUE)
        if first >= 4:
            assert (ended.text, ended.failure) == (text, None)


def test_a_gateway_that_begins_anew_itself_forgets_what_was_there() -> None:
    source = Source(
        [*words("old"), Metadata(restart=True), *words("new "), cut()], [*words("text"), FINISH]
    )
    ended = Ended(source.open, CONTINUE)
    assert ended.text == "new text"
    assert source.asked[1] == ("new ", "prefill")


def test_a_gateway_that_begins_anew_with_nothing_is_asked_anew() -> None:
    source = Source([*words("old"), Metadata(restart=True), cut()], [*words("new"), FINISH])
    for plan in (CONTINUE, RESTART, STOP):
        source = Source([*words("old"), Metadata(restart=True), cut()], [*words("new"), FINISH])
        ended = Ended(source.open, plan)
        assert (ended.text, ended.actions) == ("new", [("reset", 0)])


def test_a_gateway_that_begins_a_continuation_anew_does_not_lose_the_beginning() -> None:
    source = Source(
        [*words("Hello"), cut()],
        [*words(" wor"), Metadata(restart=True), *words(" world"), cut()],
        [*words("!"), FINISH],
    )
    ended = Ended(source.open, CONTINUE)
    assert ended.text == "Hello world!"
    assert [partial for partial, _ in source.asked] == ["", "Hello", "Hello world"]


def test_a_failure_before_the_first_token_is_left_to_others_where_there_are_some() -> None:
    failure = busy()
    source = Source([failure])
    assert Ended(source.open, Plan("continue", "prefill", first=False)).failure is failure
    source = Source([*words("Hello"), cut()], [*words("!"), FINISH])
    assert Ended(source.open, Plan("continue", "prefill", first=False)).text == "Hello!"


# ---- a run that goes on with an earlier one


def earlier(text: str = "Hello", method: ContinuationMethod = "prefill") -> ChatRequest:
    return ChatRequest("m", REQUEST.messages, partial=text, method=method)


RESUME = Plan("continue", "prefill", in_words=True)


def test_an_earlier_text_is_gone_on_with_from_the_first_attempt_on() -> None:
    source = Source([busy()], [*words(" wor"), cut()], [*words("ld"), FINISH])
    ended = Ended(source.open, RESUME, request=earlier())
    assert ended.text == "Hello world"
    assert source.asked == [("Hello", "prefill"), ("Hello", "prefill"), ("Hello wor", "prefill")]
    assert ended.actions == [("continue", 5), ("continue", 9)]


def test_a_prefill_that_is_refused_goes_to_words_once_and_for_all() -> None:
    source = Source([BadRequest("no prefill")], [*words(" wor"), cut()], [*words("ld"), FINISH])
    ended = Ended(source.open, RESUME, request=earlier())
    assert ended.text == "Hello world"
    assert [means for _, means in source.asked] == ["prefill", "user_turn", "user_turn"]
    assert ended.warnings == [("not_continued", "no prefill")]


def test_a_server_that_answers_something_else_is_asked_in_words() -> None:
    text = "The sky is blue because of the air."
    source = Source([*words(text[:30] + "sea")], [*words(text[30:]), FINISH])
    ended = Ended(source.open, RESUME, request=earlier(text[:33]))
    assert [means for _, means in source.asked] == ["prefill", "user_turn"]
    assert ended.failure is None


def test_a_server_that_refuses_words_too_has_refused() -> None:
    last = BadRequest("not that either")
    source = Source([BadRequest("no prefill")], [last])
    ended = Ended(source.open, RESUME, request=earlier())
    assert (ended.text, ended.failure, source.closed) == ("Hello", last, 2)


@pytest.mark.parametrize("failure", [ContextLength("too long"), ContentPolicy("no")])
def test_what_words_would_not_change_is_not_asked_in_words(failure: ChatstreamError) -> None:
    source = Source([failure])
    ended = Ended(source.open, RESUME, request=earlier())
    assert (ended.failure, ended.warnings, source.closed) == (failure, [], 1)


def test_a_restart_drops_the_earlier_text_too() -> None:
    source = Source([*words(" wor"), cut()], [*words("Hi"), FINISH])
    ended = Ended(source.open, Plan("restart", "prefill", in_words=True), request=earlier())
    assert (ended.text, source.asked[1]) == ("Hi", ("", None))


def test_the_white_space_that_was_not_sent_is_not_lost_and_not_doubled() -> None:
    for new in ("\n\nTwo.", "Two."):
        source = Source([*words("One.\n\n"), cut()], [*words(new), FINISH])
        ended = Ended(source.open, Plan("continue", "stripped_prefill"))
        assert ended.text == "One.\n\nTwo."
        assert source.asked[1] == ("One.\n\n", "stripped_prefill")


def test_a_stream_that_the_server_has_kept_is_there_once_with_its_thinking() -> None:
    whole: list[Event | Exception] = [Reasoning("hm"), *words("aaaa aaaa"), FINISH]
    source = Source([Reasoning("hm"), *words("aaaa"), cut()], whole)
    ended = Ended(source.open, Plan("continue", "stream"))
    assert ended.text == "aaaa aaaa"
    assert [e.delta for e in ended.events if isinstance(e, Reasoning)] == ["hm"]


def test_a_stream_that_the_server_has_not_kept_is_gone_on_with_by_a_prefill() -> None:
    source = Source([*words("Hello"), cut()], [BadRequest("not kept")], [*words("!"), FINISH])
    ended = Ended(source.open, Plan("continue", "stream"))
    assert (ended.text, ended.warnings) == ("Hello!", [])
    assert [means for _, means in source.asked] == [None, "stream", "prefill"]


# ---- bounds


def test_a_text_longer_than_anyone_continues_is_not_and_its_memory_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CONTINUED_CHARACTERS", 100_000)
    failure = cut()

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        for number in range(3000):
            yield Arrival([Content(f"{number:01000}")])
        raise failure

    tracemalloc.start()
    caught = None
    try:
        for event in events_in(again(source, 3, plan=CONTINUE)(REQUEST, CancelToken())):
            assert not isinstance(event, Retry)
    except Truncated as error:
        caught = error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught is failure
    assert peak < 1_000_000


def test_a_text_that_is_just_as_long_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONTINUED_CHARACTERS", 10)
    source = Source([*words("0123456789"), cut()], [*words("!"), FINISH])
    assert Ended(source.open, CONTINUE).text == "0123456789!"


def test_a_long_text_is_restarted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONTINUED_CHARACTERS", 10)
    source = Source([*words("0123456789x"), cut()], [*words("!"), cut()], [*words("?"), FINISH])
    ended = Ended(source.open, RESTART)
    assert (ended.text, [asked for asked, _ in source.asked]) == ("?", ["", "", ""])


def test_a_cancel_in_a_pause_keeps_the_text_and_asks_nothing_more() -> None:
    token = CancelToken()
    time = Time(on_sleep=lambda _: token.cancel())
    source = Source([*words("Hello"), Truncated("m", retry_after=60.0)])
    passed: list[Event] = []
    events = again(source.open, 2, time, CONTINUE)(REQUEST, token)
    with pytest.raises(Cancelled):
        passed.extend(events_in(events))
    text = "".join(event.delta for event in passed if isinstance(event, Content))
    assert (text, len(time.slept), source.closed) == ("Hello", 1, 1)


@pytest.mark.parametrize("plan", [CONTINUE, RESTART])
def test_closing_in_a_pause_or_after_closes_every_attempt(plan: Plan) -> None:
    for read in range(1, 30):
        source = Source([*words("Hello"), cut()], [*words(" world"), FINISH])
        events = again(source.open, 2, plan=plan)(REQUEST, CancelToken())
        for _ in range(read):
            if next(events, None) is None:
                break
        close(events)
        assert source.closed == len(source.tokens)


# ---- any cuts at any places

TEXT = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))


def server(
    cuts: list[int], pieces: int, answer: Callable[[ChatRequest], str]
) -> tuple[Open, list[str]]:
    """A server whose attempts break off after so many characters; what it was asked with."""
    left, asked = list(cuts), []

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        asked.append(request.partial)
        rest = answer(request)
        end = left.pop(0) if left else None
        came: list[Event] = []
        for at in range(0, len(rest[:end]), pieces):
            came.append(Content(rest[:end][at : at + pieces]))
            if at % 2:
                yield Arrival(came)
                came = []
        yield Arrival(came)
        if end is not None:
            raise cut()
        yield Arrival([FINISH])

    return source, asked


@settings(max_examples=examples(200))
@given(st.lists(st.integers(0, 400), max_size=6), st.integers(1, 20))
def test_any_cuts_of_a_server_that_truly_goes_on_give_the_whole_text(
    cuts: list[int], pieces: int
) -> None:
    source, asked = server(cuts, pieces, lambda request: TEXT[len(request.partial) :])
    ended = Ended(source, CONTINUE, retries=len(cuts))
    assert (ended.text, ended.failure) == (TEXT, None)
    assert all(TEXT.startswith(partial) for partial in asked)


@settings(max_examples=examples(200))
@given(st.integers(4, 300), st.lists(st.integers(0, 400), max_size=5), st.integers(1, 20))
def test_any_cuts_of_a_server_that_answers_anew_give_the_whole_text(
    first: int, cuts: list[int], pieces: int
) -> None:
    source, asked = server([first, *cuts], pieces, lambda request: TEXT)
    ended = Ended(source, CONTINUE, retries=len(cuts) + 1)
    assert (ended.text, ended.failure) == (TEXT, None)
    assert all(TEXT.startswith(partial) for partial in asked)


@settings(max_examples=examples(200))
@given(st.lists(st.integers(20, 400), max_size=5), st.integers(1, 20), st.integers(16, 200))
def test_any_cuts_of_a_server_that_repeats_the_end_give_the_whole_text(
    cuts: list[int], pieces: int, repeated: int
) -> None:
    def answer(request: ChatRequest) -> str:
        return TEXT[max(0, len(request.partial) - repeated) :]

    source, _ = server(cuts, pieces, answer)
    ended = Ended(source, CONTINUE, retries=len(cuts))
    assert (ended.text, ended.failure) == (TEXT, None)


@settings(max_examples=examples(100))
@given(st.lists(st.integers(0, 400), max_size=5), st.integers(1, 20))
def test_any_cuts_and_restarts_give_the_whole_text(cuts: list[int], pieces: int) -> None:
    source, asked = server(cuts, pieces, lambda request: TEXT)
    ended = Ended(source, RESTART, retries=len(cuts))
    assert (ended.text, ended.failure, set(asked)) == (TEXT, None, {""})

"""Claimed: another model takes over where that may help; no text is lost before it speaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import (
    AuthError,
    BadRequest,
    Cancelled,
    ChatstreamError,
    ConfigError,
    ConnectError,
    ContentPolicy,
    ContextLength,
    InternalError,
    ModelNotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Stalled,
    TimedOut,
    Truncated,
    UnsupportedParameter,
    UsageError,
)
from chatstream.events import (
    Content,
    Event,
    Fallback,
    Metadata,
    Reasoning,
    Retry,
    ToolCall,
    Waiting,
    Warn,
)
from chatstream.flow import Arrival, Finish, Open, close, events_in
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.fallback import fallback
from chatstream.transcript import Transcript
from tests.support.arrivals import each

REQUEST = ChatRequest("m", (Message("user", "q"),), partial="earlier ")
FINISH = Finish(reason="stop")
NOW = 7.0


class Source:
    """An Open that plays its steps each time it is opened."""

    def __init__(self, *steps: Event | Exception) -> None:
        self._steps = steps
        self.asked: list[str] = []
        self.closed = 0

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        self.asked.append(request.partial)
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                yield from each(step)
        finally:
            self.closed += 1


def several(*sources: Source, after_text: bool = True, attempts: Attempts | None = None) -> Open:
    named = [(f"model-{number}", source.open) for number, source in enumerate(sources)]
    return fallback(named, attempts or Attempts(0), after_text=after_text, clock=lambda: NOW)


class Ended:
    """What a run came to."""

    def __init__(self, *sources: Source, after_text: bool = True) -> None:
        self.events: list[Event] = []
        self.failure: ChatstreamError | None = None
        answer = Transcript()
        answer.add(Content(REQUEST.partial))
        try:
            for arrival in several(*sources, after_text=after_text)(REQUEST, CancelToken()):
                for event in arrival.events:
                    event.t = arrival.t
                    self.events.append(event)
                    answer.add(event)
        except ChatstreamError as error:
            self.failure = error
        self.text = answer.message.content
        assert all(source.closed == len(source.asked) for source in sources)

    @property
    def turns(self) -> list[tuple[str, str, str]]:
        return [(e.source, e.target, e.cause) for e in self.events if isinstance(e, Fallback)]


ITS_OWN = [
    ConnectError("m"),
    ModelNotFound("m"),
    QuotaExceeded("m"),
    AuthError("m"),
    RateLimited("m"),
    ServerError("m"),
    Overloaded("m"),
    Stalled("m"),
    TimedOut("m"),
    Truncated("m"),
]
SHARED = [
    BadRequest("m"),
    ContextLength("m"),
    ContentPolicy("m"),
    UnsupportedParameter("m", "stream"),
    UsageError("m"),
    ConfigError("m"),
    InternalError("m"),
]


def named(failure: Exception) -> str:
    return type(failure).__name__


@pytest.mark.parametrize("failure", ITS_OWN, ids=named)
def test_a_model_that_fails_before_it_speaks_is_replaced(failure: ChatstreamError) -> None:
    first = Source(Metadata(), Waiting("connect", 1.0), failure)
    second = Source(Metadata(), Content("later"), FINISH)
    ended = Ended(first, second)
    assert (ended.text, ended.failure) == ("earlier later", None)
    assert ended.events == [
        Metadata(),
        Waiting("connect", 1.0),
        Fallback("model-0", "model-1", "m", t=NOW),
        Metadata(),
        Content("later"),
        FINISH,
    ]
    assert second.asked == ["earlier "], "what is there can still be gone on with"


@pytest.mark.parametrize("after_text", [True, False])
@pytest.mark.parametrize("failure", SHARED, ids=named)
@pytest.mark.parametrize("before", [[], [Content("a")]])
def test_a_failure_that_all_models_share_ends_the_run(
    failure: ChatstreamError, before: list[Event], after_text: bool
) -> None:
    second = Source(FINISH)
    ended = Ended(Source(*before, failure), second, after_text=after_text)
    assert (ended.failure, ended.turns, second.asked) == (failure, [], [])


def test_a_mistake_of_ours_ends_the_run() -> None:
    second = Source(FINISH)
    with pytest.raises(ZeroDivisionError):
        list(several(Source(ZeroDivisionError()), second)(REQUEST, CancelToken()))
    assert second.asked == []


@pytest.mark.parametrize("failure", ITS_OWN, ids=named)
def test_a_model_that_fails_in_mid_answer_is_replaced(failure: ChatstreamError) -> None:
    second = Source(Metadata(), Content("new "), Content("answer"), FINISH)
    ended = Ended(Source(Content("old"), failure), second)
    assert (ended.text, ended.failure) == ("new answer", None)
    assert ended.events == [
        Content("old"),
        Fallback("model-0", "model-1", "m", t=NOW),
        Metadata(),
        Metadata(restart=True),
        Content("new "),
        Content("answer"),
        FINISH,
    ]
    assert second.asked == [""], "what will be dropped is no beginning to go on from"


@pytest.mark.parametrize("token", [Content("a"), Reasoning("a"), ToolCall("i", "n", "{}")])
def test_after_the_first_token_only_where_that_was_asked_for(token: Event) -> None:
    failure, second = Truncated("m"), Source(FINISH)
    ended = Ended(Source(token, failure), second, after_text=False)
    assert (ended.failure, second.asked) == (failure, [])


def test_the_earlier_text_stays_until_the_next_model_truly_speaks() -> None:
    answer = Transcript()
    second = Source(
        Metadata(),
        Retry(attempt=2, max=3, delay=1.0, cause="busy", action="reset"),
        Waiting("first_token", 1.0),
        Metadata(restart=True),  # its own; it has not spoken
        Warn("c", "m"),
        Reasoning("hm"),
        Content("new"),
        FINISH,
    )
    asked = several(Source(Content("old"), Truncated("m")), second)(REQUEST, CancelToken())
    for event in events_in(asked):
        if isinstance(event, Reasoning):
            break
        before = answer.message.content
        answer.add(event)
    assert (before, answer.message.content) == ("old", "")


def test_a_retry_after_the_new_model_spoke_is_what_it_says() -> None:
    again = Retry(attempt=2, max=3, delay=1.0, cause="cut", action="reset")
    ended = Ended(
        Source(Content("old"), Truncated("m")),
        Source(Content("half"), again, Content("whole"), FINISH),
    )
    assert (ended.text, again.action) == ("whole", "reset")


def test_an_empty_answer_is_an_answer_too() -> None:
    ended = Ended(Source(Content("old"), Truncated("m")), Source(Metadata(), FINISH))
    assert (ended.text, ended.failure) == ("", None)


def test_where_no_later_model_speaks_the_text_and_its_failure_remain() -> None:
    drop = Truncated("cable")
    ended = Ended(
        Source(Content("old"), drop),
        Source(Metadata(), ConnectError("down")),
        Source(Stalled("no")),
    )
    assert (ended.text, ended.failure) == ("earlier old", drop)
    assert ended.turns == [("model-0", "model-1", "cable"), ("model-1", "model-2", "down")]
    assert ended.events[-1] == Warn("fallback", "model-2 failed too: no", t=NOW)


def test_a_shared_failure_of_a_later_model_leaves_the_text_and_its_failure() -> None:
    drop, third = Truncated("cable"), Source(FINISH)
    ended = Ended(Source(Content("old"), drop), Source(BadRequest("too long")), third)
    assert (ended.text, ended.failure, third.asked) == ("earlier old", drop, [])
    assert ended.events[-1] == Warn("fallback", "model-1 failed too: too long", t=NOW)


def test_the_last_failure_is_reported_where_nothing_was_shown() -> None:
    last = Overloaded("busy")
    ended = Ended(Source(ConnectError("down")), Source(ModelNotFound("missing")), Source(last))
    assert ended.failure is last
    assert not any(isinstance(event, Warn) for event in ended.events)


def test_the_last_failure_is_reported_where_the_last_model_spoke() -> None:
    last = Truncated("again")
    ended = Ended(Source(Content("old"), Truncated("cable")), Source(Content("new"), last))
    assert (ended.text, ended.failure) == ("new", last)


def test_the_models_are_asked_in_their_order_each_once() -> None:
    sources = [Source(ConnectError(str(n))) for n in range(4)]
    ended = Ended(*sources)
    assert [len(source.asked) for source in sources] == [1, 1, 1, 1]
    assert [(a, b) for a, b, _ in ended.turns] == [
        ("model-0", "model-1"),
        ("model-1", "model-2"),
        ("model-2", "model-3"),
    ]


def test_a_turn_is_an_attempt_that_costs_nothing() -> None:
    attempts = Attempts(2)
    list(
        several(Source(ConnectError("m")), Source(FINISH), attempts=attempts)(
            REQUEST, CancelToken()
        )
    )
    assert (attempts.number, attempts.most) == (2, 4)


def test_a_cancel_is_no_failure_of_the_model() -> None:
    token, second = CancelToken(), Source(FINISH)

    def first(request: ChatRequest, child: CancelToken) -> Iterator[Arrival]:
        yield Arrival([Content("a")])
        token.cancel()
        raise ConnectError("the socket was shut down")

    candidates = [("a", first), ("b", second.open)]
    with pytest.raises(Cancelled):
        list(fallback(candidates, Attempts(0), after_text=True)(REQUEST, token))
    assert second.asked == []


def test_one_model_alone_is_asked_as_it_is() -> None:
    source = Source(FINISH).open
    assert fallback([("a", source)], Attempts(0), after_text=True) is source


def test_closing_the_events_closes_the_model_that_speaks() -> None:
    for read in range(1, 8):
        sources = [
            Source(Metadata(), Content("a"), Truncated("m")),
            Source(Metadata(), Content("b"), Content("c"), FINISH),
        ]
        events = several(*sources)(REQUEST, CancelToken())
        for _ in range(read):
            next(events)
        close(events)
        assert all(source.closed == len(source.asked) for source in sources)

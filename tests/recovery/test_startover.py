"""Claimed: what cannot be continued is asked for again, once, and never after something new."""

from __future__ import annotations

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import (
    AuthError,
    BadRequest,
    Cancelled,
    ChatstreamError,
    ContentPolicy,
    ContextLength,
    ModelNotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Stalled,
    Truncated,
)
from chatstream.events import Content, Event, Metadata, Reasoning, ToolCall, Warn
from chatstream.flow import Finish, close, events_in
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.retry import NotContinued
from chatstream.recovery.startover import starting_over
from chatstream.transcript import Transcript
from tests.support.arrivals import Scripted

FRESH = ChatRequest("m", (Message("user", "q"),))
CONTINUED = ChatRequest("m", (Message("user", "q"),), partial="earlier ", method="prefill")
FINISH = Finish(reason="stop")


def run(source: Scripted, request: ChatRequest = CONTINUED) -> list[Event]:
    return list(events_in(starting_over(source.open)(request, CancelToken())))


@pytest.mark.parametrize("kind", [BadRequest, NotContinued, ContextLength, ContentPolicy])
def test_a_refused_continuation_is_asked_for_from_the_beginning(
    kind: type[ChatstreamError],
) -> None:
    source = Scripted([Metadata(model="m"), kind("no")], [Content("new"), FINISH])
    events = run(source)
    assert source.asked == [("earlier ", "prefill"), ("", None)]
    warnings = [it.message for it in events if isinstance(it, Warn)]
    assert warnings == ["asked again from the beginning: no"]
    answer = Transcript()
    answer.add(Content("earlier "))
    for event in events:
        if not isinstance(event, Finish):
            answer.add(event)
    assert answer.message.content == "new"
    assert events[-1] is FINISH


@pytest.mark.parametrize(
    "failure",
    [
        *(AuthError("f"), ModelNotFound("f"), Overloaded("f"), QuotaExceeded("f")),
        *(RateLimited("f"), Stalled("f"), Truncated("f"), Cancelled("f")),
    ],
    ids=lambda it: type(it).__name__,
)
def test_after_any_other_failure_the_text_stays(failure: ChatstreamError) -> None:
    source = Scripted([failure])
    with pytest.raises(type(failure)):
        run(source)
    assert source.asked == [("earlier ", "prefill")]


@pytest.mark.parametrize(
    "token",
    [Content("x"), Reasoning("x"), ToolCall("1", "n", "{}")],
    ids=lambda it: type(it).__name__,
)
def test_nothing_is_dropped_once_something_new_has_come(token: Event) -> None:
    source = Scripted([token, BadRequest("no")])
    with pytest.raises(BadRequest):
        run(source)


def test_a_new_question_that_is_refused_is_not_asked_again() -> None:
    source = Scripted([BadRequest("no")])
    with pytest.raises(BadRequest):
        run(source, FRESH)
    assert len(source.asked) == 1


def test_it_starts_over_once() -> None:
    source = Scripted([BadRequest("one")], [BadRequest("two")])
    with pytest.raises(BadRequest, match="two"):
        run(source)
    assert len(source.asked) == 2


def test_a_cancel_is_not_followed_by_another_request() -> None:
    token = CancelToken()
    source = Scripted([BadRequest("no")])
    token.cancel(Cancelled("stopped"))
    with pytest.raises(Cancelled, match="stopped"):
        list(starting_over(source.open)(CONTINUED, token))
    assert len(source.asked) == 1


def test_closing_closes_the_source() -> None:
    source = Scripted([Content("a"), Content("b")])
    arrivals = starting_over(source.open)(CONTINUED, CancelToken())
    next(arrivals)
    close(arrivals)
    assert source.closed == 1

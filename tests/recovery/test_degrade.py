"""Claimed: a parameter that a server refuses is dropped once, and the request asked again; and a
stream that fails before its first token is asked for once without streaming, if that can help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.errors import (
    AuthError,
    BadRequest,
    Cancelled,
    ChatstreamError,
    ConnectError,
    InternalError,
    ProtocolError,
    RateLimited,
    ServerError,
    Stalled,
    TimedOut,
    Truncated,
    UnsupportedParameter,
)
from chatstream.events import Content, Event, Metadata, Reasoning, Warn
from chatstream.flow import Arrival, close, events_in
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.degrade import degrade, unstreamed
from tests.support.arrivals import each

REQUEST = ChatRequest("m", (Message("user", "q"),), options={"top_k": 1})


class Server:
    """An Open that refuses the named parameters, one after the other."""

    def __init__(self, *refused: str, stubborn: bool = False) -> None:
        self._refused = refused
        self._stubborn = stubborn
        self.asked: list[ChatRequest] = []

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        self.asked.append(request)
        for parameter in self._refused:
            if self._stubborn or parameter not in request.without:
                raise UnsupportedParameter(f"no {parameter}", parameter, status=400)
        yield from each(Metadata(), Content("a"))


def ask(server: Server) -> list[Event]:
    return list(events_in(degrade(server.open)(REQUEST, CancelToken())))


def test_a_request_that_is_taken_is_sent_once_as_it_is() -> None:
    server = Server()
    assert ask(server) == [Metadata(), Content("a")]
    assert server.asked == [REQUEST]


@pytest.mark.parametrize("parameter", ["stream_options", "stream"])
def test_what_was_refused_is_left_out_of_later_requests(parameter: str) -> None:
    server = Server(parameter)
    opened = degrade(server.open)
    warnings = [
        sum(isinstance(it, Warn) for it in events_in(opened(REQUEST, CancelToken())))
        for _ in range(3)
    ]
    assert warnings == [1, 0, 0]
    assert [it.without for it in server.asked] == [frozenset(), *[{parameter}] * 3]
    assert [it.stream for it in server.asked[1:]] == [parameter != "stream"] * 3


def test_what_one_run_has_learned_costs_another_no_request_but_is_told() -> None:
    refused: set[str] = set()
    server = Server("stream_options", "effort")
    thinking = replace(REQUEST, effort="high")
    messages = [
        [
            it.message
            for it in events_in(degrade(server.open, refused)(request, CancelToken()))
            if isinstance(it, Warn)
        ]
        for request in (thinking, thinking, replace(REQUEST, without=frozenset({"effort"})))
    ]
    no = "the server does not accept"
    again, at_once = "asking again without it", "asking without it"
    assert messages == [
        [f"{no} 'stream_options'; {again}", f"{no} 'effort'; {again}"],
        [f"{no} 'effort'; {at_once}", f"{no} 'stream_options'; {at_once}"],
        [f"{no} 'stream_options'; {at_once}"],
    ]
    assert len(server.asked) == 5


def test_what_is_wrong_with_one_question_is_learned_about_no_other() -> None:
    refused: set[str] = set()
    list(degrade(Server("earlier thinking").open, refused)(REQUEST, CancelToken()))
    assert refused == set()


@pytest.mark.parametrize("parameter", ["stream_options", "max_tokens", "stream"])
def test_a_refused_parameter_is_left_out_with_a_warning(parameter: str) -> None:
    server = Server(parameter)
    warning, *answer = ask(server)
    assert isinstance(warning, Warn)
    assert (warning.code, repr(parameter) in warning.message) == ("unsupported_parameter", True)
    assert answer == [Metadata(), Content("a")]
    assert [request.without for request in server.asked] == [frozenset(), {parameter}]
    assert server.asked[1].options == REQUEST.options


def test_a_server_that_cannot_stream_is_asked_not_to() -> None:
    server = Server("stream", "max_tokens")
    ask(server)
    assert [request.stream for request in server.asked] == [True, False, False]


def test_several_parameters_are_dropped_one_by_one() -> None:
    server = Server("stream_options", "max_tokens")
    events = ask(server)
    assert [type(event) for event in events] == [Warn, Warn, Metadata, Content]
    assert server.asked[-1].without == {"stream_options", "max_tokens"}


def test_a_parameter_that_is_refused_again_without_being_there_ends_it() -> None:
    server = Server("stream_options", stubborn=True)
    with pytest.raises(UnsupportedParameter):
        ask(server)
    assert len(server.asked) == 2


def test_any_other_failure_passes() -> None:
    failure: ChatstreamError = BadRequest("m")

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        yield Arrival([Metadata()])
        raise failure

    with pytest.raises(BadRequest) as raised:
        list(degrade(source)(REQUEST, CancelToken()))
    assert raised.value is failure


def test_closing_the_events_closes_the_source() -> None:
    closed = []

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        try:
            yield Arrival([Metadata()])
        finally:
            closed.append(True)

    events = degrade(source)(REQUEST, CancelToken())
    next(events)
    close(events)
    assert closed == [True]


class Broken:
    """An Open whose streams fail after these events, and whose whole answers may come."""

    def __init__(self, error: ChatstreamError, *events: Event, whole: bool = True) -> None:
        self._error = error
        self._events = events
        self._whole = whole
        self.asked: list[bool] = []

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        self.asked.append(request.stream)
        yield Arrival([Metadata()])
        if self._whole and not request.stream:
            yield Arrival([Content("whole")])
            return
        yield from each(*self._events)
        raise self._error


@pytest.mark.parametrize("kind", [Truncated, ProtocolError, ServerError, Stalled])
def test_a_stream_that_fails_before_its_first_token_is_asked_for_as_a_whole(
    kind: type[ChatstreamError],
) -> None:
    server = Broken(kind("broken"))
    *_, warning, opening, content = events_in(unstreamed(server.open)(REQUEST, CancelToken()))
    assert isinstance(warning, Warn)
    assert "the stream failed: broken; asking without streaming" in warning.message
    assert (opening, content) == (Metadata(), Content("whole"))
    assert server.asked == [True, False]


def test_a_first_token_that_does_not_come_is_such_a_failure_and_no_connection_is_none() -> None:
    for phase, asked in [("first_token", [True, False]), ("connect", [True]), ("total", [True])]:
        error = TimedOut("late")
        error.phase = phase
        server = Broken(error)
        try:
            list(unstreamed(server.open)(REQUEST, CancelToken()))
        except TimedOut:
            assert len(asked) == 1
        assert server.asked == asked


@pytest.mark.parametrize(
    "kind", [ConnectError, AuthError, BadRequest, RateLimited, InternalError, Cancelled]
)
def test_what_a_whole_answer_would_share_is_not_asked_again(kind: type[ChatstreamError]) -> None:
    server = Broken(kind("no"))
    with pytest.raises(kind):
        list(unstreamed(server.open)(REQUEST, CancelToken()))
    assert server.asked == [True]


@pytest.mark.parametrize("token", [Content("a"), Reasoning("a")])
def test_after_a_token_nothing_is_asked_again(token: Event) -> None:
    server = Broken(Truncated("cut"), token)
    with pytest.raises(Truncated):
        list(unstreamed(server.open)(REQUEST, CancelToken()))
    assert server.asked == [True]


def test_it_is_tried_once_for_all_attempts() -> None:
    server = Broken(Truncated("cut"), whole=False)
    source = unstreamed(server.open)
    for _ in range(3):
        with pytest.raises(Truncated):
            list(source(REQUEST, CancelToken()))
    assert server.asked == [True, False, True, True]


def test_a_continuation_and_a_whole_answer_are_asked_for_as_they_are() -> None:
    for request in (replace(REQUEST, partial="so far"), replace(REQUEST, stream=False)):
        server = Broken(Truncated("cut"), whole=False)
        with pytest.raises(Truncated):
            list(unstreamed(server.open)(request, CancelToken()))
        assert server.asked == [request.stream]

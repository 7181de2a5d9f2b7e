"""Claimed: a parameter that a server refuses is dropped once, and the request asked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import BadRequest, ChatstreamError, UnsupportedParameter
from chatstream.events import Content, Event, Metadata, Warn
from chatstream.flow import close
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.degrade import degrade

REQUEST = ChatRequest("m", (Message("user", "q"),), options={"top_k": 1})


class Server:
    """An Open that refuses the named parameters, one after the other."""

    def __init__(self, *refused: str, stubborn: bool = False) -> None:
        self._refused = refused
        self._stubborn = stubborn
        self.asked: list[ChatRequest] = []

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        self.asked.append(request)
        for parameter in self._refused:
            if self._stubborn or parameter not in request.without:
                raise UnsupportedParameter(f"no {parameter}", parameter, status=400)
        yield Metadata()
        yield Content("a")


def ask(server: Server) -> list[Event]:
    return list(degrade(server.open)(REQUEST, CancelToken()))


def test_a_request_that_is_taken_is_sent_once_as_it_is() -> None:
    server = Server()
    assert ask(server) == [Metadata(), Content("a")]
    assert server.asked == [REQUEST]


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

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        yield Metadata()
        raise failure

    with pytest.raises(BadRequest) as raised:
        list(degrade(source)(REQUEST, CancelToken()))
    assert raised.value is failure


def test_closing_the_events_closes_the_source() -> None:
    closed = []

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        try:
            yield Metadata()
        finally:
            closed.append(True)

    events = degrade(source)(REQUEST, CancelToken())
    next(events)
    close(events)
    assert closed == [True]

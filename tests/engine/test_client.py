"""A client keeps its connections over turns, and is closed with nothing left behind."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

import chatstream
from chatstream.errors import ConfigError, Truncated, UsageError
from chatstream.events import Error
from chatstream.flow import close
from chatstream.tools.tool import Tool
from tests.support.answers import ALL_DIALECTS, TEXT, frames, headers, whole
from tests.support.loopback import Reply, Script


def there(server: Script, provider: str = "ollama") -> dict[str, Any]:
    """The options of a client for this server."""
    return {"provider": provider, "base_url": server.url, "model": "m"}


class Box(Tool):
    """A tool that knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_tools_are_let_go_of_where_a_run_cannot_begin() -> None:
    box = Box("box", "Hold.", {"type": "object"})
    with chatstream.Client(provider="ollama", model="m", tools=[box]) as client:
        with pytest.raises(ConfigError):
            client.run("hi", base_url="http://[")
        assert box.closed


@pytest.mark.parametrize("provider", ALL_DIALECTS)
def test_five_turns_take_one_connection(provider: str) -> None:
    with Script(whole(provider)) as server, chatstream.Client(**there(server, provider)) as client:
        for _ in range(5):
            assert client.ask("hi").content == TEXT
        assert len(server.requests) == 5
        assert {request.connection for request in server.requests} == {0}
        client.close()
        assert server.wait_closed()


@pytest.mark.parametrize("provider", ALL_DIALECTS)
def test_a_body_that_ends_a_moment_after_its_answer_keeps_the_connection(provider: str) -> None:
    late = replace(whole(provider), pace=0.002)  # after each write, the last one too
    with Script(late) as server, chatstream.Client(**there(server, provider)) as client:
        for _ in range(3):
            assert client.ask("hi").content == TEXT
        assert {request.connection for request in server.requests} == {0}


def test_the_library_without_a_client_leaves_no_connection_open() -> None:
    with Script(whole("ollama")) as server:
        chatstream.ask("hi", **there(server))
        assert server.wait_closed()


def test_the_options_of_a_question_come_before_those_of_the_client() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        client.ask("hi", temperature=0.5)
        client.ask("hi", model="other")
        first, second = (request.json for request in server.requests)
    assert (first["model"], first["options"]) == ("m", {"temperature": 0.5})
    assert (second["model"], second.get("options")) == ("other", None)


def test_a_run_that_failed_takes_its_connection_along() -> None:
    cut = Reply(frames("ollama"), headers=headers("ollama"))
    with Script(cut, whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        with pytest.raises(Truncated):
            client.ask("hi", on_drop="stop")
        assert client.ask("hi").content == TEXT
        assert [request.connection for request in server.requests] == [0, 1]


def test_whoever_leaves_an_answer_can_ask_again() -> None:
    body = frames("ollama")
    held = Reply(body, headers=headers("ollama"), hold={len(body): threading.Event()})
    with Script(held, whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        events = client.stream("hi")
        next(events)
        next(events)
        close(events)
        assert server.wait_closed()
        assert client.ask("hi").content == TEXT


def test_two_answers_at_once_have_a_connection_each() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        for events in zip(client.stream("a"), client.stream("b"), strict=True):
            assert not any(isinstance(event, Error) for event in events)
        assert {request.connection for request in server.requests} == {0, 1}
        client.ask("c")
        assert server.requests[-1].connection in {0, 1}


def test_pieces_and_the_run_itself_come_from_a_client_too() -> None:
    with Script(whole("ollama")) as server, chatstream.Client(**there(server)) as client:
        assert "".join(client.pieces("hi")) == TEXT
        with client.run("hi") as run:
            list(run)
            assert run.partial == chatstream.Message("assistant", TEXT)


def test_a_mistake_is_raised_where_it_is_made_and_never_by_stream() -> None:
    with pytest.raises(UsageError, match="unknown option 'modle'"):
        chatstream.Client(modle="x")  # type: ignore[call-arg]
    with chatstream.Client(provider="demo") as client:
        with pytest.raises(UsageError, match="the question is empty"):
            client.run("")
        *_, error = client.stream("")
        assert isinstance(error, Error)
        assert error.code == "usage"

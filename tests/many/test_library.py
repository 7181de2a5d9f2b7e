"""`chatstream.compare`."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import chatstream
from chatstream import grammar
from chatstream.engine.prices import Price
from chatstream.events import Content, Done, Error, Event
from chatstream.flow import close
from chatstream.store.conversation import Conversations
from chatstream.store.place import state_folder
from tests.support.bymodel import ByModel
from tests.support.chats import flags_of, holds, says
from tests.support.costly import costs
from tests.support.loopback import Script
from tests.support.waiting import until_true


def options(server: ByModel) -> Any:
    given = flags_of(server)
    del given["model"]
    return given


def test_the_events_of_all_answers_come_with_their_labels() -> None:
    with ByModel(a=says("Blue."), b=says("Red.")) as server:
        events = [*chatstream.compare("why?", ["a", "b", "a"], **options(server))]
    for label, text in (("a", "Blue."), ("b", "Red."), ("a #2", "Blue.")):
        its = [it for it in events if it.stream == label]
        grammar.check(its)
        assert "".join(it.delta for it in its if isinstance(it, Content)) == text
    talks = Conversations(state_folder())
    assert talks.path(talks.newest())[-1].content == "Blue."


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ("ab", "models cannot be of type str"),
        (None, "models cannot be None"),
        (["a", 3], "the name of a model cannot be of type int"),
        (["a", " "], "the name of a model is empty"),
        (["a"], "at least two answers are needed"),
        (["a"] * 10, "10 answers are too many"),
        (["a", "b@nowhere"], "unknown provider or profile 'nowhere'"),
    ],
)
def test_a_mistake_is_an_event_and_nothing_is_asked(models: Any, words: str) -> None:
    with ByModel(a=says("Blue.")) as server:
        events = [*chatstream.compare("why?", models, **options(server))]
        assert server.requests == []
    grammar.check(events)
    assert isinstance(end := events[-1], Error)
    assert words in end.message


def test_an_unknown_option_is_an_event_too() -> None:
    (*_, end) = chatstream.compare("why?", ["a", "b"], colour="blue")  # type: ignore[call-arg]
    assert isinstance(end, Error)
    assert end.code == "usage"


def test_closing_it_stops_all_answers() -> None:
    with ByModel(a=holds("The "), b=holds("It ")) as server:
        events = chatstream.compare("why?", ["a", "b"], **options(server))
        seen: set[str | None] = set()
        while len(seen) < 2:
            if isinstance(event := next(events), Content):
                seen.add(event.stream)
        close(events)
        until_true(server.wait_closed)


def test_a_token_stops_all_answers() -> None:
    token = chatstream.CancelToken()
    ends = []
    with ByModel(a=holds("The "), b=says("Red.")) as server:
        for event in chatstream.compare("why?", ["a", "b"], token=token, **options(server)):
            if isinstance(event, Done | Error):
                ends.append((event.stream, type(event)))
            if ends:
                token.cancel()
    assert ends == [("b", Done), ("a", Error)]


def test_the_limit_of_the_cost_is_that_of_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatstream.engine.prices.price_of", lambda *_: Price(0.0, 1000.0))
    gate = threading.Event()
    with Script(costs(0.5, hold={1: gate}), cycle=True) as server:
        given: Any = {"provider": "openai", "base_url": server.url, "api_key": "k"}
        ends: list[Event] = []
        for event in chatstream.compare("?", ["a", "b"], max_tokens=1000, max_cost=1.5, **given):
            if isinstance(event, Done | Error):
                ends.append(event)
            if isinstance(event, Error):
                gate.set()
    assert [it.code for it in ends if isinstance(it, Error)] == ["max_cost"]
    assert len(ends) == 2
    assert len(server.requests) == 1

"""The demo server: a real one, with an answer written beforehand."""

from __future__ import annotations

from chatstream import events as ev
from chatstream.api import stream
from chatstream.providers.demo import ANSWER, THOUGHT
from tests.support.client import answer_of


def test_the_answer_is_the_same_every_time() -> None:
    for _ in range(2):
        answer = answer_of(stream("hi", provider="demo", model="demo-fast"))
        assert (answer.outcome, answer.text, answer.reasoning) == ("complete", ANSWER, THOUGHT)


def test_without_streaming_it_is_the_same_too() -> None:
    answer = answer_of(stream("hi", provider="demo", model="demo-fast", streaming=False))
    assert (answer.text, answer.reasoning) == (ANSWER, THOUGHT)


def test_a_model_that_it_does_not_have_is_told() -> None:
    answer = answer_of(stream("hi", provider="demo", model="gpt-9"))
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.status) == ("model_not_found", 404)

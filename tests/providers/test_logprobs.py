"""The probabilities of tokens: asked for with an analysis alone, and nothing without them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream import grammar
from chatstream.flow import Logprobs
from chatstream.providers.logprobs import logprobs_in
from tests.support.answers import ending
from tests.support.client import Answer, answer_of
from tests.support.loopback import SSE, Reply, Script


def chunk(text: str, *probabilities: float, field: str = "content") -> bytes:
    told = [{"token": "x", "logprob": math.log(it)} for it in probabilities]
    choice = {"index": 0, "delta": {field: text}, "logprobs": {"content": told}}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def reply(*chunks: bytes) -> Reply:
    return Reply([*chunks, *ending("openai")], headers=SSE)


def asked(server: Script, **options: Any) -> Answer:
    answer = answer_of(
        chatstream.stream("hi", provider="openai", base_url=server.url, model="m", **options)
    )
    grammar.check(answer.events)
    return answer


def confidence(answer: Answer) -> float | None:
    (found,) = [it for it in answer.events if isinstance(it, ev.Analysis) and it.final]
    return found.figures.confidence


def test_the_confidence_is_the_geometric_mean_of_the_answers_tokens() -> None:
    thought = chunk("hm", 0.01, field="reasoning_content")
    with Script(reply(thought, chunk("one ", 0.5), chunk("two three", 0.25, 1.0))) as server:
        answer = asked(server, analyze=True)
    assert confidence(answer) == 0.5
    assert server.requests[0].json["logprobs"] is True
    assert not any(isinstance(it, Logprobs) for it in answer.events)


@pytest.mark.parametrize("options", [{}, {"options": {"logprobs": True}}])
def test_without_an_analysis_they_are_not_asked_for_and_what_comes_is_not_read(
    options: dict[str, Any],
) -> None:
    with Script(reply(chunk("one", 0.5))) as server:
        answer = asked(server, **options)
    assert answer.text == "one"
    assert not any(isinstance(it, Logprobs | ev.Analysis) for it in answer.events)
    assert ("logprobs" in server.requests[0].json) is bool(options)


def test_a_server_that_tells_none_has_no_confidence() -> None:
    with Script(reply(chunk("one"))) as server:
        assert confidence(asked(server, analyze=True)) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Unsupported parameter: 'logprobs' is not supported with this model."),
        (403, "You are not allowed to request logprobs from this model"),
        (422, "logprobs: Extra inputs are not permitted"),
    ],
)
def test_a_server_that_refuses_them_is_asked_without(status: int, message: str) -> None:
    refusal = Reply.json({"error": {"message": message}}, status)
    with Script(refusal, reply(chunk("one"))) as server:
        answer = asked(server, analyze=True)
        assert ["logprobs" in it.json for it in server.requests] == [True, False]
    assert (answer.text, confidence(answer)) == ("one", None)


def test_who_asks_for_them_as_an_option_learns_of_the_refusal() -> None:
    refusal = Reply.json({"error": {"message": "logprobs is not supported"}}, 400)
    with Script(refusal) as server:
        answer = asked(server, options={"logprobs": True}, retries=0)
        assert len(server.requests) == 1
    assert isinstance(answer.terminal, ev.Error)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"content": [{"logprob": -1}, {"logprob": -0.5}]}, [(-1.5, 2)]),
        ({"content": [{"logprob": 1e-9}]}, [(0.0, 1)]),
        ({"content": [{"logprob": None}, {}, 3, {"logprob": True}]}, []),
        ({"content": None}, []),
        ([], []),
        (None, []),
        ("x", []),
    ],
)
def test_what_is_no_number_is_passed_over(value: object, found: list[tuple[float, int]]) -> None:
    told = logprobs_in(value, 1.0)
    assert [(it.total, it.tokens) for it in told if isinstance(it, Logprobs)] == found

"""Several models asked at once: who is asked, what each is called, what becomes of all of them."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.place import START
from chatstream.engine.pool import Pool
from chatstream.engine.prices import Price
from chatstream.errors import Cancelled, ChatstreamError, UsageError
from chatstream.events import Done, Error
from chatstream.many.compare import MOST, Comparison, check_count, contenders, labelled
from chatstream.messages import Message
from tests.support.bymodel import ByModel
from tests.support.chats import flags_of, holds, says
from tests.support.costly import costs
from tests.support.loopback import Reply, Script

BROKEN = Reply.json({"error": "no"}, status=500)


def comparison(
    server: ByModel, *models: str, pool: Pool, token: CancelToken | None = None, **more: Any
) -> Comparison:
    flags = flags_of(server, **more)
    found = contenders(models, 1, flags, START, lambda _: Message("user", "why?"))
    return Comparison.of(found, pool, token or CancelToken())


def test_all_models_are_asked_the_same_and_each_answer_is_a_run_of_its_own() -> None:
    with ByModel(a=says("Blue."), b=says("Red.")) as server, closing(Pool()) as pool:
        compared = comparison(server, "a", "b", pool=pool)
        streams = {it.stream for arrival in compared.arrivals() for it in arrival.events}
        assert streams == {"a", "b"}
        assert [(it.name, it.text, it.model) for it in compared.answers] == [
            ("1 a", "Blue.", "a"),
            ("2 b", "Red.", "b"),
        ]
        assert len({it.run.id for it in compared.answers}) == 2
        assert compared.status == 0
        assert server.asked() == [("a", [("user", "why?")]), ("b", [("user", "why?")])]


@pytest.mark.parametrize(
    ("models", "status"),
    [("ab", 0), ("ac", 1), ("xy", 3), ("xc", 1), ("aax", 1), ("xxx", 3)],
)
def test_the_status_is_the_common_one_or_1(models: str, status: int) -> None:
    replies = {"a": says("A."), "b": says("B."), "c": BROKEN}
    with ByModel(**replies) as server, closing(Pool()) as pool:
        compared = comparison(server, *models, pool=pool)
        for _ in compared.arrivals():
            pass
        assert compared.ended
        assert compared.status == status


def test_one_is_stopped_and_the_others_go_on() -> None:
    gate = threading.Event()
    slow = says("A whole answer.")
    waiting = Reply(slow.body, headers=slow.headers, hold={1: gate})
    with ByModel(a=waiting, b=holds("The sky ")) as server, closing(Pool()) as pool:
        compared = comparison(server, "a", "b", pool=pool)
        for _ in compared.arrivals():
            if compared.answers[1].text and not gate.is_set():
                compared.stop(2)
                compared.stop(7)  # nobody
            if compared.answers[1].terminal is not None:
                gate.set()
        first, second = compared.answers
        assert isinstance(first.terminal, Done)
        assert isinstance(second.terminal, Error)
        assert (first.text, second.text) == ("A whole answer.", "The sky ")
        assert (second.terminal.code, compared.status) == ("cancelled", 1)
        assert compared.preferred() is first


def test_the_token_stops_all() -> None:
    token = CancelToken()
    with ByModel(a=holds("A"), b=holds("B")) as server, closing(Pool()) as pool:
        compared = comparison(server, "a", "b", pool=pool, token=token)
        for _ in compared.arrivals():
            if all(it.text for it in compared.answers):
                token.cancel(Cancelled("stopped"))
        assert [it.status for it in compared.answers] == [130, 130]
        assert compared.status == 130
        assert compared.preferred() is compared.answers[0]


def test_nothing_is_preferred_where_nobody_has_said_anything() -> None:
    with ByModel() as server, closing(Pool()) as pool:
        compared = comparison(server, "a", "b", pool=pool)
        for _ in compared.arrivals():
            pass
        assert compared.preferred() is None


def test_a_mistake_is_found_before_anybody_is_asked() -> None:
    with ByModel(a=says("A")) as server, closing(Pool()) as pool:
        for models, error in (
            (["a", "b@nowhere"], ChatstreamError),
            (["a"], UsageError),
            ([*"abcdefghij"], UsageError),
        ):
            with pytest.raises(error):
                comparison(server, *models, pool=pool)
        with pytest.raises(UsageError, match="no fallback model"):
            comparison(server, "a", "b", pool=pool, on_drop="fallback")
        assert server.requests == []


def test_the_question_is_made_once() -> None:
    made = []

    def message(_: object) -> Message:
        made.append(1)
        return Message("user", "why?")

    with ByModel() as server:
        assert len(contenders([], 3, flags_of(server), START, message)) == 3
    assert made == [1]


def test_one_model_is_asked_several_times() -> None:
    with ByModel(a=says("Blue.")) as server:
        flags = flags_of(server)
        found = contenders(["a"], 3, flags, START, lambda _: Message("user", "why?"))
        assert [it.label for it in found] == ["a", "a #2", "a #3"]
        assert {it.server for it in found} == {server.url}
        with pytest.raises(UsageError, match="-n asks one model"):
            contenders(["a", "b"], 2, flags, START, lambda _: Message("user", "why?"))


def test_labels_are_all_different() -> None:
    assert labelled(["a", "b", "a", "a"]) == ["a", "b", "a #2", "a #3"]
    assert labelled(["a", "a #2", "a"]) == ["a", "a #2", "a #2'"]


def test_no_secret_is_in_a_label() -> None:
    names = ["a@http://me:secret@host:1/v1?key=secret", "a@http://host:1/v1", "a@ollama"]
    assert labelled(names) == ["a@http://host:1/v1", "a@http://host:1/v1 #2", "a@ollama"]


def test_too_few_and_too_many_are_refused() -> None:
    for number in (2, MOST):
        check_count(number)
    for number in (0, 1, MOST + 1):
        with pytest.raises(UsageError):
            check_count(number)


def test_the_limit_of_the_cost_is_that_of_the_whole_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request for 1,000 tokens may cost 1.0, so the limit has room for two at once."""
    monkeypatch.setattr("chatstream.engine.prices.price_of", lambda *_: Price(0.0, 1000.0))
    gate = threading.Event()
    with Script(costs(0.5, hold={1: gate}), cycle=True) as server, closing(Pool()) as pool:
        flags = {"provider": "openai", "base_url": server.url, "api_key": "k", "retries": 0}
        limits = {"max_tokens": 1000, "max_cost": 2.5}
        found = contenders(
            ["a", "b", "c"], 1, {**flags, **limits}, START, lambda _: Message("user", "why?")
        )
        compared = Comparison.of(found, pool, CancelToken())
        for _ in compared.arrivals():
            if any(isinstance(it.terminal, Error) for it in compared.answers):
                gate.set()
    ends = [it.terminal for it in compared.answers]
    assert sum(isinstance(it, Done) for it in ends) == 2
    assert [it.code for it in ends if isinstance(it, Error)] == ["max_cost"]
    assert len(server.requests) == 2
    assert compared.status == 1

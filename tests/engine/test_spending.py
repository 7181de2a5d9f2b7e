"""Claimed: a cost is exact, estimated or not shown; a limit holds before a request, never after."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.engine.client import Client
from chatstream.engine.pipeline import run
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import resolve
from chatstream.engine.run import Question, Run
from chatstream.engine.settings import Settings
from chatstream.engine.spending import Budget
from chatstream.flow import events_in
from chatstream.messages import Message
from chatstream.sinks.words import figures
from tests.support.client import run_here, server_flags
from tests.support.loopback import SSE, Reply, Script

PRICES = {"m": {"input": 10.0, "output": 100.0}}
ESTIMATE = 0.003  # of 100 tokens in, and 20 out


def answer(usage: dict[str, Any] | None = None) -> Reply:
    """An answer of an OpenAI server, with what it has counted."""
    chunks: list[Any] = [
        {"choices": [{"index": 0, "delta": {"content": "Hi."}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
    ]
    lines = [f"data: {json.dumps(it)}\n\n".encode() for it in chunks]
    return Reply([*lines, b"data: [DONE]\n\n"], headers=SSE)


COUNTED = answer({"prompt_tokens": 100, "completion_tokens": 20})
EXACT = answer({"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.5})
UNCOUNTED = answer()


@pytest.fixture
def server() -> Iterator[Script]:
    with Script(COUNTED) as script:
        yield script


@pytest.fixture(autouse=True)
def _prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatstream.engine.prices.price_of", _priced)


def _priced(settings: Settings, endpoint: object, model: str) -> object:
    from chatstream.engine.prices import Price, configured

    if model == "tiered":
        return Price(10.0, 100.0, below=1000)
    return configured(Settings(prices=PRICES)).get(model)


def talk(server: Script, *questions: str, model: str = "m", **settings: Any) -> list[ev.Event]:
    """The last event of each answer in one conversation."""
    given: dict[str, Any] = {"provider": "openai", "api_key": "k", "retries": 0, **settings}
    with Client(model=model, base_url=server.url, **given) as client:
        conversation = client.conversation()
        return [[*conversation.stream(it)][-1] for it in questions]


def costs(ends: list[ev.Event]) -> list[ev.Cost | None]:
    return [it.cost for it in ends if isinstance(it, ev.Done)]


def test_a_cost_is_an_estimate_where_the_server_does_not_tell_it(server: Script) -> None:
    [end] = talk(server, "hello")
    assert isinstance(end, ev.Done)
    assert end.cost == ev.Cost(ESTIMATE, estimated=True)
    assert figures(end).endswith(" · ≈$0.003")


def test_what_the_server_tells_is_exact(server: Script) -> None:
    server.play(EXACT)
    [end] = talk(server, "hello")
    assert costs([end]) == [ev.Cost(0.5)]
    assert isinstance(end, ev.Done)
    assert figures(end).endswith(" · $0.5")


@pytest.mark.parametrize(("reply", "model"), [(COUNTED, "another"), (UNCOUNTED, "m")])
def test_what_is_not_known_is_not_shown(server: Script, reply: Reply, model: str) -> None:
    server.play(reply)
    [end] = talk(server, "hello", model=model)
    assert isinstance(end, ev.Done)
    assert end.cost is None
    assert "$" not in figures(end)


def test_a_conversation_costs_what_its_answers_cost(server: Script) -> None:
    server.play(COUNTED, EXACT, EXACT)
    ends = talk(server, "one", "two", "three")
    first, second, third = costs(ends)
    assert first is not None
    assert first.conversation is None
    assert second == ev.Cost(0.5, False, 0.5 + ESTIMATE, True)
    assert third == ev.Cost(0.5, False, 1.0 + ESTIMATE, True)
    assert isinstance(ends[2], ev.Done)
    assert figures(ends[2]).endswith(" · $0.5 · conversation ≈$1.003")


def test_a_conversation_with_an_unknown_cost_has_none(server: Script) -> None:
    server.play(UNCOUNTED, EXACT, EXACT)
    assert costs(talk(server, "one", "two", "three")) == [None, ev.Cost(0.5), ev.Cost(0.5)]


def test_a_limit_ends_the_run_before_the_request_that_would_pass_it(server: Script) -> None:
    ends = talk(server, "one", "two", "x" * 4000, max_cost=0.01)
    assert [type(it) for it in ends] == [ev.Done, ev.Done, ev.Error]
    end = ends[2]
    assert isinstance(end, ev.Error)
    assert end.code == "max_cost"
    assert "$0.006 of the limit of $0.01 is already spent" in end.message
    assert len(server.requests) == 2


def test_an_answer_without_a_cost_does_not_make_those_before_it_free(server: Script) -> None:
    server.play(COUNTED, UNCOUNTED, COUNTED, COUNTED)
    ends = talk(server, "one", "two", "three", "four", "x" * 4000, max_cost=0.015)
    assert [type(it) for it in ends] == [ev.Done, ev.Done, ev.Done, ev.Done, ev.Error]
    assert isinstance(ends[-1], ev.Error)
    assert "$0.009 of the limit of $0.015 is already spent" in ends[-1].message


def test_the_longest_answer_that_is_allowed_counts(server: Script) -> None:
    (end,) = talk(server, "hello", max_cost=0.01, max_tokens=1000)
    assert isinstance(end, ev.Error)
    assert end.code == "max_cost"
    assert server.requests == []


def test_a_limit_that_cannot_hold_is_an_error(server: Script) -> None:
    (end,) = talk(server, "hello", model="another", max_cost=1)
    assert isinstance(end, ev.Error)
    assert "the price of another is not known" in end.message
    assert "chatstream prices update" in str(end.hint)
    assert server.requests == []


def test_a_prompt_beyond_the_tokens_of_which_the_price_is_known_is_not_sent(server: Script) -> None:
    short, long = talk(server, "hello", "x" * 8000, model="tiered", max_cost=100)
    assert isinstance(short, ev.Done)
    assert isinstance(long, ev.Error)
    assert "the price of tiered is not known" in long.message
    assert [it.method for it in server.requests].count("POST") == 1


REFUSED = Reply.json({"error": {"message": "busy"}}, 503)
GONE = Reply(b"", cut_after=0, headers=SSE)


@pytest.mark.parametrize(("failure", "sent"), [(REFUSED, 4), (GONE, 1)], ids=["refused", "gone"])
def test_a_retry_counts_unless_the_server_refused_the_request_before_it(
    server: Script, failure: Reply, sent: int
) -> None:
    server.play(failure, failure, failure, COUNTED)
    limits: dict[str, Any] = {"max_tokens": 1000, "max_cost": 0.15}  # one such answer costs 0.1
    (end,) = talk(server, "hello", retries=3, retry_delay=0.001, **limits)
    assert len(server.requests) == sent
    assert isinstance(end, ev.Done if failure is REFUSED else ev.Error)
    if isinstance(end, ev.Error):
        assert end.code == "max_cost"


def test_the_model_that_stands_in_is_limited_too(server: Script) -> None:
    server.play(REFUSED, COUNTED)
    (end,) = talk(server, "hello", fallback=["another"], max_cost=1)
    assert isinstance(end, ev.Error)
    assert (end.code, len(server.requests)) == ("max_cost", 1)


def test_a_server_on_this_machine_is_not_limited() -> None:
    from tests.support.answers import whole

    with Script(whole("ollama")) as server:
        (end,) = talk(server, "hello", provider="ollama", max_cost=0)
        assert isinstance(end, ev.Done)


def test_each_round_of_tools_is_a_request_that_counts(server: Script) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "add", "arguments": '{"a": 1}'}}
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    chunks = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "usage": usage},
    ]
    lines = [f"data: {json.dumps(it)}\n\n".encode() for it in chunks]
    server.play(Reply([*lines, b"data: [DONE]\n\n"], headers=SSE))

    def add(a: int) -> int:
        """Add one."""
        return a + len(server.requests)

    (end,) = talk(server, "hello", max_cost=2.5 * ESTIMATE, tools=[add], allow=["add"])
    assert isinstance(end, ev.Error)
    assert end.code == "max_cost"
    assert len(server.requests) == 3


def test_the_command_line_has_an_exit_status_for_it(server: Script) -> None:
    flags = [*server_flags("openai", server.url), "--max-cost", "0", "--retries", "0"]
    done = run_here(["ask", *flags, "hello"], OPENAI_API_KEY="k")
    assert done.status == 7
    assert "error: the next request would cost about $" in done.stderr
    assert server.requests == []


def test_runs_with_one_budget_share_the_limit_while_they_are_under_way(server: Script) -> None:
    """One such answer may cost 0.1, and costs 0.003."""
    gate = threading.Event()
    held = Reply(COUNTED.body, headers=SSE, hold={1: gate})
    server.play(held, COUNTED)
    given: dict[str, Any] = {"provider": "openai", "api_key": "k", "retries": 0}
    resolved = resolve(
        {**given, "model": "m", "base_url": server.url, "max_tokens": 1000, "max_cost": 0.15}
    )
    question = Question(messages=(Message("user", "hello"),), budget=Budget())
    with closing(Pool()) as pool:

        def asked() -> Run:
            return run(resolved, question, pool, CancelToken())

        with asked() as first, asked() as second, asked() as third:
            events = events_in(first.arrivals)
            assert any(isinstance(it, ev.Content) for it in events)
            (*_, end) = events_in(second.arrivals)
            assert isinstance(end, ev.Error)
            assert end.code == "max_cost"
            assert "$0.1 of the limit of $0.15 is already spent or set aside for" in end.message
            gate.set()
            assert isinstance([*events][-1], ev.Done)
            (*_, end) = events_in(third.arrivals)
            assert costs([end]) == [ev.Cost(ESTIMATE, estimated=True)]
    assert len(server.requests) == 2


def test_runs_without_a_common_budget_are_limited_one_by_one(server: Script) -> None:
    given: dict[str, Any] = {"provider": "openai", "api_key": "k", "max_cost": 1.5 * ESTIMATE}
    for _ in range(3):
        (end,) = talk(server, "hello", **given)
        assert isinstance(end, ev.Done)

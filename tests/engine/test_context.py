"""Claimed: a conversation that does not fit is reported before it is sent, or trimmed in view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.api import stream
from chatstream.engine.client import Client
from chatstream.engine.context import FULL, HOSTED_TOKENS, Counted
from tests.support.answers import TEXT, frames, headers, whole
from tests.support.client import run_here, server_flags
from tests.support.loopback import Reply, Script

WORDS = "word " * 40  # 200 bytes


def loaded(window: int) -> dict[str, Reply]:
    """What Ollama tells of the model that is loaded."""
    model = {"name": "m:latest", "model": "m:latest", "context_length": window}
    return {"/api/ps": Reply.json({"models": [model]})}


def answer(read: int, written: int = 5) -> Reply:
    """An answer of Ollama, and what it has counted."""
    end = (
        b'{"message":{"content":""},"done":true,"done_reason":"stop",'
        b'"prompt_eval_count":%d,"eval_count":%d}\n' % (read, written)
    )
    return Reply([*frames("ollama", [TEXT]), end], headers=headers("ollama"))


@pytest.fixture
def server() -> Iterator[Script]:
    with Script(answer(100), beside=loaded(1000)) as script:
        yield script


def talk(server: Script, *questions: str, **settings: Any) -> list[list[ev.Event]]:
    """The events of each answer in one conversation."""
    with Client(provider="ollama", model="m", base_url=server.url, retries=0) as client:
        conversation = client.conversation()
        return [list(conversation.stream(question, **settings)) for question in questions]


def contexts(events: list[ev.Event]) -> list[ev.Context]:
    return [it for it in events if isinstance(it, ev.Context)]


def sent(server: Script) -> list[str]:
    """The messages of the last request."""
    return [it["content"] for it in server.requests[-1].json["messages"]]


def test_a_first_question_asks_the_server_for_nothing_else(server: Script) -> None:
    [events] = talk(server, WORDS * 50)
    assert server.beside_requests == []
    assert contexts(events) == []
    assert len(server.requests) == 1


def test_use_is_what_the_server_has_counted_and_the_bytes_since_then(server: Script) -> None:
    first, second = talk(server, "hello", "x" * 400)
    [context] = contexts(second)
    assert (context.window, context.left_out) == (1000, 0)
    ratio = (5 + len(TEXT.encode()) + 4 * 64) / (105 + 64)
    assert context.used == round(105 + 400 / ratio)
    assert contexts(first) == []


def test_a_server_that_has_another_model_loaded_tells_no_window() -> None:
    other = {"/api/ps": Reply.json({"models": [{"name": "n", "context_length": 10}]})}
    with Script(answer(100), beside=other) as server:
        _, second = talk(server, "hello", "again")
        assert contexts(second) == []
        assert isinstance(second[-1], ev.Done)


@pytest.mark.parametrize("reply", [Reply.json({}, 500), Reply(b"?"), Reply.json({"models": 3})])
def test_a_server_that_does_not_tell_its_window_is_asked_all_the_same(reply: Reply) -> None:
    with Script(answer(100), beside={"/api/ps": reply}) as server:
        _, second = talk(server, "hello", "again")
        assert isinstance(second[-1], ev.Done)
        assert contexts(second) == []


def test_the_size_of_the_window_that_is_asked_for_is_that_of_the_window(server: Script) -> None:
    _, second = talk(server, "hello", "again", options={"num_ctx": 777})
    assert [it.window for it in contexts(second)] == [777]
    assert server.beside_requests == []


def test_too_much_is_not_sent_and_one_error_says_what_to_do(server: Script) -> None:
    server.play(answer(990, 20))
    _, second = talk(server, "hello", "again")
    end = second[-1]
    assert isinstance(end, ev.Error)
    assert end.code == "context_length"
    assert "1,000 tokens" in end.message
    assert "nothing was sent" in end.message
    assert "--trim" in str(end.hint)
    assert len(server.requests) == 1


def test_trim_leaves_out_the_oldest_turns_and_the_journal_says_how_much(server: Script) -> None:
    server.play(answer(300), answer(600), answer(1010), answer(400))
    *_, last = talk(server, "one" + WORDS, "two" + WORDS, "three" + WORDS, "four", trim=True)
    assert isinstance(last[-1], ev.Done)
    [context] = contexts(last)
    assert context.left_out > 0
    assert context.used <= FULL * context.window
    assert sent(server)[-1] == "four"
    assert sent(server)[0].startswith(("two", "three"))  # a question: roles alternate


def test_after_a_trim_the_estimate_counts_what_was_left_out_again(server: Script) -> None:
    server.play(answer(600), answer(1010), answer(300), answer(300))
    *_, third, fourth = talk(server, "1" + WORDS * 9, "2" + WORDS, "3", "4", trim=True)
    assert contexts(third)[0].left_out == 2
    assert contexts(fourth)[0].left_out >= 0
    assert contexts(fourth)[0].used < 1000


def test_trim_keeps_the_system_prompt(server: Script) -> None:
    server.play(answer(600), answer(1010), answer(300))
    with Client(provider="ollama", model="m", base_url=server.url, trim=True) as client:
        conversation = client.conversation()
        list(conversation.stream("one" + WORDS, system="Be brief."))
        list(conversation.stream("two"))
        list(conversation.stream("three"))
    assert sent(server)[0] == "Be brief."
    assert len(sent(server)) < 6


def test_a_question_that_does_not_fit_alone_is_an_error_with_trim_too(server: Script) -> None:
    _, second = talk(server, "hello", "x" * 40_000, trim=True)
    end = second[-1]
    assert isinstance(end, ev.Error)
    assert end.message.startswith("the question alone does not fit")
    assert "--trim" not in str(end.hint)


@pytest.mark.parametrize(("window", "ends"), [(8192, ev.Error), (1_000_000, ev.Done)])
def test_a_hosted_server_is_asked_for_its_window_only_where_that_can_matter(
    window: int, ends: type[ev.Event]
) -> None:
    models = {"/models": Reply.json({"data": [{"id": "m", "context_length": window}]})}
    settings: dict[str, Any] = {"provider": "openai", "api_key": "k", "model": "m"}
    with (
        Script(whole("openai"), beside=models) as server,
        Client(base_url=f"{server.url}/.", **settings) as client,
    ):
        conversation = client.conversation()
        list(conversation.stream("hello"))
        assert contexts(list(conversation.stream("short"))) == []
        assert server.beside_requests == []
        long = "x" * HOSTED_TOKENS * 9
        assert isinstance([*conversation.stream(long)][-1], ends)
        assert [it.path for it in server.beside_requests] == ["/models"]


@pytest.mark.parametrize(("tokens", "ends"), [(999, ev.Done), (1000, ev.Error)])
def test_near_the_limit_the_server_counts(tokens: int, ends: type[ev.Event]) -> None:
    beside = {
        "/props": Reply.json({"default_generation_settings": {"n_ctx": 1000}}),
        "/apply-template": Reply.json({"prompt": "<user>"}),
        "/tokenize": Reply.json({"tokens": [1] * tokens}),
    }
    with (
        Script(whole("openai"), beside=beside) as server,
        Client(provider="llamacpp", model="m", base_url=server.url) as client,
    ):
        conversation = client.conversation()
        list(conversation.stream("hello"))
        list(conversation.stream("far from it"))
        assert [it.path for it in server.beside_requests] == ["/props"]
        events = list(conversation.stream("x" * 3800))
        assert [it.path for it in server.beside_requests][-2:] == ["/apply-template", "/tokenize"]
    assert isinstance(events[-1], ends)
    assert [it.used for it in contexts(events)] == [tokens] * (ends is ev.Done)


def test_a_window_that_is_known_is_not_asked_for_again() -> None:
    models = {"/models": Reply.json({"data": [{"id": "m", "context_length": 1_000_000}]})}
    with (
        Script(whole("openai"), beside=models) as server,
        Client(provider="openai", model="m", api_key="k", base_url=f"{server.url}/.") as client,
    ):
        conversation = client.conversation()
        for text in ("hello", "x" * HOSTED_TOKENS * 9, "x" * HOSTED_TOKENS * 9):
            events = list(conversation.stream(text))
        assert len(contexts(events)) == 1
        assert len(server.beside_requests) == 1


def test_the_command_line_shows_the_note_the_error_and_what_is_left_out(server: Script) -> None:
    server.play(answer(100, 5), answer(850, 5), answer(990, 5), answer(300, 5))
    flags = [*server_flags("ollama", server.url), "--retries", "0"]
    assert run_here(["ask", *flags, "hello " + WORDS]).status == 0
    assert "context:" not in run_here(["ask", "-c", "two " + WORDS]).stderr
    full = run_here(["ask", "-c", "three"])
    assert full.status == 0
    assert "context: 86 % of the model's window is used" in full.stderr
    refused = run_here(["ask", "-c", "four " + WORDS])
    assert refused.status == 3
    assert "--trim leaves out its oldest turns" in refused.stderr
    trimmed = run_here(["ask", "-c", "--trim", "five " + WORDS])
    assert trimmed.status == 0
    assert "messages of the conversation are left out" in trimmed.stderr


def test_a_prompt_of_the_library_that_is_whole_is_not_looked_at(server: Script) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    prompt = [*turns, {"role": "user", "content": "x" * 10_000}]
    events = list(stream(prompt, provider="ollama", model="m", base_url=server.url))
    assert isinstance(events[-1], ev.Done)
    assert server.beside_requests == []


def test_an_estimate_never_falls_below_zero() -> None:
    assert Counted(tokens=10, size=1000).tokens_of(0) == 0

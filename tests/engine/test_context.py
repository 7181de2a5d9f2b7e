"""Claimed: a conversation that does not fit is reported before it is sent, or trimmed in view."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.api import stream
from chatstream.engine import context as fitting
from chatstream.engine.client import Client
from chatstream.engine.context import FULL, HOSTED_TOKENS, Counted
from chatstream.messages import LARGE_BYTES, Message, ToolDefinition
from chatstream.providers import context
from chatstream.tools.functions import tool
from tests.support.answers import TEXT, frames, headers, whole
from tests.support.client import run_here, server_flags
from tests.support.cutting import CuttingOllama
from tests.support.loopback import Reply, Script

WORDS = "word " * 40  # 200 bytes


def loaded(window: int) -> dict[str, Reply]:
    """What Ollama tells of the model that is loaded."""
    model = {"name": "m:latest", "model": "m:latest", "context_length": window}
    return {"/api/ps": Reply.json({"models": [model]})}


NO_MODELS = {"/v1/models?limit=1000": Reply.json({}, 404)}


def llama(window: int, tokens: int) -> dict[str, Reply]:
    """What llama.cpp tells of its window, and of every prompt."""
    return {
        "/props": Reply.json({"default_generation_settings": {"n_ctx": window}}),
        "/apply-template": Reply.json({"prompt": "<user>"}),
        "/tokenize": Reply.json({"tokens": [1] * tokens}),
    }


def answer(read: int, written: int = 5) -> Reply:
    """An answer of Ollama, and what it has counted."""
    end = (
        b'{"message":{"content":""},"done":true,"done_reason":"stop",'
        b'"prompt_eval_count":%d,"eval_count":%d}\n' % (read, written)
    )
    return Reply([*frames("ollama", [TEXT]), end], headers=headers("ollama"))


def calls_look(read: int) -> Reply:
    """An answer of Ollama that calls a tool, and what it has counted."""
    call = {"function": {"name": "look", "arguments": {}}}
    lines = [
        {"message": {"content": "", "tool_calls": [call]}, "done": False},
        {"message": {"content": ""}, "done": True, "prompt_eval_count": read, "eval_count": 5},
    ]
    return Reply([json.dumps(it).encode() + b"\n" for it in lines], headers=headers("ollama"))


@tool(name="look", effect="read")
def look() -> str:
    """Look for long."""
    return "x" * 8000


@tool(name="look", effect="read")
def glance() -> str:
    """Look for a moment."""
    return "x" * 40


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


def test_a_usual_first_question_asks_the_server_for_nothing_else(server: Script) -> None:
    [events] = talk(server, "x" * (LARGE_BYTES - 1))
    assert server.beside_requests == []
    assert contexts(events) == []
    assert len(server.requests) == 1


def test_a_usual_first_question_imports_nothing_of_this(server: Script) -> None:
    program = (
        "import sys; from chatstream.cli.app import main; "
        f"main({['ask', *server_flags('ollama', server.url), 'hi']!r}); "
        "print([it for it in sys.modules if it.endswith('.context')])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.stdout.decode() == f"{TEXT}[]\n"


def test_a_first_question_that_is_too_large_for_a_local_server_is_not_sent(server: Script) -> None:
    [events] = talk(server, "x" * 6000)
    end = events[-1]
    assert isinstance(end, ev.Error)
    assert end.code == "context_length"
    assert end.message == (
        "the question alone does not fit the model's context window of 1,000 tokens: it has "
        "1,500; nothing was sent"
    )
    assert "--trim" not in str(end.hint)
    assert server.requests == []
    refused = run_here(["ask", *server_flags("ollama", server.url), "x" * 6000])
    assert (refused.status, refused.stdout) == (3, b"")
    assert "the question alone does not fit" in refused.stderr


def test_a_guess_that_may_be_wrong_refuses_nothing(server: Script) -> None:
    [events] = talk(server, "x" * 5000)  # 1,250 tokens, if a token has four bytes
    assert isinstance(events[-1], ev.Done)
    assert [it.used for it in contexts(events)] == [1250]
    assert server.requests[0].json["truncate"] is False


def test_a_first_question_near_the_limit_is_counted_where_the_server_counts() -> None:
    with (
        Script(whole("openai"), beside=llama(1000, 880)) as server,
        Client(provider="llamacpp", model="m", base_url=server.url) as client,
    ):
        end = [*client.stream("x" * 5000)][-1]
        assert server.requests == []
    assert isinstance(end, ev.Error)
    assert "it has 880, and the answer needs 125; nothing was sent" in end.message


def test_a_window_that_is_asked_for_is_one_for_a_first_question_too(server: Script) -> None:
    [events] = talk(server, "x" * 1200, options={"num_ctx": 200})
    assert isinstance(events[-1], ev.Error)
    assert "window of 200 tokens" in events[-1].message
    assert server.requests == server.beside_requests == []


def test_a_hosted_server_refuses_a_first_question_itself() -> None:
    models = {"/models": Reply.json({"data": [{"id": "m", "context_length": 8192}]})}
    with (
        Script(whole("openai"), beside=models) as server,
        Client(provider="openai", model="m", api_key="k", base_url=f"{server.url}/.") as client,
    ):
        assert isinstance([*client.stream("x" * 100_000)][-1], ev.Done)
        assert server.beside_requests == []


@pytest.mark.parametrize(
    ("max_tokens", "room"), [(None, 125), (10, 10), (200, 200), (100_000, 500)]
)
def test_room_is_kept_for_the_answer(server: Script, max_tokens: int | None, room: int) -> None:
    most = 1000 - room
    server.play(answer(most - 10, 5), answer(100))
    _, fits = talk(server, "hello", "again", max_tokens=max_tokens)
    assert isinstance(fits[-1], ev.Done)
    assert contexts(fits)[0].used <= most
    server.play(answer(most - 5, 5), answer(100))
    _, refused = talk(server, "hello", "again", max_tokens=max_tokens)
    end = refused[-1]
    assert isinstance(end, ev.Error)
    assert f"it has {most + 5:,}, and the answer needs {room:,}" in end.message


def test_results_of_tools_are_looked_at_in_a_first_question_too(server: Script) -> None:
    server.play(calls_look(read=40), answer(50))
    with Client(provider="ollama", model="m", base_url=server.url, tools=[look]) as client:
        end = [*client.stream("look")][-1]
    assert isinstance(end, ev.Error)
    assert end.code == "context_length"
    assert len(server.requests) == 1


def test_what_a_round_of_tools_was_counted_to_have_is_known_in_the_next_one(server: Script) -> None:
    server.play(answer(100), calls_look(read=870), answer(50))
    with Client(provider="ollama", model="m", base_url=server.url) as client:
        conversation = client.conversation()
        conversation.ask("hello")
        end = [*conversation.stream("look", tools=[glance])][-1]
    assert isinstance(end, ev.Error)
    assert end.code == "context_length"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("provider", "path", "told"),
    [
        ("ollama", "/api/ps", {"models": [{"name": "m:latest", "context_length": 8192}]}),
        ("llamacpp", "/props", {"default_generation_settings": {"n_ctx": 8192}}),
        ("vllm", "/models", {"data": [{"id": "m", "max_model_len": 8192}]}),
        ("anthropic", "/v1/models?limit=1000", {"data": [{"id": "m", "max_input_tokens": 8192}]}),
        ("openrouter", "/models", {"data": [{"id": "m", "context_length": 8192}]}),
    ],
)
def test_each_kind_of_server_is_asked_for_its_window_where_it_tells_it(
    provider: str, path: str, told: dict[str, object]
) -> None:
    dialect = provider if provider in {"ollama", "anthropic"} else "openai"
    with (
        Script(whole(dialect), beside={path: Reply.json(told)}) as server,
        Client(provider=provider, model="m", api_key="k", base_url=f"{server.url}/.") as client,
    ):
        conversation = client.conversation()
        conversation.ask("hello")
        fits = list(conversation.stream("x" * HOSTED_TOKENS * 5))
        refused = list(conversation.stream("x" * HOSTED_TOKENS * 9))
        asked = [
            it for it in server.requests if it.path.endswith(("chat", "completions", "messages"))
        ]
        assert len(asked) == 2
    assert [it.window for it in contexts(fits)] == [8192]
    assert isinstance(refused[-1], ev.Error)
    assert "window of 8,192 tokens" in refused[-1].message


def test_the_window_of_the_model_that_is_asked_instead_is_told_too() -> None:
    told = [{"name": "m", "context_length": 1000}, {"name": "n", "context_length": 2000}]
    beside = {"/api/ps": Reply.json({"models": told})}
    with Script(answer(100), Reply.json({}, 500), answer(100), beside=beside) as server:
        _, second = talk(server, "hello", "again", fallback=["n"])
    assert isinstance(second[-1], ev.Done)
    assert [it.window for it in contexts(second)] == [1000, 2000]


@pytest.mark.parametrize(
    "error",
    [
        "the input length exceeds the context length",
        {"type": "exceed_context_size_error", "message": "the request exceeds the context size"},
    ],
)
def test_a_server_that_refuses_to_cut_is_understood(error: object) -> None:
    with Script(Reply.json({"error": error}, 400)) as server:
        [events] = talk(server, "x" * LARGE_BYTES)
        assert server.requests[0].json["truncate"] is False
    assert isinstance(events[-1], ev.Error)
    assert events[-1].code == "context_length"


def is_warned(events: list[ev.Event]) -> bool:
    return any(isinstance(it, ev.Warn) and it.code == "context_truncated" for it in events)


def test_a_small_cut_is_noticed_where_the_server_had_read_more_before() -> None:
    tokens = [500, 2000, 300, 10]
    with CuttingOllama(2700) as server:
        answers = talk(server, *("ab c" * it for it in tokens))
        assert server.read[2] > 0.8 * sum(tokens[:3])
    assert list(map(is_warned, answers)) == [False, False, True, False]


def test_the_count_of_a_whole_prompt_is_no_cut_however_short_its_tokens_are() -> None:
    tokens = [500, 2000, 300, 10, 2000, 10, 10]
    with CuttingOllama(100_000) as server:
        assert not any(map(is_warned, talk(server, *("ab c" * it for it in tokens))))
    with CuttingOllama(100_000, cached=True) as server:
        assert not any(map(is_warned, talk(server, *("ab c" * it for it in tokens))))


def test_what_was_left_out_here_is_no_cut_of_the_server(server: Script) -> None:
    server.play(answer(300), answer(600), answer(880), answer(600))
    *_, last = talk(server, "one" + WORDS, "two" + WORDS, "three" + WORDS, "four", trim=True)
    assert contexts(last)[0].left_out > 0
    assert not is_warned(last)


def test_a_first_count_does_not_show_whether_the_cache_is_counted() -> None:
    with Script(answer(5000), answer(3000), answer(5020), answer(3000)) as server:
        answers = talk(server, "ab c" * 5000, "and?", "and?", "and?")
    assert list(map(is_warned, answers)) == [False, False, False, True]


def test_what_a_server_counts_apart_is_no_cut() -> None:
    usage = {"input_tokens": 1200, "cache_creation_input_tokens": 8000, "output_tokens": 5}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"content": [], "usage": usage}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]
    body = [f"event: {it['type']}\ndata: {json.dumps(it)}\n\n".encode() for it in events]
    with (
        Script(Reply(body, headers=headers("anthropic")), beside=NO_MODELS) as server,
        Client(provider="anthropic", model="m", api_key="k", base_url=server.url) as client,
    ):
        conversation = client.conversation()
        conversation.ask("hello")
        assert not is_warned([*conversation.stream("The sky is blue. " * 2000)])


@pytest.mark.parametrize(
    ("usage", "timings", "warned"),
    [
        pytest.param({"prompt_tokens": 1200}, {}, True, id="cut"),
        pytest.param(
            {"prompt_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 8000}},
            {},
            False,
            id="cached, in the words of OpenAI",
        ),
        pytest.param(
            {"prompt_tokens": 1200},
            {"cache_n": 8000, "prompt_n": 1200},
            False,
            id="cached, in the words of llama.cpp",
        ),
        pytest.param({}, {"cache_n": 8000, "prompt_n": 1200}, False, id="not counted"),
    ],
)
def test_a_cache_of_an_openai_compatible_server_is_no_cut(
    usage: dict[str, object], timings: dict[str, object], warned: bool
) -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    chunk = {**end, "usage": usage, "timings": timings}
    body = [*frames("openai"), f"data: {json.dumps(chunk)}\n\n".encode(), b"data: [DONE]\n\n"]
    with Script(Reply(body, headers=headers("openai"))) as server:
        events = stream(
            "The sky is blue. " * 2000, provider="llamacpp", model="m", base_url=server.url
        )
        assert is_warned(list(events)) is warned


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


def test_trim_counts_each_message_once_however_many_are_left_out(
    server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []

    def size_of(messages: Sequence[Message], tools: Sequence[ToolDefinition] = ()) -> int:
        added.append(len(messages))
        return context.size_of(messages, tools)

    turns = [{"role": role, "content": "word " * 20} for role in ("user", "assistant")] * 200
    monkeypatch.setattr(fitting, "size_of", size_of)
    prompt = [*turns, {"role": "user", "content": "hi"}]
    asked: dict[str, Any] = {"provider": "ollama", "model": "m", "base_url": server.url}
    events = list(stream(prompt, **asked, trim=True))
    assert contexts(events)[0].left_out > 300
    assert sum(added) <= 4 * len(prompt)


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


@pytest.mark.parametrize(("tokens", "ends"), [(875, ev.Done), (876, ev.Error)])
def test_near_the_limit_the_server_counts(tokens: int, ends: type[ev.Event]) -> None:
    with (
        Script(whole("openai"), beside=llama(1000, tokens)) as server,
        Client(provider="llamacpp", model="m", base_url=server.url) as client,
    ):
        conversation = client.conversation()
        conversation.ask("hello")
        conversation.ask("far from it")
        assert [it.path for it in server.beside_requests] == ["/props"]
        events = list(conversation.stream("x" * 3800))
        assert [it.path for it in server.beside_requests][-2:] == ["/apply-template", "/tokenize"]
    assert isinstance(events[-1], ends)
    assert [it.used for it in contexts(events)] == [tokens] * (ends is ev.Done)


def test_much_that_is_new_is_counted_before_it_can_be_too_much() -> None:
    with (
        Script(whole("openai"), beside=llama(1000, 880)) as server,
        Client(provider="llamacpp", model="m", base_url=server.url) as client,
    ):
        conversation = client.conversation()
        conversation.ask("hello")
        end = [*conversation.stream("7" * 1800)][-1]  # 450 tokens, or as many as its digits
        assert len(server.requests) == 1
    assert isinstance(end, ev.Error)
    assert "it has 880," in end.message


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


def test_a_whole_conversation_of_the_library_is_looked_at_where_it_is_large(server: Script) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    asked: dict[str, Any] = {"provider": "ollama", "model": "m", "base_url": server.url}
    *_, end = stream([*turns, {"role": "user", "content": "hi"}], **asked)
    assert isinstance(end, ev.Done)
    assert server.beside_requests == []
    *_, end = stream([*turns, {"role": "user", "content": "x" * 10_000}], **asked)
    assert isinstance(end, ev.Error)
    assert end.message.startswith("the conversation does not fit")


def test_an_estimate_never_falls_below_zero() -> None:
    assert Counted(tokens=10, size=1000).tokens_of(0) == 0

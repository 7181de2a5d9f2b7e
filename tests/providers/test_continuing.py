"""Claimed: each server is asked to go on by its own method, with exactly the text that is there."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.clock import monotonic
from chatstream.errors import BadRequest
from chatstream.flow import events_in
from chatstream.messages import ChatRequest, ContinuationMethod, Message, ToolCall, ToolResult
from chatstream.providers import PROVIDERS, Endpoint, dialect, find
from chatstream.providers.base import Provider
from chatstream.providers.continuing import GO_ON, conversation
from chatstream.providers.demo import ANSWER, THOUGHT
from chatstream.transcript import Transcript
from chatstream.transport import Transport
from tests.support.answers import frames, headers, whole
from tests.support.loopback import Reply, Request, Script

ASKED = (Message("system", "be brief"), Message("user", "why?"))
BEFORE: list[dict[str, object]] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "why?"},
]
TEXT = "Because \n"


def request(
    method: ContinuationMethod | None, partial: str = TEXT, model: str = "m"
) -> ChatRequest:
    return ChatRequest(model, ASKED, partial=partial, method=method, stream_id="c 1&2")


@pytest.mark.parametrize(
    ("method", "added"),
    [
        (None, []),
        ("prefill", [Message("assistant", TEXT)]),
        ("continue_final_message", [Message("assistant", TEXT)]),
        ("stripped_prefill", [Message("assistant", "Because")]),
        ("prefix", [Message("assistant", TEXT)]),
        ("user_turn", [Message("assistant", TEXT), Message("user", GO_ON)]),
    ],
)
def test_the_messages_of_each_method(
    method: ContinuationMethod | None, added: list[Message]
) -> None:
    assert conversation(request(method)) == (*ASKED, *added)


def test_a_partial_text_without_a_method_is_not_sent() -> None:
    assert conversation(ChatRequest("m", ASKED, partial="x")) == ASKED


@pytest.mark.parametrize("partial", ["", " \n"])
def test_there_is_nothing_to_go_on_with_after_blank_text(partial: str) -> None:
    assert conversation(request("prefix", partial)) == ASKED
    assert "prefix" not in sent("deepseek", request("prefix", partial)).json["messages"][-1]


def of(name: str, url: str = "http://127.0.0.1:9") -> Provider:
    row = find(name)
    place = Endpoint(name, url, None, row.continues, row.prefix_path)
    return dialect(row)(place, Transport(), monotonic)


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("claude-2.1", "stripped_prefill"),
        ("claude-instant-1.2", "stripped_prefill"),
        ("claude-3-haiku-20240307", "stripped_prefill"),
        ("claude-3-5-sonnet-20241022", "stripped_prefill"),
        ("claude-3-5-sonnet-latest", "stripped_prefill"),
        ("claude-3-7-sonnet-20250219", "stripped_prefill"),
        ("claude-sonnet-4-20250514", "stripped_prefill"),
        ("claude-sonnet-4-0", "stripped_prefill"),
        ("claude-opus-4-1-20250805", "stripped_prefill"),
        ("claude-haiku-4-5", "stripped_prefill"),
        ("claude-haiku-4-5-20251001", "stripped_prefill"),
        ("claude-sonnet-4.5", "stripped_prefill"),
        ("claude-sonnet-4-6", None),
        ("claude-sonnet-4.6", None),
        ("claude-opus-4-6-20260205", None),
        ("anthropic/claude-opus-4-6", None),
        ("us.anthropic.claude-sonnet-4-6-v1:0", None),
        ("claude-opus-4-8", None),
        ("claude-sonnet-4-10", None),
        ("claude-opus-5", None),
        ("claude-haiku-5-20270101", None),
        ("claude-fable-5-1", None),
        ("m", "stripped_prefill"),
        ("some-other-model", "stripped_prefill"),
    ],
)
def test_claude_takes_its_own_words_back_up_to_4_5(
    model: str, method: ContinuationMethod | None
) -> None:
    provider = of("anthropic")
    assert provider.continuation_method(model) == method
    provider.close()


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("ollama", "prefill"),
        ("demo", "prefill"),
        ("llamacpp", "stream"),
        ("vllm", "continue_final_message"),
        ("deepseek", "prefix"),
        ("mistral", "prefix"),
        ("openai", None),
        ("groq", None),
        ("xai", None),
        ("gemini", None),
        ("openrouter", None),
    ],
)
def test_the_table_says_how_a_service_goes_on(name: str, method: ContinuationMethod | None) -> None:
    assert PROVIDERS[name].continues == method
    provider = of(name)
    assert provider.continuation_method("m") == method
    provider.close()


def answer(provider: Provider, asked: ChatRequest) -> Transcript:
    """What an exchange comes to; raises its failure."""
    said = Transcript()
    try:
        for event in events_in(provider.open(asked, CancelToken())):
            said.add(event)
    finally:
        provider.close()
    return said


def sent(name: str, asked: ChatRequest, *, path: str = "") -> Request:
    """The request that a server of this kind gets."""
    row = find(name)
    spoken = {"Ollama": "ollama", "Anthropic": "anthropic"}.get(row.dialect.split(":")[1], "openai")
    with Script(whole(spoken)) as server:
        answer(of(name, server.url + path), asked)
    (got,) = server.requests
    return got


def test_ollama_gets_the_text_as_the_last_message() -> None:
    got = sent("ollama", request("prefill"))
    assert got.path == "/api/chat"
    assert got.json["messages"] == [*BEFORE, {"role": "assistant", "content": TEXT}]


def test_anthropic_gets_the_text_without_the_white_space_at_its_end() -> None:
    got = sent("anthropic", request("stripped_prefill"))
    assert got.json["system"] == "be brief"
    assert got.json["messages"] == [BEFORE[1], {"role": "assistant", "content": "Because"}]


def test_vllm_gets_its_two_flags_and_others_do_not() -> None:
    body = sent("vllm", request("continue_final_message")).json
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    for method in ("prefill", "user_turn"):
        body = sent("openai", request(method)).json
        assert not {"continue_final_message", "add_generation_prompt"} & body.keys()


def test_deepseek_is_asked_to_go_on_at_its_beta_address_only() -> None:
    got = sent("deepseek", request("prefix"))
    assert got.path == "/beta/chat/completions"
    assert got.json["messages"][-1] == {"role": "assistant", "content": TEXT, "prefix": True}
    for method in (None, "user_turn"):
        assert sent("deepseek", request(method)).path == "/chat/completions"


def test_mistral_is_asked_to_go_on_where_it_is_always_asked() -> None:
    got = sent("mistral", request("prefix"), path="/v1")
    assert got.path == "/v1/chat/completions"
    assert got.json["messages"][-1]["prefix"] is True


@pytest.mark.parametrize("name", ["ollama", "openai", "anthropic"])
def test_every_server_can_be_asked_in_words(name: str) -> None:
    messages: list[dict[str, Any]] = sent(name, request("user_turn")).json["messages"]
    assert messages[-2:] == [
        {"role": "assistant", "content": TEXT},
        {"role": "user", "content": GO_ON},
    ]


def test_llamacpp_is_asked_for_the_stream_that_it_has_kept() -> None:
    first = sent("llamacpp", request(None, ""), path="/v1")
    assert first.headers["x-conversation-id"] == "c 1&2"
    got = sent("llamacpp", request("stream"), path="/v1")
    assert (got.method, got.body) == ("GET", b"")
    assert got.path == "/v1/stream?conv_id=c%201%262&from=0"


@pytest.mark.parametrize("status", [400, 404])
def test_a_stream_that_llamacpp_has_not_kept_is_a_refusal(status: int) -> None:
    with Script(Reply.json({"error": {"message": "stream not found"}}, status)) as server:
        provider = of("llamacpp", server.url)
        with pytest.raises(BadRequest):
            answer(provider, request("stream"))


@pytest.mark.parametrize("begun", [1, 40, len(ANSWER) // 2, len(ANSWER) - 1, len(ANSWER)])
def test_the_demo_goes_on_after_any_part_of_its_answer(begun: int) -> None:
    text = ANSWER[:begun]
    said = answer(of("demo"), request("prefill", text, "demo-fast"))
    assert (text + said.message.content, said.message.reasoning) == (ANSWER, "")


def test_the_demo_answers_anew_after_what_it_never_said() -> None:
    for asked in (
        request("prefill", "Something else", "demo-fast"),
        request("user_turn", ANSWER[:50], "demo-fast"),
        request(None, "", "demo-fast"),
    ):
        message = answer(of("demo"), asked).message
        assert (message.content, message.reasoning) == (ANSWER, THOUGHT)


def test_what_a_server_sends_after_a_prefill_is_passed_on_as_it_is() -> None:
    body = [*frames("ollama", ["it is"]), b'{"done": true}\n']
    with Script(Reply(body, headers=headers("ollama"))) as server:
        said = answer(of("ollama", server.url), request("prefill"))
    assert said.message.content == "it is"


def test_calls_are_sent_as_rounds_and_what_has_none_as_it_is() -> None:
    asked = ChatRequest("m", (*ASKED, Message("assistant", [ToolCall("call_1", "f", "{}")])))
    [*_, called, answered] = conversation(asked, "[a-z0-9]{9}")
    assert [it.id for it in called.tool_calls] == [
        it.id for it in answered.parts if isinstance(it, ToolResult)
    ]
    assert called.tool_calls[0].id != "call_1"
    assert conversation(ChatRequest("m", ASKED)) is ASKED

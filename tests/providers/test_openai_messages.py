"""Claimed: messages become what servers of the OpenAI dialect take, and text stays a string."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatstream.messages import (
    ChatRequest,
    Image,
    Message,
    ProviderData,
    Reasoning,
    ToolCall,
    ToolResult,
)
from chatstream.providers.openai_messages import UNSIGNED, messages_of


def given(data: ProviderData | None) -> dict[str, Any]:
    """Everything is this server's own."""
    return data.data if data else {}


def sent(*messages: Message, service: str = "openai", model: str = "m") -> list[dict[str, Any]]:
    request = ChatRequest(model, messages, load_image=lambda _: b"PNG")
    return messages_of(request, given, service)


def test_text_is_a_string_in_however_many_parts_it_came() -> None:
    assert sent(Message("system", "s"), Message("user", ["a", "b"])) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "ab"},
    ]


def test_thinking_is_not_sent_but_for_what_a_server_wants_back() -> None:
    data = ProviderData("p", {"reasoning_content": "hm"})
    plain, signed = sent(
        Message("assistant", [Reasoning("hm"), "a"]),
        Message("assistant", [Reasoning("hm", data), "a"]),
    )
    assert plain == {"role": "assistant", "content": "a"}
    assert signed == {"role": "assistant", "content": "a", "reasoning_content": "hm"}


def test_each_result_is_a_message_under_the_id_of_its_call() -> None:
    data = ProviderData("p", {"extra_content": {"x": 1}})
    calls = [ToolCall("1", "add", '{"a": 1}', data), ToolCall("2", "add", "")]
    results = [ToolResult("1", "add", "3"), ToolResult("2", "add", "no", is_error=True)]
    called, *answered = sent(Message("assistant", calls), Message("tool", results))
    assert called == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "add", "arguments": '{"a": 1}'},
                "extra_content": {"x": 1},
            },
            {"id": "2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
        ],
    }
    assert answered == [
        {"role": "tool", "tool_call_id": "1", "content": "3"},
        {"role": "tool", "tool_call_id": "2", "content": "no"},
    ]


def test_images_stand_among_the_text() -> None:
    images = [Image(url="https://a.example/b.png"), Image(sha256="0", media_type="image/png")]
    (turn,) = sent(Message("user", ["look", images[0], "and", images[1]]))
    addresses = ["https://a.example/b.png", "data:image/png;base64,UE5H"]
    assert turn["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": addresses[0]}},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": addresses[1]}},
    ]


# ---- what single services want

ROUND = (
    Message("assistant", [ToolCall("call_1", "f", "{}"), ToolCall("x" * 41, "g", "{}")]),
    Message("tool", [ToolResult("call_1", "f", "1"), ToolResult("x" * 41, "g", "2")]),
)


@pytest.mark.parametrize(
    ("service", "form", "kept"),
    [("openai", ".{1,40}", {"call_1"}), ("mistral", "[a-zA-Z0-9]{9}", set())],
)
def test_ids_are_as_the_service_takes_them(service: str, form: str, kept: set[str]) -> None:
    called, *answered = sent(*ROUND, service=service)
    ids = [it["id"] for it in called["tool_calls"]]
    assert [it["tool_call_id"] for it in answered] == ids
    assert all(re.fullmatch(form, it) for it in ids)
    assert kept <= set(ids)


def test_deepseek_gets_reasoning_content_with_every_call_be_it_empty() -> None:
    own = Reasoning("hm", ProviderData("p", {"reasoning_content": "hm"}))
    signed = Message("assistant", [own, ToolCall("2", "f", "{}")])
    turns = sent(*ROUND, signed, Message("assistant", "a"), service="deepseek")
    found = [it.get("reasoning_content") for it in turns if it["role"] == "assistant"]
    assert found == ["", "hm", None]
    assert "reasoning_content" not in sent(*ROUND)[0]


@pytest.mark.parametrize(
    ("model", "marked"),
    [("gemini-3-pro", True), ("gemini-flash-latest", True), ("gemini-2.5-flash", False)],
)
def test_gemini_gets_a_word_for_the_signature_of_calls_that_it_did_not_make(
    model: str, marked: bool
) -> None:
    first, second = sent(*ROUND, service="gemini", model=model)[0]["tool_calls"]
    assert first.get("extra_content") == (UNSIGNED if marked else None)
    assert "extra_content" not in second
    own = ProviderData("p", {"extra_content": {"google": {"thought_signature": "s"}}})
    calls = [ToolCall("1", "f", "{}", own), ToolCall("2", "g", "{}")]
    [turn, *_] = sent(Message("assistant", calls), service="gemini", model=model)
    assert [it.get("extra_content") for it in turn["tool_calls"]] == [
        own.data["extra_content"],
        None,
    ]

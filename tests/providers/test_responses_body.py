"""Claimed: messages and tools become items in the order in which they came, and nothing is stored
at the server."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.messages import (
    ChatRequest,
    Image,
    Message,
    ProviderData,
    Reasoning,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from chatstream.providers.responses_body import body_of

WEATHER = ToolDefinition("weather", "w", {"type": "object"})
AS_TOOL = {
    "type": "function",
    "name": "weather",
    "description": "w",
    "parameters": {"type": "object"},
    "strict": False,
}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}


def given(data: ProviderData | None) -> dict[str, Any]:
    """Everything of "p" is this server's own."""
    return data.data if data and data.provider == "p" else {}


def body(*asked: Message, model: str = "m", **fields: Any) -> dict[str, Any]:
    messages = asked or (Message("user", "hi"),)
    return body_of(ChatRequest(model, messages, **fields), given)


def test_a_conversation_with_calls_is_a_list_of_items() -> None:
    found = body(
        Message("system", "Be brief."),
        Message("user", "hi"),
        Message(
            "assistant",
            [
                Reasoning("Hm.", ProviderData("p", THOUGHT)),
                "I look.",
                ToolCall("a", "weather", '{"city": "Bern"}'),
            ],
        ),
        Message("tool", [ToolResult("a", "weather", "21")]),
        Message("user", "and?"),
    )
    assert (found["instructions"], found["store"]) == ("Be brief.", False)
    text = [{"type": "output_text", "text": "I look."}]
    call = {"call_id": "a", "name": "weather", "arguments": '{"city": "Bern"}'}
    assert found["input"] == [
        {"role": "user", "content": "hi"},
        THOUGHT,
        {"type": "message", "role": "assistant", "content": text},
        {"type": "function_call", **call},
        {"type": "function_call_output", "call_id": "a", "output": "21"},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize(
    "data", [None, ProviderData("other", THOUGHT), ProviderData("p", {"type": "reasoning"})]
)
def test_reasoning_that_the_server_cannot_read_is_not_sent(data: ProviderData | None) -> None:
    found = body(Message("user", "hi"), Message("assistant", [Reasoning("Hm.", data), "Hi."]))
    assert [it.get("type", "turn") for it in found["input"]] == ["turn", "message"]


@pytest.mark.parametrize("rest", [["Hi."], []], ids=["behind text", "alone"])
def test_reasoning_that_nothing_follows_is_not_sent(rest: list[Any]) -> None:
    thought = Reasoning("Hm.", ProviderData("p", THOUGHT))
    found = body(Message("user", "hi"), Message("assistant", [*rest, thought, thought]))
    assert [it.get("type", "turn") for it in found["input"]] == ["turn", *["message"] * len(rest)]
    found = body(Message("user", "hi"), Message("assistant", [thought, *rest, thought, "Ha."]))
    kinds = [it.get("type", "turn") for it in found["input"]]
    assert kinds == ["turn", "reasoning", *["message"] * len(rest), "reasoning", "message"]


def test_an_image_is_a_part_of_the_turn() -> None:
    found = body(Message("user", [Image(url="https://a.example/b.png"), "what?"]))
    assert found["input"][0]["content"] == [
        {"type": "input_image", "image_url": "https://a.example/b.png"},
        {"type": "input_text", "text": "what?"},
    ]


def test_tools_are_functions_and_may_be_forbidden() -> None:
    found = body(tools=(WEATHER,), options={"tools": []})
    assert (found["tools"], "tool_choice" in found) == ([AS_TOOL], False)
    found = body(tools=(WEATHER,), may_call=False)
    assert (found["tools"], found["tool_choice"]) == ([AS_TOOL], "none")
    found = body(tools=(WEATHER,), may_call=False, without=frozenset({"tool_choice"}))
    assert not found.keys() & {"tools", "tool_choice"}


@pytest.mark.parametrize(
    ("model", "asks"),
    [("gpt-5-mini", True), ("openai/o3", True), ("gpt-4o", False), ("gpt-5-chat-latest", False)],
)
def test_encrypted_reasoning_is_asked_of_models_that_think(model: str, asks: bool) -> None:
    assert ("include" in body(model=model)) is asks
    assert "include" not in body(model=model, without=frozenset({"encrypted content"}))


def test_options_stand_beside_the_effort_and_win() -> None:
    options = {"reasoning": {"summary": "auto"}, "store": True, "seed": 7}
    found = body(effort="low", options=options)
    assert found["reasoning"] == {"effort": "low", "summary": "auto"}
    assert (found["store"], found["seed"]) == (True, 7)
    found = body(effort="low", options={"reasoning": {"effort": "high"}})
    assert found["reasoning"] == {"effort": "high"}


def test_an_answer_is_continued_in_words() -> None:
    found = body(partial="Once upon", method="user_turn", schema={"type": "object"})
    assert [it["role"] for it in found["input"]] == ["user", "assistant", "user"]
    assert "text" not in found

"""Claimed: messages and tools become what Anthropic takes, and every turn goes back as it came."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.messages import (
    ChatRequest,
    Message,
    Part,
    ProviderData,
    Reasoning,
    Text,
    ToolCall,
    ToolDefinition,
    ToolResult,
)
from chatstream.providers.anthropic_body import body_of

WEATHER = ToolDefinition("weather", "w", {"type": "object"})
AS_TOOL = {"name": "weather", "description": "w", "input_schema": {"type": "object"}}
CALLED = (
    Message("user", "hi"),
    Message("assistant", ["I look.", ToolCall("a", "weather", "{}"), ToolCall("b", "time", "{}")]),
    Message("tool", [ToolResult("a", "weather", "21"), ToolResult("b", "time", "", is_error=True)]),
)


def given(data: ProviderData | None) -> dict[str, Any]:
    """Everything is this server's own."""
    return data.data if data else {}


def body(*messages: Message, **fields: Any) -> dict[str, Any]:
    return body_of(ChatRequest("m", messages or (Message("user", "hi"),), **fields), given)


def tools_in(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if k in {"tools", "tool_choice"}}


def back(*parts: Part | str) -> Any:
    """The content of an assistant's turn with these parts."""
    turn = body(Message("user", "hi"), Message("assistant", parts))["messages"][1]
    assert turn["role"] == "assistant"
    return turn["content"]


def whole(**block: Any) -> Reasoning:
    return Reasoning("", ProviderData("p", block))


# ---- tools


def test_without_tools_and_calls_there_is_nothing_of_them() -> None:
    assert tools_in(body()) == tools_in(body(may_call=False)) == {}


def test_tools_have_an_input_schema() -> None:
    assert tools_in(body(tools=(WEATHER,))) == {"tools": [AS_TOOL]}
    none = {"tools": [AS_TOOL], "tool_choice": {"type": "none"}}
    assert tools_in(body(tools=(WEATHER,), may_call=False)) == none


def test_a_choice_that_is_refused_is_left_out() -> None:
    refused = frozenset({"tool_choice"})
    assert tools_in(body(tools=(WEATHER,), may_call=False, without=refused)) == {"tools": [AS_TOOL]}


def test_options_win_but_for_the_tools_of_the_run_and_the_end_of_calling() -> None:
    options = {"tools": ["theirs"], "tool_choice": {"type": "any"}}
    assert tools_in(body(*CALLED, options=options)) == options
    found = tools_in(body(tools=(WEATHER,), options=options))
    assert found == {"tools": [AS_TOOL], "tool_choice": {"type": "any"}}
    found = tools_in(body(tools=(WEATHER,), options=options, may_call=False))
    assert found["tool_choice"] == {"type": "none"}


def test_a_conversation_with_calls_defines_what_was_called() -> None:
    tools = [{"name": it, "input_schema": {"type": "object"}} for it in ("weather", "time")]
    assert tools_in(body(*CALLED)) == {"tools": tools, "tool_choice": {"type": "none"}}
    assert tools_in(body(*CALLED, tools=(WEATHER,))) == {"tools": [AS_TOOL]}


# ---- turns


def test_results_stand_together_before_what_the_user_adds() -> None:
    turns = body(*CALLED, Message("user", "and?"))["messages"]
    assert [it["role"] for it in turns] == ["user", "assistant", "user"]
    assert turns[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "21"},
        {"type": "tool_result", "tool_use_id": "b", "content": "(no output)", "is_error": True},
        {"type": "text", "text": "and?"},
    ]


def test_an_answer_without_anything_to_send_makes_no_turn() -> None:
    turns = body(*CALLED, Message("assistant", "\n"), Message("user", "and?"))["messages"]
    assert [it["role"] for it in turns] == ["user", "assistant", "user"]
    assert turns[2]["content"][-1] == {"type": "text", "text": "and?"}


def test_arguments_that_are_no_object_go_back_inside_of_one() -> None:
    [call] = back(ToolCall("a", "f", '{"x": '))
    assert call == {"type": "tool_use", "id": "a", "name": "f", "input": {"INVALID_JSON": '{"x": '}}


def test_a_call_goes_back_with_what_stood_beside_it() -> None:
    data = ProviderData("p", {"caller": {"type": "direct"}})
    [call] = back(ToolCall("a", "f", "{}", data))
    assert call == {"type": "tool_use", "id": "a", "name": "f", "input": {}, **data.data}


def test_blocks_of_the_server_stand_where_they_came() -> None:
    thought = Reasoning("hm", ProviderData("p", {"type": "thinking", "signature": "s"}))
    use = {"type": "server_tool_use", "id": "s", "name": "search", "input": {"q": 1}}
    redacted = {"type": "redacted_thinking", "data": "d"}
    found = back(thought, "a", whole(**use), "b", whole(**redacted), ToolCall("c", "f", "{}"))
    assert found == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "a"},
        use,
        {"type": "text", "text": "b"},
        redacted,
        {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    ]


@pytest.mark.parametrize(
    ("before", "sent"),
    [
        ("It is blue.", []),
        (" \nIt is blue.", []),
        ("See: It is blue.", [{"type": "text", "text": "See: "}]),
    ],
)
def test_a_text_goes_back_with_its_citations(before: str, sent: list[dict[str, Any]]) -> None:
    cited = {"type": "text", "text": "It is blue.", "citations": [{"url": "u"}]}
    after = {"type": "text", "text": "And so on."}
    assert back(before, whole(**cited), "And so on.") == [*sent, cited, after]


def test_citations_of_another_text_are_left_out() -> None:
    cited = whole(type="text", text="It is blue.", citations=[{"url": "u"}])
    assert back("It is green.", cited) == "It is green."
    assert back(cited, Text("It is blue.")) == "It is blue."


def test_thinking_that_the_server_refuses_is_left_out_and_nothing_else() -> None:
    thought = Reasoning("hm", ProviderData("p", {"type": "thinking", "signature": "s"}))
    redacted = whole(type="redacted_thinking", data="d")
    use = whole(type="server_tool_use", id="s", name="search", input={})
    turn = Message("assistant", [thought, redacted, use, "a"])
    refused = frozenset({"earlier thinking"})
    sent = body(Message("user", "hi"), turn, without=refused)["messages"][1]["content"]
    assert [it["type"] for it in sent] == ["server_tool_use", "text"]

"""Claimed: tools are sent as servers of the OpenAI dialect take them, and only those of the run."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.messages import ChatRequest, Message, ProviderData, ToolDefinition
from chatstream.providers.openai_body import body_of

WEATHER = ToolDefinition("weather", "w", {"type": "object", "properties": {}})
AS_FUNCTION = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "w",
        "parameters": {"type": "object", "properties": {}},
    },
}


def given(data: ProviderData | None) -> dict[str, Any]:
    return data.data if data else {}


def body(**fields: Any) -> dict[str, object]:
    return body_of(ChatRequest("m", (Message("user", "hi"),), **fields), given, "openai")


def tools_in(found: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in found.items() if k in {"tools", "tool_choice"}}


def test_without_tools_there_is_nothing_of_them() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert tools_in(body(may_call=False)) == {}


def test_tools_are_functions_and_may_be_called() -> None:
    assert tools_in(body(tools=(WEATHER,))) == {"tools": [AS_FUNCTION]}


def test_a_model_that_has_to_answer_in_words_is_told_of_its_tools() -> None:
    found = tools_in(body(tools=(WEATHER,), may_call=False))
    assert found == {"tools": [AS_FUNCTION], "tool_choice": "none"}


@pytest.mark.parametrize("options", [{}, {"tool_choice": "required"}])
def test_where_the_choice_is_refused_it_is_not_told_of_them(options: dict[str, Any]) -> None:
    refused = frozenset({"tool_choice"})
    assert tools_in(body(tools=(WEATHER,), may_call=False, without=refused, options=options)) == {}
    assert tools_in(body(tools=(WEATHER,), without=refused)) == {"tools": [AS_FUNCTION]}


def test_options_win_but_for_the_tools_of_the_run_and_the_end_of_calling() -> None:
    options = {"tools": ["theirs"], "tool_choice": "required", "stream": False}
    assert tools_in(body(options=options)) == {"tools": ["theirs"], "tool_choice": "required"}
    found = body(options=options, tools=(WEATHER,))
    assert tools_in(found) == {"tools": [AS_FUNCTION], "tool_choice": "required"}
    assert found["stream"] is False
    assert body(options=options, tools=(WEATHER,), may_call=False)["tool_choice"] == "none"


def test_limits_and_the_temperature_have_their_names() -> None:
    asked = {"temperature": 0.5, "max_tokens": 9, "stream": False}
    found = body(**asked)
    assert found.items() >= {"temperature": 0.5, "max_tokens": 9}.items()
    assert "stream" not in found
    assert "stream_options" not in body(without=frozenset({"stream_options"}))
    assert body(without=frozenset({"max_tokens"}), **asked)["max_completion_tokens"] == 9


def test_vllm_continues_the_last_message_by_two_flags() -> None:
    found = body(method="continue_final_message", partial="a")
    assert found["continue_final_message"] is True
    assert found["add_generation_prompt"] is False

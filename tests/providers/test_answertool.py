"""Claimed: a Claude that takes no schema answers through a tool, and the call is shown as text."""

from __future__ import annotations

import pytest

from chatstream.errors import UsageError
from chatstream.events import Content, Event, ToolCall, ToolCallDelta
from chatstream.flow import Arrival, Finish, events_in
from chatstream.messages import ChatRequest, Message, ToolDefinition
from chatstream.providers.answertool import (
    answers_by_tool,
    as_text,
    forced,
    sendable,
    version_of,
)
from chatstream.schemas import table

SCHEMA = table({"age": {"type": "integer", "minimum": 0}})


def request(model: str = "claude-3-haiku-20240307", **fields: object) -> ChatRequest:
    return ChatRequest(model, (Message("user", "hi"),), schema=SCHEMA, **fields)  # type: ignore[arg-type]


def shown(*events: Event) -> list[Event]:
    return list(events_in(as_text(iter([Arrival([it]) for it in events]))))


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("anthropic/claude-haiku-4.5", (4, 5)),
        ("claude-sonnet-5", (5, 0)),
        ("gpt-5", None),
    ],
)
def test_only_models_before_4_1_answer_by_a_tool(
    model: str, version: tuple[int, int] | None
) -> None:
    assert version_of(model) == version
    assert answers_by_tool(request(model)) is (version is not None and version < (4, 1))


def test_an_answer_that_is_continued_is_not_begun_again_by_a_tool() -> None:
    assert not answers_by_tool(request(partial="{"))


def test_the_tool_takes_the_schema_and_has_to_be_called() -> None:
    body = forced(request())
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert [it["input_schema"] for it in body["tools"]] == [SCHEMA]


def test_other_tools_beside_it_are_refused() -> None:
    with pytest.raises(
        UsageError, match="cannot use tools and follow a schema in the same request"
    ):
        forced(request(tools=(ToolDefinition("t", "d", {}),)))


def test_the_arguments_of_the_call_are_the_text() -> None:
    call, stop = ToolCall("a", "answer", '{"age": 3}'), Finish(reason="tool_calls")
    pieces = [ToolCallDelta("a", "answer", it) for it in ("", '{"age"', ": 3}")]
    streamed = shown(*pieces, call, stop)
    assert "".join(it.delta for it in streamed if isinstance(it, Content)) == '{"age": 3}'
    assert streamed[-1] == Finish(reason="stop")
    assert not any(isinstance(it, ToolCall | ToolCallDelta) for it in streamed)
    assert shown(call, stop) == [Content('{"age": 3}'), Finish(reason="stop")]


def test_another_call_stays_one() -> None:
    call, stop = ToolCall("a", "other", "{}"), Finish(reason="length")
    assert shown(call, stop) == [call, stop]


def test_limits_are_not_sent_and_objects_are_closed() -> None:
    open_one = {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "maximum": 3}, "of": {"enum": [{"a": 1}]}},
        "$defs": {"x": {"type": "array", "items": {"type": "object"}, "maxItems": 2}},
        "required": ["minimum"],
    }
    assert sendable(open_one) == {
        "type": "object",
        "properties": {"minimum": {"type": "integer"}, "of": {"enum": [{"a": 1}]}},
        "$defs": {
            "x": {"type": "array", "items": {"type": "object", "additionalProperties": False}}
        },
        "required": ["minimum"],
        "additionalProperties": False,
    }

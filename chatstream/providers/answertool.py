"""Answers by a schema from Anthropic's models.

1. Since Claude 4.1 a model takes the schema itself (`output_config`). An older one is made to call
   a tool, and the arguments of that call are the answer: they are shown as its text.
2. Anthropic refuses limits on numbers, texts and lists, and open objects. The schema that is sent
   has no such limits, and its objects are closed; the answer is checked against the whole schema
   afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from chatstream.errors import UsageError
from chatstream.events import Content, Event, ToolCall, ToolCallDelta
from chatstream.flow import Arrival, Finish, close
from chatstream.messages import ChatRequest

TOOL = "answer"

_FIRST_WITH_SCHEMAS = (4, 1)
_REFUSED = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
    *("minProperties", "maxProperties"),
}
_NAMES = {"properties", "$defs", "definitions"}
_VALUES = {"enum", "const", "default", "examples", "required"}


def version_of(model: str) -> tuple[int, int] | None:
    """The version of a Claude model, such as (4, 5); None for any other model."""
    found = re.search(r"\bclaude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)", model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def answers_by_tool(request: ChatRequest) -> bool:
    """Whether the model has to call a tool to answer by the schema."""
    return request.form is not None and (
        (version_of(request.model) or _FIRST_WITH_SCHEMAS) < _FIRST_WITH_SCHEMAS
    )


def forced(request: ChatRequest) -> dict[str, Any]:
    """The fields of the body for the tool. Raises `UsageError` if there are other tools."""
    if request.tools or "tools" in request.options:
        raise UsageError(
            f"{request.model} cannot use tools and follow a schema in the same request",
            hint="use a newer model, or leave out the tools or the schema",
        )
    tool = {"name": TOOL, "description": "Give the answer.", "input_schema": request.form}
    return {"tools": [tool], "tool_choice": {"type": "tool", "name": TOOL}}


def as_text(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """The arrivals with the call as the text of the answer."""
    shown = False
    try:
        for arrival in arrivals:
            events: list[Event] = []
            for event in arrival.events:
                if isinstance(event, ToolCallDelta) and event.name == TOOL:
                    shown = shown or bool(event.delta)
                    events.append(Content(event.delta, t=event.t))
                elif isinstance(event, ToolCall) and event.name == TOOL:
                    if not shown:
                        events.append(Content(event.arguments, t=event.t))
                elif isinstance(event, Finish) and event.reason == "tool_calls":
                    events.append(replace(event, reason="stop"))
                else:
                    events.append(event)
            arrival.events = events
            yield arrival
    finally:
        close(arrivals)


def sendable(schema: Any) -> Any:
    """The schema in the form that Anthropic takes."""
    if isinstance(schema, list):
        return [sendable(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _NAMES:
            made[keyword] = {name: sendable(it) for name, it in value.items()}
        elif keyword in _VALUES:
            made[keyword] = value
        elif keyword not in _REFUSED:
            made[keyword] = sendable(value)
    if made.get("type") == "object":
        made["additionalProperties"] = False
    return made

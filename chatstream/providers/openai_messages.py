"""Messages as the chat completions of OpenAI take them.

1. Each result of a tool is a message of its own, under the id of its call.
2. A call's arguments are JSON text. Servers refuse a history with any other (llama.cpp with status
   500), so what the model wrote is sent inside of an object.
3. Only text goes to most roles; a list of parts is sent where there is an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatstream.messages import (
    ChatRequest,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from chatstream.providers.base import Given
from chatstream.providers.continuing import continues, conversation
from chatstream.providers.images import address_of
from chatstream.providers.toolcalls import arguments_text


def messages_of(request: ChatRequest, given: Given) -> list[dict[str, Any]]:
    """The `messages` of the body. Raises `UsageError`."""
    messages = [
        turn for message in conversation(request) for turn in _turns(message, request, given)
    ]
    if request.method == "prefix" and continues(request):
        messages[-1]["prefix"] = True
    return messages


def _turns(message: Message, request: ChatRequest, given: Given) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        for result in message.parts:
            if isinstance(result, ToolResult):
                yield {"role": "tool", "tool_call_id": result.id, "content": result.content}
        return
    turn: dict[str, Any] = {"role": message.role, "content": _content(message, request)}
    for part in message.parts:
        if isinstance(part, Reasoning):
            turn |= given(part.provider_data)
    if calls := message.tool_calls:
        turn["content"] = turn["content"] or None
        turn["tool_calls"] = [_call(call, given) for call in calls]
    yield turn


def _content(message: Message, request: ChatRequest) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, Image) for part in message.parts):
        return message.content
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Image):
            content.append({"type": "image_url", "image_url": {"url": address_of(part, request)}})
    return content


def _call(call: ToolCall, given: Given) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments_text(call)},
        **given(call.provider_data),
    }

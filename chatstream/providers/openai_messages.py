"""Messages as the chat completions of OpenAI take them.

1. Each result of a tool is a message of its own, under the id of its call.
2. A call's arguments are JSON text. Servers refuse a history with any other (llama.cpp with status
   500), so what the model wrote is sent inside of an object.
3. Only text goes to most roles; a list of parts is sent where there is an image.
4. An id has at most 40 characters; Mistral's are nine letters and digits.
5. DeepSeek wants `reasoning_content` on each turn with calls, be it empty. Gemini, from version 3
   on, wants a signature on the first call of a turn; calls that another model made have a word in
   its place that Google gives for this (ai.google.dev/gemini-api/docs/thought-signatures).
"""

from __future__ import annotations

import re
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
from chatstream.providers.toolcalls import arguments_text

UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}

_ID = ".{1,40}"
_ID_OF = {"mistral": "[a-zA-Z0-9]{9}"}


def messages_of(request: ChatRequest, given: Given, service: str) -> list[dict[str, Any]]:
    """The `messages` of the body, as this service of the table takes them. Raises `UsageError`."""
    messages = [
        turn
        for message in conversation(request, _ID_OF.get(service, _ID))
        for turn in _turns(message, request, given)
    ]
    for turn in messages:
        if service == "deepseek" and "tool_calls" in turn:
            turn.setdefault("reasoning_content", "")
        if service == "gemini" and "tool_calls" in turn:
            _sign(turn["tool_calls"], request.model)
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
    from chatstream.providers.images import address_of

    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Image):
            content.append({"type": "image_url", "image_url": {"url": address_of(part, request)}})
    return content


def _sign(calls: list[dict[str, Any]], model: str) -> None:
    """Mark calls that Gemini has not signed, for a model that would refuse them."""
    version = re.search(r"gemini-(\d+)", model)
    is_old = version is not None and int(version[1]) < 3
    if not is_old and not any("extra_content" in call for call in calls):
        calls[0]["extra_content"] = UNSIGNED


def _call(call: ToolCall, given: Given) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments_text(call)},
        **given(call.provider_data),
    }

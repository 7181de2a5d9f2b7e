"""What a request to OpenAI's Responses API holds.

1. Nothing is stored at the server (`store` false): the conversation is kept here.
2. A turn of the assistant is a list of items, in the order in which they came: encrypted reasoning,
   text, calls. The result of a call is an item of its own. Servers refuse reasoning that is the
   last item of its turn, so that is left out.
3. The user's options are sent as they are and win, except over the tools of a run and the choice
   that forbids the model to call them. Their `reasoning` and `text` are merged with the effort and
   the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chatstream import messages
from chatstream.messages import ChatRequest, Message
from chatstream.providers.base import Given
from chatstream.providers.continuing import conversation
from chatstream.providers.images import address_of
from chatstream.providers.openai_body import is_strict
from chatstream.providers.toolcalls import arguments_text

_ID = ".{1,64}"
_REASONS = r"(^|/)(o\d|gpt-5(?!-chat)|codex)"
"""Models that return encrypted reasoning; others refuse a request for it."""

Item = dict[str, Any]


def body_of(request: ChatRequest, given: Given) -> dict[str, object]:
    """The body. Raises `UsageError`."""
    asked = conversation(request, _ID)
    system = "\n\n".join(it.content for it in asked if it.role == "system")
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for it in asked for item in _items(it, request, given)],
        "store": False,
    }
    if system:
        body["instructions"] = system
    if request.stream:
        body["stream"] = True
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    if re.search(_REASONS, request.model) and "encrypted content" not in request.without:
        body["include"] = ["reasoning.encrypted_content"]
    if request.form is not None:
        format_ = {"type": "json_schema", "name": "answer", "schema": request.form}
        body["text"] = {"format": {**format_, "strict": is_strict(request.form)}}
    if request.effort is not None:
        from chatstream.providers.effort import of_responses

        body |= of_responses(request)
    for name, value in request.options.items():
        both = isinstance(value, dict) and isinstance(body.get(name), dict)
        body[name] = body[name] | value if both else value
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": it.name,
                "description": it.description,
                "parameters": it.parameters,
                "strict": False,
            }
            for it in request.tools
        ]
        if not request.may_call:
            body["tool_choice"] = "none"
            if "tool_choice" in request.without:
                del body["tools"], body["tool_choice"]
    return body


def _items(message: Message, request: ChatRequest, given: Given) -> Iterator[Item]:
    match message.role:
        case "system":
            return
        case "user":
            yield {"role": "user", "content": _content(message, request)}
        case _:
            items = [item for part in message.parts for item in _item(part, given)]
            while items and items[-1]["type"] == "reasoning":
                items.pop()
            yield from items


def _content(message: Message, request: ChatRequest) -> str | list[Item]:
    if not any(isinstance(part, messages.Image) for part in message.parts):
        return message.content
    content: list[Item] = []
    for part in message.parts:
        if isinstance(part, messages.Text):
            content.append({"type": "input_text", "text": part.text})
        elif isinstance(part, messages.Image):
            content.append({"type": "input_image", "image_url": address_of(part, request)})
    return content


def _item(part: messages.Part, given: Given) -> Iterator[Item]:
    """The item that stands for a part of an assistant's or a tool's message, if there is one."""
    match part:
        case messages.Text(text=text) if text:
            content = [{"type": "output_text", "text": text}]
            yield {"type": "message", "role": "assistant", "content": content}
        case messages.Reasoning(provider_data=data):
            item = given(data)
            if item.get("encrypted_content"):
                yield item
        case messages.ToolCall(id=call_id, name=name):
            arguments = arguments_text(part)
            yield {
                "type": "function_call",
                "call_id": call_id,
                "name": name,
                "arguments": arguments,
            }
        case messages.ToolResult(id=call_id, content=content):
            yield {"type": "function_call_output", "call_id": call_id, "output": content}

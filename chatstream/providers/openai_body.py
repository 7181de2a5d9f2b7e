"""What a request to a server of the OpenAI dialect holds.

1. The user's options go in as they are and win, but for the tools of a run, and for the choice
   that forbids the model to call them.
2. If a model has to answer in words, its tools are still sent, with `tool_choice` "none". If the
   server does not take that, they are left out.
3. A schema is sent as strict if OpenAI takes it as such. Otherwise the server may not keep to it.
"""

from __future__ import annotations

from typing import Any

from chatstream.messages import ChatRequest
from chatstream.providers.base import Given
from chatstream.providers.openai_messages import messages_of
from chatstream.providers.toolcalls import functions_of

_STRICT = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"),
    *("$ref", "$defs", "title", "description", "pattern", "format", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"),
}
"""The keywords that OpenAI takes in a strict schema."""


def body_of(request: ChatRequest, given: Given, service: str) -> dict[str, object]:
    """The body; `service` is the one of the table that is asked. Raises `UsageError`."""
    body: dict[str, object] = {
        "model": request.model,
        "messages": messages_of(request, given, service),
    }
    if request.method == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if request.stream:
        body["stream"] = True
        if "stream_options" not in request.without:
            body["stream_options"] = {"include_usage": True}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        refused = "max_tokens" in request.without
        body["max_completion_tokens" if refused else "max_tokens"] = request.max_tokens
    if request.logprobs and "logprobs" not in request.without:
        body["logprobs"] = True
    if request.form is not None:
        body["response_format"] = _format(request.form)
    if request.effort is not None:
        from chatstream.providers.effort import of_openai

        body |= of_openai(request, service)
    body |= request.options
    if request.tools:
        body["tools"] = functions_of(request.tools)
        if not request.may_call:
            body["tool_choice"] = "none"
            if "tool_choice" in request.without:
                del body["tools"], body["tool_choice"]
    return body


def is_strict(schema: dict[str, Any]) -> bool:
    """Whether OpenAI takes the schema as strict, so that every answer fits it."""
    from chatstream.schemas import is_closed, keywords

    return is_closed(schema) and keywords(schema) <= _STRICT


def _format(schema: dict[str, Any]) -> dict[str, object]:
    named = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": named}

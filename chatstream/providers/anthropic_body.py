"""What a request to Anthropic, or to a server that speaks its Messages API, holds.

1. Blocks of thinking go back as they came, with their signature, to the server that gave them;
   other thinking is not sent. So do the server's own tools and their results, redacted thinking,
   and the citations of a text. Newer models refuse thinking of a conversation that had other tools
   or another system prompt: then it is left out.
2. The results of tools make one turn of the user, with what the user adds behind them. An answer
   without anything to send makes no turn.
3. A conversation with calls needs tools. If the request has no tools, the names that were called
   stand in for them, and the model may not call them.
4. The user's options go in as they are and win, but for the tools of a run, and for the choice
   that forbids the model to call them.
5. A model that does not take a schema is made to call a tool whose arguments are the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatstream import messages
from chatstream.messages import ChatRequest, Message, Role
from chatstream.providers.answertool import answers_by_tool, forced, sendable
from chatstream.providers.base import Given
from chatstream.providers.continuing import conversation
from chatstream.providers.toolcalls import arguments_of

DEFAULT_MAX_TOKENS = 8192
"""`max_tokens` is required; 8192 is what every model since Claude 3.5 takes."""

_ID = "[a-zA-Z0-9_-]+"


def body_of(request: ChatRequest, given: Given) -> dict[str, object]:
    """The body. Raises `UsageError`."""
    asked = conversation(request, _ID)
    system = "\n\n".join(it.content for it in asked if it.role == "system")
    return {
        "model": request.model,
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": _turns(asked, request, given),
        **({"system": system} if system else {}),
        **({"stream": True} if request.stream else {}),
        **({} if request.temperature is None else {"temperature": request.temperature}),
        **_output(request),
        **_tools(asked, request),
    }


def _output(request: ChatRequest) -> dict[str, Any]:
    """The effort, the schema of the answer, and the user's options.

    If the options have fields for the output, they are merged with these, and win.
    """
    fields: dict[str, Any] = {}
    if request.effort is not None:
        from chatstream.providers.effort import of_anthropic

        fields = of_anthropic(request, DEFAULT_MAX_TOKENS)
    config = fields.get("output_config", {})
    if request.form is not None and not answers_by_tool(request):
        config = {"format": {"type": "json_schema", "schema": sendable(request.form)}} | config
    given = request.options.get("output_config", {})
    if config and isinstance(given, dict):
        return fields | request.options | {"output_config": config | given}
    return fields | request.options


def _tools(asked: Sequence[Message], request: ChatRequest) -> dict[str, object]:
    if answers_by_tool(request):
        return forced(request)
    tools = [
        {"name": it.name, "description": it.description, "input_schema": it.parameters}
        for it in request.tools
    ]
    may_call = request.may_call
    if not tools and "tools" not in request.options:
        names = dict.fromkeys(call.name for message in asked for call in message.tool_calls)
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
        may_call = False
    if not tools:
        return {}
    if may_call or "tool_choice" in request.without:
        return {"tools": tools}
    return {"tools": tools, "tool_choice": {"type": "none"}}


def _turns(asked: Sequence[Message], request: ChatRequest, given: Given) -> list[dict[str, Any]]:
    """The `messages` of the body."""
    turns: list[dict[str, Any]] = []
    before: Role | None = None
    for message in asked:
        if message.role == "system":
            continue
        blocks = _blocks(message, request, given)
        if message.role == "assistant" and not blocks:
            continue
        if before == "tool" and message.role == "user":
            turns[-1]["content"] += blocks
        else:
            role = "assistant" if message.role == "assistant" else "user"
            turns.append({"role": role, "content": _content(message, blocks)})
        before = message.role
    if any(isinstance(part, messages.Image) for message in asked for part in message.parts):
        from chatstream.providers.imagelimits import check_bytes

        lists = (turn["content"] for turn in turns if isinstance(turn["content"], list))
        sources = (block.get("source", {}) for content in lists for block in content)
        check_bytes(sum(len(source.get("data", "")) for source in sources))
    return turns


def _content(message: Message, blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Text alone is sent as it is."""
    is_text = all(it["type"] == "text" and "citations" not in it for it in blocks)
    return message.content if is_text else blocks


def _blocks(message: Message, request: ChatRequest, given: Given) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in message.parts:
        block = _block(part, request, given)
        if block.get("type") == "text" and "citations" in block:
            _cite(blocks, block)
        elif block:
            blocks.append(block)
    return blocks


def _cite(blocks: list[dict[str, Any]], cited: dict[str, Any]) -> None:
    """Put the text with its citations in the place of the text, which came before, without."""
    text = blocks[-1].get("text", "") if blocks else ""
    if not text.endswith(cited["text"]):
        return
    before = text.removesuffix(cited["text"])
    blocks[-1:] = [{"type": "text", "text": before}, cited] if before.strip() else [cited]


def _block(part: messages.Part, request: ChatRequest, given: Given) -> dict[str, Any]:
    """The block of a part; empty for blank text, which the server refuses."""
    match part:
        case messages.Text(text=text):
            return {"type": "text", "text": text} if text.strip() else {}
        case messages.Image(url=url):
            from chatstream.providers.imagelimits import check_pixels
            from chatstream.providers.images import encoded

            media_type, data = encoded(part, request)
            check_pixels(data)
            stored = {"type": "base64", "media_type": media_type, "data": data}
            return {"type": "image", "source": stored if data else {"type": "url", "url": url}}
        case messages.Reasoning(text=text, provider_data=data):
            block = given(data)
            kind = block.get("type", "")
            if "thinking" in kind and "earlier thinking" in request.without:
                return {}
            if kind == "thinking":
                return {"type": "thinking", "thinking": text} | block
            return block
        case messages.ToolCall(id=call_id, name=name):
            call = {"type": "tool_use", "id": call_id, "name": name, "input": arguments_of(part)}
            return call | given(part.provider_data)
        case messages.ToolResult(id=call_id, content=content, is_error=is_error):
            failed = {"is_error": True} if is_error else {}
            return {"type": "tool_result", "tool_use_id": call_id, "content": content, **failed}

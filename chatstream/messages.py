"""What we send: messages, tool calls and the request. Plain values, no behaviour."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ContinuationMethod = Literal[
    "prefill", "stripped_prefill", "continue_final_message", "prefix", "stream", "user_turn"
]
"""How a server is asked to continue an answer that broke off (WIRE, resuming).

    prefill                  the text is the last message, the assistant's
    stripped_prefill         the same; white space at the end of the text is refused
    continue_final_message   the same, with vLLM's two flags
    prefix                   the same, with `"prefix": true` in that message
    stream                   llama.cpp still has the stream itself, and sends it again
    user_turn                the model is asked in words
"""

Role = Literal["system", "user", "assistant"]


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


class Message(msgspec.Struct, omit_defaults=True):
    """One turn of a conversation.

    `complete` is False when the answer broke off; its content is then the exact partial text.
    """

    role: Role
    content: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = []
    complete: bool = True


class ChatRequest(msgspec.Struct, frozen=True):
    """One question to a model.

    `options` are sent as they are, by the server's own names. `without` names parameters that
    this server has refused; they are left out of the body.

    `partial` is the beginning of the answer, which the server is asked to continue by `method`.
    `stream_id` is the name under which a server that keeps streams keeps this one.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = True
    temperature: float | None = None
    max_tokens: int | None = None
    options: dict[str, Any] = {}
    without: frozenset[str] = frozenset()
    partial: str = ""
    stream_id: str | None = None
    method: ContinuationMethod | None = None

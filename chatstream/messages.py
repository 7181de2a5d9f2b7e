"""What we send: messages, tool calls and the request. Plain values, no behaviour."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

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
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = True
    temperature: float | None = None
    max_tokens: int | None = None
    options: dict[str, Any] = {}
    without: frozenset[str] = frozenset()

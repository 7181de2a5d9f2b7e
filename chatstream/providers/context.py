"""How much of a model's context window a request takes, and how large that window is.

1. Sizes are UTF-8 bytes of text, of calls and of their results. Thinking is not counted: most
   servers do not want it back.
2. A window is what the list of models says, under one of the `WINDOWS` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from chatstream.messages import Message, Text, ToolCall, ToolDefinition, ToolResult
from chatstream.providers.lenient import count_of

BYTES_PER_TOKEN = 4.0
"""What most tokenizers make of English; a guess until a server has counted."""

WINDOWS = (
    *("max_model_len", "max_input_tokens", "context_length", "context_window"),
    "max_context_length",
)
"""vLLM; Anthropic; OpenRouter and Together; Groq; Mistral."""


def window_in(entry: dict[str, object]) -> int | None:
    """The tokens that a model takes, as its entry in a list says; None if it does not."""
    return next((size for name in WINDOWS if (size := count_of(entry.get(name)))), None)


def size_of(messages: Iterable[Message], tools: Sequence[ToolDefinition] = ()) -> int:
    """The bytes of these messages, and of the descriptions of these tools."""
    size = len(msgspec.json.encode(tools)) if tools else 0
    return size + sum(map(_bytes, _texts(messages)))


def _texts(messages: Iterable[Message]) -> Iterable[str]:
    for message in messages:
        for part in message.parts:
            match part:
                case Text(text=text):
                    yield text
                case ToolCall(name=name, arguments=arguments):
                    yield name
                    yield arguments
                case ToolResult(content=content):
                    yield content


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

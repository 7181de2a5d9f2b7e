"""How much of a model's context window a request takes, and how large that window is.

1. Sizes are UTF-8 bytes of text, of calls and of their results. Thinking is not counted: most
   servers do not want it back.
2. A window is what the list of models says, under one of the `WINDOWS` names.
3. `cut` finds a prompt that was cut in silence: the server has read less than half of the estimate.
   Fewer than `FEWEST_LEFT` tokens are what an old server counts beside its cache, and so is as much
   as the new messages have. Where the server does not count, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from chatstream.events import Usage, Warn
from chatstream.messages import ChatRequest, Message, Text, ToolCall, ToolDefinition, ToolResult
from chatstream.providers.lenient import count_of

BYTES_PER_TOKEN = 4.0
"""What most tokenizers make of English; a guess until a server has counted."""

WINDOWS = (
    *("max_model_len", "max_input_tokens", "context_length", "context_window"),
    "max_context_length",
)
"""vLLM; Anthropic; OpenRouter and Together; Groq; Mistral."""

FEWEST_LEFT = 1000
"""Tokens: the smallest default window is 2,048, and a prompt that is cut keeps half of it."""

_SLACK = 1.25  # how far an estimate of the new messages may be off
_REPEATED = re.compile(rb"(\W)\1+")


def window_in(entry: dict[str, object]) -> int | None:
    """The tokens that a model takes, as its entry in a list says; None if it does not."""
    return next((size for name in WINDOWS if (size := count_of(entry.get(name)))), None)


def size_of(messages: Iterable[Message], tools: Sequence[ToolDefinition] = ()) -> int:
    """The bytes of these messages, and of the descriptions of these tools."""
    size = len(msgspec.json.encode(tools)) if tools else 0
    return size + sum(map(_bytes, _texts(messages)))


def cut(request: ChatRequest, usage: Usage) -> Warn | None:
    """The warning that the server has left out some of the prompt; None if nothing shows that."""
    read = usage.input_tokens
    asked = request.options.get("num_ctx")
    fewest = min(FEWEST_LEFT, asked // 2) if isinstance(asked, int) else FEWEST_LEFT
    if read is None or read < fewest or _is_near(read, size_of(request.messages)):
        return None
    whole, new = _tokens(request.messages), _tokens(_new(request.messages))
    read_here = read + (usage.cached_tokens or 0)
    if read_here * 2 >= whole or (new < whole and new <= read * 2 and read <= new * _SLACK):
        return None
    return Warn(
        "context_truncated",
        f"the server has read only {read:,} of about {whole:,} tokens: it seems to have "
        "dropped the beginning silently, so the answer may be invented; ask with a larger window "
        "(-o num_ctx=N) or a shorter prompt",
    )


def _is_near(read: int, size: int) -> bool:
    """Whether so many bytes can be so many tokens. Looked at first, because it costs least."""
    return read * 2 * BYTES_PER_TOKEN >= size


def _tokens(messages: Iterable[Message]) -> int:
    """About how many tokens these are. Rules and indentation are a few tokens, however long."""
    text = (_REPEATED.sub(rb"\1", it.encode("utf-8", "replace")) for it in _texts(messages))
    return int(sum(map(len, text)) / BYTES_PER_TOKEN)


def _new(messages: Sequence[Message]) -> Sequence[Message]:
    """What follows the last answer: a cache cannot have it."""
    answers = [at for at, it in enumerate(messages) if it.role == "assistant"]
    return messages[answers[-1] + 1 :] if answers else messages


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

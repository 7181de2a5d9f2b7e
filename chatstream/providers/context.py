"""How much of a model's context window a request takes, and how large that window is.

1. Sizes are UTF-8 bytes of text, of calls and of their results. Thinking is not counted: most
   servers do not want it back.
2. The window is in the list of models, under one of the `WINDOWS` names.
3. `cut` detects a prompt that the server cut silently, by the number of tokens it has read:
   a. fewer than half of the estimate;
   b. as many as a known window has or, if the estimate is well above that, half as many: Ollama
      keeps one or the other of a prompt that is too long, depending on its version;
   c. clearly fewer than it counted for the beginning of the same prompt.
   A count that the cache explains is not a cut: an old server does not count cached tokens, so
   fewer than `FEWEST_LEFT` tokens, or as many as the new messages have, show nothing. If the server
   does not count, there is no warning.

Two cuts stay undetected: that of a first question, if the server read more than half of it and does
not report its window; and that of a conversation, if the part that is missing is smaller than what
was new. The bytes per token of one model's texts differ by more than such a part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from chatstream.events import Usage, Warn
from chatstream.messages import ChatRequest, Message, ToolDefinition
from chatstream.providers.lenient import count_of

BYTES_PER_TOKEN = 4.0
"""The usual ratio for English text; a guess until a server has counted."""

MOST_BYTES = 10.0
"""Bytes per token: the most that were measured are 9.7, for Georgian with gpt-oss."""

WINDOWS = (
    *("max_model_len", "max_input_tokens", "context_length", "context_window"),
    "max_context_length",
)
"""vLLM; Anthropic; OpenRouter and Together; Groq; Mistral."""

FEWEST_LEFT = 1000
"""Tokens: the smallest default window is 2,048, and a prompt that is cut keeps half of it."""

_SIZE = attrgetter("size")  # for every message in every turn of a chat: this takes half the time
_SLACK = 1.25  # how far an estimate of the new messages may be off
_AT = 8  # tokens: how closely a cut prompt fills the space it has
_WELL_ABOVE = 1.5  # the estimate divided by what was read: few texts have so few tokens
_LESS = 0.95  # of the earlier count; a template may drop a few tokens
_REPEATED = re.compile(r"(\W)\1+")
_WIDE = re.compile("[\u2e80-\U0010ffff]+")


class Before(msgspec.Struct, frozen=True):
    """The tokens that a server, whose count includes its cache, read of a prompt's beginning.

    They are those of `size` bytes of messages, with `ratio` bytes per token.
    """

    tokens: int
    size: int
    ratio: float

    def whole(self, size: int) -> int:
        """About how many tokens the whole prompt of this size has."""
        return round(self.tokens + (size - self.size) / self.ratio)

    def is_more_than(self, read: int, size: int) -> bool:
        """Whether these tokens are too few for all of it, and too many for the new part alone."""
        added = size - self.size
        fewest = self.tokens + added / MOST_BYTES
        return added * _SLACK / self.ratio < read < fewest * _LESS


def window_in(entry: dict[str, object]) -> int | None:
    """The model's window in tokens, by its entry in a list; None if that does not say."""
    return next((size for name in WINDOWS if (size := count_of(entry.get(name)))), None)


def size_of(messages: Iterable[Message], tools: Sequence[ToolDefinition] = ()) -> int:
    """The bytes of these messages, and of the descriptions of these tools."""
    size = len(msgspec.json.encode(tools)) if tools else 0
    sizes: Iterable[int] = map(_SIZE, messages)
    return size + sum(sizes)


def guess(messages: Iterable[Message]) -> int:
    """About how many tokens these messages have, if no server has counted any of them.

    Rulers and indentation are a few tokens, however long. Letters of two and three bytes are few
    tokens too, except those of East Asia. For the Declaration of Human Rights in 500 languages the
    guess is at most 1.35 times the count of the tokenizers of GPT-4 and gpt-oss, and less than half
    of it only in scripts that they do not know.
    """
    texts = (_REPEATED.sub(r"\1", text) for it in messages for text in it.texts)
    size = sum(len(text) + 2 * sum(map(len, _WIDE.findall(text))) for text in texts)
    return int(size / BYTES_PER_TOKEN)


def is_whole(read: int, messages: Sequence[Message], size: int) -> bool:
    """Whether these tokens can be all of these messages, which have `size` bytes."""
    # The cheapest check comes first: most answers need no other.
    return read * 2 * BYTES_PER_TOKEN >= size or read * 2 >= guess(messages)


def cut(
    request: ChatRequest, usage: Usage, window: int | None = None, before: Before | None = None
) -> Warn | None:
    """A warning that the server left out some of the prompt; None if nothing shows that."""
    if (read := usage.input_tokens) is None or read < _fewest(request, window):
        return None
    read_here, messages = read + (usage.cached_tokens or 0), request.messages
    if window is not None and abs(read_here - window) <= _AT:
        return _warning(f"{read_here:,} tokens, which fill its window")
    size = size_of(messages)
    if not is_whole(read_here, messages, size):
        is_cut = not _is_new(read, messages)
    elif window is not None and abs(read_here - window // 2) <= _AT:
        is_cut = _whole(messages, size, before) >= read_here * _WELL_ABOVE
    else:
        is_cut = before is not None and before.is_more_than(read_here, size)
    if not is_cut:
        return None
    return _warning(f"only {read:,} of about {_whole(messages, size, before):,} tokens")


def _whole(messages: Sequence[Message], size: int, before: Before | None) -> int:
    return guess(messages) if before is None else before.whole(size)


def _warning(what: str) -> Warn:
    return Warn(
        "context_truncated",
        f"the server has read {what}: it seems to have dropped the beginning silently, so "
        "the answer may be invented; ask with a larger window (Ollama: -o num_ctx=N) or a shorter "
        "prompt",
    )


def _fewest(request: ChatRequest, window: int | None) -> int:
    """The fewest tokens that a cut prompt has."""
    known = count_of(request.options.get("num_ctx")) or window
    return FEWEST_LEFT if known is None else min(FEWEST_LEFT, known // 2 - _AT)


def _is_new(read: int, messages: Sequence[Message]) -> bool:
    """Whether there are as many tokens as follow the last answer: a cache cannot have those."""
    answers = [at for at, it in enumerate(messages) if it.role == "assistant"]
    new = guess(messages[answers[-1] + 1 :]) if answers else 0
    return new <= read * 2 and read <= new * _SLACK

"""Whether a conversation still fits the model's context window, before anything of it is sent.

1. Only a question that follows others is looked at, for nothing else grows by itself. A hosted
   server is asked for the window from `HOSTED_TOKENS` on: every hosted model takes that much.
2. A `context` event tells the window and how much of it is used. Where the server does not tell
   the window, or not within `PATIENCE_SECONDS`, nothing is checked.
3. The estimate is what the server counted for the answer before, and the bytes since then, by the
   bytes per token that it had. A model that has not answered here yet has `BYTES_PER_TOKEN`.
   Where the estimate is within `NEAR` of the window, the server counts, if it can.
4. What does not fit is not sent: it is a `ContextLength`. With `trim` the oldest turns are left out
   until the rest fills no more than `FULL` of the window. The system prompt and the newest turn
   always stay.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.run import Question
from chatstream.engine.services import limited
from chatstream.errors import ChatstreamError, ContextLength
from chatstream.events import Context
from chatstream.flow import Arrival
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Service
from chatstream.providers.context import BYTES_PER_TOKEN, size_of
from chatstream.store.journal import SUFFIX
from chatstream.store.place import NoHome, runs_folder
from chatstream.store.reading import read

if TYPE_CHECKING:
    from chatstream.providers.base import Provider

T = TypeVar("T")

HOSTED_TOKENS = 4096
"""No hosted model has a smaller window."""

PATIENCE_SECONDS = 1.0
"""Seconds to wait for the window; a server that knows it answers at once."""

COUNT_SECONDS = 5.0
"""Seconds to wait for an exact count, which is needed only near the limit."""

NEAR = 0.15
FULL = 0.8

FEWEST_BYTES, MOST_BYTES = 1.0, 8.0
"""Bytes per token that a count is believed to show: no tokenizer has less or, for texts, more."""

_USUAL_TOKENS = 64  # of the usual ratio, so that a few short messages do not decide it


class Counted(msgspec.Struct, frozen=True):
    """So many bytes of messages were so many tokens; others have `ratio` bytes a token."""

    tokens: int = 0
    size: int = 0
    ratio: float = BYTES_PER_TOKEN

    def tokens_of(self, size: int) -> int:
        """About how many tokens a request of this size has."""
        return max(0, round(self.tokens + (size - self.size) / self.ratio))


class Fitting:
    """What fits of one run's requests."""

    def __init__(self, question: Question, *, trim: bool) -> None:
        self._question = question
        self._trim = trim
        self._model: str | None = None  # whose window and counts these are
        self._window: int | None = None
        self._counted = Counted()
        self._told: int | None = None  # the messages that were left out, as it was told

    def fit(
        self, provider: Provider, service: Service, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, ChatRequest]:
        """A `context` event; returns the request, as much of it as is to be sent.

        Raises `ContextLength`, and the reason of the token.
        """
        whole = size_of(request.messages, request.tools)
        if self._model != request.model:
            self._model, self._window = request.model, None
            self._counted = counted_before(self._question, provider.endpoint.name, request.model)
            if service.local or self._counted.tokens_of(whole) >= HOSTED_TOKENS:
                asked = limited(provider.window(request, token), PATIENCE_SECONDS)
                self._window = yield from _unless_it_fails(asked, token)
        window = self._window
        if window is None:
            return request
        if abs(self._counted.tokens_of(whole) - window) <= NEAR * window:
            asked = limited(provider.count(request, token), COUNT_SECONDS)
            if exact := (yield from _unless_it_fails(asked, token)):
                self._counted = replace(self._counted, tokens=exact, size=whole)
        used, messages = self._counted.tokens_of(whole), request.messages
        if used >= window and self._trim:
            for messages in _shorter(request.messages):
                used = self._counted.tokens_of(size_of(messages, request.tools))
                if used <= FULL * window:
                    break
        if used >= window:
            raise _too_long(used, window, trimmed=self._trim)
        left_out = len(request.messages) - len(messages)
        if left_out != self._told:
            self._told = left_out
            event = Context(window=window, used=used, left_out=left_out)
            yield Arrival([event], connected=False)
        return replace(request, messages=messages)


def counted_before(question: Question, provider: str, model: str) -> Counted:
    """What this model was counted to have read and written up to the answer before."""
    if question.parent is None:
        return Counted()
    try:
        record = read(runs_folder() / (question.parent + SUFFIX))
    except (ChatstreamError, NoHome):
        return Counted()  # its journal has expired
    usage = record.usage
    if usage is None or usage.input_tokens is None:
        return Counted()
    if (record.provider, record.model) != (provider, model):
        return Counted()
    tokens = usage.input_tokens + (usage.output_tokens or 0) - (usage.reasoning_tokens or 0)
    tools = record.asked.tools if record.asked else ()
    size = size_of(_without(question.earlier, record.left_out), tools)
    ratio = (size + BYTES_PER_TOKEN * _USUAL_TOKENS) / (tokens + _USUAL_TOKENS)
    return Counted(tokens, size, min(max(ratio, FEWEST_BYTES), MOST_BYTES))


def _without(messages: Sequence[Message], left_out: int) -> list[Message]:
    """The messages but for so many of the oldest; a system prompt stays."""
    system = [it for it in messages if it.role == "system"]
    return [*system, *[it for it in messages if it.role != "system"][left_out:]]


def _shorter(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """The messages with the oldest turn left out, then with two, until only the newest is there."""
    said = [it for it in messages if it.role != "system"]
    begins = [at for at, it in enumerate(said) if it.role == "user"]
    yield from (tuple(_without(messages, at)) for at in begins[1:])


def _unless_it_fails(
    asked: Generator[Arrival, None, T], token: CancelToken
) -> Generator[Arrival, None, T | None]:
    """What a server tells; None where it fails. Raises the reason of the token."""
    try:
        return (yield from asked)
    except ChatstreamError:
        token.check()
        return None


def _too_long(used: int, window: int, *, trimmed: bool) -> ContextLength:
    what = "the question alone does" if trimmed else "the conversation does"
    way = (
        "shorten the question, or ask a model with a larger window"
        if trimmed
        else "--trim leaves out its oldest turns; or ask without continuing, or a model with a "
        "larger window"
    )
    words = f"{what} not fit the model's context window of {window:,} tokens: it has {used:,}"
    return ContextLength(f"{words}; nothing was sent", hint=way)

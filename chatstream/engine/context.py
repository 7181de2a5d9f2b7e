"""Whether a request fits the model's context window, before any of it is sent.

1. A question that follows others is checked, and so is a large one for a local server, which might
   cut it silently. A hosted server is asked for its window only for `HOSTED_TOKENS` or more: every
   hosted model takes that much.
2. A `context` event has the window and how much of it is used. If the server does not report the
   window within `PATIENCE_SECONDS`, nothing is checked.
3. The estimate is the server's count for the answer before, plus the bytes that have been added
   since, at the same number of bytes per token. New text may have twice as many tokens, and a guess
   for a model that has not answered here yet may be wrong by half. If that could change the
   outcome, or the estimate is within `NEAR` of the limit, the server counts, if it can.
4. A request has to leave room for the answer: `--max-tokens`, but at most half of the window, or
   `ANSWER_TOKENS`, but at most an eighth of it.
5. A request that does not fit is not sent and raises `ContextLength`. A guess that no server has
   confirmed has to exceed the limit by half for that. With `trim` the oldest turns are left out
   until the rest fills no more than `FULL` of the window. The system prompt and the newest turn
   always stay.
6. If a server was sent too much and cut it silently, that is detected afterwards
   (`providers.context.cut`), provided that its count includes its cache.
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
from chatstream.events import Context, Event, Usage
from chatstream.flow import Arrival, Finish, Open, close
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Service
from chatstream.providers.context import (
    BYTES_PER_TOKEN,
    MOST_BYTES,
    Before,
    cut,
    guess,
    size_of,
)
from chatstream.store.journal import SUFFIX
from chatstream.store.place import NoHome, runs_folder
from chatstream.store.reading import read

if TYPE_CHECKING:
    from chatstream.providers.base import Provider
    from chatstream.store.reading import Record

T = TypeVar("T")

HOSTED_TOKENS = 4096
"""No hosted model has a smaller window."""

PATIENCE_SECONDS = 1.0
"""Seconds to wait for the window; a server that knows it answers at once."""

COUNT_SECONDS = 5.0
"""Seconds to wait for an exact count, which is needed only near the limit."""

NEAR, UNSURE = 0.15, 0.5
"""How far an estimate may be off: one that is based on a count, and one that is not."""

FULL = 0.8

ANSWER_TOKENS = 256
"""Room for an answer of a few sentences."""

FEWEST_BYTES = 1.0
"""The fewest bytes per token that a count may show: no tokenizer has fewer."""

_USUAL_TOKENS = 64  # at the usual ratio, so that a few short messages do not decide it


class Counted(msgspec.Struct, frozen=True):
    """`size` bytes of messages were `tokens` tokens; others have `ratio` bytes per token.

    `is_guess`: no server has counted them. `before` says what was read of them, by a server whose
    counts are known to include its cache.
    """

    tokens: int = 0
    size: int = 0
    ratio: float = BYTES_PER_TOKEN
    is_guess: bool = False
    before: Before | None = None

    def tokens_of(self, size: int) -> int:
        """About how many tokens a request of this size has."""
        return max(0, round(self.tokens + (size - self.size) / self.ratio))


NOT_COUNTED = Counted(is_guess=True)


class Fitting:
    """Makes the requests of one run fit."""

    def __init__(self, question: Question, *, trim: bool) -> None:
        self._question = question
        self._trim = trim
        self._whom: object = None  # whose window and counts these are
        self._window: int | None = None
        self._is_asked = False  # the server, for its window
        self._counted = Counted()
        self._told: int | None = None  # how many messages were reported as left out

    def fit(
        self, provider: Provider, service: Service, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, ChatRequest]:
        """A `context` event; returns the request, without the turns that are to be left out.

        Raises `ContextLength`, and the token's reason.
        """
        if self._whom != (whom := (provider.endpoint, request.model)):
            self._whom, self._window, self._is_asked, self._told = whom, None, False, None
            self._counted = counted_before(self._question, provider, request)
        size = _size(request)
        used = self._counted.tokens_of(size)
        if not self._is_asked and (service.local or used >= HOSTED_TOKENS):
            self._is_asked = True
            asked = limited(provider.window(request, token), PATIENCE_SECONDS)
            self._window = yield from _unless_it_fails(asked, token)
        if (window := self._window) is None:
            return request
        if self._counted.is_guess and used * 2 >= window:  # a closer look, which costs more
            self._counted = guessed(request)
            used = self._counted.tokens
        most = int(window * self._question.most)
        limit = min(most, window - room_for_answer(request, window))
        doubt = max(NEAR * window, used - self._counted.tokens)
        if abs(used - limit) <= (UNSURE * window if self._counted.is_guess else doubt):
            counting = limited(provider.count(request, token), COUNT_SECONDS)
            if exact := (yield from _unless_it_fails(counting, token)):
                self._counted = replace(self._counted, tokens=exact, size=size, is_guess=False)
                used = exact
        left_out = 0
        if used > limit and self._trim:
            for number, rest in _shorter(request.messages, size):
                left_out, used = number, self._counted.tokens_of(rest)
                if used <= min(limit, FULL * window):
                    break
        messages = _without(request.messages, left_out)
        if used > limit * (1 + UNSURE * self._counted.is_guess):
            raise _too_long(used, window, limit, alone=_turns(messages) <= 1)
        if left_out != self._told:
            self._told = left_out
            event = Context(window=window, used=used, left_out=left_out)
            yield Arrival([event], connected=False)
        return replace(request, messages=tuple(messages))

    def around(self, provider: Provider, service: Service, source: Open) -> Open:
        """`source`, noting what the server counted; a warning if the server cut the prompt."""

        def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            arrivals = source(request, token)
            try:
                for arrival in arrivals:
                    events = arrival.events
                    if events and type(events[-1]) is Finish:
                        usage = next((it for it in events if type(it) is Usage), None)
                        if usage is not None and not provider.counts_cached_apart:
                            events[-1:-1] = self._learn(service, request, usage)
                    yield arrival
            finally:
                close(arrivals)

        return opened

    def _learn(self, service: Service, request: ChatRequest, usage: Usage) -> list[Event]:
        """Note what the server has read; the warning if it has not read everything."""
        compared = service.local and not self._told  # a hosted one may ask another server each time
        before = self._counted.before if compared else None
        if (warning := cut(request, usage, self._window, before)) is not None:
            return [warning]
        tokens = usage.input_tokens or 0
        if request.tools and tokens * MOST_BYTES >= (size := _size(request)):
            # Another round may follow.
            self._counted = replace(self._counted, tokens=tokens, size=size, is_guess=False)
        return []


def _size(request: ChatRequest) -> int:
    """The bytes of a request."""
    return size_of(request.messages, request.tools) + len(
        request.partial.encode("utf-8", "replace")
    )


def room_for_answer(request: ChatRequest, window: int) -> int:
    """The tokens of a window that are kept for the answer."""
    if request.max_tokens is not None:
        return min(request.max_tokens, window // 2)  # it is a limit, and need not be reached
    return min(ANSWER_TOKENS, window // 8)


def guessed(request: ChatRequest) -> Counted:
    """The tokens that a request may have if no server has counted it."""
    size = _size(request)
    said = guess([*request.messages, Message("assistant", request.partial)])
    tokens = max(1, said + round(size_of((), request.tools) / BYTES_PER_TOKEN))
    return Counted(tokens, size, max(size / tokens, FEWEST_BYTES), is_guess=True)


def counted_before(question: Question, provider: Provider, request: ChatRequest) -> Counted:
    """The tokens that this model read and wrote up to the answer before, by the server's count."""
    record = _record_of(question.parent)
    if record is None or record.usage is None or (counts := record.usage).input_tokens is None:
        return NOT_COUNTED
    if (record.provider, record.model) != (provider.endpoint.name, request.model):
        return NOT_COUNTED
    cached = counts.cached_tokens or 0
    prompt = counts.input_tokens + cached * provider.counts_cached_apart
    tokens = prompt + (counts.output_tokens or 0) - (counts.reasoning_tokens or 0)
    tools = record.asked.tools if record.asked else ()
    said = size_of(_without(question.earlier, record.left_out))
    size = said + size_of((), tools)
    if tokens * MOST_BYTES < size:  # an old server, which does not count its cache
        return NOT_COUNTED
    ratio = (size + BYTES_PER_TOKEN * _USUAL_TOKENS) / (tokens + _USUAL_TOKENS)
    ratio = min(max(ratio, FEWEST_BYTES), MOST_BYTES)
    before = Before(prompt, said - size_of(record.messages), ratio)
    return Counted(tokens, size, ratio, before=before if _shows(record, request) else None)


def _shows(record: Record, request: ChatRequest) -> bool:
    """Whether the tokens that were read for a run show how many have to be read now.

    A first prompt does not show whether the server's count includes its cache. With rounds of
    tools, a template may drop what the model thought in between.
    """
    tools = record.asked.tools if record.asked else ()
    whole = not (record.tools or record.left_out) and tools == request.tools
    return whole and record.parent is not None


def _record_of(run: str | None) -> Record | None:
    """The journal of a run, if it exists."""
    if run is None:
        return None
    try:
        return read(runs_folder() / (run + SUFFIX))
    except (ChatstreamError, NoHome):
        return None


def _without(messages: Sequence[Message], left_out: int) -> Sequence[Message]:
    """The messages without the oldest `left_out`; a system prompt stays."""
    if not left_out:
        return messages
    system = [it for it in messages if it.role == "system"]
    return [*system, *[it for it in messages if it.role != "system"][left_out:]]


def _shorter(messages: Sequence[Message], size: int) -> Iterator[tuple[int, int]]:
    """How many of the oldest messages can be left out, and the size of the rest: whole turns, more
    of them each time, until only the newest is left. `size` is that of all messages.
    """
    said = [it for it in messages if it.role != "system"]
    before = 0
    for at, message in enumerate(said):
        if message.role == "user" and at > before:
            size -= size_of(said[before:at])
            before = at
            yield at, size


def _unless_it_fails(
    asked: Generator[Arrival, None, T], token: CancelToken
) -> Generator[Arrival, None, T | None]:
    """What a server reports; None if it fails. Raises the token's reason."""
    try:
        return (yield from asked)
    except ChatstreamError:
        token.check()
        return None


def _turns(messages: Sequence[Message]) -> int:
    return sum(it.role == "user" for it in messages)


def _too_long(used: int, window: int, limit: int, *, alone: bool) -> ContextLength:
    """`alone`: there is no older turn that could be left out."""
    what = "the question alone does" if alone else "the conversation does"
    way = (
        "shorten the question, or ask a model with a larger window"
        if alone
        else "--trim leaves out its oldest turns; or ask without continuing, or ask a model with "
        "a larger window"
    )
    words = f"{what} not fit the model's context window of {window:,} tokens: it has {used:,}"
    if used < window:
        words += f", and the answer needs {window - limit:,}"
    return ContextLength(f"{words}; nothing was sent", hint=way)

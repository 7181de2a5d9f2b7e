"""Another attempt when one fails: the same request again, or a continuation of its answer.

1. Before the first visible token the request is simply sent again.
2. After it the user chooses (`on_drop`). "restart" drops the text and asks again, "continue" keeps
   it and asks the server to continue, "stop" and "fallback" leave the failure to the caller.
   Only failures that may pass are retried; a policy that refuses the answer is not one of them.
3. Text is never there twice. Where it could be (a server that cannot truly continue, calls of
   tools that had begun) nothing is asked again, and the text stays as it is.
4. Each attempt has a token of its own, so that what ends an attempt does not end the run.
5. A `retry` event announces the pause, which can be cancelled and pulses, so that a countdown runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, Deadline, monotonic
from chatstream.errors import BadRequest, ChatstreamError, ContentPolicy, ContextLength
from chatstream.events import (
    Content,
    Event,
    Image,
    Metadata,
    Reasoning,
    Retry,
    ToolCall,
    ToolCallDelta,
    Warn,
)
from chatstream.flow import Burst, Finish, Open, Pulse, close
from chatstream.messages import ChatRequest, ContinuationMethod
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.seam import Diverged, Seam

log = logging.getLogger(__name__)

OnDrop = Literal["continue", "restart", "stop", "fallback"]

MAX_CONTINUED_CHARACTERS = 2 * 1024 * 1024
"""The longest text that is continued. No model takes as much; memory stays flat."""

_SHARED = (ContentPolicy, ContextLength)  # with every other way to ask for the same

_CLOSE_A_SEAM = frozenset({Finish, ToolCall, ToolCallDelta})

Sleep = Callable[[CancelToken, float], bool]


class Plan(msgspec.Struct, frozen=True):
    """What may be done about a failure.

    `method` is how this server truly continues an answer, None if it does not. `in_words`: where
    that fails, the model may be asked in words, because the user has asked for just that.
    `first`: failures before the first token may be retried.
    """

    on_drop: OnDrop = "stop"
    method: ContinuationMethod | None = None
    in_words: bool = False
    first: bool = True


def retry(
    source: Open,
    attempts: Attempts,
    plan: Plan,
    clock: Clock = monotonic,
    sleep: Sleep = CancelToken.sleep,
) -> Open:
    """`source`, with further attempts as far as `plan` and `attempts` allow them.

    A request with a `partial` asks for its continuation from the first attempt on.
    """
    return lambda request, token: _Run(source, attempts, plan, clock, sleep).run(request, token)


class NotContinued(BadRequest):
    """The server does not continue an answer."""


class _Text:
    """The answer so far, as the server sent it: `pieces` since the last `take`, and the rest."""

    def __init__(self, text: str) -> None:
        self.pieces: list[str] = []
        self.lost = False  # longer than anyone continues
        self._taken = [text]
        self._size = len(text)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing but white space, so nothing to continue."""
        return not self.lost and not self.whole().strip()

    def whole(self) -> str:
        """All of it."""
        return "".join(self._taken)

    def take(self) -> bool:
        """Join what came: many small pieces take ten times their text. False: nothing came."""
        if not self.pieces:
            return False
        text = "".join(self.pieces)
        self.pieces.clear()
        self._size += len(text)
        self.lost = self._size > MAX_CONTINUED_CHARACTERS
        if self.lost:
            self._taken.clear()
        else:
            self._taken.append(text)
            if len(self._taken) > 256:
                self._taken[:] = [self.whole()]
        return True

    def clear(self) -> None:
        """The server, or we, start over."""
        self.pieces.clear()
        self._taken.clear()
        self._size, self.lost = 0, False


class _Run:
    def __init__(
        self, source: Open, attempts: Attempts, plan: Plan, clock: Clock, sleep: Sleep
    ) -> None:
        self._source = source
        self._attempts = attempts
        self._plan = plan
        self._clock = clock
        self._sleep = sleep
        self._method = plan.method
        self._shown = False  # something new came, even if it was only thinking
        self._shown_now = False  # the same for the attempt under way
        self._tools = False  # calls of tools had begun
        self._thought = False
        self._drop: ChatstreamError | None = None  # what broke the answer off

    def run(self, request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        self._text = _Text(request.partial)
        asked = request
        while True:
            child, untie = token.child()
            events = self._attempt(asked, child)
            try:
                yield from events
                return
            except ChatstreamError as error:
                token.check()
                cause = error
            except Diverged:
                cause = NotContinued("the server started over instead of continuing")
            finally:
                try:
                    close(events)
                finally:
                    untie()
            refused = isinstance(cause, BadRequest) and not isinstance(cause, _SHARED)
            if refused and asked.partial and not self._shown_now:
                self._method = self._other_method(asked.method)
                if asked.method != "stream":  # the server need not have kept it
                    yield Warn("not_continued", cause.message, t=self._clock())
                if self._method is None:
                    raise self._drop or cause
                asked = replace(asked, method=self._method)
                continue
            try:
                delay, asked = self._next(cause, request, asked)
            except ChatstreamError as failure:
                if failure is not cause:  # the text stays; the reason is reported too
                    yield Warn("not_continued", cause.message, t=self._clock())
                raise
            log.info("attempt %d in %.3f s: %s", self._attempts.number, delay, cause.message)
            yield Retry(
                attempt=self._attempts.number,
                max=self._attempts.most,
                delay=round(delay, 3),
                cause=cause.message,
                status=cause.status,
                emitted_chars=len(asked.partial),
                action="continue" if asked.partial else "reset",
                t=self._clock(),
            )
            yield from self._pause(delay, token)

    def _other_method(self, refused: ContinuationMethod | None) -> ContinuationMethod | None:
        if refused == "stream":
            return "prefill"
        return "user_turn" if self._plan.in_words and refused != "user_turn" else None

    def _attempt(self, asked: ChatRequest, token: CancelToken) -> Iterator[Event]:
        """One attempt: its events, without what a continuation repeats."""
        seam = _seam(asked) if asked.partial else None
        self._shown_now = False
        pieces = self._text.pieces
        events = self._source(asked, token)
        try:
            for event in events:
                kind = type(event)
                if type(event) is Content:
                    if seam is not None:
                        if not _is_new(event, seam):
                            continue
                        if seam.closed:
                            seam = None
                    pieces.append(event.delta)
                elif type(event) is Burst:
                    if seam is not None:
                        event.contents = [it for it in event.contents if _is_new(it, seam)]
                        if not event.contents:
                            continue
                        if seam.closed:
                            seam = None
                    pieces += [content.delta for content in event.contents]
                elif kind is Pulse:
                    if pieces:
                        self._take()
                elif seam is not None and seam.repeats and kind is Reasoning:
                    continue  # it came before the text that is there
                else:
                    if seam is not None and kind in _CLOSE_A_SEAM and (rest := seam.finish()):
                        pieces.append(rest)
                        yield Content(rest, t=event.t)
                    self._note(event)
                yield event
                if isinstance(event, Metadata) and event.restart and asked.partial:
                    # Everyone has dropped the text. What comes now only continues it.
                    seam = _seam(asked)
                    pieces.append(asked.partial)
                    yield Content(asked.partial, t=event.t)
        finally:
            self._take()
            close(events)

    def _take(self) -> None:
        if self._text.take():
            self._shown = self._shown_now = True

    def _note(self, event: Event) -> None:
        if isinstance(event, Metadata):
            event.attempt = self._attempts.number
            if event.restart:
                self._forget()
        elif isinstance(event, Reasoning | Image):
            self._shown = self._shown_now = self._thought = True
        elif isinstance(event, ToolCall | ToolCallDelta):
            self._shown = self._shown_now = self._tools = True

    def _forget(self) -> None:
        """The text is gone, and so is what broke it off."""
        self._text.clear()
        self._shown = self._shown_now = self._tools = self._thought = False
        self._drop = None

    def _next(
        self, cause: ChatstreamError, request: ChatRequest, asked: ChatRequest
    ) -> tuple[float, ChatRequest]:
        """Seconds to wait, and what to ask then. Raises when there is no further attempt."""
        if self._shown_now:
            self._drop = cause
        failure = self._drop or cause
        if not self._shown:
            if not self._plan.first:
                raise failure
            return self._delay(cause, failure), asked
        text = self._text
        if self._tools or self._plan.on_drop in {"stop", "fallback"}:
            raise failure
        if self._plan.on_drop == "restart" or (text.is_blank and self._thought):
            delay = self._delay(cause, failure)
            self._forget()
            return delay, replace(request, partial="", method=None)
        if text.is_blank:  # asked again; that white space is there already
            delay = self._delay(cause, failure)
            return delay, replace(request, partial=text.whole(), method="stripped_prefill")
        method = self._method or ("user_turn" if self._plan.in_words else None)
        if method is None or text.lost:
            raise failure
        return self._delay(cause, failure), replace(request, partial=text.whole(), method=method)

    def _delay(self, cause: ChatstreamError, failure: ChatstreamError) -> float:
        delay = self._attempts.next(cause, answered=self._shown)
        if delay is None:
            raise failure
        return delay

    def _pause(self, seconds: float, token: CancelToken) -> Iterator[Event]:
        deadline = Deadline(seconds, self._clock)
        while (left := deadline.left()) and not self._sleep(token, min(POLL_SECONDS, left)):
            yield Pulse(t=self._clock(), connected=False)
        token.check()


def _is_new(content: Content, seam: Seam) -> bool:
    """Whether anything of it is; it then holds no more than that."""
    content.delta = seam.feed(content.delta)
    return bool(content.delta)


def _seam(asked: ChatRequest) -> Seam:
    text = asked.partial
    left_out = text[len(text.rstrip()) :] if asked.method == "stripped_prefill" else ""
    return Seam(
        text,
        words=asked.method == "user_turn",
        repeats=asked.method == "stream",
        resent=left_out,
    )

"""Another attempt when one fails: the same request again, or a continuation of its answer.

1. Before the first visible token the request is simply sent again.
2. After it the user chooses (`on_drop`). "restart" drops the text and asks again, "continue" keeps
   it and asks the server to continue, "stop" and "fallback" leave the failure to the caller.
   Only failures that may pass are retried; a policy that refuses the answer is not one of them.
3. Text is never there twice. Where it could be (a server that cannot truly continue, calls of
   tools that had begun) nothing is asked again, and the text stays as it is. Calls that are to be
   run here are an exception: none of them has run yet, so the whole response is asked for again.
4. Each attempt has a token of its own, so that what ends an attempt does not end the run.
5. A `retry` event announces the pause, which can be cancelled. Heartbeats come meanwhile, so that a
   countdown runs.
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
from chatstream.flow import Arrival, Finish, Open, close, only_content
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
    `first`: failures before the first token may be retried. `after_calls`: a response may be asked
    for again though calls had begun in it. `resettable`: text that was shown can be taken back.
    """

    on_drop: OnDrop = "stop"
    method: ContinuationMethod | None = None
    in_words: bool = False
    first: bool = True
    after_calls: bool = False
    resettable: bool = True


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
    """The answer so far, as the server sent it."""

    def __init__(self, text: str) -> None:
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

    def add(self, text: str) -> None:
        """Take what came."""
        self._size += len(text)
        self.lost = self._size > MAX_CONTINUED_CHARACTERS
        if self.lost:
            self._taken.clear()
        else:
            self._taken.append(text)
            if len(self._taken) > 256:  # many small pieces take ten times their text
                self._taken[:] = [self.whole()]

    def clear(self) -> None:
        """The server, or we, start over."""
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
        self._seam: Seam | None = None  # where the attempt under way still may repeat
        self._shown = False  # something new came, even if it was only thinking
        self._shown_now = False  # the same for the attempt under way
        self._tools = False  # calls of tools had begun
        self._thought = False
        self._drop: ChatstreamError | None = None  # what broke the answer off

    def run(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        self._text = _Text(request.partial)
        asked = request
        while True:
            child, untie = token.child()
            arrivals = self._attempt(asked, child)
            try:
                yield from arrivals
                return
            except ChatstreamError as error:
                token.check()
                cause = error
            except Diverged:
                cause = NotContinued("the server started over instead of continuing")
            finally:
                try:
                    close(arrivals)
                finally:
                    untie()
            refused = isinstance(cause, BadRequest) and not isinstance(cause, _SHARED)
            if refused and asked.partial and not self._shown_now:
                self._method = self._other_method(asked.method)
                if asked.method != "stream":  # the server need not have kept it
                    yield self._alone(Warn("not_continued", cause.message))
                if self._method is None:
                    raise self._drop or cause
                asked = replace(asked, method=self._method)
                continue
            try:
                delay, asked = self._next(cause, request, asked)
            except ChatstreamError as failure:
                if failure is not cause:  # the text stays; the reason is reported too
                    yield self._alone(Warn("not_continued", cause.message))
                raise
            log.info("attempt %d in %.3f s: %s", self._attempts.number, delay, cause.message)
            again = Retry(
                attempt=self._attempts.number,
                max=self._attempts.most,
                delay=round(delay, 3),
                cause=cause.message,
                status=cause.status,
                emitted_chars=len(asked.partial),
                action="continue" if asked.partial else "reset",
            )
            yield self._alone(again)
            yield from self._pause(delay, token)

    def _other_method(self, refused: ContinuationMethod | None) -> ContinuationMethod | None:
        if refused == "stream":
            return "prefill"
        return "user_turn" if self._plan.in_words and refused != "user_turn" else None

    def _alone(self, event: Event) -> Arrival:
        return Arrival([event], self._clock())

    def _attempt(self, asked: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        """One attempt: what comes of it, without what a continuation repeats."""
        self._seam = _seam(asked) if asked.partial else None
        self._shown_now = False
        arrivals = self._source(asked, token)
        try:
            for arrival in arrivals:
                events = arrival.events
                if self._seam is None and (text := only_content(events)):
                    self._add(text)
                elif events:
                    passed: list[Event] = []
                    arrival.events = passed
                    try:
                        for event in events:
                            self._pass(event, asked, passed)
                    except Diverged:
                        yield arrival
                        raise
                yield arrival
        finally:
            close(arrivals)

    def _pass(self, event: Event, asked: ChatRequest, passed: list[Event]) -> None:
        """Add to `passed` what of an event is new."""
        seam = self._seam
        if type(event) is Content:
            if seam is not None:
                event.delta = seam.feed(event.delta)
                if seam.closed:
                    self._seam = None
                if not event.delta:
                    return
            self._add(event.delta)
        elif seam is not None and seam.repeats and type(event) is Reasoning:
            return  # it came before the text that is there
        else:
            if seam is not None and type(event) in _CLOSE_A_SEAM and (rest := seam.finish()):
                self._add(rest)
                passed.append(Content(rest))
            self._note(event)
        passed.append(event)
        if isinstance(event, Metadata) and event.restart and asked.partial:
            # Everyone has dropped the text. What comes again only goes on after it.
            self._seam = _seam(asked)
            self._add(asked.partial)
            passed.append(Content(asked.partial))

    def _add(self, text: str) -> None:
        self._text.add(text)
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
        plan = self._plan
        again = plan.after_calls and (plan.resettable or text.is_blank)
        if plan.on_drop in {"stop", "fallback"} or (self._tools and not again):
            raise failure
        signed = self._thought and plan.after_calls and plan.resettable  # and goes back with calls
        blank = text.is_blank and self._thought
        if self._tools or signed or blank or plan.on_drop == "restart":
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

    def _pause(self, seconds: float, token: CancelToken) -> Iterator[Arrival]:
        deadline = Deadline(seconds, self._clock)
        while (left := deadline.left()) and not self._sleep(token, min(POLL_SECONDS, left)):
            yield Arrival(t=self._clock(), connected=False)
        token.check()


def _seam(asked: ChatRequest) -> Seam:
    text = asked.partial
    left_out = text[len(text.rstrip()) :] if asked.method == "stripped_prefill" else ""
    return Seam(
        text,
        words=asked.method == "user_turn",
        repeats=asked.method == "stream",
        resent=left_out,
    )

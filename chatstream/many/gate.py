"""The gate before each server, which the requests of many runs pass: all of them heed its limits.

1. There is a gate for each address and key. Waiting before it costs a run no attempt and no time
   limit, sends heartbeats, and ends when the run is cancelled.
2. Until the server has accepted one request only one is under way: a wrong key costs one request.
3. If a server asks for a wait (429, or another failure with `Retry-After`), no run sends it
   anything for that time. If it names no time, the wait is `pause` seconds, doubled each time. The
   refused request is then sent again, which is not one of the attempts of its run. Successes count,
   too: if one says that a limit is used up, every request waits until the limit is reset.
4. Of the requests under way half as many are allowed after a refusal, and one more after as many
   successes as are allowed. Requests that were sent before a refusal are not a second one.
5. `rpm` and `tpm` limit the requests and the tokens of any minute. What a request will take is
   guessed as its text and an answer like those before it.
6. A gate closes for good, and every request fails at once with the same failure: after a key or
   account that is refused, a model that is not there if nothing was accepted before, a wait of more
   than `MAX_WAIT_SECONDS`, and `MOST_REFUSALS` waits without one success. Requests under way go on.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Generator, Iterator

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.engine.gatekeeping import Asked
from chatstream.errors import (
    MAX_WAIT_SECONDS,
    AuthError,
    ChatstreamError,
    ModelNotFound,
    QuotaExceeded,
    RateLimited,
    Refused,
)
from chatstream.events import TOKENS, Usage, Warn
from chatstream.flow import Arrival, Open, close
from chatstream.many.rates import Window
from chatstream.messages import ChatRequest
from chatstream.wording import in_words

MOST_REFUSALS = 20

_CHARACTERS_PER_TOKEN = 4  # of English; the server counts what it was


class Gates:
    """The gates of all servers that the runs of one pool ask: its gatekeeper."""

    def __init__(
        self,
        *,
        pause: float = 1.0,
        rpm: int | None = None,
        tpm: int | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self._pause = pause
        self._limits = (rpm, tpm)
        self._clock = clock
        self._gates: dict[tuple[str, str | None], Gate] = {}
        self._lock = threading.Lock()

    def around(self, server: Asked, source: Open) -> Open:
        """`source`, opened when its server may be asked."""
        return self._gate(server).around(server, source)

    @property
    def refusal(self) -> ChatstreamError | None:
        """What closed a gate for good."""
        return next((it.refusal for it in self._all() if it.refusal is not None), None)

    def wait(self) -> float:
        """Seconds for which a server has asked for a wait; 0 if none has."""
        return max((it.wait() for it in self._all()), default=0.0)

    def _all(self) -> list[Gate]:
        with self._lock:
            return list(self._gates.values())

    def _gate(self, server: Asked) -> Gate:
        place = (server.endpoint.base_url, server.endpoint.key)
        with self._lock:
            if place not in self._gates:
                self._gates[place] = Gate(self._pause, *self._limits, self._clock)
            return self._gates[place]


class _Entry(msgspec.Struct):
    """A request that has passed. `refusals` is how many there had been before it."""

    refusals: int
    tokens: list[float]
    accepted: bool = False
    used: int | None = None  # tokens, as the server counts


class Gate:
    """One server's. All its attributes are under its lock."""

    def __init__(self, pause: float, rpm: int | None, tpm: int | None, clock: Clock) -> None:
        self.refusal: ChatstreamError | None = None
        self._pause = pause
        self._clock = clock
        self._requests = Window(rpm or math.inf, clock)
        self._tokens = Window(tpm or math.inf, clock)
        self._counts_tokens = tpm is not None
        self._moved = threading.Condition()
        self._under_way = 0
        self._allowed = math.inf  # under way at once
        self._successes = 0  # since that changed
        self._accepted = False  # some request was
        self._closed_until = -math.inf
        self._refusals = 0
        self._in_vain = 0  # refusals since the last success
        self._ended = 0
        self._used = 0.0  # tokens, by all that have ended

    def around(self, server: Asked, source: Open) -> Open:
        """`source`, opened when the server accepts requests, and again after a wait it asks for."""

        def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
            while True:
                entry = yield from self._enter(request, token)
                arrivals = source(request, token)
                failure: ChatstreamError | None = None
                spoke = False
                try:
                    for arrival in arrivals:
                        if arrival.events and not entry.accepted:
                            self._accept(entry, server.used_up())
                        spoke = not TOKENS.isdisjoint(map(type, arrival.events))
                        yield arrival
                        if spoke:
                            break
                    if self._counts_tokens:
                        yield from _counting(arrivals, entry)
                    else:
                        yield from arrivals
                    return
                except ChatstreamError as error:
                    failure = error
                finally:
                    try:
                        close(arrivals)
                    finally:
                        self._leave(entry, failure)
                assert failure is not None, "the only other way out of `try`"
                token.check()
                if spoke or not _asks_to_wait(failure) or self.refusal is not None:
                    raise failure
                told = f"{failure.message}; asking again in {in_words(self.wait())}"
                yield Arrival([Warn("rate_limited", told)], self._clock(), connected=False)

        return opened

    def wait(self) -> float:
        """Seconds for which the server has asked for a wait."""
        return max(0.0, self._closed_until - self._clock())

    def _enter(self, request: ChatRequest, token: CancelToken) -> Generator[Arrival, None, _Entry]:
        text = sum(len(it.content) for it in request.messages) if self._counts_tokens else 0
        while True:
            token.check()
            with self._moved:
                if self.refusal is not None:
                    raise _again(self.refusal)
                guess = text / _CHARACTERS_PER_TOKEN + self._used / max(1, self._ended)
                wait = self._must_wait(guess)
                if wait <= 0:
                    self._under_way += 1
                    self._requests.take()
                    return _Entry(self._refusals, self._tokens.take(guess))
                self._moved.wait(min(wait, POLL_SECONDS))
            yield Arrival(t=self._clock(), connected=False, held=True)

    def _must_wait(self, tokens: float) -> float:
        """Seconds until the next may pass; infinite if one of those under way has to end before."""
        if self._under_way >= (self._allowed if self._accepted else 1):
            return math.inf
        return max(self.wait(), self._requests.wait(), self._tokens.wait(tokens))

    def _accept(self, entry: _Entry, used_up: float | None) -> None:
        """The server has begun to answer. `used_up`: seconds for which no request remains."""
        with self._moved:
            entry.accepted = self._accepted = True
            if used_up is not None:
                self._close_for(used_up, "the server's limit is used up")
            self._moved.notify_all()

    def _leave(self, entry: _Entry, failure: ChatstreamError | None) -> None:
        with self._moved:
            if self._counts_tokens and entry.used is not None:
                self._tokens.correct(entry.tokens, entry.used)
                self._used += entry.used
                self._ended += 1
            if failure is not None:
                self._heed(entry, failure)
            elif entry.accepted:
                self._in_vain = 0
                self._successes += 1
                if self._successes >= self._allowed:
                    self._allowed += 1
                    self._successes = 0
            self._under_way -= 1
            self._moved.notify_all()

    def _heed(self, entry: _Entry, failure: ChatstreamError) -> None:
        """What a failure says about the requests to come."""
        if self._is_for_all(failure):
            self._refuse(failure)
        elif _asks_to_wait(failure):
            is_new = entry.refusals == self._refusals
            if is_new:
                self._refusals += 1
                self._in_vain += 1
                self._allowed = max(1, min(self._allowed, self._under_way) // 2)
                self._successes = 0
            pause = failure.retry_after
            if pause is None:
                pause = self._pause * 2 ** (self._in_vain - 1) if is_new else 0.0
            self._close_for(pause, failure.message)
            if self._in_vain > MOST_REFUSALS:
                self._refuse(failure)

    def _is_for_all(self, failure: ChatstreamError) -> bool:
        """Whether every other request would fail like this."""
        if isinstance(failure, ModelNotFound):
            return not self._accepted
        return isinstance(failure, AuthError | QuotaExceeded) or type(failure) is Refused

    def _close_for(self, seconds: float, message: str) -> None:
        if seconds > MAX_WAIT_SECONDS:
            hint = f"the server asks for a wait of {in_words(seconds)}"
            self._refuse(RateLimited(message, hint=hint, retry_after=seconds))
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _refuse(self, failure: ChatstreamError) -> None:
        self.refusal = self.refusal or failure


def _asks_to_wait(failure: ChatstreamError) -> bool:
    limited = isinstance(failure, RateLimited) or failure.retry_after is not None
    return limited and failure.retryable


def _again(refusal: ChatstreamError) -> ChatstreamError:
    """The same failure for another run, which need not try again."""
    failure = copy.copy(refusal)
    failure.retryable = False
    return failure


def _counting(arrivals: Iterator[Arrival], entry: _Entry) -> Iterator[Arrival]:
    for arrival in arrivals:
        for event in arrival.events:
            if type(event) is Usage:
                entry.used = (event.input_tokens or 0) + (event.output_tokens or 0)
        yield arrival

"""The same request with fewer parameters, if a server refuses one that we added ourselves.

`degrade`: some servers do not know `stream_options` or `max_tokens`, some models cannot think with
the effort that was asked for or tell no `logprobs`, and some servers cannot stream at all. The
request is sent again without that parameter, and a `warning` says so. Each parameter is dropped at
most once, and stays out of later requests, of this run and of others that share what was `refused`.

`unstreamed`: where a stream fails before its first token, whatever the reason (a proxy that breaks
it, a server whose stream is damaged), the request is sent again without streaming, if the user
wants that. This does not apply where the failure has nothing to do with streaming: there is no
connection, or the server has refused the request.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.errors import (
    Cancelled,
    ChatstreamError,
    ConfigError,
    ConnectError,
    InternalError,
    RateLimited,
    Refused,
    TimedOut,
    TLSError,
    UnsupportedParameter,
    UsageError,
)
from chatstream.events import Warn
from chatstream.flow import Arrival, Open, close
from chatstream.messages import ChatRequest
from chatstream.recovery.watchdog import speaks_at

log = logging.getLogger(__name__)

_ALIKE = (
    *(Cancelled, ConfigError, ConnectError, InternalError, RateLimited, Refused, TLSError),
    UsageError,
)
"""Failures that a request without streaming would share."""


_OF_THE_QUESTION = frozenset({"earlier thinking"})
"""Parameters whose refusal says nothing about other questions."""


def degrade(source: Open, refused: set[str] | None = None) -> Open:
    """`source`, asked again without what the server does not take.

    `refused` is what other runs have learned about it; what this one learns is added.
    """
    learned = set() if refused is None else refused
    known: frozenset[str] = frozenset()

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        nonlocal known
        for parameter in sorted(learned - known - _unasked(request)):
            known |= {parameter}
            yield _left_out(parameter, "asking without it")
        while True:
            if not known <= request.without:
                stream = request.stream and "stream" not in known
                request = replace(request, stream=stream, without=request.without | known)
            try:
                yield from source(request, token)
                return
            except UnsupportedParameter as error:
                parameter = error.parameter
                if parameter in _unasked(request) | request.without:
                    raise
            log.info("refused: %s", parameter)
            known |= {parameter}
            learned.update({parameter} - _OF_THE_QUESTION)
            yield _left_out(parameter, "asking again without it")

    return opened


def _unasked(request: ChatRequest) -> frozenset[str]:
    """What is sent only on request, and is not in this one."""
    asked = {"effort": request.effort is not None, "logprobs": bool(request.logprobs)}
    return frozenset(name for name, is_asked in asked.items() if not is_asked)


def _left_out(parameter: str, what: str) -> Arrival:
    message = f"the server does not accept {parameter!r}; {what}"
    return Arrival([Warn("unsupported_parameter", message)])


def unstreamed(source: Open) -> Open:
    """`source`, asked once more without streaming where its stream fails before the first token."""
    tried = False

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        nonlocal tried
        begun = False
        arrivals = source(request, token)
        try:
            for arrival in arrivals:
                begun = speaks_at(arrival) is not None
                yield arrival
                if begun:
                    yield from arrivals
            return
        except ChatstreamError as error:
            token.check()
            started = begun or bool(request.partial)
            passed = isinstance(error, TimedOut) and error.phase != "first_token"
            if tried or started or passed or not request.stream or isinstance(error, _ALIKE):
                raise
            cause = error
        finally:
            close(arrivals)
        tried = True
        log.info("asking without streaming: %s", cause.message)
        message = f"the stream failed: {cause.message}; asking without streaming"
        yield Arrival([Warn("not_streamed", message)])
        yield from source(replace(request, stream=False), token)

    return opened

"""Another model takes over when one is down, overloaded, missing or stalled.

1. The models are asked in the order in which they were named, each once; a `fallback` event reports
   each change.
2. Failures that another model would share end the run: a bad request, a policy, a mistake in the
   configuration. A key that is not accepted is not such a failure.
3. What an earlier model wrote stays until a later one produces a token: only then a `metadata`
   event with `restart` drops it. If none does, the text stays, with the failure that broke it off.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.errors import (
    BadRequest,
    ChatstreamError,
    ConfigError,
    InternalError,
    UsageError,
)
from chatstream.events import Fallback, Metadata, Retry, Warn
from chatstream.flow import Arrival, Open, close
from chatstream.messages import ChatRequest
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.watchdog import speaks_at

log = logging.getLogger(__name__)

_SHARED = (UsageError, ConfigError, BadRequest, InternalError)
"""Failures of the request, or of ours, that every model would share."""

Candidate = tuple[str, Open]
"""A model under the name that the user knows it by, and how to ask it."""


def fallback(
    candidates: Sequence[Candidate],
    attempts: Attempts,
    *,
    after_text: bool,
    clock: Clock = monotonic,
) -> Open:
    """The first candidate, and when it fails the next. `after_text`: also in mid-answer."""
    if len(candidates) == 1:
        return candidates[0][1]

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        shown: ChatstreamError | None = None  # what broke off the text that is there
        for number, (name, source) in enumerate(candidates):
            spoke = False
            # The text that is dropped then is not a beginning to continue.
            asked = replace(request, partial="") if shown is not None else request
            arrivals = source(asked, token)
            try:
                for arrival in arrivals:
                    at = speaks_at(arrival)
                    if shown is not None:
                        for event in arrival.events[:at]:  # the earlier text stays for now
                            if isinstance(event, Retry):
                                event.action = "continue"
                            elif isinstance(event, Metadata):
                                event.restart = False
                        if at is not None:
                            arrival.events.insert(at, Metadata(restart=True))
                    spoke = at is not None
                    yield arrival
                    if spoke:
                        break
                yield from arrivals
                return
            except ChatstreamError as error:
                token.check()
                last = number + 1 == len(candidates)
                if last or isinstance(error, _SHARED) or (spoke and not after_text):
                    if shown is None or spoke:
                        raise
                    too = Warn("fallback", f"{name} failed too: {error.message}")
                    yield Arrival([too], clock())
                    raise shown from error
                shown = error if spoke else shown
                cause = error
            finally:
                close(arrivals)
            attempts.turn()
            log.info("%s failed: %s", name, cause.message)
            turn = Fallback(name, candidates[number + 1][0], cause.message)
            yield Arrival([turn], clock())

    return opened

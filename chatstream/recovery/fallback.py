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
from chatstream.events import Event, Fallback, Metadata, Retry, Warn
from chatstream.flow import Finish, Open, close
from chatstream.messages import ChatRequest
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.watchdog import TOKENS

log = logging.getLogger(__name__)

_SHARED = (UsageError, ConfigError, BadRequest, InternalError)
"""Failures of the request, or of ours, that every model would share."""

_SPEAKS = TOKENS | {Finish}

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

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        shown: ChatstreamError | None = None  # what broke off the text that is there
        for number, (name, source) in enumerate(candidates):
            spoke = False
            # The text that is dropped then is not a beginning to continue.
            asked = replace(request, partial="") if shown is not None else request
            events = source(asked, token)
            try:
                for event in events:
                    if type(event) in _SPEAKS:
                        if shown is not None:
                            yield Metadata(restart=True, t=event.t)
                        spoke = True
                        yield event
                        break
                    if shown is not None:  # the earlier text stays for now
                        if isinstance(event, Retry):
                            event.action = "continue"
                        elif isinstance(event, Metadata):
                            event.restart = False
                    yield event
                yield from events
                return
            except ChatstreamError as error:
                token.check()
                last = number + 1 == len(candidates)
                if last or isinstance(error, _SHARED) or (spoke and not after_text):
                    if shown is None or spoke:
                        raise
                    yield Warn("fallback", f"{name} failed too: {error.message}", t=clock())
                    raise shown from error
                shown = error if spoke else shown
                cause = error
            finally:
                close(events)
            attempts.turn()
            log.info("%s failed: %s", name, cause.message)
            yield Fallback(name, candidates[number + 1][0], cause.message, t=clock())

    return opened

"""Another attempt when one fails, while nothing of the answer has been shown.

1. Before the first visible token a retry is free. After it there is none: the same words would
   come twice.
2. Each attempt has a token of its own, so that what ends an attempt does not end the run.
3. The pause is told in a `retry` event, can be cancelled, and pulses, so that a countdown runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import ChatstreamError
from chatstream.events import Event, Metadata, Retry
from chatstream.flow import Open, Pulse, close
from chatstream.messages import ChatRequest
from chatstream.recovery.watchdog import TOKENS

PULSE = 0.1
"""Seconds between two pulses of a pause."""

Sleep = Callable[[CancelToken, float], bool]


def retry(
    source: Open, retries: int, clock: Clock = monotonic, sleep: Sleep = CancelToken.sleep
) -> Open:
    """`source` with up to `retries` further attempts."""

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        attempt = 1
        while True:
            child, untie = token.child()
            events = source(request, child)
            shown = False
            try:
                for event in events:
                    if type(event) in TOKENS:
                        shown = True
                        yield event
                        break
                    if isinstance(event, Metadata):
                        event.attempt = attempt
                    yield event
                yield from events
                return
            except ChatstreamError as error:
                token.check()
                delay = None if shown else _delay(retries, attempt, error)
                if delay is None:
                    raise
                cause = error
            finally:
                close(events)
                untie()
            attempt += 1
            yield Retry(
                attempt=attempt,
                max=retries + 1,
                delay=round(delay, 3),
                cause=cause.message,
                status=cause.status,
                action="reset",
                t=clock(),
            )
            deadline = Deadline(delay, clock)
            while (left := deadline.left()) and not sleep(token, min(PULSE, left)):
                yield Pulse(t=clock(), connected=False)
            token.check()

    return opened


def _delay(retries: int, attempt: int, error: ChatstreamError) -> float | None:
    from chatstream.recovery.policy import Policy  # tenacity: 40 ms that most runs never need

    return Policy(retries).delay(attempt, error)

"""Limits on silence. A socket timeout is not one, because keep-alives reset it for ever.

1. There are four limits: until the request is on the wire, until the first token, between two
   tokens, and for everything together. None means no limit.
2. Only tokens reset a limit. A keep-alive proves that the peer is alive, and `waiting` events
   report it.
3. Limits are checked with every arrival, and several come a second. What came with the arrival at
   which a limit has passed is passed on before the failure; if the answer ends there, it is whole.
4. Time in which nobody looked is not silence: the process was stopped (Ctrl+Z), the machine slept,
   or the reader of the output held everything up. Only `AWAY_SECONDS` of such a gap count. Nor does
   the time count in which the run was held until its turn came.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import ChatstreamError, Stalled, TimedOut
from chatstream.events import TOKENS, Phase, Waiting
from chatstream.flow import Arrival, Finish, Open, close
from chatstream.messages import ChatRequest

log = logging.getLogger(__name__)

NOTICE_SECONDS = 1.0
"""Seconds between two `waiting` events."""

AWAY_SECONDS = 0.5
"""The longest time that counts between two checks: ten come each second, but machines are busy."""

_SPEAKS = TOKENS | {Finish}


class Limits(msgspec.Struct, frozen=True):
    """Seconds; None is no limit."""

    connect: float | None = 10.0
    first_token: float | None = 300.0
    between_tokens: float | None = 120.0


def watchdog(source: Open, limits: Limits, clock: Clock = monotonic) -> Open:
    """Each attempt of `source` under the limits on its phases."""

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        phase: Phase = "connect"
        limit = limits.connect
        since = seen = clock()
        noticed = 0.0
        alive = is_over = False
        arrivals = source(request, token)
        try:
            for arrival in arrivals:
                t = arrival.t
                for event in arrival.events:  # mostly it is the first
                    if type(event) is Finish:
                        break
                    if type(event) in TOKENS:
                        phase, limit = "between_tokens", limits.between_tokens
                        since = seen = t
                        noticed, alive = 0.0, False
                        break
                else:
                    if t >= 0:
                        since += max(0.0, t - seen - AWAY_SECONDS)
                        seen = t
                        if phase == "connect" and arrival.connected:
                            phase, limit = "first_token", limits.first_token
                            since, noticed = t, 0.0
                        alive = alive or arrival.alive
                        silent = t - since
                        is_over = limit is not None and silent >= limit
                        if not is_over and silent >= noticed + NOTICE_SECONDS:
                            noticed = silent
                            arrival.events.append(Waiting(phase, round(silent, 3), limit, alive))
                yield arrival
                if is_over:  # and what came all the same is passed on
                    assert limit is not None
                    raise _passed(phase, limit, alive)
        finally:
            close(arrivals)

    return opened


def within(source: Open, seconds: float | None, clock: Clock = monotonic) -> Open:
    """Everything that `source` does, attempts and pauses together, in at most `seconds`."""

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        deadline = Deadline(seconds, clock)
        seen = clock()
        arrivals = source(request, token)
        try:
            for arrival in arrivals:
                now = clock()
                deadline.extend(max(0.0, now - seen - (0.0 if arrival.held else AWAY_SECONDS)))
                seen = now
                is_over = deadline.passed
                yield arrival
                if is_over:
                    error = TimedOut(
                        f"the answer was not complete within {seconds:g} s",
                        hint="raise the limit with --timeout",
                    )
                    error.phase = "total"
                    raise error
        finally:
            close(arrivals)

    return opened if seconds is not None else source


def speaks_at(arrival: Arrival) -> int | None:
    """The place of the first event with which the model speaks, or ends."""
    return next((at for at, it in enumerate(arrival.events) if type(it) in _SPEAKS), None)


def _passed(phase: Phase, limit: float, alive: bool) -> ChatstreamError:
    log.info("the limit of %g s passed (%s)", limit, phase)
    error = _of_phase(phase, limit, alive)
    error.phase = phase
    return error


def _of_phase(phase: Phase, limit: float, alive: bool) -> ChatstreamError:
    if phase == "connect":
        return TimedOut(
            f"no connection within {limit:g} s", hint="raise the limit with --connect-timeout"
        )
    signs = ", only keep-alives" if alive else ""
    if phase == "first_token":
        return TimedOut(
            f"no token within {limit:g} s{signs}",
            hint="raise the limit with --first-token-timeout; a model may still be loading",
        )
    return Stalled(f"no further token for {limit:g} s{signs}")

"""Which failures are worth another attempt, and how long to wait before it.

tenacity's strategies decide; it cannot run the attempts, since it wraps functions and an answer is
a generator. A failure is retried if it says so itself (`retryable`): connection trouble, timeouts,
408, 409, 429 and 5xx, unless the server says otherwise. The pause is what the server asks for, or
else exponential with jitter. A server that asks for more than the ceiling is not asked again.
"""

from __future__ import annotations

import tenacity

from chatstream.errors import MAX_WAIT_SECONDS, ChatstreamError

MAX_PAUSE_SECONDS = 8.0
"""Pauses grow up to this, unless the first one is longer."""


def _may_help(error: BaseException) -> bool:
    return (
        isinstance(error, ChatstreamError)
        and error.retryable
        and (error.retry_after is None or error.retry_after <= MAX_WAIT_SECONDS)
    )


class _AsTold(tenacity.wait.wait_base):
    """What the server asks for, else what `otherwise` says."""

    def __init__(self, otherwise: tenacity.wait.wait_base) -> None:
        self._otherwise = otherwise

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = getattr(error, "retry_after", None)
        return asked if asked is not None else self._otherwise(retry_state)


class Policy:
    """`retries` attempts after the first, `pause` seconds after it or more."""

    def __init__(self, retries: int, pause: float) -> None:
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_help),
            stop=tenacity.stop_after_attempt(retries + 1),
            wait=_AsTold(
                tenacity.wait_exponential(multiplier=pause, max=max(pause, MAX_PAUSE_SECONDS))
                + tenacity.wait_random(0.0, pause)
            ),
        )

    def delay(self, attempt: int, error: ChatstreamError) -> float | None:
        """Seconds to wait after `attempt` (from 1) failed with `error`; None: give up."""
        state = tenacity.RetryCallState(self._retrying, None, (), {})
        state.attempt_number = attempt
        state.set_exception((type(error), error, error.__traceback__))
        if not self._retrying.retry(state) or self._retrying.stop(state):
            return None
        return float(self._retrying.wait(state))

"""One budget of attempts for a whole run, whatever they are for.

Retries, restarts and continuations all draw on it, over all models. Turning to another model
costs nothing of it: each model that was named gets at least one attempt.
"""

from __future__ import annotations

from chatstream.errors import ChatstreamError

PAUSE = 0.5
"""Seconds: the first pause, which is doubled each time, and the most that chance adds to it."""


class Attempts:
    """`retries` attempts after the first. `number` is that of the attempt under way, from 1.

    `pause` is the first pause between two, in seconds.
    """

    def __init__(self, retries: int, pause: float = PAUSE) -> None:
        self.number = 1
        self._retries = retries
        self._pause = pause
        self._spent = 0

    @property
    def most(self) -> int:
        """The number that the last attempt can have."""
        return self.number + self._retries - self._spent

    def next(self, error: ChatstreamError) -> float | None:
        """Take another attempt after this failure: the seconds to wait first; None: no more."""
        from chatstream.recovery.policy import Policy  # tenacity: 40 ms that most runs never need

        delay = Policy(self._retries, self._pause).delay(self._spent + 1, error)
        if delay is not None:
            self._spent += 1
            self.number += 1
        return delay

    def turn(self) -> None:
        """Another model has its first attempt."""
        self.number += 1

"""One budget of attempts for a whole run, whatever each attempt is for.

Retries, restarts and continuations all draw on it, over all models. Changing to another
model costs nothing: each model that was named gets at least one attempt.

A server that cannot be reached is different. On this machine it will not be there in a second
either, and elsewhere one more attempt is enough to be sure. A server that has answered before gets
all attempts, because it may be restarting.
"""

from __future__ import annotations

from chatstream.errors import ChatstreamError, Unreachable

FIRST_PAUSE_SECONDS = 0.5
"""The first pause, which doubles each time, and the longest random addition to it."""


class Attempts:
    """`retries` attempts after the first. `number` is the number of the current attempt, from 1.

    `pause` is the first pause between two, in seconds.
    """

    def __init__(self, retries: int, pause: float = FIRST_PAUSE_SECONDS) -> None:
        self.number = 1
        self._retries = retries
        self._pause = pause
        self._spent = 0
        self._looked_again = False  # for a server that was not there,
        self._looks_again = False  # and this is what the attempt under way is for

    @property
    def most(self) -> int:
        """The highest number that an attempt can have."""
        if self._looks_again:
            return self.number
        return self.number + self._retries - self._spent

    def next(self, error: ChatstreamError, *, answered: bool = False) -> float | None:
        """Take another attempt after this failure: the seconds to wait first, or None for no more.

        `answered`: the server has answered before, in this run.
        """
        self._looks_again = False
        if isinstance(error, Unreachable) and not answered:
            if error.here or self._looked_again:
                return None
            self._looks_again = self._looked_again = True
        from chatstream.recovery.policy import Policy  # tenacity: 40 ms that most runs never need

        delay = Policy(self._retries, self._pause).delay(self._spent + 1, error)
        if delay is not None:
            self._spent += 1
            self.number += 1
        return delay

    def turn(self) -> None:
        """Another model has its first attempt."""
        self.number += 1
        self._looked_again = False

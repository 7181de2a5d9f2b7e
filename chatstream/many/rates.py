"""A limit on the amount in any minute: of requests, or of tokens.

The true amount may be known only afterwards, so an estimate is counted first and then corrected.
Time is an argument; a window is for one thread at a time.
"""

from __future__ import annotations

from collections import deque

from chatstream.clock import Clock, monotonic

WINDOW_SECONDS = 60.0


class Window:
    """Takes at most `most` in any `WINDOW_SECONDS`. One amount alone may be more than that."""

    def __init__(self, most: float, clock: Clock = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._taken: deque[list[float]] = deque()  # when, and how much
        self._sum = 0.0

    def wait(self, amount: float = 1.0) -> float:
        """Seconds until this much more may be taken; 0 is now."""
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - WINDOW_SECONDS:
            self._sum -= self._taken.popleft()[1]
        left, wait = self._sum, 0.0
        for at, taken in self._taken:
            if left + amount <= self._most:
                break
            left -= taken
            wait = at + WINDOW_SECONDS - now
        return wait

    def take(self, amount: float = 1.0) -> list[float]:
        """Count this much; what is returned is for `correct`."""
        entry = [self._clock(), amount]
        self._taken.append(entry)
        self._sum += amount
        return entry

    def correct(self, entry: list[float], amount: float) -> None:
        """So much it was."""
        if self._taken and self._taken[0][0] <= entry[0]:  # not forgotten
            self._sum += amount - entry[1]
            entry[1] = amount

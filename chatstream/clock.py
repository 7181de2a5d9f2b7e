"""Monotonic time and budgets of it. Both are arguments everywhere, so that tests own time."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds on a clock that never goes back; only differences mean something."""

monotonic: Clock = time.monotonic

POLL_SECONDS = 0.1
"""The longest that anything waits before it looks whether it was cancelled, whether a limit has
passed or a key was pressed, and lets a spinner turn. People take so short a wait for none."""


class Deadline:
    """What is left of a time budget of `seconds`; None is no limit."""

    def __init__(self, seconds: float | None, clock: Clock = monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    def left(self) -> float | None:
        """Seconds that are left, never negative; None when there is no limit."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    @property
    def passed(self) -> bool:
        """Whether the budget is used up."""
        return self._end is not None and self._clock() >= self._end

    def extend(self, seconds: float) -> None:
        """Give so much more time."""
        if self._end is not None:
            self._end += seconds

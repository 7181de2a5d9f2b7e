"""Claimed: a deadline tells what is left of its budget, on the clock it was given."""

from __future__ import annotations

import pytest

from chatstream.clock import Deadline, monotonic


@pytest.mark.parametrize(
    ("seconds", "later", "left", "passed"),
    [
        (5.0, 0.0, 5.0, False),
        (5.0, 2.0, 3.0, False),
        (5.0, 5.0, 0.0, True),
        (5.0, 9.0, 0.0, True),
        (0.0, 0.0, 0.0, True),
        (None, 1e9, None, False),
    ],
)
def test_a_deadline_tells_what_is_left(
    seconds: float | None, later: float, left: float | None, passed: bool
) -> None:
    now = [100.0]
    deadline = Deadline(seconds, lambda: now[0])
    now[0] += later
    assert (deadline.left(), deadline.passed) == (left, passed)
    assert deadline.seconds == seconds


def test_the_usual_clock_never_goes_back() -> None:
    times = [monotonic() for _ in range(1000)]
    assert times == sorted(times)

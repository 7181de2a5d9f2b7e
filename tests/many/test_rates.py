"""Claimed: no minute takes more than its limit, whatever the amounts are and whenever they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatstream.many.rates import WINDOW_SECONDS, Window


class Time:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=40))
def test_no_minute_takes_more_than_its_limit(steps: list[tuple[int, int]]) -> None:
    time = Time()
    window = Window(10, time)
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        time.now += pause
        time.now += window.wait(amount)
        assert window.wait(amount) == 0
        window.take(amount)
        taken.append((time.now, amount))
    for end, _ in taken:
        minute = [amount for at, amount in taken if end - WINDOW_SECONDS < at <= end]
        assert sum(minute) <= 10


def test_the_wait_is_no_longer_than_it_has_to_be() -> None:
    time = Time()
    window = Window(3, time)
    for _ in range(3):
        assert window.wait() == 0
        window.take()
        time.now += 10
    assert window.wait() == 30
    assert window.wait(3) == 50


def test_more_than_the_limit_alone_waits_for_an_empty_window() -> None:
    time = Time()
    window = Window(3, time)
    assert window.wait(5) == 0
    window.take()
    assert window.wait(5) == WINDOW_SECONDS


def test_a_guess_is_corrected() -> None:
    time = Time()
    window = Window(10, time)
    entry = window.take(10)
    window.correct(entry, 4)
    assert (window.wait(6), window.wait(7)) == (0, WINDOW_SECONDS)
    time.now += WINDOW_SECONDS
    assert window.wait(10) == 0
    window.correct(entry, 9)  # too late to matter
    assert window.wait(10) == 0

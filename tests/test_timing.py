"""The values of the wire's times."""

from __future__ import annotations

import pytest

from chatstream.timing import Stopwatch, Trace


def test_a_reused_connection_has_no_time_of_connecting() -> None:
    assert Trace(reused=True).connect is None


def test_the_time_of_connecting_is_all_of_its_phases() -> None:
    assert Trace(dns=0.001, tcp=0.02, tls=0.3).connect == pytest.approx(0.321)
    assert Trace(dns=0.001, tcp=0.02).connect == pytest.approx(0.021)


def test_a_stopwatch_that_is_held_stands_still() -> None:
    times = iter([1.0, 2.0, 3.0])
    watch = Stopwatch(lambda: next(times))
    assert watch() == 1.0
    watch.held = 0.5
    assert (watch(), watch()) == (0.5, 0.5)
    watch.held = None
    assert watch() == 2.0

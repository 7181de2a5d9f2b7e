"""Claimed: the sink is made when the first arrival comes, and gets every one in order."""

from __future__ import annotations

import pytest

from chatstream.events import Content
from chatstream.flow import Arrival, drive, only_content
from chatstream.sinks.deferred import DeferredSink
from tests.support.arrivals import arrivals


class Inner:
    """The sink that is made, and what was done with it."""

    def __init__(self, fails: str | None = None) -> None:
        self.done: list[str] = []
        self.made = 0
        self._fails = fails

    def make(self) -> Inner:
        self.made += 1
        return self

    def write(self, arrival: Arrival) -> None:
        text = only_content(arrival.events)
        self.done.append(text)
        if text == self._fails:
            raise BrokenPipeError

    def close(self) -> None:
        self.done.append("close")


def test_nothing_is_made_before_the_first_arrival() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    assert inner.made == 0
    sink.write(Arrival([Content("a"), Content("b")]))
    assert (inner.made, inner.done) == (1, ["ab"])
    sink.write(Arrival())
    sink.write(Arrival([Content("c")]))
    sink.close()
    assert (inner.made, inner.done) == (1, ["ab", "", "c", "close"])


def test_a_heartbeat_is_enough_for_a_screen_to_say_what_is_waited_for() -> None:
    inner = Inner()
    DeferredSink(inner.make).write(Arrival(connected=False))
    assert (inner.made, inner.done) == (1, [""])


def test_a_run_without_any_arrival_is_closed() -> None:
    inner = Inner()
    drive(arrivals(), DeferredSink(inner.make))
    assert (inner.made, inner.done) == (1, ["close"])


def test_a_sink_that_fails_on_the_first_arrival_is_closed_and_not_fed_again() -> None:
    inner = Inner(fails="a")
    with pytest.raises(BrokenPipeError):
        drive(arrivals(Content("a"), Content("b")), DeferredSink(inner.make))
    assert (inner.made, inner.done) == (1, ["a", "close"])


def test_closing_twice_makes_one_sink() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    sink.close()
    sink.close()
    assert inner.made == 1

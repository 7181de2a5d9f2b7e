"""Claimed: the sink is made once the request is on its way, and gets every arrival in order."""

from __future__ import annotations

import pytest

from chatstream.events import Content
from chatstream.flow import Arrival, drive, only_content
from chatstream.sinks.deferred import DeferredSink
from tests.support.arrivals import each


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


def opening(text: str) -> Arrival:
    """What a run begins with: the request is not yet on the wire."""
    return Arrival([Content(text)], connected=False)


def test_nothing_is_made_before_the_request_is_on_the_wire() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    sink.write(opening("a"))
    sink.write(opening("b"))
    assert (inner.made, inner.done) == (0, [])
    sink.write(Arrival([Content("c"), Content("d")]))
    sink.write(Arrival())
    sink.write(opening("e"))
    sink.close()
    assert (inner.made, inner.done) == (1, ["a", "b", "cd", "", "e", "close"])


def test_a_heartbeat_is_enough_for_a_screen_to_say_what_is_waited_for() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    sink.write(opening("a"))
    sink.write(Arrival(connected=False))
    assert (inner.made, inner.done) == (1, ["a", ""])


def test_a_run_that_never_connects_is_shown_on_close() -> None:
    inner = Inner()
    drive(each(opening("a"), opening("b")), DeferredSink(inner.make))
    assert (inner.made, inner.done) == (1, ["a", "b", "close"])


@pytest.mark.parametrize("first", [opening("a"), Arrival([Content("a")])], ids=["held", "passed"])
def test_a_sink_that_fails_is_closed_and_not_fed_again(first: Arrival) -> None:
    inner = Inner(fails="a")
    with pytest.raises(BrokenPipeError):
        drive(each(first, Content("b")), DeferredSink(inner.make))
    assert (inner.made, inner.done) == (1, ["a", "close"])


def test_closing_twice_makes_one_sink() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    sink.close()
    sink.close()
    assert inner.made == 1

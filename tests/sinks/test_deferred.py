"""Claimed: the sink is made at the first flush, and gets every event in order all the same."""

from __future__ import annotations

import pytest

from chatstream.events import Content, Event
from chatstream.flow import Pulse, drive
from chatstream.sinks.deferred import DeferredSink


class Inner:
    """The sink that is made, and what was done with it."""

    def __init__(self, fails: str = "") -> None:
        self.done: list[str] = []
        self.made = 0
        self._fails = fails

    def make(self) -> Inner:
        self.made += 1
        return self

    def write(self, event: Event) -> None:
        assert isinstance(event, Content)
        self.done.append(event.delta)
        if event.delta == self._fails:
            raise BrokenPipeError

    def flush(self) -> None:
        self.done.append("flush")

    def close(self) -> None:
        self.done.append("close")


def test_nothing_is_made_before_the_first_flush() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    sink.write(Content("a"))
    sink.write(Content("b"))
    assert (inner.made, inner.done) == (0, [])
    sink.flush()
    sink.write(Content("c"))
    sink.flush()
    sink.close()
    assert (inner.made, inner.done) == (1, ["a", "b", "flush", "c", "flush", "close"])


def test_a_run_without_any_pulse_is_shown_on_close() -> None:
    inner = Inner()
    drive(iter([Content("a"), Content("b")]), DeferredSink(inner.make))
    assert (inner.made, inner.done) == (1, ["a", "b", "close"])


def test_a_sink_that_fails_on_a_held_event_is_closed_and_not_fed_again() -> None:
    inner = Inner(fails="a")
    with pytest.raises(BrokenPipeError):
        drive(iter([Content("a"), Content("b"), Pulse()]), DeferredSink(inner.make))
    assert (inner.made, inner.done) == (1, ["a", "close"])


def test_closing_twice_makes_one_sink() -> None:
    inner = Inner()
    sink = DeferredSink(inner.make)
    sink.close()
    sink.close()
    assert inner.made == 1

"""Claimed: `pipe` joins stages in order, and `drive` closes both ends whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.events import Content, Event, Reasoning
from chatstream.flow import Arrival, Finish, Key, close, drive, events_in, only_content, pipe
from tests.support.arrivals import each


class Notes:
    """A sink that notes what is done with it; `fails` names the calls that raise."""

    def __init__(self, *fails: str) -> None:
        self.done: list[str] = []
        self._fails = fails

    def _note(self, what: str) -> None:
        self.done.append(what)
        if what in self._fails:
            raise OSError(what)

    def write(self, arrival: Arrival) -> None:
        if not arrival.events:
            self._note("heartbeat")
        for event in arrival.events:
            if isinstance(event, Key):
                self._note(event.pressed)
            else:
                assert isinstance(event, Content)
                self._note(event.delta)

    def close(self) -> None:
        self._note("close")


def source(notes: Notes, *steps: Event | Arrival | Exception) -> Iterator[Arrival]:
    try:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield from each(step)
    finally:
        notes.done.append("source closed")


def suffix(mark: str, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    for arrival in arrivals:
        yield Arrival([Content(only_content(arrival.events) + mark)])


def test_the_first_stage_is_nearest_to_the_source() -> None:
    piped = pipe(
        each(Content("a")), lambda it: suffix("1", it), lambda it: suffix("2", it)
    )  # fmt: skip
    assert list(events_in(piped)) == [Content("a12")]


def test_no_stage_changes_nothing() -> None:
    arrivals = each(Content("a"))
    assert pipe(arrivals) is arrivals


def test_every_arrival_is_written_and_a_heartbeat_too() -> None:
    notes = Notes()
    drive(source(notes, Arrival([Content("a"), Content("b")]), Arrival(), Content("c")), notes)
    assert notes.done == ["a", "b", "heartbeat", "c", "source closed", "close"]


@pytest.mark.parametrize("fails", ["b", "heartbeat"])
def test_a_sink_that_fails_is_closed_and_so_is_the_source(fails: str) -> None:
    notes = Notes(fails)
    with pytest.raises(OSError, match=fails):
        drive(source(notes, Content("a"), Arrival(), Content("b"), Content("c")), notes)
    assert notes.done[-3:] == [fails, "close", "source closed"]


def test_a_sink_that_fails_to_close_does_not_keep_the_source_open() -> None:
    notes = Notes("a", "close")
    with pytest.raises(OSError, match="close"):
        drive(source(notes, Content("a")), notes)
    assert notes.done == ["a", "close", "source closed"]


def test_a_source_that_fails_closes_the_sink() -> None:
    notes = Notes()
    with pytest.raises(ZeroDivisionError):
        drive(source(notes, Content("a"), ZeroDivisionError()), notes)
    assert notes.done == ["a", "source closed", "close"]


def test_an_iterator_that_cannot_be_closed_needs_not() -> None:
    arrivals = iter([Arrival([Content("a")])])
    close(arrivals)
    assert next(arrivals).events == [Content("a")]


def test_an_arrival_comes_over_a_connection_now_unless_it_says_otherwise() -> None:
    arrival = Arrival()
    assert (arrival.events, arrival.t, arrival.connected, arrival.alive) == ([], -1.0, True, False)


def test_no_two_arrivals_share_their_events() -> None:
    Arrival().events.append(Content("a"))
    assert Arrival().events == []


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([], ""),
        ([Content("a"), Content("b")], "ab"),
        ([Content("a"), Reasoning("b")], ""),
        ([Finish(reason="stop")], ""),
    ],
)
def test_only_content_is_the_text_of_events_that_are_nothing_else(
    events: list[Event], text: str
) -> None:
    assert only_content(events) == text


def test_a_finish_needs_nothing_but_its_reason() -> None:
    assert (Finish(reason="stop").raw, Finish(reason="stop").server) == (None, None)


def test_a_key_is_written_to_the_sink() -> None:
    notes = Notes()
    drive(source(notes, Content("a"), Key(pressed="pause")), notes)
    assert notes.done == ["a", "pause", "source closed", "close"]


def test_events_leave_the_pipeline_in_their_order_and_heartbeats_do_not() -> None:
    notes = Notes()
    arrivals = source(notes, Arrival(), Arrival([Content("a"), Content("b")]), Content("c"))
    assert list(events_in(arrivals)) == [Content("a"), Content("b"), Content("c")]


def test_closing_the_events_closes_the_arrivals() -> None:
    notes = Notes()
    events = events_in(source(notes, Arrival([Content("a"), Content("b")])))
    next(events)
    close(events)
    assert notes.done == ["source closed"]

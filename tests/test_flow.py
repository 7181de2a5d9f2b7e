"""Claimed: `pipe` joins stages in order, and `drive` closes both ends whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatstream.events import Content, Event
from chatstream.flow import Burst, Finish, Key, Pulse, close, drive, pipe, without_signals


class Notes:
    """A sink that notes what is done with it; `fails` names the calls that raise."""

    def __init__(self, *fails: str) -> None:
        self.done: list[str] = []
        self._fails = fails

    def _note(self, what: str) -> None:
        self.done.append(what)
        if what in self._fails:
            raise OSError(what)

    def write(self, event: Event) -> None:
        if isinstance(event, Key):
            self._note(event.pressed)
        else:
            assert isinstance(event, Content)
            self._note(event.delta)

    def flush(self) -> None:
        self._note("flush")

    def close(self) -> None:
        self._note("close")


def source(notes: Notes, *events: Event | Exception) -> Iterator[Event]:
    try:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        notes.done.append("source closed")


def suffix(mark: str, events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        assert isinstance(event, Content)
        yield Content(event.delta + mark)


def test_the_first_stage_is_nearest_to_the_source() -> None:
    piped = pipe(
        iter([Content("a")]), lambda e: suffix("1", e), lambda e: suffix("2", e)
    )  # fmt: skip
    assert list(piped) == [Content("a12")]


def test_no_stage_changes_nothing() -> None:
    events = iter([Content("a")])
    assert pipe(events) is events


def test_every_event_is_written_and_a_pulse_flushes() -> None:
    notes = Notes()
    drive(source(notes, Content("a"), Pulse(), Content("b")), notes)
    assert notes.done == ["a", "flush", "b", "source closed", "close"]


@pytest.mark.parametrize("fails", ["b", "flush"])
def test_a_sink_that_fails_is_closed_and_so_is_the_source(fails: str) -> None:
    notes = Notes(fails)
    with pytest.raises(OSError, match=fails):
        drive(source(notes, Content("a"), Pulse(), Content("b"), Content("c")), notes)
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
    events = iter([Content("a")])
    close(events)
    assert next(events) == Content("a")


def test_a_pulse_comes_from_a_connection_unless_it_says_otherwise() -> None:
    assert (Pulse().connected, Pulse().alive) == (True, False)


def test_a_finish_needs_nothing_but_its_reason() -> None:
    assert (Finish(reason="stop").raw, Finish(reason="stop").server) == (None, None)


def test_a_key_is_written_to_the_sink() -> None:
    notes = Notes()
    drive(source(notes, Content("a"), Key(pressed="pause")), notes)
    assert notes.done == ["a", "pause", "source closed", "close"]


def test_no_signal_leaves_the_pipeline() -> None:
    events: list[Event] = [Pulse(), Key(pressed="pause"), Burst(contents=[Content("a")]), Pulse()]
    assert list(without_signals(iter(events))) == [Content("a")]

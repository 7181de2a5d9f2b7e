"""Claimed: nothing is passed on before it is written, and no disk ends an answer.

`Writer` stands for the journal's file; what it cannot take is in tests/store.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from copy import copy

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import JournalError
from chatstream.events import (
    Content,
    Done,
    Effect,
    Error,
    Event,
    Metadata,
    ToolStart,
    Warn,
    new_run,
)
from chatstream.flow import Arrival, Finish, close, events_in
from chatstream.grammar import check
from chatstream.stages.journal import journal
from chatstream.stages.seal import seal

FULL = OSError(errno.ENOSPC, "No space left on device")


class Writer:
    """Keeps the batches it is given, and in `log` when; fails from batch `failing` on."""

    def __init__(self, log: list[str], failing: int | None = None, error: Exception = FULL) -> None:
        self.log = log
        self.batches: list[list[Event]] = []
        self.closed = 0
        self._failing = failing
        self._error = error

    def write(self, events: Sequence[Event]) -> None:
        assert not self.closed
        if self._failing is not None and len(self.batches) >= self._failing:
            self.log.append("failed")
            raise self._error
        self.batches.append(list(events))
        self.log += [f"wrote {event.seq}" for event in events]

    def close(self) -> None:
        self.closed += 1

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]


ARRIVALS: list[list[Event]] = [
    [Metadata(model="m")],
    [Content("a"), Content("b")],
    [],
    [Content("c")],
    [Finish(reason="stop")],
]
BATCHES = [[0], [1], [2, 3], [4], [5]]  # their numbers; seal makes the first and the last


def sealed(token: CancelToken | None = None) -> Iterator[Arrival]:
    """A run, as it reaches the stage."""

    def source() -> Iterator[Arrival]:
        for events in ARRIVALS:
            yield Arrival([copy(event) for event in events])
            if token is not None:
                token.check()

    return seal(new_run(), token or CancelToken())(source())


def no_abandon() -> None:
    raise AssertionError("a run that is read to its end is not abandoned")


def passed(writer: Writer) -> list[Event]:
    """What comes out; each is in the writer's log."""
    events = []
    for event in events_in(journal(writer, no_abandon)(sealed())):
        writer.log.append(f"passed {event.seq}")
        events.append(event)
    return events


def test_nothing_is_passed_on_before_it_is_written() -> None:
    writer = Writer([])
    check(passed(writer))
    assert writer.log == [
        f"{what} {seq}" for batch in BATCHES for what in ("wrote", "passed") for seq in batch
    ]


def test_a_batch_is_an_arrival() -> None:
    writer = Writer([])
    passed(writer)
    assert [[event.seq for event in batch] for batch in writer.batches] == BATCHES


def test_heartbeats_pass_and_are_not_written() -> None:
    writer = Writer([])
    passed = [[event.seq for event in it.events] for it in journal(writer, no_abandon)(sealed())]
    assert [it for it in passed if it] == BATCHES
    assert passed.index([]) == BATCHES.index([4])
    assert all(writer.batches)


def test_the_writer_is_closed_when_the_run_is_over() -> None:
    writer = Writer([])
    passed(writer)
    assert writer.closed == 1


@pytest.mark.parametrize("failing", range(len(BATCHES)))
@pytest.mark.parametrize("error", [FULL, JournalError("No space left on device")])
def test_a_journal_that_fails_is_given_up_with_one_warning(failing: int, error: Exception) -> None:
    writer = Writer([], failing, error)
    events = passed(writer)
    check(events)
    (warning,) = [event for event in events if isinstance(event, Warn)]
    assert warning.code == "journal"
    assert "cannot be written: No space left on device;" in warning.message
    assert [event.delta for event in events if isinstance(event, Content)] == ["a", "b", "c"]
    assert isinstance(events[-1], Done)
    assert (writer.log.count("failed"), writer.closed) == (1, 1)
    assert [[event.seq for event in batch] for batch in writer.batches] == BATCHES[:failing]


def test_the_warning_comes_with_the_first_events_that_are_not_kept() -> None:
    events = passed(Writer([], failing=2))
    assert [type(event) for event in events[:4]] == [Metadata, Metadata, Warn, Content]


def test_the_warning_never_comes_before_what_opens_the_run() -> None:
    events = passed(Writer([], failing=0))
    assert [type(event) for event in events[:3]] == [Metadata, Warn, Metadata]


def closed_after(number: int, writer: Writer) -> list[str]:
    """Close the stage after so many arrivals; tells what the run was told."""
    token, told = CancelToken(), []

    def abandon() -> None:
        told.append("abandon")
        token.cancel()

    events = journal(writer, abandon)(sealed(token))
    for _ in range(number):
        next(events)
    close(events)
    return told


@pytest.mark.parametrize("number", range(1, 6))
def test_who_stops_reading_abandons_the_run_and_its_end_is_written(number: int) -> None:
    writer = Writer([])
    assert closed_after(number, writer) == ["abandon"]
    check(writer.events)
    end = writer.events[-1]
    assert isinstance(end, Error)
    assert (end.code, writer.closed) == ("cancelled", 1)


def test_a_journal_that_was_given_up_stays_so_when_the_reader_leaves() -> None:
    writer = Writer([], failing=1)
    assert closed_after(3, writer) == ["abandon"]
    assert (len(writer.batches), writer.log.count("failed"), writer.closed) == (1, 1, 1)


@pytest.mark.parametrize("error", [FULL, JournalError("gone")])
def test_an_end_that_cannot_be_written_is_no_error_of_the_reader(error: Exception) -> None:
    writer = Writer([], failing=1, error=error)
    assert closed_after(1, writer) == ["abandon"]
    assert (writer.log[-1], writer.closed) == ("failed", 1)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ZeroDivisionError()])
def test_what_else_ends_the_stage_closes_the_writer_and_the_source(failure: BaseException) -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            yield Arrival([Content("a", seq=0)])
        finally:
            closed.append(True)

    class Failing(Writer):
        def write(self, events: Sequence[Event]) -> None:
            raise failure

    writer, events = Failing([]), source()
    with pytest.raises(type(failure)):
        list(journal(writer, no_abandon)(events))
    assert (writer.closed, closed) == (1, [True])


@pytest.mark.parametrize(
    ("failing", "continues", "effect", "stops"),
    [
        (1, None, "write", True),
        (1, None, "read", False),
        (0, None, "write", False),  # no resume finds this run
        (0, "another", "write", True),  # a resume would find the other one
        (None, None, "write", False),
    ],
)
def test_a_tool_whose_start_is_not_written_down_does_not_start(
    failing: int | None, continues: str | None, effect: Effect, stops: bool
) -> None:
    opening = new_run()
    opening.continues, opening.seq = continues, 0
    start = ToolStart("i", "n", effect=effect, seq=1)
    arrivals = iter([Arrival([opening]), Arrival([start])])
    stopped: list[str] = []
    stage = journal(Writer([], failing), no_abandon, lambda: stopped.append("stop"))
    passed = list(events_in(stage(arrivals)))
    assert start in passed
    assert stopped == ["stop"] * stops

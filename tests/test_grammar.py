"""Claimed: `check` takes the events of a whole run and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import pytest

from chatstream import events as ev
from chatstream.flow import Finish, Key
from chatstream.grammar import TABLE, GrammarError, check

OPENING: dict[str, Any] = {"version": 1, "run": "r", "started_at": "2026-01-01T00:00:00Z"}
DONE: dict[str, Any] = {"finish_reason": "stop", "stats": ev.Stats(0.0, 0), "attempts": 1}


def opening() -> ev.Event:
    return ev.Metadata(**OPENING)


def done() -> ev.Event:
    return ev.Done(**DONE)


def error() -> ev.Event:
    return ev.Error("c", "m", recoverable=False, partial=False)


def again() -> ev.Event:
    return ev.Retry(attempt=2, max=2, delay=0.0, cause="c", action="reset")


def numbered(events: Iterable[ev.Event]) -> list[ev.Event]:
    """The events, stamped as a run stamps them."""
    stamped = list(events)
    for seq, event in enumerate(stamped):
        event.seq, event.t = seq, seq * 0.5
    return stamped


LEGAL: list[Any] = [
    pytest.param([opening(), error()], id="refused"),
    pytest.param([opening(), done()], id="empty-answer"),
    pytest.param([opening(), ev.Metadata(), ev.Content("a"), ev.Usage(), done()], id="answer"),
    pytest.param([opening(), ev.Waiting("connect", 1.0), ev.Warn("c", "m"), error()], id="asides"),
    pytest.param([opening(), again(), ev.Metadata(), ev.Reasoning("r"), done()], id="retry"),
    pytest.param([opening(), ev.Content("a"), again(), ev.Content("b"), done()], id="reset"),
    pytest.param([opening(), ev.Fallback("a", "b", "c"), error()], id="fallback"),
    pytest.param(
        [
            *(opening(), ev.ToolCall("i", "n", "{}"), ev.Approval("i", "n", "allow", "default")),
            *(ev.ToolStart("i", "n"), ev.ToolComplete("i", "n", "r", 0.1), ev.Metadata()),
            *(ev.Content("a"), done()),
        ],
        id="tools",
    ),
]


@pytest.mark.parametrize("events", LEGAL)
def test_the_events_of_a_run_pass(events: list[ev.Event]) -> None:
    check(numbered(events))


ILLEGAL: list[Any] = [
    pytest.param([], "while the run is 'start'", id="nothing"),
    pytest.param([ev.Content("a"), done()], "'content' cannot come", id="no-opening"),
    pytest.param([ev.Metadata(), done()], "no version, run or started_at", id="empty-opening"),
    pytest.param([opening()], "while the run is 'open'", id="no-end"),
    pytest.param([opening(), ev.Content("a")], "while the run is 'answering'", id="no-end-either"),
    pytest.param([opening(), done(), done()], "'done' cannot come", id="two-ends"),
    pytest.param([opening(), error(), ev.Content("a")], "'content' cannot", id="after-the-end"),
    pytest.param([opening(), done(), ev.Warn("c", "m")], "'warning' cannot", id="late-warning"),
    pytest.param([opening(), ev.ToolStart("i", "n"), done()], "'tool_start'", id="tool-uncalled"),
    pytest.param(
        [opening(), ev.ToolCall("i", "n", "{}"), ev.ToolStart("i", "n"), ev.Content("a"), done()],
        "'content' cannot come when the run is 'running'",
        id="no-response-after-tools",
    ),
    pytest.param([opening(), Key(pressed="pause"), done()], "'Key' cannot come", id="key"),
    pytest.param([opening(), Finish(reason="stop"), done()], "'Finish' cannot", id="finish"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "says"), ILLEGAL)
def test_no_other_order_passes(events: list[ev.Event], says: str) -> None:
    with pytest.raises(GrammarError, match=says):
        check(numbered(events))


@pytest.mark.parametrize("field", OPENING)
def test_the_opening_has_all_its_fields(field: str) -> None:
    with pytest.raises(GrammarError, match="event 0"):
        check(numbered([ev.Metadata(**{**OPENING, field: None}), done()]))


@pytest.mark.parametrize("seqs", [(0, 2), (1, 2), (0, 0), (0, -1)])
def test_a_gap_in_the_numbers_is_told(seqs: tuple[int, int]) -> None:
    events = numbered([opening(), done()])
    events[0].seq, events[1].seq = seqs
    with pytest.raises(GrammarError, match="its seq is"):
        check(events)


def test_a_time_that_goes_back_is_told() -> None:
    events = numbered([opening(), ev.Content("a"), done()])
    events[1].t = 2.0
    with pytest.raises(GrammarError, match=r"t 1\.0 is before 2\.0"):
        check(events)


def test_the_table_knows_every_type_and_no_other() -> None:
    known = {kind for row in TABLE.values() for kind in row}
    assert known == {str(kind.__struct_config__.tag) for kind in get_args(ev.AnyEvent)}


def test_every_state_can_be_reached_and_can_end() -> None:
    assert {"start", *(state for row in TABLE.values() for state in row.values())} == set(TABLE)
    assert all("ended" in row.values() for state, row in TABLE.items() if state in TABLE["open"])
    assert TABLE["ended"] == {}

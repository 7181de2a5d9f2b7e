"""Claimed: one clause tells what becomes of a call; a call that nobody runs is known in time."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream import events as ev
from chatstream.sinks.calls import Unrun, label, outcome, told

PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({}, "f"),
    ({"city": "Köln", "days": 2}, "f(city: Köln, days: 2)"),
    ({"a": "two\nlines\x1b[2J"}, "f(a: two lines␛[2J)"),
    ({"a": ["é", {"b": 1.5}]}, 'f(a: ["é", {"b": 1.5}])'),
]


@pytest.mark.parametrize(("parameters", "line"), PARAMETERS)
def test_a_call_is_one_line(parameters: dict[str, Any], line: str) -> None:
    assert label("f", parameters) == line


def error(
    outcome: ev.Outcome, words: str, code: str | None = None, seconds: float = 1.5
) -> ev.ToolError:
    return ev.ToolError("1", "f", words, seconds, outcome=outcome, code=code)


DENIED = error("denied", "not run: the user denied it", seconds=0.0)
ENDS: list[tuple[ev.ToolComplete | ev.ToolError, str, str]] = [
    (ev.ToolComplete("1", "f", "", 1.5), "", "finished after 1.5 s"),
    (
        ev.ToolComplete("1", "f", "", 1.5, exit_status=3),
        "exit status 3",
        "finished after 1.5 s with exit status 3",
    ),
    (error("failed", "no\x1b"), "failed: no␛", "failed after 1.5 s: no␛"),
    (error("failed", "no such tool", seconds=0.0), "failed: no such tool", "failed: no such tool"),
    (DENIED, "not run: the user denied it", "was not run: the user denied it"),
    (error("denied", "by a rule", seconds=0.0), "denied: by a rule", "was denied: by a rule"),
    (
        error("stopped", "the user stopped it", "stopped"),
        "the user stopped it",
        "was stopped after 1.5 s: the user stopped it",
    ),
    (
        error("unknown", "it may have", "interrupted", 0.0),
        "interrupted, outcome unknown",
        "was interrupted, and its outcome is unknown",
    ),
    (
        error("unknown", "it goes on", "not_stopped"),
        "outcome unknown: it goes on",
        "ended after 1.5 s with an unknown outcome: it goes on",
    ),
]


@pytest.mark.parametrize(("end", "words", "clause"), ENDS)
def test_each_outcome_is_told(end: ev.ToolComplete | ev.ToolError, words: str, clause: str) -> None:
    assert outcome(end) == words
    assert told(end, lambda seconds: f"{seconds} s") == f"the tool f {clause}"


CLAUSES: list[tuple[ev.Event, str | None]] = [
    (ev.ToolStart("1", "f", {"a": 1}), "the tool f runs with a: 1"),
    (ev.ToolStart("1", "f", replayed=True), None),
    (ev.Approval("1", "f", "allow", "rule"), None),
    (ev.Approval("1", "f", "allow", "user"), "you allowed the tool f"),
    (ev.Approval("1", "f", "allow", "user", replayed=True), None),
    (ev.Approval("1", "f", "deny", "user"), None),
    (ev.Approval("1", "f", "allow", "dry_run", {"a": 1}), "the tool f would run with a: 1"),
    (ev.Approval("1", "f", "ask", "dry_run"), "the tool f would run if you allow it"),
    (ev.Approval("1", "f", "deny", "dry_run"), "the tool f would be denied"),
    (ev.ToolOutput("1", "f", "x"), None),
    (ev.Content("x"), None),
]


@pytest.mark.parametrize(("event", "clause"), CLAUSES)
def test_what_says_something_new_is_told(event: ev.Event, clause: str | None) -> None:
    assert told(event, str) == clause


CALL = ev.ToolCall("1", "f", "{}")
OTHER = ev.ToolCall("1", "g", "{}")
DONE = ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)


@pytest.mark.parametrize("after", [ev.Content("x"), ev.Reasoning("x"), DONE])
def test_a_call_without_a_fate_is_one_that_nobody_runs(after: ev.Event) -> None:
    unrun = Unrun()
    assert [unrun.note(it) for it in (CALL, OTHER, ev.Usage(), ev.Warn("c", "w"))] == [[]] * 4
    assert unrun.note(after) == [CALL, OTHER]
    assert unrun.note(after) == []


@pytest.mark.parametrize(
    "fate", [ev.Approval("1", "f", "allow", "rule"), ev.ToolStart("1", "f"), DENIED]
)
def test_a_call_with_a_fate_is_not(fate: ev.Event) -> None:
    unrun = Unrun()
    assert [unrun.note(it) for it in (CALL, OTHER, fate)] == [[]] * 3
    assert unrun.note(ev.Content("x")) == [OTHER]

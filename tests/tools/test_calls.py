"""Claimed: a call knows its fate, and the same arguments are the same however they are written."""

from __future__ import annotations

import pytest

from chatstream import events as ev
from chatstream.tools.calls import Pending, canonical

CALL = ev.ToolCall("a", "add", "{}")
START = ev.ToolStart("a", "add")
ALLOWED = ev.Approval("a", "add", "allow", "user")


def test_a_call_without_a_fate_neither_started_nor_ended() -> None:
    pending = Pending(CALL)
    assert (pending.started, pending.ended) == (None, None)


@pytest.mark.parametrize(
    "end", [ev.ToolComplete("a", "add", "1", 0.1), ev.ToolError("a", "add", "e", 0.1)]
)
def test_the_start_and_the_end_of_an_earlier_run_are_found(end: ev.Fate) -> None:
    pending = Pending(CALL, earlier=[ALLOWED, START, end])
    assert (pending.started, pending.ended) == (START, end)


def test_a_call_that_was_only_approved_has_not_started() -> None:
    assert Pending(CALL, earlier=[ALLOWED]).started is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":[2]}', '{ "b": [2],\n "a": 1 }'),
        ('{"a":"é"}', '{"a":"\\u00e9"}'),
        ("", "{}"),
    ],
)
def test_the_same_arguments_are_the_same_however_they_are_written(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [('{"a":1}', '{"a":2}'), ("[1,2]", "[2,1]")])
def test_other_arguments_are_others(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ['{"a":', "[" * 100_000])
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert canonical(text) == text


def test_what_was_shown_last_of_a_call_that_waits_is_found() -> None:
    first, last = (ev.Approval("a", "add", "ask", "nobody", {}, it) for it in ("+1", "+2"))
    assert Pending(CALL, earlier=[first, last]).shown is last
    assert Pending(CALL, earlier=[ALLOWED]).shown is None

"""Claimed: the deltas of a run make its message, and a restart drops what came before."""

from __future__ import annotations

from typing import Literal

import pytest

from chatstream import events as ev
from chatstream.accumulate import Accumulator
from chatstream.messages import Message, ToolCall

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(0.0, 0), attempts=1)
ERROR = ev.Error("c", "m", recoverable=True, partial=True)
USAGE = ev.Usage(output_tokens=2)


def added(*events: ev.Event) -> Accumulator:
    whole = Accumulator()
    for event in events:
        whole.add(event)
    return whole


def again(action: Literal["reset", "continue"]) -> ev.Retry:
    return ev.Retry(attempt=2, max=2, delay=0.0, cause="c", action=action)


def test_an_answer_is_its_deltas_joined() -> None:
    whole = added(
        ev.Metadata(),
        ev.Reasoning("r"),
        ev.Content("a"),
        ev.Reasoning("s"),
        ev.Content("é\n"),
        ev.ToolCallDelta("i", "n", "{"),
        ev.ToolCall("i", "n", "{}"),
        ev.ToolCall("j", "n", "{}"),
        DONE,
    )
    calls = [ToolCall("i", "n", "{}"), ToolCall("j", "n", "{}")]
    assert whole.message == Message.plain("assistant", "aé\n", "rs", calls)


def test_nothing_is_an_empty_message_that_is_not_complete() -> None:
    assert Accumulator().message == Message("assistant", complete=False)


@pytest.mark.parametrize(("end", "complete"), [((), False), ((ERROR,), False), ((DONE,), True)])
def test_an_answer_is_complete_only_once_it_is_done(
    end: tuple[ev.Event, ...], complete: bool
) -> None:
    whole = added(ev.Content("a"), *end)
    assert (whole.message.content, whole.message.complete) == ("a", complete)
    assert whole.terminal == (end[0] if end else None)


def test_the_fields_can_be_read_at_any_time() -> None:
    whole = added(ev.Content("a"))
    early = whole.message
    whole.add(ev.Content("b"))
    assert (early.content, whole.message.content) == ("a", "ab")


@pytest.mark.parametrize("restart", [ev.Metadata(restart=True), again("reset")])
def test_a_restart_drops_what_came_before(restart: ev.Event) -> None:
    before = [ev.Content("a"), ev.Reasoning("r"), ev.ToolCall("i", "n", "{}"), USAGE]
    whole = added(*before, restart, ev.Content("b"))
    assert whole.message == Message("assistant", "b", complete=False)
    assert whole.usage is None


@pytest.mark.parametrize("event", [ev.Metadata(), again("continue"), ev.Warn("c", "m")])
def test_nothing_else_drops_anything(event: ev.Event) -> None:
    whole = added(ev.Content("a"), USAGE, event, ev.Content("b"))
    assert (whole.message.content, whole.usage) == ("ab", USAGE)


def test_the_last_usage_holds() -> None:
    assert added(ev.Usage(output_tokens=1), USAGE).usage == USAGE

"""Claimed: news of calls comes soon and joined, and each is stopped when it has to be."""

from __future__ import annotations

import threading
from typing import Any

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.tools.execution import STOP_SECONDS, Execution
from chatstream.tools.running import Running
from chatstream.tools.tool import Context
from tests.support.handmade import (
    Does,
    Handmade,
    Turned,
    ends,
    hangs_until,
    obeys,
    waits_for,
)


class Several:
    """Calls that run, named by numbers."""

    def __init__(self, *does: Does, timeout: float | None = None) -> None:
        self.token, self.control, self.clock = CancelToken(), Control(), Turned()
        self.running = Running(self.control, self.token, timeout)
        for number, it in enumerate(does):
            self.start(str(number), it)

    def start(self, call_id: str, does: Does) -> None:
        execution = Execution(
            ev.ToolCall(call_id, "tool", "{}"),
            Handmade("tool", does),
            {},
            token=self.token,
            bells=self.running.bells,
            folder=None,
            clock=self.clock,
        )
        self.running.start(execution)

    def rest(self) -> list[ev.Event]:
        events: list[ev.Event] = []
        while self.running.executions:
            events += self.running.news()
        return events


def stopping(events: list[ev.Event]) -> list[str]:
    return [it.id for it in events if isinstance(it, ev.ToolProgress) and it.message == "stopping"]


def test_nothing_new_is_a_heartbeat() -> None:
    go = threading.Event()
    several = Several(hangs_until(go))
    assert several.running.news() == []
    go.set()
    assert len(ends(several.rest())) == 1


def test_what_is_printed_meanwhile_is_one_event_of_each_call() -> None:
    go, done = threading.Event(), [threading.Event(), threading.Event()]

    def does(number: int) -> Does:
        def does(arguments: dict[str, Any], context: Context) -> None:
            for word in ("one ", "two ", "three"):
                context.output(word)
            done[number].set()
            waits_for(go)

        return does

    several = Several(does(0), does(1))
    for it in done:
        waits_for(it)
    assert several.running.news() == [
        ev.ToolOutput("0", "tool", "one two three"),
        ev.ToolOutput("1", "tool", "one two three"),
    ]
    go.set()
    several.rest()


def test_something_runs_while_a_call_does() -> None:
    several = Several()
    assert not several.control.tools_run
    several.start("a", obeys)
    assert several.control.tools_run
    several.control.stop_tools()
    several.rest()
    assert not several.control.tools_run


def test_a_person_stops_all_that_run_and_nothing_that_runs_later() -> None:
    several = Several(obeys, obeys)
    several.control.stop_tools()
    several.control.stop_tools()
    events = several.rest()
    assert sorted(stopping(events)) == ["0", "1"]
    assert [it.outcome for it in ends(events)] == ["stopped", "stopped"]
    go = threading.Event()
    several.start("2", hangs_until(go))
    several.running.news()
    go.set()
    assert [it.outcome for it in ends(several.rest())] == ["ok"]


def test_an_x_of_before_stops_nothing() -> None:
    several = Several()
    several.control.stop_tools()
    several.running = Running(several.control, several.token, None)
    go = threading.Event()
    several.start("a", hangs_until(go))
    several.running.news()
    go.set()
    assert [it.outcome for it in ends(several.rest())] == ["ok"]


def test_a_call_is_stopped_when_its_time_is_up_and_the_others_go_on() -> None:
    several = Several(obeys, timeout=5.0)
    several.clock.now += 4.0
    several.start("late", obeys)
    several.running.news()
    several.clock.now += 1.0
    events: list[ev.Event] = []
    while len(several.running.executions) == 2:
        events += several.running.news()
    assert stopping(events) == ["0"]
    (end,) = ends(events)
    assert isinstance(end, ev.ToolError)
    assert (end.id, end.outcome, end.code) == ("0", "stopped", "timeout")
    assert end.error == "it was stopped after 5 s, which is the limit"
    several.clock.now += 4.0
    assert [it.id for it in ends(several.rest())] == ["late"]


def test_a_cancelled_run_says_at_once_that_it_stops() -> None:
    go = threading.Event()
    several = Several(obeys, hangs_until(go))
    several.token.cancel()
    events = several.running.news()
    assert stopping(events) == ["0", "1"]
    several.clock.now += STOP_SECONDS
    events += several.rest()
    assert {it.id: it.outcome for it in ends(events)} in (
        {"0": "stopped", "1": "unknown"},
        {"0": "unknown", "1": "unknown"},  # it was looked at before its thread was run
    )
    go.set()


def test_the_end_stops_all_and_lets_go_of_the_token() -> None:
    go = threading.Event()
    several = Several(obeys, hangs_until(go))
    several.clock._step = 0.1
    executions = list(several.running.executions)
    several.running.end()
    assert several.running.executions == []
    assert not several.control.tools_run
    assert several.token._callbacks == []
    go.set()
    for it in executions:
        it._thread.join()

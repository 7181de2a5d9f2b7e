"""`chatstream.progress`: the events of any callable, its value, its failure, and its end."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import pytest

import chatstream
from chatstream.cancel import CancelToken
from chatstream.engine import working
from chatstream.engine.working import Working, progress
from chatstream.errors import Cancelled, UsageError
from chatstream.events import Progress
from chatstream.inbox import Inbox

SECONDS = 10.0  # a test that waits this long has failed


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def all_of(running: Generator[Progress, None, Any]) -> tuple[list[Progress], Any]:
    """The events, and the value."""
    events = []
    while True:
        try:
            events.append(next(running))
        except StopIteration as end:
            return events, end.value


def test_every_stage_that_begins_is_an_event_and_the_last_one_is_whole() -> None:
    def work(context: Working) -> str:
        context.next_stage()
        context.next_stage()
        return "made"

    events, value = all_of(progress(work, [("a", 1), ("b", 1), ("c", 2)], clock=Time()))
    assert [(it.stage, it.percentage) for it in events] == [
        ("a", 0.0),
        ("b", 25.0),
        ("c", 50.0),
        ("c", 100.0),
    ]
    assert value == "made"
    assert [it.seq for it in events] == [0, 1, 2, 3]


def test_a_report_is_told_with_its_figures() -> None:
    reported, told = Inbox[None](), Inbox[None]()
    time = Time()

    def work(context: Working) -> None:
        for number in (1, 2):
            context.progress(number, 4, f"file {number}")
            reported.put(None)
            told.get(SECONDS)

    running = progress(work, clock=time)
    first = next(running)
    time.now += 3.0
    told.put(None)
    second = next(running)
    told.put(None)
    rest, _ = all_of(running)
    assert (first.current, first.total, first.percentage, first.message) == (1, 4, 25.0, "file 1")
    assert (second.percentage, second.elapsed, second.eta) == (50.0, 3.0, 3.0)
    assert [it.percentage for it in rest] == [100.0]


def test_between_two_updates_reports_are_left_out() -> None:
    def work(context: Working) -> None:
        for number in range(10_000):
            context.progress(number, 10_000)

    events, _ = all_of(progress(work, clock=Time()))
    assert len(events) <= 2  # time stands still: the first, and the end
    assert events[-1].percentage == 100.0


def test_a_stage_is_told_four_times_a_second_at_most() -> None:
    time = Time()
    context = Working((), CancelToken(), time)
    context.progress(1, 4)
    assert [it.percentage for it in context.news()] == [25.0]
    context.progress(2, 4)
    assert context.news() == []
    time.now += working.UPDATE_SECONDS
    context.progress(3, 4)
    assert [it.percentage for it in context.news()] == [75.0]
    assert context.news() == []


def test_a_failure_comes_after_its_events_and_nothing_is_whole() -> None:
    def work(context: Working) -> None:
        context.progress(1, 4)
        raise LookupError("gone")

    running = progress(work, clock=Time())
    assert next(running).percentage == 25.0
    with pytest.raises(LookupError, match="gone"):
        next(running)


def test_closing_asks_the_work_to_stop_and_waits_for_it() -> None:
    ended = threading.Event()

    def work(context: Working) -> None:
        try:
            context.progress(1, 4)
            while True:
                context.progress(2, 4)
        finally:
            ended.set()

    running = progress(work)
    next(running)
    running.close()
    assert ended.is_set()


def test_a_token_ends_the_work_with_its_reason() -> None:
    token = CancelToken()

    def work(context: Working) -> str:
        while not context.stopped:
            context.progress(1, 4)
        return "half of it"

    running = progress(work, token=token)
    next(running)
    token.cancel(Cancelled("enough"))
    with pytest.raises(Cancelled, match="enough"):
        all_of(running)


def test_what_was_whole_before_the_token_is_not_lost() -> None:
    token = CancelToken()
    running = progress(lambda _: "whole", token=token, clock=Time())
    assert next(running).percentage == 100.0  # it has returned
    token.cancel()
    assert all_of(running) == ([], "whole")


def test_work_that_does_not_stop_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "PATIENCE_SECONDS", 0.05)
    token, end = CancelToken(), Inbox[None]()

    def work(context: Working) -> None:
        context.progress(1, 4)
        end.get(SECONDS)

    running = progress(work, token=token)
    next(running)
    token.cancel()
    with pytest.raises(Cancelled):
        all_of(running)
    end.put(None)


def test_nothing_runs_before_the_first_event_is_asked_for() -> None:
    called: list[Working] = []
    progress(called.append).close()
    assert called == []


def test_the_work_may_plan_its_stages() -> None:
    events, _ = all_of(
        progress(lambda context: context.stages([("fetch", 1), ("index", 3)]), clock=Time())
    )
    assert [(it.stage, it.percentage) for it in events] == [("fetch", 0.0), ("fetch", 100.0)]


def test_stages_of_one_name_are_two() -> None:
    events, _ = all_of(progress(Working.next_stage, [("copy", 1), ("copy", 1)], clock=Time()))
    assert [it.percentage for it in events] == [0.0, 50.0, 100.0]


def test_its_value_is_that_of_yield_from() -> None:
    def outer() -> Generator[Progress, None, int]:
        return 2 * (yield from chatstream.progress(lambda _: 21))

    _, value = all_of(outer())
    assert value == 42


@pytest.mark.parametrize(
    ("work", "stages", "message"),
    [
        (3, [], "the work cannot be of type int"),
        (abs, 3, "stages cannot be of type int"),
        (abs, None, "stages cannot be of type NoneType"),
        (abs, "ab", "stages cannot be of type str"),
        (abs, {"a": 1}, "stages cannot be of type dict"),
        (abs, ["a"], "'a' is not a stage"),
        (abs, [("a", 1, 2)], r"\('a', 1, 2\) is not a stage"),
        (abs, [("a", "x")], r"\('a', 'x'\) is not a stage"),
        (abs, [(1, 1)], r"\(1, 1\) is not a stage"),
    ],
)
def test_what_cannot_be_worked_on_is_a_usage_error_and_starts_nothing(
    work: Any, stages: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        next(progress(work, stages))
    assert caught.value.hint

"""Claimed: a call ends once, with all it has said before, and what is said of its end is true."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled
from chatstream.tools import execution as module
from chatstream.tools.execution import (
    INTERRUPT_SECONDS,
    STOP_SECONDS,
    Execution,
    Stop,
    words_of,
)
from chatstream.tools.pipe import Bells
from chatstream.tools.tool import Context, InvalidArguments, Returned, ToolFailure
from tests.support.handmade import (
    PATIENCE_SECONDS,
    Does,
    Handmade,
    Turned,
    ends,
    hangs_until,
    obeys,
    printed,
    waits_for,
)

WHY = Stop("stopped", "the user stopped it")
STOPPED = "[the user stopped it; what it did stays done]"


class Running:
    """One execution, and its parts."""

    def __init__(self, does: Does, *, interruptible: bool = False, name: str = "tool") -> None:
        self.clock, self.bells, self.token = Turned(), Bells(), CancelToken()
        self.tool = Handmade(name, does, interruptible=interruptible)
        self.execution = Execution(
            ev.ToolCall("c1", name, "{}"),
            self.tool,
            {"a": 1},
            token=self.token,
            bells=self.bells,
            folder=None,
            clock=self.clock,
        )

    def news(self) -> list[ev.Event]:
        """Wait for something, and take it."""
        assert self.bells.news.wait(PATIENCE_SECONDS)
        return self.execution.take()

    def rest(self) -> list[ev.Event]:
        """All until its end."""
        events: list[ev.Event] = []
        while not self.execution.ended:
            events += self.news()
        return events

    def end(self) -> ev.ToolComplete | ev.ToolError:
        """Start it, and its end."""
        self.execution.start()
        (end,) = ends(self.rest())
        return end


def returns(value: object) -> Does:
    return lambda arguments, context: value


def raises(error: BaseException) -> Does:
    def fail(arguments: dict[str, Any], context: Context) -> None:
        context.output("before\n")
        raise error

    return fail


def complete(value: object) -> ev.ToolComplete:
    end = Running(returns(value)).end()
    assert isinstance(end, ev.ToolComplete), end
    return end


def failure(does: Does) -> ev.ToolError:
    end = Running(does).end()
    assert isinstance(end, ev.ToolError), end
    return end


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


CYCLE: list[object] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("as it is", "as it is"),
        (None, "(no output)"),
        ("", "(no output)"),
        (0, "0"),
        (False, "false"),
        ({"é": [1, 2.5, None]}, '{"é": [1, 2.5, null]}'),
        ({1, 2}, "[1, 2]"),
        (b"some bytes \xff", "some bytes \ufffd"),
        ("lone \udce9 half", "lone \ufffd half"),
        (["lone \ud800 half"], '["lone \ufffd half"]'),
        (Returned("text"), "text"),
    ],
)
def test_the_model_is_given_what_the_tool_has_returned(value: object, result: str) -> None:
    end = complete(value)
    assert (end.result, end.outcome, end.exit_status) == (result, "ok", None)
    ev.encode(end)


def test_an_exit_status_is_told_and_is_no_failure() -> None:
    end = complete(Returned("no match", exit_status=1))
    assert (end.result, end.exit_status, end.outcome) == ("no match", 1, "ok")


@pytest.mark.parametrize("value", [object(), [Path()], CYCLE, {(1, 2): 3}, lambda: None])
def test_what_is_no_json_fails_and_says_that_the_work_was_done(value: object) -> None:
    end = failure(returns(value))
    assert (end.outcome, end.code) == ("failed", "result")
    assert end.error.startswith("it did its work, but returned a value of type ")
    ev.encode(end)


def test_a_huge_value_is_cut_and_shown_nowhere() -> None:
    running = Running(returns("0123456789\n" * 1_000_000))
    running.execution.start()
    events = running.rest()
    assert printed(events, "c1") == ""
    (end,) = events
    assert isinstance(end, ev.ToolComplete)
    assert len(end.result) < 33 * 1024
    assert "lines left out]" in end.result


def test_output_comes_before_the_value_and_the_end_is_last() -> None:
    def does(arguments: dict[str, Any], context: Context) -> str:
        assert arguments == {"a": 1}
        for number in range(2000):
            context.output(f"{number}\n")
        return "the end"

    running = Running(does)
    running.execution.start()
    events = running.rest()
    whole = "".join(f"{number}\n" for number in range(2000))
    assert printed(events, "c1") == whole
    *before, end = events
    assert all(isinstance(it, ev.ToolOutput) for it in before)
    assert isinstance(end, ev.ToolComplete)
    assert end.result == f"{whole}the end"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("no such\nthing"), "raised", "ValueError: no such thing"),
        (ValueError(), "raised", "ValueError"),
        (ToolFailure("not done", code="busy"), "busy", "not done"),
        (InvalidArguments("Expected `int`"), "invalid_arguments", "Expected `int`"),
        (SystemExit(3), "raised", "SystemExit: 3"),
        (KeyboardInterrupt(), "raised", "KeyboardInterrupt"),
        (MemoryError(), "raised", "MemoryError"),
        (Cancelled("its own"), "raised", "Cancelled: its own"),
        (RuntimeError("\x1b[2J \udce9"), "raised", "RuntimeError: \u241b[2J \ufffd"),
        (Unprintable(), "raised", "Unprintable"),
    ],
)
def test_whatever_is_raised_is_a_failure_with_the_output_until_then(
    error: BaseException, code: str, words: str
) -> None:
    end = failure(raises(error))
    assert (end.outcome, end.code, end.error) == ("failed", code, words)
    assert end.result == f"before\n{words}"
    ev.encode(end)


def test_words_about_a_failure_are_bounded() -> None:
    assert len(words_of(ValueError("word " * 100_000))) < 1100


def test_a_failure_without_output_is_said_once() -> None:
    def does(arguments: dict[str, Any], context: Context) -> None:
        raise LookupError("nothing there")

    end = failure(does)
    assert (end.error, end.result) == ("LookupError: nothing there", None)


def test_the_duration_is_the_time_since_the_start() -> None:
    go = threading.Event()
    running = Running(hangs_until(go))
    running.clock.now += 50
    running.execution.start()
    running.clock.now += 3
    go.set()
    (end,) = ends(running.rest())
    assert end.duration == 3


def test_a_thread_that_cannot_be_started_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    running = Running(returns("never"))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        running.execution.start()
    (end,) = running.execution.take()
    assert isinstance(end, ev.ToolError)
    assert end.error == "RuntimeError: can't start new thread"


def test_other_threads_of_a_tool_may_print_until_it_returns_and_not_after() -> None:
    late, refused = threading.Event(), list[Exception]()

    def does(arguments: dict[str, Any], context: Context) -> str:
        helper = threading.Thread(target=lambda: context.output("helper\n"))
        helper.start()
        helper.join()

        def print_late() -> None:
            waits_for(late)
            try:
                context.output("late\n")
            except Exception as error:
                refused.append(error)

        threads.append(threading.Thread(target=print_late))
        threads[0].start()
        return "value"

    threads: list[threading.Thread] = []
    end = Running(does).end()
    late.set()
    threads[0].join()
    assert isinstance(end, ev.ToolComplete)
    assert end.result == "helper\nvalue"
    assert "the call has ended" in str(refused[0])


# ---- progress


def progress(running: Running) -> list[ev.ToolProgress]:
    running.execution.start()
    return [it for it in running.rest() if isinstance(it, ev.ToolProgress)]


def test_the_last_progress_is_told_before_the_end() -> None:
    def does(arguments: dict[str, Any], context: Context) -> None:
        for number in range(1, 1001):
            context.progress(number, 1000, f"at {number}")

    told = progress(Running(does))
    assert len(told) <= 2, "the clock stands: one at once, and the last one"
    assert (told[-1].progress, told[-1].message) == (100.0, "at 1000")


def test_stages_share_the_whole_and_are_named() -> None:
    said, go = threading.Event(), threading.Event()

    def does(arguments: dict[str, Any], context: Context) -> None:
        context.stages([("fetch", 1), ("index", 3)])
        context.next_stage()
        context.progress(1, 3)
        said.set()
        waits_for(go)
        context.progress(3, 3, "all \x1b[2J of it \ud800")

    running = Running(does)
    running.execution.start()
    waits_for(said)
    (told,) = running.execution.take()
    assert told == ev.ToolProgress("c1", "tool", progress=50.0, message="index")
    go.set()
    told, _ = running.rest()
    assert isinstance(told, ev.ToolProgress)
    assert (told.progress, told.message) == (100.0, "all \u241b[2J of it \ufffd")


def test_progress_in_words_alone_has_no_number() -> None:
    def does(arguments: dict[str, Any], context: Context) -> None:
        context.progress(3, None, "three pages")

    (told,) = progress(Running(does))
    assert (told.progress, told.message, told.eta) == (None, "three pages", None)


# ---- stopping


def test_a_tool_that_obeys_is_stopped_and_its_output_is_kept() -> None:
    running = Running(obeys)
    running.execution.start()
    assert printed(running.news(), "c1") == "working\n"
    assert running.execution.stop(WHY) == [ev.ToolProgress("c1", "tool", message="stopping")]
    assert running.execution.stop(Stop("timeout", "too late")) == []
    (end,) = ends(running.rest())
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code, end.error) == ("stopped", "stopped", "the user stopped it")
    assert end.result == f"working\nleft early\n{STOPPED}" or end.result == f"working\n{STOPPED}"
    assert running.tool.stopped == 1


def test_a_tool_that_prints_is_stopped_where_it_prints() -> None:
    def floods(arguments: dict[str, Any], context: Context) -> None:
        while True:
            context.output("more\n")

    running = Running(floods)
    running.execution.start()
    running.news()
    running.execution.stop(WHY)
    (end,) = ends(running.rest())
    assert end.outcome == "stopped"
    assert end.result is not None
    assert end.result.endswith(f"more\n{STOPPED}")


def test_a_call_that_has_ended_is_not_stopped() -> None:
    running = Running(returns("done"))
    running.execution.start()
    running.execution._thread.join()
    assert running.execution.stop(WHY) == []
    (end,) = running.execution.take()
    assert isinstance(end, ev.ToolComplete)
    assert end.outcome == "ok"
    assert running.tool.stopped == 0


def test_a_tool_whose_stop_fails_is_waited_for_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = Running(obeys)
    running.tool.stop = lambda context: 1 / 0  # type: ignore[assignment,method-assign]  # it fails
    running.execution.start()
    running.execution.stop(WHY)
    (end,) = ends(running.rest())
    assert end.outcome == "stopped"
    assert "failed to stop" in caplog.text


def test_what_does_not_end_in_time_is_of_unknown_outcome() -> None:
    go = threading.Event()
    running = Running(hangs_until(go))
    running.execution.start()
    running.execution.stop(WHY)
    running.clock.now += STOP_SECONDS - 0.01
    assert running.execution.take() == []
    running.clock.now += 0.01
    (end,) = running.execution.take()
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code) == ("unknown", "not_stopped")
    assert end.error == "the user stopped it, but it could not be stopped"
    assert end.result == f"[{end.error}: it may go on, and take effect]"
    assert running.execution.ended
    go.set()
    running.execution._thread.join()


def test_the_token_of_the_run_reaches_the_tool_at_once() -> None:
    running = Running(obeys)
    running.execution.start()
    reason = Cancelled("Ctrl+C")
    running.token.cancel(reason)
    running.execution._thread.join(PATIENCE_SECONDS)
    assert running.execution._over


def test_after_its_end_a_call_hangs_on_no_token() -> None:
    running = Running(returns(None))
    running.end()
    assert running.token._callbacks == []


# ---- exceptions in a thread


def endless(arguments: dict[str, Any], context: Context) -> None:
    context.output("begun\n")
    number = 0
    while True:
        number += 1


def interrupted(does: Does) -> Running:
    running = Running(does, interruptible=True)
    running.execution.start()
    running.news()
    running.execution.stop(WHY)
    running.clock.now += INTERRUPT_SECONDS
    return running


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What threads have raised and nobody has caught."""
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    yield raised
    assert raised == []


def test_a_python_loop_that_looks_at_nothing_is_ended(hooked: list[object]) -> None:
    running = interrupted(endless)
    running.execution.take()
    running.execution._thread.join(PATIENCE_SECONDS)
    (end,) = running.execution.take()
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.result) == ("stopped", f"begun\n{STOPPED}")


def test_no_exception_is_raised_in_the_thread_of_a_tool_that_works_elsewhere() -> None:
    go, finished = threading.Event(), threading.Event()

    def does(arguments: dict[str, Any], context: Context) -> None:
        context.output("begun\n")
        while not go.is_set():
            pass
        finished.set()

    running = interrupted(does)
    running.tool.interruptible = False
    running.execution.take()
    go.set()
    (end,) = ends(running.rest())
    assert finished.is_set()
    assert end.result == f"begun\n{STOPPED}"


def test_a_function_that_catches_everything_is_left_behind(hooked: list[object]) -> None:
    tries, caught, go = threading.Event(), threading.Event(), threading.Event()

    def stubborn(arguments: dict[str, Any], context: Context) -> None:
        context.output("begun\n")
        while not go.is_set():
            try:
                tries.set()
                while not go.is_set():
                    pass
            except BaseException:
                caught.set()

    running = interrupted(stubborn)
    waits_for(tries)
    running.execution.take()
    waits_for(caught)
    running.execution.take()
    running.clock.now += STOP_SECONDS
    (end,) = running.execution.take()
    assert isinstance(end, ev.ToolError)
    assert end.outcome == "unknown"
    go.set()
    running.execution._thread.join(PATIENCE_SECONDS)


def test_after_the_last_statement_no_exception_is_raised_in_the_thread(
    hooked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()

    class Waits(suppress):
        def __exit__(self, *given: Any) -> bool:
            reached.set()
            waits_for(go)
            return super().__exit__(*given)

    monkeypatch.setattr(module, "suppress", Waits)
    running = Running(returns("done"), interruptible=True)
    running.execution.start()
    waits_for(reached)
    running.execution.stop(WHY)
    running.clock.now += INTERRUPT_SECONDS
    running.execution.take()
    go.set()
    assert len(ends(running.rest())) == 1


def test_an_exception_that_comes_as_the_tool_ends_harms_nothing(hooked: list[object]) -> None:
    """The claim of `Execution._interrupt`: sent at any moment, it ends the call once."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for spins in range(300):
            started = threading.Event()

            def does(
                arguments: dict[str, Any],
                context: Context,
                spins: int = spins,
                started: threading.Event = started,
            ) -> None:
                started.set()
                for _ in range(spins * 5):
                    pass

            running = Running(does, interruptible=True)
            running.execution.start()
            waits_for(started)
            running.execution.stop(WHY)
            running.clock.now += INTERRUPT_SECONDS
            running.execution.take()
            running.execution._thread.join(PATIENCE_SECONDS)
            assert not running.execution._thread.is_alive()
            assert running.execution.ended or len(ends(running.execution.take())) == 1
            assert not running.execution._last.locked()
    finally:
        sys.setswitchinterval(before)

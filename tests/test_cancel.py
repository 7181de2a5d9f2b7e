"""Claimed: one cancel reaches everything that holds the token, also from a signal handler."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, Terminated
from chatstream.flow import close
from tests.support.answers import frames, headers, whole
from tests.support.loopback import Reply, Script


def test_a_new_token_is_not_cancelled() -> None:
    token = CancelToken()
    assert (token.cancelled, token.reason) == (False, None)
    token.check()


def test_check_raises_the_reason() -> None:
    token, reason = CancelToken(), Terminated("sigterm")
    token.cancel(reason)
    with pytest.raises(Terminated) as raised:
        token.check()
    assert raised.value is reason


def test_the_first_reason_stays() -> None:
    token, reason = CancelToken(), Cancelled("first")
    token.cancel(reason)
    token.cancel(Terminated("second"))
    assert token.reason is reason


def test_a_cancel_without_a_reason_has_one() -> None:
    token = CancelToken()
    token.cancel()
    assert type(token.reason) is Cancelled


def test_callbacks_are_called_in_their_order() -> None:
    token, called = CancelToken(), list[str]()
    token.on_cancel(lambda: called.append("a"))
    token.on_cancel(lambda: called.append("b"))
    assert called == []
    token.cancel()
    assert called == ["a", "b"]


def test_a_callback_that_comes_late_is_called_at_once() -> None:
    token, called = CancelToken(), list[str]()
    token.cancel()
    token.on_cancel(lambda: called.append("late"))
    assert called == ["late"]


def test_a_callback_that_was_removed_is_not_called() -> None:
    token, called = CancelToken(), list[str]()
    remove = token.on_cancel(lambda: called.append("a"))
    token.on_cancel(lambda: called.append("b"))
    remove()
    remove()
    token.cancel()
    assert called == ["b"]


def test_a_callback_sees_the_reason() -> None:
    token, reasons = CancelToken(), list[Cancelled | None]()
    token.on_cancel(lambda: reasons.append(token.reason))
    token.cancel()
    assert reasons == [token.reason]


def test_a_callback_may_remove_itself_and_add_another() -> None:
    token, called = CancelToken(), list[str]()

    def once() -> None:
        remove()
        token.on_cancel(lambda: called.append("added"))

    remove = token.on_cancel(once)
    token.on_cancel(lambda: called.append("next"))
    token.cancel()
    assert called == ["added", "next"]


def test_a_child_is_cancelled_with_its_parents_reason() -> None:
    token, reason = CancelToken(), Terminated("sigterm")
    child, _ = token.child()
    grandchild, _ = child.child()
    token.cancel(reason)
    assert (child.reason, grandchild.reason) == (reason, reason)


def test_a_child_does_not_cancel_its_parent_or_its_siblings() -> None:
    token = CancelToken()
    child, _ = token.child()
    sibling, _ = token.child()
    child.cancel()
    assert (token.cancelled, sibling.cancelled) == (False, False)


def test_a_child_of_a_cancelled_token_is_born_cancelled() -> None:
    token = CancelToken()
    token.cancel()
    child, _ = token.child()
    assert child.reason is token.reason


def test_a_child_that_was_untied_lives_on() -> None:
    token = CancelToken()
    child, untie = token.child()
    untie()
    token.cancel()
    assert not child.cancelled


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001])
def test_a_sleep_that_nothing_ends_says_so(seconds: float) -> None:
    assert CancelToken().sleep(seconds) is False


def test_a_sleep_on_a_cancelled_token_does_not_begin() -> None:
    token = CancelToken()
    token.cancel()
    assert token.sleep(1e6) is True


def test_a_sleep_is_ended_from_another_thread() -> None:
    token = CancelToken()
    asleep, slept = threading.Event(), list[bool]()
    child, _ = token.child()

    def sleep() -> None:
        asleep.set()
        slept.append(child.sleep(1e6))

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    asleep.wait()
    token.cancel()
    sleeper.join(30)
    assert slept == [True]


def test_sleeps_leave_nothing_behind() -> None:
    token, called = CancelToken(), list[str]()
    remove = token.on_cancel(lambda: called.append("a"))
    for _ in range(3):
        token.sleep(0)
    remove()
    assert token._callbacks == []


def test_a_callback_that_raises_stops_no_other_and_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token, called = CancelToken(), list[str]()

    def broken() -> None:
        raise ValueError("a mistake")

    token.on_cancel(broken)
    token.on_cancel(lambda: called.append("b"))
    child, _ = token.child()
    child.on_cancel(broken)
    child.on_cancel(lambda: called.append("c"))
    token.cancel()
    remove = token.on_cancel(broken)  # at once, for it is late
    assert called == ["b", "c"]
    said = "a cancel callback failed: ValueError: a mistake"
    assert caplog.record_tuples == [("chatstream.cancel", logging.WARNING, said)] * 3
    before = len(token._callbacks)
    remove()
    assert len(token._callbacks) == before - 1


def test_the_same_callback_twice_is_two_and_each_removal_is_its_own() -> None:
    token, called = CancelToken(), list[str]()

    def callback() -> None:
        called.append("a")

    first, _second = token.on_cancel(callback), token.on_cancel(callback)
    first()
    first()
    token.cancel()
    assert called == ["a"]


def test_work_that_ends_is_waited_for() -> None:
    token = CancelToken()
    assert token.wait_for(lambda: threading.current_thread().daemon) is True
    with pytest.raises(ZeroDivisionError):
        token.wait_for(lambda: 1 // 0)
    assert token._callbacks == []


def test_work_that_never_ends_is_left_behind_by_a_cancel() -> None:
    token, begun, end = CancelToken(), threading.Event(), threading.Event()
    reason = Cancelled("stopped")

    def work() -> None:
        begun.set()
        end.wait(30)

    def cancel() -> None:
        begun.wait(30)
        token.cancel(reason)

    threading.Thread(target=cancel).start()
    with pytest.raises(Cancelled) as raised:
        token.wait_for(work)
    assert raised.value is reason
    end.set()


# What a run leaves on the token of its caller: nothing, however it ends.

CUT = Reply(frames("openai"), headers=headers("openai"))
WHOLE = whole("openai")
BUSY = Reply.json({"error": {"message": "busy"}}, 503, {"Retry-After": "0"})
REFUSED = Reply.json({"error": {"message": "no"}}, 401)
ENDLESS = itertools.chain(frames("openai"), itertools.repeat(frames("openai", ["more"])[1]))

Reading = Callable[[Iterator[ev.Event], CancelToken], None]


def never(_events: Iterator[ev.Event], _token: CancelToken) -> None:
    """It is made and not iterated."""


def to_its_end(events: Iterator[ev.Event], _token: CancelToken) -> None:
    for _ in events:
        pass


def closed_after(number: int) -> Reading:
    def read(events: Iterator[ev.Event], token: CancelToken) -> None:
        for _ in range(number):
            next(events)
        if number > 3:  # the request is on its way
            assert token._callbacks != []
        close(events)

    return read


def closed_in_a_pause(events: Iterator[ev.Event], _token: CancelToken) -> None:
    next(event for event in events if isinstance(event, ev.Retry))
    close(events)


def cancelled(events: Iterator[ev.Event], token: CancelToken) -> None:
    next(event for event in events if isinstance(event, ev.Content))
    token.cancel()
    to_its_end(events, token)


def cancelled_before(events: Iterator[ev.Event], token: CancelToken) -> None:
    token.cancel()
    to_its_end(events, token)


RUNS: dict[str, tuple[list[Reply], Reading, dict[str, Any]]] = {
    "never iterated": ([WHOLE], never, {}),
    "never iterated, cancelled": ([WHOLE], lambda _, token: token.cancel(), {}),
    "to its end": ([WHOLE], to_its_end, {}),
    "closed after its first event": ([WHOLE], closed_after(1), {}),
    "closed before it asks": ([WHOLE], closed_after(1), {"journal": False}),
    "closed after its second event": ([WHOLE], closed_after(2), {}),
    "closed in its answer": ([Reply(ENDLESS, headers=headers("openai"))], closed_after(5), {}),
    "cancelled": ([Reply(ENDLESS, headers=headers("openai"))], cancelled, {}),
    "cancelled before": ([WHOLE], cancelled_before, {}),
    "refused": ([REFUSED], to_its_end, {}),
    "truncated": ([CUT], to_its_end, {"on_drop": "stop"}),
    "continued": ([CUT, WHOLE], to_its_end, {"on_drop": "restart", "retries": 1}),
    "a retry": ([BUSY, WHOLE], to_its_end, {"retries": 1}),
    "closed in a retry's pause": ([BUSY, WHOLE], closed_in_a_pause, {"retries": 1}),
    "a fallback": ([BUSY, WHOLE], to_its_end, {"fallback": ["other"]}),
    "a fallback that fails": ([BUSY, BUSY], to_its_end, {"fallback": ["other"]}),
    "a limit": ([WHOLE], closed_after(2), {"timeout": 30.0, "buffer": "fixed", "coalesce": True}),
    "no such provider": ([WHOLE], to_its_end, {"provider": "nope"}),
    "a setting that does not fit": ([WHOLE], to_its_end, {"temperature": "hot"}),
    "no such strategy": ([WHOLE], to_its_end, {"strategy": "nope"}),
}


@pytest.mark.parametrize(("replies", "read", "options"), RUNS.values(), ids=RUNS)
def test_a_run_leaves_nothing_on_the_callers_token(
    replies: list[Reply], read: Reading, options: dict[str, Any]
) -> None:
    token = CancelToken()
    given: dict[str, Any] = {
        "provider": "openai",
        "model": "m",
        "api_key": "key",
        "retries": 0,
        **options,
    }
    with Script(*replies) as server:
        events = chatstream.stream("hi", token=token, base_url=server.url, **given)
        read(events, token)
        assert token._callbacks == []
        del events
    assert token._callbacks == []


@pytest.mark.parametrize("read", [never, closed_after(1), closed_after(2), to_its_end])
def test_a_resumed_run_leaves_nothing_on_the_callers_token(read: Reading) -> None:
    with Script(CUT) as server:
        given: dict[str, Any] = {
            "provider": "openai",
            "model": "m",
            "base_url": server.url,
            "retries": 0,
            "on_drop": "stop",
        }
        for _ in chatstream.stream("hi", api_key="key", **given):
            pass
        token = CancelToken()
        read(chatstream.resume(token=token, api_key="key", retries=0, on_drop="stop"), token)
        assert token._callbacks == []


STORM = """
import signal
from chatstream.cancel import CancelToken

token, calls = CancelToken(), 0

def handler(*_):
    global calls
    calls += 1
    token.cancel()

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
rounds = 0
while calls < 2000:
    token = CancelToken()
    child, untie = token.child()
    assert child.sleep(1e6) is True  # only a handler ends it: a deadlock hangs
    untie()
    child.sleep(0)
    rounds += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print("survived", rounds > 100)
"""

ONE_SHOT = """
import signal
from chatstream.cancel import CancelToken

token = CancelToken()
signal.signal(signal.SIGALRM, lambda *_: token.cancel())
for n in range(1000):
    token = CancelToken()
    signal.setitimer(signal.ITIMER_REAL, 1e-6 + n % 100 * 1e-6)  # one signal, at any line
    # In short sleeps, as `retry` does: CPython runs no handler for a signal that comes between
    # its last look and the system call, until that call returns.
    while not token.sleep(0.01):
        pass
print("survived", True)
"""


@pytest.mark.parametrize("script", [STORM, ONE_SHOT], ids=["storm", "one-signal-each"])
def test_cancelling_from_a_signal_handler_neither_deadlocks_nor_is_lost(script: str) -> None:
    """In a process of its own, so that a hang is a failure and not the end of the suite."""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("survived True\n", "")

"""Claimed: one cancel reaches everything that holds the token, also from a signal handler."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, Terminated


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

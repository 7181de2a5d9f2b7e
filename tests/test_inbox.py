"""The inbox: no item is lost, and no signal leaves a waiter behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from chatstream.inbox import Empty, Inbox


def test_items_come_in_their_order_and_then_it_is_empty() -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.put(2)
    assert [inbox.get(), inbox.get()] == [1, 2]
    assert inbox.empty()
    with pytest.raises(Empty):
        inbox.get()
    with pytest.raises(Empty):  # the bell of the items that are gone ends no wait too early
        inbox.get(0.001)


def test_an_item_of_another_thread_ends_the_wait() -> None:
    inbox: Inbox[int] = Inbox()
    threading.Thread(target=inbox.put, args=(1,)).start()
    assert inbox.get(60) == 1


def test_no_item_of_many_threads_is_lost() -> None:
    inbox: Inbox[int] = Inbox()

    def put() -> None:
        for _ in range(1000):
            inbox.put(1)

    for _ in range(4):
        threading.Thread(target=put).start()
    assert sum(inbox.get(60) for _ in range(4000)) == 4000
    assert inbox.empty()


def test_a_handler_ends_the_wait_that_it_interrupts() -> None:
    inbox: Inbox[int] = Inbox()
    before = signal.signal(signal.SIGUSR1, lambda *_: inbox.put(1))
    try:
        threading.Timer(0, lambda: signal.raise_signal(signal.SIGUSR1)).start()
        found: list[int] = []
        while not found:  # in short waits, as `CancelToken.sleep` explains
            with suppress(Empty):
                found.append(inbox.get(0.01))
    finally:
        signal.signal(signal.SIGUSR1, before)


LATE = """
import signal, time
from contextlib import suppress
from chatstream.cancel import CancelToken
from chatstream.inbox import Empty, Inbox
{wait}
def outlast(*_):
    time.sleep(0.004)  # the wait is over when the handler returns

signal.signal(signal.SIGALRM, outlast)
for _ in range(10):
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    wait()
print("came back")
"""

WAITS = {
    "Inbox.get": """
def wait():
    with suppress(Empty):
        Inbox().get(0.003)
""",
    "CancelToken.sleep": """
def wait():
    CancelToken().sleep(0.003)
""",
    "SocketHandle.wait": """
import chatstream.transport.connection as connection
connection.POLL_SECONDS = 0.003
def wait():
    connection.SocketHandle().wait()
""",
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_signal_at_the_very_end_of_a_wait_does_not_make_it_endless(wait: str) -> None:
    """In a process of its own, so that a hang is a failure and not the end of the suite."""
    ended = subprocess.run(
        [sys.executable, "-c", LATE.format(wait=wait)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("came back\n", "")

"""Waiting for what another thread or process does, where there is no event to wait for."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

LIMIT = 60.0  # seconds that a test waits at most, however busy the machine is
POLL = 0.005  # seconds between two looks


def until_true(holds: Callable[[], object]) -> None:
    """Wait until a condition holds. Raises `AssertionError` if it does not for `LIMIT` seconds."""
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(POLL)


def signal_once(holds: Callable[[], object], number: int = signal.SIGINT) -> threading.Thread:
    """Send this process a signal once a condition holds; returns the thread that waits for it."""

    def send() -> None:
        until_true(holds)
        os.kill(os.getpid(), number)

    waiting = threading.Thread(target=send, daemon=True)
    waiting.start()
    return waiting

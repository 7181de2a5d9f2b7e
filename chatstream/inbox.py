"""Inbox: what one thread waits for, and others put there; safe in signal handlers.

`queue.SimpleQueue` would do, but for one thing: a signal that interrupts `get(timeout)` at its
very end leaves it waiting for ever, because CPython 3.11 takes the negative rest of the time for
no limit. The timed `acquire` of a lock checks for that, so a lock is the bell here.

Why no item is lost: `put` first adds the item and then rings, `get` takes an item if there is one
and only then waits for the bell. A bell that has been rung stays so until somebody waits.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

from chatstream.clock import Deadline

T = TypeVar("T")


class Empty(Exception):
    """Nothing is there."""


class Inbox(Generic[T]):
    """Items in the order in which they were put. One thread waits at a time."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()  # not rung

    def put(self, item: T) -> None:
        """Add an item. Neither waits nor takes a lock that another may hold."""
        self._items.append(item)
        with suppress(RuntimeError):  # it has been rung already
            self._bell.release()

    def get(self, seconds: float = 0.0) -> T:
        """The next item, or the first that comes within `seconds`. Raises `Empty`."""
        deadline = Deadline(seconds)
        while True:
            with suppress(IndexError):
                return self._items.popleft()
            if deadline.passed or not self._bell.acquire(timeout=deadline.left() or 0.0):
                break
        with suppress(IndexError):  # it came in the last instant
            return self._items.popleft()
        raise Empty

    def empty(self) -> bool:
        """Whether nothing is there."""
        return not self._items

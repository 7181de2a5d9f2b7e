"""CancelToken: one switch that ends a run from anywhere, also from a signal handler.

`cancel()` sets a plain attribute and calls the callbacks; it takes no lock, so a signal handler
that interrupts any line of this module, or of a waiter, cannot deadlock. (An Event would: its
lock may be held by the very frame that the handler interrupted.)

Why no wake-up is lost: `on_cancel` first adds the callback and then looks at the attribute,
`cancel` first sets the attribute and then reads the callbacks. In any order at least one of them
calls the callback. It may be called twice, so callbacks must be idempotent and must not block.
One that raises keeps no other from being called; its exception is logged as a warning.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn, TypeVar

from chatstream.clock import POLL_SECONDS, Deadline
from chatstream.errors import Cancelled
from chatstream.inbox import Empty, Inbox

log = logging.getLogger(__name__)

Callback = Callable[[], None]
T = TypeVar("T")


class CancelToken:
    """The switch. `reason` is None until `cancel()`, then what ended the run."""

    def __init__(self) -> None:
        self.reason: Cancelled | None = None
        self._callbacks: list[Callback] = []

    @property
    def cancelled(self) -> bool:
        """Whether `cancel()` has been called."""
        return self.reason is not None

    def cancel(self, reason: Cancelled | None = None) -> None:
        """End everything that holds this token. The first reason stays."""
        if self.reason is None:
            self.reason = reason or Cancelled("cancelled")
        for callback in list(self._callbacks):
            _call(callback)

    def check(self) -> None:
        """Raise the reason if there is one."""
        if self.reason is not None:
            raise self.reason

    def on_cancel(self, callback: Callback) -> Callback:
        """Call `callback` on `cancel()`, at once if that was before. Returns what removes it."""
        entry = partial(callback)  # equal to nothing else: the same callback may be here twice
        self._callbacks.append(entry)
        if self.reason is not None:
            _call(entry)

        def remove() -> None:
            with suppress(ValueError):
                self._callbacks.remove(entry)

        return remove

    def child(self) -> tuple[CancelToken, Callback]:
        """A token that this one cancels too, and what cuts the tie; for one attempt of a run."""
        child = CancelToken()
        return child, self.tie(child)

    def tie(self, child: CancelToken) -> Callback:
        """Cancel `child` whenever this one is cancelled. Returns what cuts the tie."""
        return self.on_cancel(lambda: child.cancel(self.reason))

    def sleep(self, seconds: float) -> bool:
        """Sleep, but no longer than until `cancel()`. True if it was cancelled.

        It sleeps in slices: a signal that arrives in the instant before the system call is
        handled only when that call returns.
        """
        wake: Inbox[None] = Inbox()
        remove = self.on_cancel(lambda: wake.put(None))
        deadline = Deadline(seconds)
        try:
            while not self.cancelled and (left := deadline.left()):
                with suppress(Empty):
                    wake.get(min(left, POLL_SECONDS))
        finally:
            remove()
        return self.cancelled

    def wait_for(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; or raises the reason as soon as this is cancelled.

        For a system call that no cancel ends, such as opening a FIFO that nobody writes to. It
        runs on a thread of its own, and a cancel leaves it behind.
        """
        ended: Inbox[Callable[[], T]] = Inbox()

        # The slices are for a signal that arrives in the instant before the system call.
        remove = self.on_cancel(lambda: ended.put(lambda: _raise(self.reason or Cancelled(""))))
        threading.Thread(target=lambda: ended.put(outcome_of(work)), daemon=True).start()
        try:
            while True:
                self.check()
                with suppress(Empty):
                    return ended.get(POLL_SECONDS)()
        finally:
            remove()


def outcome_of(work: Callable[[], T]) -> Callable[[], T]:
    """Do it here; what is returned gives its result, or raises its exception, to another thread."""
    try:
        result = work()
    except BaseException as error:
        return partial(_raise, error)
    return lambda: result


def _raise(error: BaseException) -> NoReturn:
    raise error


def _call(callback: Callback) -> None:
    try:
        callback()
    except Exception as error:
        log.warning(
            "a cancel callback failed: %s: %s",
            type(error).__name__,
            error,
            exc_info=log.isEnabledFor(logging.DEBUG),
        )

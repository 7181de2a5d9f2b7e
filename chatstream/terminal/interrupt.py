"""Ctrl+C, SIGTERM, SIGHUP: the first ends the answer gracefully, the second ends the process.

1. The first signal cancels the token: sockets are shut down, the pipeline writes its terminal
   event, the terminal is restored, the process exits with 130, 143 or 129.
2. A second signal, or five seconds, ends the process at once with the same status. Both count
   until the outermost `interrupts` is left: what comes after the live view is no exception.
   A second SIGHUP does not count: the kernel and the shell each send one when a terminal is closed.
   An alarm that was set before we started is a signal to end, like SIGTERM.
3. The process ends at once only after the terminal's mode and its screen are given back.
4. A signal that is ignored when we start stays ignored: `nohup`, and a shell's background jobs.
5. Any other signal that ends a process does to us what it does to every process, but if the
   terminal's mode was changed, it is put back first.
6. If Ctrl+C ends one answer of a program that continues (`ends="answer"`), a second one does
   nothing more: the first has shut the sockets down. Around the answers of such a program Ctrl+C
   ends nothing (`ends="nothing"`); each answer is inside of it, with an `interrupts` of its own.
7. A signal that ends the program cancels the tokens of all `interrupts` that are open.

What runs in a handler takes no lock and starts no thread: `CancelToken.cancel` sets an attribute
and shuts sockets down, the five seconds are an interval timer of the kernel. Python runs handlers
in the main thread between two instructions, and after any system call that a signal interrupts,
so they also run while the graceful end is stuck in a write that nobody reads.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Literal

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, HungUp, Terminated

GRACE_SECONDS = 5.0
"""Seconds for the graceful end."""

Ends = Literal["program", "answer", "nothing"]

_REASONS: dict[int, Callable[[], Cancelled]] = {
    signal.SIGINT: partial(Cancelled, "stopped"),
    signal.SIGTERM: partial(Terminated, "terminated"),
}
_ALARM = getattr(signal, "SIGALRM", None)  # not on Windows
if _ALARM is not None:
    _REASONS[_ALARM] = partial(Terminated, "the alarm went off")
_HANG_UP = getattr(signal, "SIGHUP", None)  # not on Windows
if _HANG_UP is not None:
    _REASONS[_HANG_UP] = partial(HungUp, "the terminal was closed")

_ODD = [
    getattr(signal, name)
    for name in ("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGPOLL")
    if hasattr(signal, name)
]
"""Signals that nobody sends us for a reason that we know."""

# The end of a synchronized update, lines that wrap, no colour. The cursor was never hidden.
_GIVEN_BACK = b"\x1b[?2026l\x1b[?7h\x1b[0m\n"


def _nothing() -> None:
    """There is nothing to restore."""


@contextlib.contextmanager
def interrupts(
    token: CancelToken, restore: Callable[[], None] = _nothing, *, ends: Ends | None = None
) -> Iterator[None]:
    """Signals cancel `token` while this is open. For the main thread.

    `ends` is what Ctrl+C ends, by default the program. If it ends one answer of a program that
    continues afterwards, or nothing, it never ends the process; the other signals do.

    `restore` is called before the process ends at once. It must neither wait nor raise. One
    `interrupts` may be inside another, with a `restore` of its own; both are called then.
    """
    previous = {number: signal.getsignal(number) for number in _REASONS}
    previous = {
        number: handler
        for number, handler in previous.items()
        if handler is not signal.SIG_IGN or number == _ALARM  # which times the grace
    }
    around = next((it for it in previous.values() if isinstance(it, _Handler)), None)
    outermost = around is None
    putting_back = partial(_both, restore, around.restore) if around else restore
    ends = ends or ("answer" if keeps_running() else "program")
    handle = _Handler(token, putting_back, ends, around)
    for number in previous:
        signal.signal(number, handle)
    if restore is not _nothing:
        for number in _ODD:
            if signal.getsignal(number) is signal.SIG_DFL:
                previous[number] = signal.SIG_DFL
                signal.signal(number, partial(_die, putting_back))
    try:
        yield
    finally:
        if _ALARM is not None and outermost and token.cancelled:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


def keeps_running() -> bool:
    """Whether the program continues after Ctrl+C, which ends one answer or nothing."""
    handler = signal.getsignal(signal.SIGINT)
    return isinstance(handler, _Handler) and handler.ends != "program"


class _Handler:
    """What the signals do."""

    def __init__(
        self,
        token: CancelToken,
        restore: Callable[[], None],
        ends: Ends,
        around: _Handler | None,
    ) -> None:
        self._token = token
        self.restore = restore
        self.ends = ends
        self._open: list[_Handler] = [self, *(around._open if around else ())]

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        reason = self._open[-1]._token.reason  # of the program
        if self.ends != "program" and number == signal.SIGINT:
            if self.ends == "answer":
                self._token.cancel(_REASONS[number]())  # the token keeps the first reason
        elif reason is None:
            if _ALARM is not None:
                signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
            reason = _REASONS[number]()
            for handler in self._open:
                handler._token.cancel(reason)
        elif number != _HANG_UP:
            force(reason.exit_status, self.restore)


def _both(inner: Callable[[], None], outer: Callable[[], None]) -> None:
    inner()
    outer()


def _die(restore: Callable[[], None], number: int, _frame: FrameType | None) -> None:
    """Put the terminal back, and let the signal do what it does to everyone."""
    restore()
    give_screen_back()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def force(
    status: int,
    restore: Callable[[], None] = _nothing,
    leave: Callable[[int], None] = os._exit,
) -> None:
    """End the process now; only the terminal is put back."""
    restore()
    give_screen_back()
    leave(status)


def give_screen_back() -> None:
    """Give the screen back to whoever writes next, in the middle of whatever was drawn."""
    write_now(_GIVEN_BACK)


def write_now(data: bytes) -> None:
    """Write to the terminal without waiting, as much as it takes; for signal handlers."""
    for descriptor in (1, 2):
        if os.isatty(descriptor):
            with contextlib.suppress(OSError):
                os.set_blocking(descriptor, False)  # a stopped terminal must not hold us
                try:
                    os.write(descriptor, data)
                finally:
                    os.set_blocking(descriptor, True)  # the shell shares it
            return

"""Ctrl+C and SIGTERM: the first ends the answer gracefully, the second ends the process.

1. The first signal cancels the token: sockets are shut down, the pipeline writes its terminal
   event, the terminal is restored, the process exits with 130 or 143.
2. A second signal, or five seconds, ends the process at once with the same status.

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
from types import FrameType

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, Terminated

GRACE = 5.0
"""Seconds for the graceful end."""

_SHOW_CURSOR = b"\x1b[?25h\x1b[0m\n"


@contextlib.contextmanager
def interrupts(token: CancelToken) -> Iterator[None]:
    """Signals cancel `token` while this is open. For the main thread."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    timer = getattr(signal, "setitimer", None)  # not on Windows
    if timer is not None:
        previous[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)

    def handle(number: int, _frame: FrameType | None) -> None:
        if token.reason is not None:
            force(token.reason.exit_status)
        if timer is not None:
            timer(signal.ITIMER_REAL, GRACE)
        token.cancel(Terminated("terminated") if number == signal.SIGTERM else Cancelled("stopped"))

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        if timer is not None:
            timer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


def force(status: int, leave: Callable[[int], None] = os._exit) -> None:
    """End the process now; nothing more than the cursor is put back."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if os.isatty(descriptor):
                os.set_blocking(descriptor, False)  # a stopped terminal must not hold us
                os.write(descriptor, _SHOW_CURSOR)
                os.set_blocking(descriptor, True)  # the shell shares it
                break
    leave(status)

"""Standard error: what is said beside the answer, and never at the answer's cost.

1. A write never fails. Once nobody can read any more (the pipe's reader is gone, the disk is full,
   the terminal was closed), descriptor 2 becomes the null device for good: for us, for Python's
   own last flush, and for child processes.
2. A write never waits. What a full pipe does not take is kept, up to `MAX_KEPT_BYTES`; what
   is beyond that is dropped. At the end `finish` offers the rest once more, for `FINISH_SECONDS`.
3. Where standard error is the same place as standard output, a write does wait, as the answer
   itself would: both arrive whole and in their order.
4. No flag of the descriptor is changed, because others share its description: after `2>&1`
   standard output does. Where poll() finds room in a pipe, PIPE_BUF bytes are taken without
   waiting (POSIX, write). A terminal promises no such thing, so it is opened again.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import select
import sys
import threading
from typing import TextIO, cast

from chatstream.clock import Deadline
from chatstream.sinks.output import Printed
from chatstream.sinks.terminal import reopened

MAX_KEPT_BYTES = 256 * 1024
"""Bytes that are kept for a reader who is slow."""

FINISH_SECONDS = 1.0
"""Seconds that the end of the process waits for such a reader."""

_PIECE: int = getattr(select, "PIPE_BUF", 512)  # bytes; not known on Windows


class Notes:
    """A descriptor for notes; `answer` is the descriptor that the answer goes to.

    Threads may write at the same time, and so may a signal handler: nobody waits for a lock. Who
    finds somebody else writing leaves the bytes to them.
    """

    def __init__(self, descriptor: int, answer: int = 1) -> None:
        self.descriptor = descriptor
        self._answer = answer
        self._reopened: int | None = None  # the terminal that it is, opened by us
        self._queue = bytearray()
        self._turn = threading.Lock()

    def write(self, data: bytes) -> None:
        """Take all of it; see the rules above."""
        self._queue.extend(data)
        self.flush()
        del self._queue[MAX_KEPT_BYTES:]

    def flush(self) -> None:
        """Write what is taken at once."""
        # Whoever fails to get the turn has added their bytes before that, and its holder looks at
        # the queue again after giving it back: nothing is left lying.
        while self._queue and self._turn.acquire(blocking=False):
            try:
                room = self._has_room(0) or (self._is_shared() and self._has_room(None))
                if not room or not self._send():
                    return
            finally:
                self._turn.release()

    def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Write what is left, and wait so long for somebody to read it."""
        deadline = Deadline(seconds)
        while self._queue and (left := deadline.left()) and self._has_room(left):
            self.flush()

    @property
    def is_read(self) -> bool:
        """Whether a child process can write here without being held up or killed."""
        if sys.platform == "win32":
            return True
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        return poll.poll(0) == [(self.descriptor, select.POLLOUT)]

    def _has_room(self, seconds: float | None) -> bool:
        """Whether a write would not wait. Waits so long for that; None is for ever."""
        if sys.platform == "win32":
            return True
        poll = select.poll()
        poll.register(self._opened(), select.POLLOUT)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def _opened(self) -> int:
        if self._reopened is None:
            self._reopened = reopened(self.descriptor)
        return self._reopened

    def _is_shared(self) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self.descriptor), os.fstat(self._answer))
        return False

    def _send(self) -> bool:
        """Write one piece. False if nothing was taken after all."""
        try:
            taken = os.write(self._opened(), self._queue[:_PIECE])
        except BlockingIOError:
            return False
        except OSError:
            self._give_up()
            return False
        del self._queue[:taken]
        return True

    def _give_up(self) -> None:
        if self._opened() != self.descriptor:
            os.close(self._opened())
        self._reopened = self.descriptor
        self._queue.clear()
        discard(self.descriptor)


def discard(descriptor: int) -> None:
    """From now on what is written to this descriptor goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:  # it was closed, and the lowest that is free
        os.dup2(null, descriptor)
        os.close(null)


@functools.cache
def standard_error() -> Notes:
    """The one object that writes to descriptor 2."""
    return Notes(2)


def take_over() -> None:
    """From now on everything that is printed to `sys.stderr` goes through `standard_error`."""
    given = sys.stderr  # None where the descriptor was closed when Python started
    encoding = given.encoding if given is not None else "utf-8"
    sys.stderr = cast("TextIO", Printed(standard_error(), 2, encoding, "backslashreplace"))
    atexit.register(standard_error().finish)

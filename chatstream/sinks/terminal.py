"""A text file over a terminal, whose writes never wait.

1. `write` and `flush` hand over what the terminal takes at once and queue the rest, in order.
   Nothing bounds the queue but its user, who draws only while the file is `ready`.
2. `finish` waits until all of it is written. Signal handlers run meanwhile.
3. The descriptor that was given is not touched: the shell shares its file description, so a flag
   set there would outlive us. The terminal is opened again, by its name. Where that cannot be
   done, writes go to the given descriptor and wait there.
4. A terminal that is gone is an `OSError` of `write`, `flush`, `ready` and `finish`.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import TextIO


class TerminalFile(io.TextIOBase):
    """The terminal of `stream`, with its encoding; what that cannot express becomes a "?"."""

    encoding = "utf-8"  # as attributes of the class: those of the base cannot be set
    errors = "replace"

    def __init__(self, stream: TextIO) -> None:
        self.encoding = stream.encoding
        self._given = stream.fileno()
        self._descriptor = reopened(self._given)
        self._queue = bytearray()

    @property
    def ready(self) -> bool:
        """Whether the terminal has taken everything. Tries to write what is queued."""
        self.flush()
        return not self._queue

    def write(self, text: str) -> int:
        """Queue the text and write what is taken at once. Returns its length."""
        self._check()
        self._queue += text.encode(self.encoding, self.errors)
        self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what is taken at once."""
        with contextlib.suppress(BlockingIOError):
            while self._queue:
                taken = os.write(self._descriptor, self._queue)
                del self._queue[:taken]

    def finish(self) -> None:
        """Write everything, however long the terminal is stopped or not read."""
        while not self.ready:
            select.select([], [self._descriptor], [])

    def close(self) -> None:
        """Write everything and let go of the terminal. Idempotent."""
        if self.closed:
            return
        try:
            self.finish()
        finally:
            self._queue.clear()
            super().close()
            if self._descriptor != self._given:
                os.close(self._descriptor)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self.fileno())

    def fileno(self) -> int:
        self._check()
        return self._descriptor

    def _check(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")


def reopened(descriptor: int) -> int:
    """The terminal opened once more, for writes that do not wait; where it cannot be, itself."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            return os.open(os.ttyname(descriptor), flags)
    return descriptor

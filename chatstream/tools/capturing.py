"""What functions print while several of them run: whose it is, also below Python.

1. `sys.stdout` and `sys.stderr` belong to the call on whose thread, or in whose asyncio task, they
   are written to.
2. What comes in another way (from a thread that the function has started, from a program, from C)
   belongs to the only call that runs. If none or several run, nobody can know: it goes to the log.
3. What was written comes before the end of the call, and what a program has written before what is
   printed after the end of that program.
"""

from __future__ import annotations

import codecs
import fcntl
import io
import os
import select
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import BinaryIO

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled
from chatstream.tools.protocol import BATCH
from chatstream.tools.speaking import Speaker, Voice

_PROGRAM_SECONDS = 0.0005
"""No program starts and ends in so short a time. To look into the pipe for every text would cost
more than the text."""


class Voices:
    """The voices of the calls that run, and `log`, which is that of nobody."""

    def __init__(self, speaker: Speaker) -> None:
        self.log = Voice(0, speaker, CancelToken())
        self._running: list[Voice] = []  # a new one for each change: other threads read it
        self._lock = threading.Lock()
        self._own: ContextVar[Voice | None] = ContextVar("voice", default=None)

    def begin(self, voice: Voice) -> None:
        """What this thread writes from now on is said by this voice."""
        self._own.set(voice)
        with self._lock:
            self._running = [*self._running, voice]

    def end(self, voice: Voice) -> None:
        """Its call has ended."""
        with self._lock:
            self._running = [it for it in self._running if it is not voice]

    def own(self) -> Voice:
        """That of this thread, or else what `only` says."""
        voice = self._own.get()
        return self.only() if voice is None or voice.is_silent else voice

    def only(self) -> Voice:
        """That of the only call that runs, or else `log`."""
        running = self._running
        return running[0] if len(running) == 1 else self.log


class Printed(io.TextIOBase):
    """A standard stream of a process whose functions run side by side.

    What goes around the text, to its `fileno` or its `buffer`, is captured there.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, descriptor: int, write: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._write = write
        self.buffer: BinaryIO = open(descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115 - kept

    def write(self, text: str) -> int:
        """Waits while too much is under way; raises the reason once the call is to stop."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._write(text)
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """For programs that are given it as their output."""
        return self._descriptor


class Capture:
    """The standard output and error of this process and of the programs that it starts."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self._end, self._start = os.pipe()
        os.set_blocking(self._end, False)
        for descriptor in (1, 2):
            os.dup2(self._start, descriptor)
        os.close(self._start)
        sys.stdout = Printed(1, lambda text: self.say(text, voices.own()))
        sys.stderr = Printed(2, lambda text: self.say(text, voices.own()))
        self._lock = threading.Lock()  # of what is taken and not said yet
        self._drained = 0.0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        threading.Thread(target=self._run, name="capture", daemon=True).start()

    def say(self, text: str, voice: Voice) -> None:
        """Say a text, after what a program has written that ended before."""
        if time.monotonic() - self._drained >= _PROGRAM_SECONDS:
            self.drain()
            self._drained = time.monotonic()
        voice.output(text)

    def drain(self) -> None:
        """Say what has been written until now."""
        with self._lock:
            (left,) = struct.unpack("i", fcntl.ioctl(self._end, termios.FIONREAD, b"\0" * 4))
            while left > 0 and (taken := self._take()):
                left -= taken

    def _run(self) -> None:
        while True:
            select.select([self._end], [], [])
            with self._lock:
                self._take()

    def _take(self) -> int:
        """Take what is there, and say it. Returns how many bytes it was."""
        try:
            data = os.read(self._end, BATCH)
        except BlockingIOError:
            return 0
        with suppress(Cancelled):  # that call is being stopped
            self._voices.only().output(self._decoder.decode(data))
        return len(data)

"""The terminal that the user types on: single keys are for us, everything else is for the shell.

1. A key counts when it comes alone: nothing else waits to be read, and nothing follows for
   `ALONE_SECONDS`. So a command that is typed during an answer is no key, and neither is a
   paste or what a function key sends. A command whose first letter is one of our keys, typed more
   slowly than that, loses this letter.
2. What is not a key is type-ahead. It is never read, only counted, so it waits in the terminal's
   own queue until the shell reads it. While it waits, no key can be seen behind it; Ctrl+C and
   Ctrl+Z are signals and still work.
3. A single byte must be read to know that it is no key. It is pushed back where the system allows
   it (TIOCSTI). Where it does not, and where more comes than the queue holds, all that is typed is
   thrown away from then on: never a part of a command runs.
4. Ctrl+C and Ctrl+\\ throw away what was typed before them, as in any program.
5. While the process is in the foreground the terminal has no line editing and no echo; Ctrl+C,
   Ctrl+Z and Ctrl+\\ are signals as before. The mode that was there is put back by `restore` and
   `close`. Nobody can put it back after `kill -9`: bash, zsh and fish do it themselves; in dash,
   type `stty sane`. The cursor is visible in any case, because it is never hidden.
6. While a question is asked (`typed`), all that is typed is for us.
7. In the background nothing is read and no mode is set, for that would stop the process.
8. A `whole` keyboard is that of a program that reads lines itself, before and after: all keys are
   for it (`read`), and nothing is thrown away or left to a shell. No control character except those
   of signals and Ctrl+S means anything to the terminal. Enter is Enter, and Ctrl+C a signal, only
   between `listen` and `hold`: otherwise Ctrl+C is a byte that waits for the next reader.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import struct
import sys
from collections.abc import Callable
from typing import Any, Protocol

from chatstream.clock import Clock, monotonic

if sys.platform != "win32":
    import fcntl
    import termios

ESCAPE = "\x1b"

ALONE_SECONDS = 0.2
"""Seconds without another key; people who type a word are faster."""

QUEUE_BYTES = 2048
"""Bytes that may wait. The queue of Linux holds 4095, and Ctrl+C would wait behind a full one."""


MOST_READS = 16
"""How often `read` reads before it returns what has come."""


class Reply(Protocol):
    """What a terminal answers to a question, in any number of pieces."""

    @property
    def begun(self) -> bool:
        """Whether a piece of it has come that is not whole."""

    @property
    def whole(self) -> bool:
        """Whether all of it has come."""

    def feed(self, data: bytes) -> bytes:
        """Take what was read; returns what is not the reply."""


class Keyboard:
    """The keys, and the mode in which they come one by one.

    Nothing is opened or changed before `open`.
    """

    def __init__(self, clock: Clock = monotonic, *, whole: bool = False) -> None:
        self._clock = clock
        self.whole = whole
        self._enter = False  # Enter and Ctrl+J differ, in a `whole` one
        self._kept = b""  # bytes that were read, and are for the next `read`
        self._terminal: int | None = None
        self._before: list[Any] | None = None  # the mode to put back
        self._since: float | None = None  # when a single byte, or what is typed, was first seen
        self._typed = 0  # bytes of an answer that were seen
        self._ahead = False
        self._lost = False  # a part of what was typed
        self._reply: Reply | None = None  # that has not come yet

    @property
    def is_open(self) -> bool:
        """Whether keys may come."""
        return self._terminal is not None

    @property
    def ahead(self) -> bool:
        """Whether type-ahead waits for the shell, so that no key can be seen."""
        return self._ahead

    def open(self, name: str | None = None) -> None:
        """Open the terminal of this name, else that of standard input, else the controlling one.

        Without one it stays closed.
        """
        # Opened again, so that not waiting is a flag of ours and not of the shell's descriptor.
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                name = name or (os.ttyname(0) if os.isatty(0) else "/dev/tty")
                self._terminal = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)

    def key(self) -> str:
        """The key that was pressed alone, or ""; never waits. "" in the background."""
        return self._looked(self._key)

    def typed(self) -> str:
        """All that was typed, once nothing has followed for `ALONE_SECONDS`; "" before.

        For the answer to a question. Never waits; "" in the background.
        """
        return self._looked(self._answer)

    def read(self) -> bytes:
        """All that was typed. Never waits; b"" in the background. For a `whole` keyboard."""
        self._looked(self._fill)
        kept, self._kept = self._kept, b""
        return kept

    def hold(self) -> None:
        """From now on keys are for another reader: Enter becomes Ctrl+J, so that it sends nothing
        there, and Ctrl+C sends no signal. For a `whole` keyboard.
        """
        self._enter = False
        self._looked(lambda _terminal: "")

    def listen(self) -> None:
        """From now on keys are for `read`: Enter is Enter. For a `whole` keyboard."""
        self._enter = True
        self._looked(lambda _terminal: "")

    def wait(self, seconds: float) -> bool:
        """Wait until something is typed, at most this long; returns whether it was."""
        if self._terminal is None:
            return False
        return bool(select.select([self._terminal], [], [], seconds)[0])

    def give_back(self, typed: bytes) -> None:
        """Put into the queue, for the shell, what was read and is not ours."""
        if self.whole:
            self._kept += typed
            return
        if self._terminal is None:
            return
        try:
            for byte in typed:
                fcntl.ioctl(self._terminal, termios.TIOCSTI, bytes([byte]))
            self._ahead = True
        except OSError:  # EIO with `dev.tty.legacy_tiocsti=0`; EPERM elsewhere
            self._lost = True

    def expect(self, reply: Reply, seconds: float) -> None:
        """Wait for a reply for so long at most. One that comes later is swallowed by `key`.

        What is typed meanwhile is given back. For the foreground, while nothing is typed ahead.
        """
        terminal = self._terminal
        if terminal is None:
            return
        self._reply, typed, end = reply, b"", self._clock() + seconds
        with contextlib.suppress(OSError):  # `key` sees that it has hung up
            while self._reply is not None and (left := end - self._clock()) > 0:
                if not select.select([terminal], [], [], left)[0]:
                    break
                typed += self._without_reply(terminal, self._reply)
        if typed:
            self.give_back(typed)

    def without_late_reply(self, typed: str) -> str:
        """The bytes that another reader of this terminal has read, without a late reply."""
        if self._reply is None or (typed == ESCAPE and not self._reply.begun):
            return typed
        rest = self._reply.feed(typed.encode("utf-8", "surrogateescape"))
        if self._reply.whole:
            self._reply = None
        return rest.decode("utf-8", "surrogateescape")

    def is_idle(self) -> bool:
        """Whether the terminal is ours, in our mode, and nothing waits to be read."""
        if self._terminal is None:
            return False
        try:
            return self._is_ours(self._terminal) and not _waiting(self._terminal)
        except (OSError, termios.error):
            return False

    def discard(self) -> bool:
        """Throw away what was typed; whether there was any. Never waits or raises; for signal
        handlers too.
        """
        if self._terminal is None or self._before is None or self.whole:
            return False  # unless we have set the mode, the kernel does it
        any_typed = False
        with contextlib.suppress(OSError):  # BlockingIOError: that was all
            # Read, because on Linux tcflush does not let in what has found no room so far.
            while _in_foreground(self._terminal) and os.read(self._terminal, 2 * QUEUE_BYTES):
                any_typed = True
        return any_typed

    def restore(self) -> None:
        """Put the mode back. Idempotent, never waits or raises; for signal handlers too."""
        if self._terminal is None or self._before is None:
            return
        if self._lost:
            self.discard()
        with contextlib.suppress(OSError, termios.error):
            if _in_foreground(self._terminal):  # in the background the mode is the shell's
                # NOW: any other change would wait for a terminal that Ctrl+S has stopped. What
                # waits in the queue can be read in the other mode, too.
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)
                self._before = None

    def close(self) -> None:
        """Put the mode back and let go of the terminal. Idempotent."""
        if self._terminal is not None and self._reply is not None:
            with contextlib.suppress(OSError, termios.error):
                if self._is_ours(self._terminal) and _waiting(self._terminal) > 1:
                    self.give_back(self._without_reply(self._terminal, self._reply))
        self.restore()
        terminal, self._terminal = self._terminal, None
        if terminal is not None:
            os.close(terminal)

    def _looked(self, look: Callable[[int], str]) -> str:
        if self._terminal is None:
            return ""
        try:
            return look(self._terminal) if self._is_ours(self._terminal) else ""
        except BlockingIOError:
            return ""
        except (OSError, termios.error):  # hung up
            self.close()
            return ""

    def _fill(self, terminal: int) -> str:
        for _ in range(MOST_READS):  # a paste comes as fast as it is read; the answer has to wait
            if not self._waiting(terminal):
                break
            self._kept += _read(terminal, 2 * QUEUE_BYTES)
        return ""

    def _key(self, terminal: int) -> str:
        waiting = self._waiting(terminal)
        if waiting > QUEUE_BYTES:
            self._lost = True
        if waiting > 1 and self._lost:
            self.discard()
            waiting = 0
        self._ahead = waiting > 1 or (self._ahead and waiting > 0)
        if waiting != 1 or self._ahead:
            self._since = None
        elif self._since is None:
            self._since = self._clock()
        elif self._clock() - self._since >= ALONE_SECONDS:
            self._since = None
            return chr(_read(terminal, 1)[0])
        return ""

    def _answer(self, terminal: int) -> str:
        waiting = self._waiting(terminal)
        self._ahead = False
        if waiting != self._typed:
            self._typed, self._since = waiting, self._clock()
        elif waiting and self._since is not None and self._clock() - self._since >= ALONE_SECONDS:
            self._typed, self._since = 0, None
            return _read(terminal, 2 * QUEUE_BYTES).decode("latin-1")
        return ""

    def _waiting(self, terminal: int) -> int:
        """How many bytes wait to be read, a reply not among them."""
        waiting = _waiting(terminal)
        if (reply := self._reply) and (waiting > 1 or (waiting and reply.begun)):
            self.give_back(self._without_reply(terminal, reply))
            waiting = _waiting(terminal)
        return waiting

    def _without_reply(self, terminal: int, reply: Reply) -> bytes:
        """Read everything; what is not the reply."""
        typed = reply.feed(_read(terminal, 2 * QUEUE_BYTES))
        if reply.whole:
            self._reply = None
        return typed

    def _is_ours(self, terminal: int) -> bool:
        """Whether it is in the foreground; then its mode is ours from here on."""
        if not _in_foreground(terminal):
            return False
        before = termios.tcgetattr(terminal)
        # At first, and after a shell has set its own.
        is_foreign = bool(before[3] & (termios.ICANON | termios.ECHO))
        if is_foreign:
            self._before = before  # first: wherever a signal ends the process, it can be put back
        if is_foreign or (self.whole and self._enter == bool(before[0] & termios.ICRNL)):
            _single_keys(terminal, whole=self.whole, enter=self._enter)
        if is_foreign:
            self._ahead = _waiting(terminal) > 0  # it was typed before there were keys
        return True


def _single_keys(terminal: int, *, whole: bool = False, enter: bool = False) -> None:
    """Keys come one by one, and are not shown.

    `whole`: the terminal handles none except those of signals. `enter`: Enter is not Ctrl+J, and
    Ctrl+C is a signal.
    """
    mode = termios.tcgetattr(terminal)
    # NOFLSH: Ctrl+C would throw away what the terminal has not shown yet, and leave half
    # an escape sequence on it.
    mode[3] = mode[3] & ~(termios.ICANON | termios.ECHO) | termios.NOFLSH
    if whole:
        mode[0] = mode[0] & ~termios.ICRNL if enter else mode[0] | termios.ICRNL
        mode[3] = mode[3] | termios.ISIG if enter else mode[3] & ~termios.ISIG
        mode[3] &= ~termios.IEXTEN
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSANOW, mode)


def _waiting(terminal: int) -> int:
    """How many bytes wait to be read."""
    count: int = struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))[0]
    return count


def _read(terminal: int, most: int) -> bytes:
    data = os.read(terminal, most)
    if not data:
        raise OSError(errno.EIO, "the terminal has hung up")
    return data


def _in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
        return True  # not the controlling terminal: there is no job control, nobody else reads

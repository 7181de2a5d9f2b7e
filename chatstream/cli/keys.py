"""Keys while an answer is written, and Ctrl+Z.

    space  the stage stops pulling its source, so TCP holds the server; space again: it goes on
    q      ends the answer like Ctrl+C; a second one ends the process
    r      asks the screen to show, or to hide, the model's thinking

1. Keys come from standard input if it is a terminal, else from the controlling one. They are
   looked at when a pulse passes, without waiting. What else is typed meanwhile is eaten.
2. While the process is in the foreground the terminal has no line editing and no echo; Ctrl+C,
   Ctrl+Z and Ctrl+\\ are signals as before. The mode that was there is put back on every way out:
   the end, an exception, a stop, SIGQUIT here; a forced end through `Keyboard.restore`.
3. In the background nothing is read and no mode is set, for that would stop the process. When it
   comes to the foreground, both begin.
4. Ctrl+Z first takes the drawing away: the handler only makes a note, and at the next pulse the
   screen is told, the mode put back, the process stopped. A second Ctrl+Z, while the first still
   waits for a pulse, stops it at once.
5. A signal that is ignored when we start stays ignored. Where SIGINT is, a shell without job
   control has started us in the background; there, without a terminal and on Windows, the stage
   passes everything on and changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from chatstream.cancel import SLICE, CancelToken
from chatstream.cli.interrupt import show_cursor
from chatstream.clock import Clock, monotonic
from chatstream.events import Event
from chatstream.flow import Key, Pulse, Stage, close

if sys.platform != "win32":
    import termios

_MOST = 1024  # bytes that are taken at once
_ESCAPE = b"\x1b"


class Keyboard:
    """The terminal that the user types on: its keys, and the mode in which they come one by one.

    Nothing is opened or changed before `open`.
    """

    def __init__(self) -> None:
        self._terminal: int | None = None
        self._before: list[Any] | None = None  # the mode to put back

    @property
    def is_open(self) -> bool:
        """Whether keys may come."""
        return self._terminal is not None

    def open(self) -> None:
        """Look for the terminal. Without one it stays closed."""
        # Opened again, so that not waiting is a flag of ours and not of the shell's descriptor.
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                name = os.ttyname(0) if os.isatty(0) else "/dev/tty"
                self._terminal = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)

    def typed(self) -> bytes:
        """What was typed since the last time; nothing in the background."""
        if self._terminal is None:
            return b""
        try:
            if not _in_foreground(self._terminal):
                return b""
            self._take_over(self._terminal)
            typed = os.read(self._terminal, _MOST)
        except BlockingIOError:
            return b""
        except (OSError, termios.error):
            typed = b""
        if not typed:  # hung up
            self.close()
        # What follows an escape is a function key or a terminal's reply, and no key of ours.
        return typed.partition(_ESCAPE)[0]

    def restore(self) -> None:
        """Put the mode back. Idempotent, never waits or raises; for signal handlers too."""
        if self._terminal is None or self._before is None:
            return
        with contextlib.suppress(OSError, termios.error):
            if _in_foreground(self._terminal):  # in the background the mode is the shell's
                _change(self._terminal, self._before)
                self._before = None

    def close(self) -> None:
        """Put the mode back and let go of the terminal. Idempotent."""
        self.restore()
        terminal, self._terminal = self._terminal, None
        if terminal is not None:
            os.close(terminal)

    def _take_over(self, terminal: int) -> None:
        """Set the mode: at first, and whenever a shell has set its own again."""
        mode, before = termios.tcgetattr(terminal), termios.tcgetattr(terminal)
        if not mode[3] & (termios.ICANON | termios.ECHO):
            return
        # NOFLSH: Ctrl+C would throw away what the terminal has not shown yet, and leave half an
        # escape sequence on it.
        mode[3] = mode[3] & ~(termios.ICANON | termios.ECHO) | termios.NOFLSH
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        self._before = before  # first: wherever a signal ends the process, it can be put back
        _change(terminal, mode)


def _in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
        return True  # not the controlling terminal: there is no job control, nobody else reads


def _change(terminal: int, mode: list[Any]) -> None:
    # NOW: any other change would wait for a terminal that Ctrl+S has stopped. What was typed
    # under one mode is not meant for the other: half a command must not run.
    termios.tcsetattr(terminal, termios.TCSANOW, mode)
    termios.tcflush(terminal, termios.TCIFLUSH)


@contextlib.contextmanager
def keys(token: CancelToken, keyboard: Keyboard, clock: Clock = monotonic) -> Iterator[Stage]:
    """The stage to put last, in front of the screen. For the main thread.

    `keyboard.restore` belongs to `interrupts(token, keyboard.restore)` around it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        keyboard.open()
    if sys.platform == "win32" or not keyboard.is_open:
        yield lambda events: events
        return
    jobs = _Jobs(keyboard)
    handlers = {
        signal.SIGTSTP: jobs.stop_soon,
        signal.SIGCONT: jobs.was_stopped,
        signal.SIGQUIT: jobs.quit,
    }
    previous = {number: signal.getsignal(number) for number in handlers}
    previous = {number: it for number, it in previous.items() if it is not signal.SIG_IGN}
    try:
        for number in previous:
            signal.signal(number, handlers[number])
        yield _Keys(token, keyboard, jobs, clock).run
    finally:
        keyboard.close()
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


class _Jobs:
    """Stopped and continued, like every job of a shell. The handlers take no lock."""

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard = keyboard
        self.stopping = False  # Ctrl+Z was pressed
        self.stopped = False  # and this is over: the process was continued

    def stop_soon(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping:  # no pulse came since: whatever holds it up, the user need not wait
            show_cursor()
            self.stop()
        else:
            self.stopping = True

    def was_stopped(self, _number: int, _frame: FrameType | None) -> None:
        self.stopped = True

    def stop(self) -> None:
        """Stop the process here; returns when it is continued."""
        self._leave(signal.SIGTSTP)
        # Where no shell could continue it, the kernel does not stop it: it just goes on.
        self.stopping, self.stopped = False, True
        signal.signal(signal.SIGTSTP, self.stop_soon)

    def quit(self, _number: int, _frame: FrameType | None) -> None:
        show_cursor()
        self._leave(signal.SIGQUIT)

    def _leave(self, number: signal.Signals) -> None:
        self._keyboard.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class _Keys:
    """The stage."""

    def __init__(self, token: CancelToken, keyboard: Keyboard, jobs: _Jobs, clock: Clock) -> None:
        self._token = token
        self._keyboard = keyboard
        self._jobs = jobs
        self._clock = clock
        self._paused = False

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        due = self._clock()
        try:
            for event in events:
                if type(event) is Pulse:
                    yield from self._job_control()
                    if self._clock() >= due:  # a quick answer has thousands of pulses a second
                        yield from self._look()
                        due = self._clock() + SLICE / 2
                yield event
        finally:
            close(events)

    def _look(self) -> Iterator[Event]:
        """The keys that were pressed; ends when the answer is to go on."""
        while True:
            for key in self._keyboard.typed():
                yield from self._press(chr(key))
            if not self._paused or self._token.cancelled:
                return
            if not self._keyboard.is_open:  # nobody is there to press space
                yield from self._press(" ")
                return
            yield Pulse()
            self._token.sleep(SLICE)
            yield from self._job_control()

    def _press(self, key: str) -> Iterator[Event]:
        if key == "q":
            signal.raise_signal(signal.SIGINT)
        elif self._token.cancelled:
            return
        elif key == " ":
            self._paused = not self._paused
            yield Key(pressed="pause" if self._paused else "go_on")
        elif key == "r":
            yield Key(pressed="reasoning")

    def _job_control(self) -> Iterator[Event]:
        if self._jobs.stopping:
            yield Key(pressed="suspend")
            if self._jobs.stopping:  # unless a second Ctrl+Z has stopped it while it was drawn
                self._jobs.stop()
        if self._jobs.stopped:
            self._jobs.stopped = False
            yield Key(pressed="continue")

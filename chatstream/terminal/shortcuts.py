"""Keys while an answer is written, and Ctrl+Z.

    space  the stage stops pulling its source, so TCP holds the server; space again: it goes on
    r      asks the screen to show, or to hide, the model's thinking
    x      stops the tools that run, and nothing else; while some do
    Esc    ends the answer like Ctrl+C
    1-9    stop one of several answers, if there are several

1. They are looked at with every arrival, without waiting, and count only when they come alone
   (`keyboard`). Everything else that is typed is for the shell; it ends a pause, because behind it
   no key could. Enter and other control characters, when they come alone, do nothing.
2. The terminal's mode is put back on every way out: the end, an exception, a stop, SIGQUIT here; a
   forced end through `Keyboard.restore`.
3. A job in the background takes no keys. When it comes to the foreground, it does.
4. Ctrl+Z first takes the drawing away: the handler only makes a note, and with the next arrival the
   screen is told, the mode put back, the process stopped. A second Ctrl+Z, while the first still
   waits for an arrival, stops it at once.
5. While a tool's question is open all keys are for it (`asking`), but for Esc.
6. In a program that asks several questions (`Beside`) everything that is typed is for the next one.
   The keys are then a space on an empty line, Ctrl+T, Ctrl+K and Esc; the screen shows what is
   typed. Once a line has begun, no letter answers a tool's question, however long the pause.
7. A signal that is ignored when we start stays ignored. Where SIGINT is, a shell without job
   control has started us in the background; there, without a terminal and on Windows, the stage
   passes everything on and changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.errors import Cancelled
from chatstream.flow import Arrival, Key, Pressed, Stage, Typed, close
from chatstream.terminal.interrupt import give_screen_back
from chatstream.terminal.keyboard import ESCAPE, Keyboard

if TYPE_CHECKING:
    from chatstream.control import Control
    from chatstream.terminal.asking import Answers
    from chatstream.terminal.beside import Beside, Meaning

_DIGITS = frozenset("123456789")

_KEYS: dict[Meaning, str] = {"stop": ESCAPE, "pause": " ", "thinking": "r"}


@contextlib.contextmanager
def keys(
    token: CancelToken,
    keyboard: Keyboard,
    clock: Clock = monotonic,
    *,
    control: Control | None = None,
    beside: Beside | None = None,
    restore: Callable[[], None] = lambda: None,
    pick: Callable[[int], object] | None = None,
) -> Iterator[Stage]:
    """The stage to put last, in front of the screen. For the main thread.

    `control` is that of the run, if it has tools. If no keys can come, it cannot be answered.
    `beside` receives everything that is typed on this keyboard, which then stays open.
    `restore` gives the screen back before the process stops; it never waits. `pick` is given the
    digit that was pressed, unless there is a `beside`.
    `keyboard.restore` belongs to `interrupts(token, keyboard.restore)` around it.
    """
    if beside is None and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        keyboard.open()
    if sys.platform == "win32" or not keyboard.is_open:
        if control is not None:
            control.can_answer = False
        yield lambda events: events
        return
    jobs = _Jobs(keyboard, restore)
    handlers = {
        signal.SIGTSTP: jobs.stop_soon,
        signal.SIGCONT: jobs.was_stopped,
        signal.SIGQUIT: jobs.quit,
    }
    previous = {number: signal.getsignal(number) for number in handlers}
    previous = {number: it for number, it in previous.items() if it is not signal.SIG_IGN}

    def discard() -> None:
        if type(token.reason) is Cancelled:  # Ctrl+C; the kernel would do it without NOFLSH
            keyboard.discard()

    remove = token.on_cancel(discard)
    try:
        for number in previous:
            signal.signal(number, handlers[number])
        if beside is None:
            yield _Keys(token, keyboard, jobs, clock, control, pick=pick).run
        else:
            yield _AllKeys(token, keyboard, jobs, clock, control, beside).run
    finally:
        remove()
        if beside is None:
            keyboard.close()
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


class _Jobs:
    """Stopped and continued, like every job of a shell. The handlers take no lock."""

    def __init__(self, keyboard: Keyboard, restore: Callable[[], None]) -> None:
        self._keyboard = keyboard
        self._restore = restore
        self.stopping = False  # Ctrl+Z was pressed
        self.stopped = False  # and this is over: the process was continued

    def stop_soon(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping:  # nothing came since: whatever holds it up, the user need not wait
            self._restore()
            give_screen_back()
            self.stop()
        else:
            self.stopping = True

    def was_stopped(self, _number: int, _frame: FrameType | None) -> None:
        self.stopped = True

    def stop(self) -> None:
        """Stop the process here; returns when it is continued."""
        self._restore()
        self._leave(signal.SIGTSTP)
        # Where no shell could continue it, the kernel does not stop it: it just goes on.
        self.stopping, self.stopped = False, True
        signal.signal(signal.SIGTSTP, self.stop_soon)

    def quit(self, _number: int, _frame: FrameType | None) -> None:
        self._restore()
        give_screen_back()
        self._keyboard.discard()  # as the kernel does for any program
        self._leave(signal.SIGQUIT)

    def _leave(self, number: signal.Signals) -> None:
        self._keyboard.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class _Keys:
    """The stage."""

    def __init__(
        self,
        token: CancelToken,
        keyboard: Keyboard,
        jobs: _Jobs,
        clock: Clock,
        control: Control | None,
        keep: Callable[[bytes], object] | None = None,
        *,
        pick: Callable[[int], object] | None = None,
    ) -> None:
        self._token = token
        self._keyboard = keyboard
        self._jobs = jobs
        self._clock = clock
        self._control = control
        self._pick = pick
        self._answers: Answers | None = None
        self._paused = False
        self._ahead = False  # the screen was told that there are no keys
        if control is not None:
            from chatstream.terminal.asking import Answers

            self._answers = Answers(control, keyboard, clock, keep)

    def run(self, events: Iterator[Arrival]) -> Iterator[Arrival]:
        due = self._clock()
        try:
            for arrival in events:
                yield from self._job_control()
                if self._clock() >= due:  # a quick answer has thousands of arrivals a second
                    yield from self._look()
                    due = self._clock() + POLL_SECONDS / 2
                if self._answers is not None and self._answers.see(arrival):
                    self._ahead = False
                yield arrival
        finally:
            close(events)

    def _look(self) -> Iterator[Arrival]:
        """The keys that were pressed; ends when the answer is to go on."""
        while True:
            if self._answers is not None and self._answers.is_open:
                yield from self._answer(self._answers)
                return
            yield from self._hear()
            if not self._paused or self._token.cancelled:
                return
            if self._keyboard.ahead or not self._keyboard.is_open:  # space could not be seen
                yield from self._press(" ")
                return
            yield Arrival()
            self._token.sleep(POLL_SECONDS)
            yield from self._job_control()

    def _answer(self, answers: Answers) -> Iterator[Arrival]:
        """The keys while a question is open."""
        typed = answers.look()
        if typed == ESCAPE:
            yield from self._press(ESCAPE)
        elif answers.wants_details(typed):
            yield _key("details")

    def _hear(self) -> Iterator[Arrival]:
        """All other keys."""
        yield from self._press(self._keyboard.key())
        if self._keyboard.ahead and not self._ahead:
            self._ahead = True
            yield _key("typing")

    def _press(self, key: str) -> Iterator[Arrival]:
        if key == ESCAPE:
            signal.raise_signal(signal.SIGINT)
        elif self._token.cancelled:
            return
        elif key == " ":
            self._paused = not self._paused
            yield _key("pause" if self._paused else "go_on")
        elif key == "r":
            yield _key("reasoning")
        elif key == "x" and self._stop_tools():
            return
        elif self._pick is not None and key in _DIGITS:
            self._pick(int(key))
        elif key and key.isprintable():
            self._keyboard.give_back(key.encode("latin-1"))

    def _stop_tools(self) -> bool:
        """Stop the tools that run; returns whether there are any."""
        if self._control is None or not self._control.tools_run:
            return False
        self._control.stop_tools()
        return True

    def _job_control(self) -> Iterator[Arrival]:
        if self._jobs.stopping:
            yield _key("suspend")
            if self._jobs.stopping:  # unless a second Ctrl+Z has stopped it while it was drawn
                self._jobs.stop()
        if self._jobs.stopped:
            self._jobs.stopped = self._ahead = False  # the shell has read what was typed
            yield _key("continue")


class _AllKeys(_Keys):
    """The stage in a program that asks several questions."""

    def __init__(
        self,
        token: CancelToken,
        keyboard: Keyboard,
        jobs: _Jobs,
        clock: Clock,
        control: Control | None,
        beside: Beside,
    ) -> None:
        super().__init__(token, keyboard, jobs, clock, control, beside.take)
        self._beside = beside
        self._told: tuple[list[str], str] = ([], "")

    def run(self, events: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            yield self._typed()
            yield from super().run(events)
        finally:
            close(events)

    def _hear(self) -> Iterator[Arrival]:
        for meaning in self._beside.read():
            if meaning == "tools":
                self._stop_tools()
            else:
                yield from self._press(_KEYS[meaning])
        yield from self._tell()

    def _answer(self, answers: Answers) -> Iterator[Arrival]:
        from chatstream.sinks.questions import comes_first

        if self._beside.typing.is_whole and not comes_first(self._beside.typing.draft):
            yield from super()._answer(answers)
            yield from self._tell()
        else:  # part of a paste, or of a line, is never an answer
            yield from self._hear()
            answers.put_off()

    def _tell(self) -> Iterator[Arrival]:
        typing = self._beside.typing
        if (typing.queued, typing.draft) != self._told:
            yield self._typed()

    def _typed(self) -> Arrival:
        """What was typed so far. This delays no request."""
        typing = self._beside.typing
        self._told = [*typing.queued], typing.draft
        return Arrival([Typed(queued=self._told[0], draft=typing.draft)], connected=False)


def _key(pressed: Pressed) -> Arrival:
    return Arrival([Key(pressed=pressed)])

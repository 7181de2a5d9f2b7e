"""Questions about calls of tools: where they are asked, and how they are answered.

1. `Answers` reads what is typed while a question is open. What was typed before is thrown away,
   and a key counts only if nothing was typed for `QUIET_SECONDS` before it: a user in the middle of
   a command has not read the question. `y`, `a` and `n` are answers, with Enter or without;
   anything else is not, and the question stays open. Neither is `a` if the answer is about one call
   alone. `d` shows all of the call again. Ctrl+C is a signal, as always.
   In a program that asks several questions nothing is thrown away: anything that is not an answer
   is for its next question.
2. Where there is no live view, `questions` asks on the terminal that one of our standard streams
   is, and never on standard output: that is for the answer. The terminal has single keys only while
   a question is open.
3. Where no standard stream is a terminal nobody is asked, even if there is a controlling terminal:
   whoever took all three did not send us there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.clock import Clock, monotonic
from chatstream.control import Answer, Control
from chatstream.flow import Arrival, Stage, close
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.keyboard import ESCAPE, Keyboard

Colours = Mapping[str, str]
"""The kind of a line of a question -> its SGR parameters."""

NO_COLOURS: Colours = MappingProxyType({})

QUIET_SECONDS = 0.3
"""Seconds without a key before one counts."""

_ANSWERS: dict[str, Answer] = {
    **dict.fromkeys(("y", "yes"), "once"),
    **dict.fromkeys(("a", "always"), "always"),
    **dict.fromkeys(("n", "no"), "no"),
}


def can_ask() -> bool:
    """Whether there is a terminal to ask on. A shell without job control starts its background
    jobs with SIGINT ignored; these have none.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return False
    return terminal_name() is not None


def terminal_name() -> str | None:
    """The terminal to ask on: that of standard input, else of standard error, else of output."""
    for descriptor in (0, 2, 1):
        if os.isatty(descriptor):
            try:
                return os.ttyname(descriptor)
            except OSError:  # it has no name here, as in some containers
                return "/dev/tty"
    return None


class Answers:
    """The answers to the questions of one run. `is_open`: one is to be answered now.

    `keep` is called with text that is not an answer; without it that text is thrown away.
    """

    def __init__(
        self,
        control: Control,
        keyboard: Keyboard,
        clock: Clock = monotonic,
        keep: Callable[[bytes], object] | None = None,
    ) -> None:
        self._control = control
        self._keyboard = keyboard
        self._clock = clock
        self._keep = keep
        self._due = 0.0  # from then on keys count
        self.is_open = False

    def see(self, arrival: Arrival) -> ev.Approval | None:
        """Take what passes by; the question that it opens, if any."""
        opened = None
        for event in arrival.events:
            if isinstance(event, ev.Terminal):
                self.is_open = False
            elif isinstance(event, ev.Approval) and not event.replayed:
                self.is_open = event.is_question
                opened = event if self.is_open else None
        if opened is not None:
            self.begin()
        return opened

    def begin(self) -> None:
        """What was typed so far is no answer."""
        self._drop(self._keyboard.typed())  # `typed` also sets the terminal to single keys
        self.put_off()

    def put_off(self) -> None:
        """Something else was typed: a key counts only after a moment without one."""
        self._due = self._clock() + QUIET_SECONDS

    def _drop(self, typed: str) -> bool:
        """Throw this away, and all that was typed after it; returns whether there was any."""
        if self._keep is None:
            return self._keyboard.discard() or bool(typed)
        data = typed.encode("latin-1") + self._keyboard.read()
        self._keep(data)
        return bool(data)

    def look(self) -> str:
        """Look at what was typed; returns what it is, unless that is an answer."""
        typed = self._keyboard.typed()
        if self._clock() < self._due:
            if self._drop(typed):
                self.begin()
            return ""
        answer, question = _ANSWERS.get(typed.strip().lower()), self._control.question
        if answer is None or (answer == "always" and question is not None and question.once):
            if typed:
                is_key = typed == ESCAPE or self.wants_details(typed)
                self._drop("" if is_key else typed)
                self.begin()
        elif question is not None:
            self._control.answer(answer)
            self.is_open = False
        return typed

    @staticmethod
    def wants_details(typed: str) -> bool:
        """Whether this, typed while a question is open, asks to see all of the call."""
        return typed.strip().lower() == "d"


@contextlib.contextmanager
def questions(
    control: Control, token: CancelToken, clock: Clock = monotonic, *, colours: Colours = NO_COLOURS
) -> Iterator[Stage]:
    """The stage that asks, to be put last, in front of a sink that draws nothing.

    `colours` are the SGR parameters of the lines of a diff. For the main thread.
    """
    keyboard = Keyboard(clock)
    try:
        with interrupts(token, keyboard.restore):
            yield _Asking(control, keyboard, clock, colours).run
    finally:
        keyboard.close()


class _Asking:
    """The stage."""

    def __init__(
        self, control: Control, keyboard: Keyboard, clock: Clock, colours: Colours
    ) -> None:
        self._control = control
        self._keyboard = keyboard
        self._colours = colours
        self._answers = Answers(control, keyboard, clock)
        self._asked: ev.Approval | None = None  # shown on the terminal, and not answered yet

    def run(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            for arrival in arrivals:
                if self._asked is not None:
                    self._look(self._asked)
                question = self._answers.see(arrival)
                if self._asked is not None and not self._answers.is_open:
                    self._end("")
                yield arrival
                if question is not None:  # all that came before it is written by now
                    self._ask(question)
        finally:
            close(arrivals)

    def _ask(self, question: ev.Approval) -> None:
        self._keyboard.open(terminal_name())
        if not self._keyboard.is_open or not self._show(question):
            self._control.answer("no")  # it is gone
            self._answers.is_open = False
            return
        self._asked = question
        self._answers.begin()

    def _show(self, question: ev.Approval, *, whole: bool = False) -> bool:
        from chatstream.sinks.questions import choice, question_lines

        lines = [
            f"\x1b[{sgr}m{text}\x1b[0m" if (sgr := self._colours.get(kind)) else text
            for text, kind in question_lines(question, whole=whole)
        ]
        return _write("\n".join([*lines, f"{choice(question)} "]))

    def _look(self, question: ev.Approval) -> None:
        typed = self._answers.look()
        if not self._answers.is_open:
            self._end(typed.strip())
        elif self._answers.wants_details(typed):
            _write("d\n")
            self._show(question, whole=True)

    def _end(self, answer: str) -> None:
        self._asked = None
        self._keyboard.close()
        _write(f"{answer}\n")


def _write(text: str) -> bool:
    """Write to the terminal; False if it cannot be done."""
    name = terminal_name()
    if name is None:
        return False
    try:
        with open(name, "wb", buffering=0, opener=_as_it_is) as terminal:
            terminal.write(text.encode("utf-8", "replace"))
    except OSError:
        return False
    return True


def _as_it_is(name: str, flags: int) -> int:
    """A terminal that is opened must not become the one that controls us."""
    return os.open(name, (flags | os.O_NOCTTY) & ~(os.O_CREAT | os.O_TRUNC))

"""Which of several answers a conversation continues from: the choice, asked for and stored.

1. Only an answer with text can be picked.
2. Text typed before the question does not answer it. Enter, Ctrl+C and the end of the input leave
   the choice as it is.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Sequence

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.engine.place import is_kept
from chatstream.errors import JournalError, UsageError
from chatstream.many.compare import Answer
from chatstream.store.place import state_folder

_LINE_BYTES = 4096


def answer_of(number: int, answers: Sequence[Answer]) -> Answer:
    """The answer with this number. Raises `UsageError` if it cannot be picked."""
    found = next((it for it in answers if it.number == number), None)
    if found is None:
        raise UsageError(
            f"there is no answer {number} to pick", hint=f"the answers are 1 to {len(answers)}"
        )
    if not found.has_text:
        raise UsageError(f"answer {found.name} has no text, so it cannot be picked")
    return found


def keep(picked: Answer, beside: Sequence[str]) -> str | None:
    """Continue from this answer and not from the other runs; returns why that failed, if so."""
    if not is_kept(picked.run.id):
        return "an answer without a journal cannot be continued"
    from chatstream.store.conversation import Conversations

    try:
        Conversations(state_folder()).choose(picked.run.id, [it for it in beside if is_kept(it)])
    except (JournalError, UsageError) as error:
        return f"the choice cannot be kept: {error.message}"
    return None


def is_possible() -> bool:
    """Whether there is a person who can be asked."""
    return os.isatty(0) and os.isatty(2)


def asked(answers: Sequence[Answer], otherwise: Answer, token: CancelToken) -> Answer:
    """The answer that the user picks. Raises the reason of `token`."""
    with contextlib.suppress(ImportError):  # Windows
        import termios

        termios.tcflush(0, termios.TCIFLUSH)
    question = f"Continue from which answer? [1-{len(answers)}, Enter: {otherwise.number}] "
    while True:
        print(question, end="", file=sys.stderr, flush=True)
        line = _line(token).strip()
        if not line:
            return otherwise
        try:
            return answer_of(int(line) if line.isdecimal() else 0, answers)
        except UsageError as error:
            said = error.message if line.isdecimal() else f"{line[:40]!r} is not a number"
            print(said, file=sys.stderr)


def _line(token: CancelToken) -> str:
    """A line of the terminal; "" at the end. It waits in slices, as Python restarts a read that
    Ctrl+C interrupts.
    """
    while os.name == "posix" and not select.select([0], [], [], POLL_SECONDS)[0]:
        token.check()
    return os.read(0, _LINE_BYTES).decode("utf-8", "replace")

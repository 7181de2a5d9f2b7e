"""Lines without an editor: a pipe, a dumb terminal, a screen reader. Each line is a turn.

1. Standard input is read in slices, so that a signal is seen at once.
2. On a terminal the prompt is on standard error. A draft cannot be put into the line there, so it
   is shown to the user.
3. Lines that wait on a terminal when a question is sent, or a tool's question opens, were typed
   ahead: they are queued, and shown when it is their turn. In a pipe nobody can type ahead.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys

from chatstream.cancel import CancelToken
from chatstream.chat.session import Session
from chatstream.clock import POLL_SECONDS
from chatstream.errors import UsageError
from chatstream.escape import clean
from chatstream.sinks.notes import standard_error
from chatstream.terminal.exits import note
from chatstream.terminal.prompt import MAX_BYTES
from chatstream.text import decoded
from chatstream.wording import encodable

PROMPT = b"> "

_READ_BYTES = 65536
_INPUT = "standard input"


class PlainEditor:
    """The lines of standard input; an `Editor`."""

    keyboard = None
    can_edit = False

    def __init__(self, descriptor: int = 0, encoding: str | None = None) -> None:
        self.is_person = os.isatty(descriptor)
        self._descriptor = descriptor
        self._encoding = encoding
        self._read = bytearray()  # and not yet returned
        self._ended = False
        self._number = 0

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next line without its end; None at the end."""
        if self.is_person:
            if session.draft:
                note(_words_of(session))
                session.keep("")
            editing = session.editing
            label = b"" if editing is None else b"edit %d " % (editing + 1)
            standard_error().write(label + PROMPT)
        line = self._line(token)
        if line is None:
            if self.is_person:
                standard_error().write(b"\n")
            return None
        self._number += 1
        return decoded(line, f"line {self._number} of {_INPUT}", self._encoding).rstrip("\r\n")

    def typed_ahead(self) -> list[str]:
        """The lines that wait on a terminal."""
        if not self.is_person or sys.platform == "win32":
            return []
        with contextlib.suppress(UsageError):  # `read` reports it
            while not self._ended and self._is_ready(0):
                self._take()
        *lines, rest = self._read.split(b"\n")
        self._read = rest
        self._number += len(lines)
        return [encodable(it.decode("utf-8", "surrogateescape")) for it in lines]

    def echo(self, line: str) -> None:
        """Show a line that was queued as one that was asked for."""
        if self.is_person:
            standard_error().write(PROMPT + f"{clean(line)}\n".encode())

    def restore(self) -> None:
        """Nothing was changed."""

    def close(self) -> None:
        """Nothing was changed."""

    def _line(self, token: CancelToken) -> bytes | None:
        """The next line, its end included; None at the end. Raises the reason of `token`."""
        while (end := self._read.find(b"\n")) < 0:
            if not self._ended:
                self._wait(token)
                try:
                    self._take()
                except UsageError:  # no other attempt would be better
                    self._ended = True
                    raise
            if self._ended:
                line = bytes(self._read)
                self._read.clear()
                return line or None
            if len(self._read) > MAX_BYTES:
                raise UsageError(f"a line is larger than the limit of {MAX_BYTES // 1024**2} MiB")
        line = bytes(self._read[: end + 1])
        del self._read[: end + 1]
        return line

    def _wait(self, token: CancelToken) -> None:
        """Wait until there is something to read. Raises the reason of `token`."""
        token.check()
        while sys.platform != "win32" and not self._is_ready(POLL_SECONDS):
            token.check()

    def _is_ready(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def _take(self) -> None:
        """Read what is there, or notice the end."""
        try:
            part = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:  # another reader was faster
            return
        except OSError as error:
            raise UsageError(f"{_INPUT} cannot be read: {error.strerror}") from error
        self._read += part
        self._ended = not part


def _words_of(session: Session) -> str:
    """The note on a draft, which is shown whole because it is kept nowhere else."""
    draft = clean(session.draft)
    if session.unanswered is not None:
        return f"this question has no answer; /retry asks it again:\n{draft}"
    if session.editing is not None:
        return f"the next line replaces question {session.editing + 1}:\n{draft}"
    return f"this is not sent:\n{draft}"

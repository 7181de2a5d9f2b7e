"""Lines without an editor: a pipe, a dumb terminal, a screen reader. Each line is a turn.

Standard input is read in slices, so that a signal is seen at once. A terminal is asked on standard
error; what was not answered cannot be put into its line, so it is shown to its user.
"""

from __future__ import annotations

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

PROMPT = b"> "

_READ_BYTES = 65536
_INPUT = "standard input"


class PlainEditor:
    """The lines of standard input; an `Editor`."""

    keyboard = None

    def __init__(self, descriptor: int = 0, encoding: str | None = None) -> None:
        self.is_person = os.isatty(descriptor)
        self._descriptor = descriptor
        self._encoding = encoding
        self._read = bytearray()  # and not yet returned
        self._number = 0

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next line without its end; None at the end."""
        if self.is_person:
            if session.draft:
                note(_words_of(session))
                session.keep("")
            standard_error().write(PROMPT)
        line = self._line(token)
        if line is None:
            if self.is_person:
                standard_error().write(b"\n")
            return None
        self._number += 1
        return decoded(line, f"line {self._number} of {_INPUT}", self._encoding).rstrip("\r\n")

    def echo(self, line: str) -> None:
        """Nothing: no line is queued."""

    def restore(self) -> None:
        """Nothing was changed."""

    def close(self) -> None:
        """Nothing was changed."""

    def _line(self, token: CancelToken) -> bytes | None:
        """The next line, its end included; None at the end. Raises the reason of `token`."""
        while (end := self._read.find(b"\n")) < 0:
            part = self._part(token)
            if not part:
                line = bytes(self._read)
                self._read.clear()
                return line or None
            self._read += part
            if len(self._read) > MAX_BYTES:
                raise UsageError(f"a line is larger than the limit of {MAX_BYTES // 1024**2} MiB")
        line = bytes(self._read[: end + 1])
        del self._read[: end + 1]
        return line

    def _part(self, token: CancelToken) -> bytes:
        while True:
            token.check()
            if sys.platform != "win32":
                ready, _, _ = select.select([self._descriptor], [], [], POLL_SECONDS)
                if not ready:
                    continue
            try:
                return os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:  # another reader was faster
                continue
            except OSError as error:
                raise UsageError(f"{_INPUT} cannot be read: {error.strerror}") from error


def _words_of(session: Session) -> str:
    """What is said of a draft, which is shown whole: nobody else keeps it."""
    draft = clean(session.draft)
    if session.unanswered is not None:
        return f"this was not answered; /retry asks it again:\n{draft}"
    return f"this is not sent:\n{draft}"

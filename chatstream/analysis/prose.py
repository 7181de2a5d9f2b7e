"""The prose of an answer: its text without fenced code blocks.

The beginning of a line that may become a fence is held back, up to `MAX_HELD_CHARACTERS` of it.
"""

from __future__ import annotations

from chatstream.fences import Fences, may_begin

MAX_HELD_CHARACTERS = 1000
"""Of a line; a longer one is judged by its beginning."""


class Prose:
    """Feed it the text in any pieces; what it returns is prose."""

    def __init__(self) -> None:
        self._begin()

    def feed(self, text: str) -> str:
        """What of the prose is decided with this piece."""
        if self._line is None and "\n" not in text:
            return "" if self._skips else text
        *lines, last = text.split("\n")
        whole = [self._take(line, ended=True) for line in lines]
        return "".join(whole) + (self._take(last, ended=False) if last else "")

    def finish(self) -> str:
        """What is held; the text is over, and another one may begin."""
        rest = self._take("", ended=True) if self._line else ""
        self._begin()
        return rest

    def _begin(self) -> None:
        self._fences = Fences()
        self._line: str | None = ""  # what is held of this line; None: it is decided
        self._skips = False  # the rest of this line is no prose

    def _take(self, text: str, *, ended: bool) -> str:
        """More of a line, or the rest of it."""
        if self._line is not None:
            self._line += text
            if not ended and self._is_open(self._line):
                return ""
            text, self._line = self._line, None
            was_code = self._fences.open is not None
            is_fence = self._fences.line(text[:MAX_HELD_CHARACTERS])
            self._skips = is_fence or (was_code and self._fences.open is not None)
        said = "" if self._skips else text
        if ended:
            self._line = ""
            said += "\n"
        return said

    @staticmethod
    def _is_open(line: str) -> bool:
        return len(line) < MAX_HELD_CHARACTERS and may_begin(line)

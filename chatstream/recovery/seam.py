"""Where a continued answer meets the text that is there already. Pure.

A server that is asked to continue should send only what is new. Some do not:

1. Some send the answer from its beginning again: Mistral repeats the prefix, and a server that
   does not know prefills simply answers from the start. What equals the existing text is
   swallowed; where the two differ nothing can be joined: `Diverged`. An answer that ends within
   the existing text is not a repetition.
2. Models that are asked in words repeat the last words, or the word that was cut. What they send
   begins with what the text ends with: that overlap is swallowed, at most `MAX_OVERLAP_CHARACTERS`.
   They also reopen a code block that is still open; that line is swallowed too.
3. A true continuation repeats nothing, though it may look so: after "=====" comes "=====", after
   "hel" comes "lo". So for those an overlap has to be long, within a line (lines do come twice,
   in tables and code), there must be only one, and the text before it must not repeat already; and
   a text that repeats its own beginning, or a short one that comes twice, is not taken for one
   that comes again.

Text is held back only while it may still turn out to be a repetition.
"""

from __future__ import annotations

from chatstream.fences import Fences, may_open, opening

MAX_OVERLAP_CHARACTERS = 200
"""The longest repetition that was seen from real models."""

_SURE_CHARACTERS = 16  # characters that no chance explains
_MIN_CHARACTERS = 4  # all of a text that is shorter than that, but not fewer
_WORD_CHARACTERS = 3  # the same where whole words are repeated, by a model that was asked in words


class Diverged(Exception):
    """The server started over, and says something else."""


class Seam:
    """Takes the new text in pieces and returns the part of it that continues `text`.

    `words`: the model was asked in words to continue, so this is not a true continuation.
    `repeats`: the text is sure to come again from its beginning.
    `resent`: white space at the end of `text` that the server was not given.
    """

    def __init__(
        self, text: str, *, words: bool = False, repeats: bool = False, resent: str = ""
    ) -> None:
        self.repeats = repeats
        self._text = text
        self._tail = text[-MAX_OVERLAP_CHARACTERS:]
        self._words = words
        self._in_code = words and _in_code(text)
        self._resent = resent
        self._held = ""
        self._unique = text[:_SURE_CHARACTERS] not in text[1:] and text not in (text + text)[1:-1]
        self._echoed = 0  # characters of the beginning that came again, once that is certain
        self.closed = False  # all that comes now is new

    def feed(self, delta: str) -> str:
        """Take a piece; returns what is new in it and in what was held. Raises `Diverged`."""
        if self.closed:
            return delta
        self._held += delta
        return self._decide(final=False)

    def finish(self) -> str:
        """What was held, at the end."""
        return "" if self.closed else self._decide(final=True)

    def _decide(self, *, final: bool) -> str:
        held, text = self._held, self._text
        if self._echoed or self.repeats:
            return self._swallow(final=final)
        if self._resent:
            if len(held) < len(self._resent) and self._resent.startswith(held) and not final:
                return ""
            if again := _common(self._resent, held):
                return self._close(again)
        pattern = text if len(text) >= _SURE_CHARACTERS else text + text
        same = _common(pattern, held)
        begins = self._unique and same == len(held) < len(pattern)
        if self._unique and same >= min(len(text), _SURE_CHARACTERS) and _says(text[:same]):
            if len(text) >= _SURE_CHARACTERS or not (begins or same == len(pattern)):
                return self._swallow(final=final)
            if final or not begins:  # a little that is said over and over
                return self._close(0)
        opens = self._in_code and "\n" not in held and may_open(held)
        if not final and (begins or opens or held in self._tail):
            return ""
        line, end, rest = held.partition("\n")
        if self._in_code and end and (fence := opening(line)) and fence.info:
            self._in_code = False
            self._held = rest
            return self._decide(final=final)
        return self._close(self._overlap(held))

    def _swallow(self, *, final: bool) -> str:
        """The beginning comes again: nothing is new before the end of the text is reached."""
        expected = self._text[self._echoed : self._echoed + len(self._held)]
        if not self._held.startswith(expected):
            raise Diverged
        self._echoed += len(expected)
        if self._echoed < len(self._text):
            self._held = self._text[: self._echoed] if final and not self.repeats else ""
            return self._close(0) if final else ""
        return self._close(len(expected))

    def _close(self, repeated: int) -> str:
        self.closed = True
        return self._held[repeated:]

    def _overlap(self, held: str) -> int:
        """How many of the new characters are already at the end of the text."""
        tail = self._tail
        most = min(len(tail), len(held))
        lengths = [n for n in range(most, 0, -1) if tail.endswith(held[:n])]
        if self._words:
            found = next((n for n in lengths if n >= _SURE_CHARACTERS or self._is_word(n)), 0)
            again = any(found <= 2 * n < 2 * found for n in lengths)  # "ha ha ha"
            return 0 if again else found
        telling = [n for n in lengths if n >= _MIN_CHARACTERS]
        if len(telling) != 1 or telling[0] < _SURE_CHARACTERS or "\n" in held[: telling[0]]:
            return 0
        length = telling[0]
        goes_on = tail[-length - 1 : -length] == tail[-1]  # the text itself repeats by now
        return 0 if goes_on else length

    def _is_word(self, length: int) -> bool:
        """Whether the last `length` characters have a word in them, and begin where one does."""
        last = self._tail[-length:]
        inside = self._tail[-length - 1 : -length].isalnum() and last[0].isalnum()
        return sum(map(str.isalnum, last)) >= _WORD_CHARACTERS and not inside


def _says(text: str) -> bool:
    """Whether it is more than an indentation, or a bracket and one."""
    return len("".join(text.split())) >= _MIN_CHARACTERS


def _common(left: str, right: str) -> int:
    """How many characters both begin with."""
    length = min(len(left), len(right))
    return next((n for n in range(length) if left[n] != right[n]), length)


def _in_code(text: str) -> bool:
    """Whether the text ends inside a fenced code block."""
    fences = Fences()
    for line in text.split("\n"):
        fences.line(line)
    return fences.open is not None

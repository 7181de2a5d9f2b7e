"""Whether a text repeats itself, found word by word.

1. A word is repeated if it and the three words before it occurred in the same order within the last
   `WINDOW_WORDS` words.
2. A loop is a sequence of words, no longer than the window, that occurs at least three times in a
   row. Only the loop with the most rounds is reported, and the first one if several have as many.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOW_WORDS = 1000
_GRAM = 4
MIN_TIMES = 3

_Gram = tuple[str, ...]


class Loop(NamedTuple):
    """A sequence of so many words came so many times in a row."""

    words: int = 0
    times: int = 0


class Repetition:
    """Feed it words."""

    def __init__(self) -> None:
        self.repeated = 0
        """Words."""
        self.loop = Loop()
        self._last: deque[str] = deque(maxlen=_GRAM)
        self._grams: deque[_Gram] = deque()  # of the window, oldest first
        self._places: dict[_Gram, int] = {}  # where each has come last
        self._at = 0
        self._distance = 0  # to where this has come before
        self._run = 0  # words that have had this distance

    def add(self, word: str) -> None:
        """The next word."""
        self._last.append(word)
        if len(self._last) < _GRAM:
            return
        gram = tuple(self._last)
        place = self._places.get(gram)
        self._note(self._at - place if place is not None else 0)
        self._places[gram] = self._at
        self._grams.append(gram)
        if len(self._grams) > WINDOW_WORDS:
            oldest = self._grams.popleft()
            if self._places[oldest] == self._at - WINDOW_WORDS:
                del self._places[oldest]
        self._at += 1

    def _note(self, distance: int) -> None:
        """These words have come before, so many words ago; 0: they have not."""
        if not distance:
            self._distance = self._run = 0
            return
        self.repeated += 1
        self._run = self._run + 1 if distance == self._distance else 1
        self._distance = distance
        times = (self._run + _GRAM - 1) // distance + 1
        if times >= MIN_TIMES and times > self.loop.times:
            self.loop = Loop(distance, times)

"""The picker of earlier questions: the choice, and the rows that show it. No screen.

If there are too many questions, those around the chosen one are shown. A row fits into its width,
and has no control characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chatstream.sinks.lines import cropped, line_of, text_of
from chatstream.sinks.words import one_line

MAX_ROWS = 8

HINT = "Enter edits it · Esc leaves"


class Row(NamedTuple):
    """A question that is shown."""

    text: str
    is_chosen: bool


class Picker:
    """A choice among at least one question. The last one is chosen at first."""

    def __init__(self, questions: Sequence[str]) -> None:
        self._questions = questions
        self._at = len(questions) - 1

    @property
    def number(self) -> int:
        """The number of the chosen question, from 1."""
        return self._at + 1

    def move(self, by: int) -> None:
        """Choose the question `by` further on, at most the last or first one."""
        self._at = max(0, min(self._at + by, len(self._questions) - 1))

    def rows(self, width: int, height: int) -> list[Row]:
        """The rows, on a terminal of this size; they leave room for the line below."""
        count = max(1, min(MAX_ROWS, height - 2, len(self._questions)))
        first = max(0, min(self._at - count // 2, len(self._questions) - count))
        digits = len(str(len(self._questions)))
        rows = []
        for at, question in enumerate(self._questions[first : first + count], first):
            mark = "▸" if at == self._at else " "
            text = f"{mark} {at + 1:>{digits}}  {one_line(question, width)}"
            rows.append(Row(text_of(cropped(line_of(text), width)), at == self._at))
        return rows

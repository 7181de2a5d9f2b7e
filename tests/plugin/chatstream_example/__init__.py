"""One of each kind: an analyzer, a filter and a renderer.

chatstream ask --analyze --filter straight-quotes --renderer numbered "Why?"
"""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.events import Content, Done, Error
from chatstream.flow import Arrival
from chatstream.sinks.foreign import Text

QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'"})


class Questions:
    """An analyzer: made for each answer, and fed its text in pieces of any length.

    It is copied (`copy.deepcopy`) wherever a response is whole.
    """

    def __init__(self) -> None:
        self._count = 0

    def feed(self, text: str) -> None:
        """The next piece. What it costs should depend on this piece alone."""
        self._count += text.count("?")

    def figures(self) -> dict[str, int]:
        """What `analysis` events say under the name of the entry point."""
        return {"questions": self._count}


def straight_quotes(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """A filter: what it yields is shown. An arrival without events says that time passes."""
    for arrival in arrivals:
        for event in arrival.events:
            if isinstance(event, Content):
                event.delta = event.delta.translate(QUOTES)
        yield arrival


class Numbered:
    """A renderer: the answer with a number before each line."""

    def __init__(self, output: Text) -> None:
        self._output = output
        self._line = 0
        self._is_open = False

    def write(self, arrival: Arrival) -> None:
        """Show what came, at once."""
        for event in arrival.events:
            if isinstance(event, Content):
                for piece in event.delta.splitlines(keepends=True):
                    self._write(piece)
            elif isinstance(event, Done | Error) and self._is_open:
                self._output.write("\n")

    def close(self) -> None:
        """Nothing more comes."""

    def _write(self, piece: str) -> None:
        if not self._is_open:
            self._line += 1
            self._output.write(f"{self._line:4} ")
        self._output.write(piece)
        self._is_open = not piece.endswith("\n")

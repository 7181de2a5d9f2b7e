"""A terminal in memory: what the user sees, as text.

`Screen.file` is the terminal's end of a line of output: it takes text as a tty does (LF becomes
CR LF) and keeps what was written. `Screen.text()` is everything that was ever scrolled out, and
the screen.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Mapping

import pyte
from rich.console import Console
from wcwidth import wcwidth


class Emulator(pyte.HistoryScreen):
    """With pyte a wide character that does not fit into the last cell stands there all the same;
    with terminals it begins the next row. And a character of no width is lost if it is not a
    combining one (a joiner, a selector, a vowel of Thai), with all that follows it.
    """

    def draw(self, data: str) -> None:
        for character in [data] if data.isascii() else data:
            cells = wcwidth(character) if len(character) == 1 else 1
            if cells == 0:
                self._join(character)
                continue
            if cells == 2 and self.cursor.x == self.columns - 1 > 0:
                if pyte.modes.DECAWM not in self.mode:
                    continue
                self.cursor.x = self.columns
            super().draw(character)

    def _join(self, character: str) -> None:
        """To the character before the cursor, which may have two cells."""
        row = self.buffer[self.cursor.y]
        for at in range(self.cursor.x - 1, -1, -1):
            if row[at].data:
                joined = unicodedata.normalize("NFC", row[at].data + character)
                row[at] = row[at]._replace(data=joined)
                break


class Screen:
    """A terminal of `columns` by `lines`; `emulator` can be pyte's own."""

    def __init__(
        self,
        columns: int = 80,
        lines: int = 24,
        emulator: type[pyte.HistoryScreen] = Emulator,
    ) -> None:
        self._screen = emulator(columns, lines, history=100_000)
        self.stream = pyte.Stream(self._screen)
        self.columns = columns
        self.lines = lines
        self.file = _Terminal(self.stream)

    def text(self) -> list[str]:
        """Scrollback and screen, each line without its trailing blanks, none empty at the end."""
        shown = [self._screen.buffer[row] for row in range(self.lines)]
        text = [self._row(row) for row in [*self._screen.history.top, *shown]]
        while text and not text[-1]:
            text.pop()
        return text

    def scrolled_out(self) -> list[str]:
        """Only the scrollback."""
        return [self._row(row) for row in self._screen.history.top]

    def visible(self) -> list[str]:
        """Only what is on the screen now."""
        return [self._row(self._screen.buffer[row]) for row in range(self.lines)]

    def cells(self) -> list[list[pyte.screens.Char]]:
        """What is on the screen now; a wide character is followed by an empty cell."""
        rows = (self._screen.buffer[row] for row in range(self.lines))
        return [[row[column] for column in range(self.columns)] for row in rows]

    @property
    def cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    @property
    def title(self) -> str:
        return str(self._screen.title)

    @property
    def mode(self) -> frozenset[int]:
        """The modes that are set."""
        return frozenset(self._screen.mode)

    def _row(self, row: Mapping[int, pyte.screens.Char]) -> str:
        return "".join(row[column].data for column in range(self.columns)).rstrip(" ")


def console_on(screen: Screen) -> Console:
    """A console with 256 colours that writes to a terminal in memory."""
    return Console(
        file=screen.file,
        force_terminal=True,
        color_system="256",
        width=screen.columns,
        height=screen.lines,
        _environ={"TERM": "xterm-256color"},
    )


class _Terminal(io.StringIO):
    """Text goes to the emulator; `getvalue()` is what was written."""

    def __init__(self, stream: pyte.Stream) -> None:
        super().__init__(newline="")
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return super().write(text)

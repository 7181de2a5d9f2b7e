"""Text for later, below the answer: a row for each message that waits, and the line being typed.

If there are more messages than `MAX_ROWS`, the newest are shown and the others counted. If a line
does not fit into its row, its end is shown, where the user types. No row has control characters.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from chatstream.escape import clean
from chatstream.flow import Typed
from chatstream.sinks.lines import Line, cropped, line_of
from chatstream.sinks.theme import Theme
from chatstream.sinks.words import one_line
from chatstream.wording import counted

MAX_ROWS = 3
"""The most messages that are shown."""

HINT = "   (↑ takes it back)"
_HINT_FROM = 36  # columns
_CURSOR = "_"  # the real one is behind the answer
_LINE_ENDS = str.maketrans("\n\t", "↵ ")


def typed_lines(typed: Typed, theme: Theme, width: int) -> Iterator[Line]:
    """The rows on a terminal of this width; no rows if nothing is typed."""
    hidden = len(typed.queued) - MAX_ROWS
    if hidden > 0:
        yield line_of(f" ⏎ {counted(hidden, 'more message')} queued", theme.dim)
    for number, message in enumerate(typed.queued[-MAX_ROWS:], 1):
        newest = number == min(MAX_ROWS, len(typed.queued))
        hint = HINT if newest and width >= _HINT_FROM else ""
        words = line_of(f" ⏎ queued: {one_line(message, width)}", theme.dim)
        yield [*cropped(words, width - cell_len(hint)), *line_of(hint, theme.dim)]
    if typed.draft:
        yield line_of(f" › {_end(typed.draft, max(1, width - 4))}{_CURSOR}")


def _end(text: str, room: int) -> str:
    """The end of the text, as much as fits on one row."""
    tail = clean(text[-2 * room - 1 :]).translate(_LINE_ENDS)
    if len(tail) >= len(text) and cell_len(tail) <= room:
        return tail
    start, cells = len(tail), 1  # of the ellipsis
    while start and (cells := cells + cell_len(tail[start - 1])) <= room:
        start -= 1
    return f"…{tail[start:]}"

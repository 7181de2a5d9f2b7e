"""Prose in rows: words stay whole, later rows hang, and a copy is still one line.

1. A row ends after a word, and is filled with blanks up to the margin. So the terminal itself
   wraps there, and what is copied is one line, with blanks at the joints. A row that ends at a
   blank has at least one at its end, or the next row begins with one.
2. Between CJK characters a row may end anywhere, but none begins with a closing mark and none ends
   with an opening one (JIS X 4051, and W3C's requirements for Chinese and Japanese layout). Korean
   is written with blanks and is broken there.
3. A word that no row can hold begins a row of its own and takes whole rows, without blanks in it.
4. The rows of a text depend on the text alone: a row is the same whether the text is given at once
   or goes on from its last row. So only the last row of a text that grows can change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment

from chatstream.sinks.lines import Line, parts_of, text_of

# What is written without blanks between the words.
_CJK = "\u2e80-\u2fdf\u3001-\u303f\u3041-\u30ff\u3105-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
_CJK += "\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
_OPENING = (
    "([{\u2018\u201c\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\u301d\ufe59\uff08"
    "\uff3b\uff5b\uff5f\uff62"
)
_CLOSING = (
    "!%'),.:;?]}\"\u2019\u201d\u2025\u2026\u00b7\u2013\u2014\u2030\u3001\u3002\u3009\u300b\u300d\u300f"
    "\u3011\u3015\u3017\u3019\u301b\u301e\u301f\uff01\uff05\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3d"
    "\uff5d-\uff61\uff63-\uff65\u3005\u303b\u301c\u30a0\u30fb-\u30fe\u309b-\u309e"
    # Small kana.
    "\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u3095\u3096\u30a1\u30a3\u30a5"
    "\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u30f5\u30f6\u31f0-\u31ff\uff67-\uff70"
    # What belongs to the character before it: marks, joiners, selectors.
    "\u0300-\u036f\u200c\u200d\u20d0-\u20ff\u302a-\u302f\u3099\u309a\ufe00-\ufe0f"
    "\U000e0100-\U000e01ef"
)
_OPENS, _CLOSES = (_set.replace("[", r"\[").replace("]", r"\]") for _set in (_OPENING, _CLOSING))
_GAP = re.compile(
    rf" +|(?<=[{_CJK}])(?<![{_OPENS}])(?=[^ {_CLOSES}])"
    rf"|(?<=[^ {_OPENS}])(?=[{_CJK}])(?![{_CLOSES}])"
)

_WIDE_APART = re.compile("[\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]")  # flags, skin tones
# Letters, digits and punctuation of one cell that every terminal agrees about.
_NARROW = re.compile(
    "[\x20-\x7e\xa0-\xac\xae-\u02ff\u0391-\u03a1\u03a3-\u0481\u048a-\u052f"
    "\u2010-\u2027\u2030-\u205e]*"
)

Wrap = Literal["words", "terminal", "none"]
"""Who wraps prose: we at words, or the terminal; "none" also keeps the source's own lines."""
Filler = Callable[[int, int], Segment]
"""What fills a row that ends after a word: given the cells that are left, and its width."""


def blanks(cells: int, _width: int) -> Segment:
    """The usual filler."""
    return Segment(" " * cells)


class Prose(list[Segment]):
    """A line that wraps at words; each row after the first begins with `hang` blanks."""

    def __init__(self, line: Iterable[Segment], hang: int) -> None:
        super().__init__(line)
        self.hang = hang


def like(line: Line, segments: Line) -> Line:
    """These segments, wrapped as `line` is."""
    return Prose(segments, line.hang) if isinstance(line, Prose) else segments


class Word(NamedTuple):
    """Characters that stay together: from `start` to `end`; `gap`: blanks follow them."""

    start: int
    end: int
    gap: bool


def words_of(text: str) -> Iterator[Word]:
    """The words of a text, in order; of CJK text each character with its marks is one."""
    start = 0
    for gap in _GAP.finditer(text):
        end, after = gap.span()
        if end > start:
            yield Word(start, end, after > end)
        start = after
    if start < len(text):
        yield Word(start, len(text), gap=False)


def widest(text: str) -> int:
    """The cells of a text where terminals disagree: those of the one that joins nothing."""
    if _NARROW.fullmatch(text):
        return len(text)
    apart = sum(2 if _WIDE_APART.match(it) else cell_len(it) for it in text)
    return max(apart + text.count("\ufe0f"), cell_len(text))  # it makes emoji of digits and signs


def wrapped(line: Prose, width: int, filler: Filler = blanks) -> list[Line]:
    """The rows of a line on a terminal of `width` cells, filled but for the last one.

    A row that ends within a word is not filled.
    """
    text = text_of(line)
    if widest(text) <= width:
        return [line]
    laid_out = _Rows(line.hang, width)
    if not laid_out.take_narrow(text):
        laid_out.take(text)
    rows = parts_of(line, laid_out.ranges)
    for row, room_left in zip(rows, laid_out.fills, strict=False):
        if room_left is not None and (filled := filler(room_left, width)).text:
            row.append(filled)
    return [
        [Segment(" " * cells), *row] if cells else row
        for row, cells in zip(rows, laid_out.hangs, strict=True)
    ]


class _Rows:
    """The rows of a text: which characters stand in each, and which blanks around them."""

    def __init__(self, hang: int, width: int) -> None:
        self.ranges: list[tuple[int, int]] = []  # of characters
        self.fills: list[int | None] = []  # the cells left of each row but the last; None in a word
        self.hangs: list[int] = [0]
        self._hang = min(hang, width // 2)
        self._width = width

    def take(self, text: str) -> None:
        """Any text."""
        width, hang = self._width, self._hang
        start = end = used = 0  # the row so far: its characters, and the cells with the hang
        for word in words_of(text):
            cells = widest(text[word.start : word.end])
            before = word.start - end
            # Without a hang the blank between two words has to fit into the row as well.
            room = width - (1 if word.gap and not hang else 0)
            # Behind a marker it stays, to be cut: the next row would have no more room for it.
            if used + before + cells > room and used and used + before > hang:
                next_hang = hang or int(used == width and before > 0)
                self._end(start, end, width - used, next_hang)
                start, used, before = word.start, next_hang, 0
            used += before
            end = word.end
            if used + cells <= width:
                used += cells
                continue
            for at in range(word.start, word.end):  # no row can hold it
                cell = widest(text[at])
                if used + cell > width and at > start:
                    self._end(start, at, None, 0)
                    start, used = at, 0
                used += cell
        if used + len(text) - end > width:  # the blanks at the end, which are a joint if it goes on
            self._end(start, end, width - used, hang or int(used == width))
            start = len(text)
        self.ranges.append((start, len(text)))

    def take_narrow(self, text: str) -> bool:
        """The same at a tenth of the cost, a row at a time, for text whose characters are all one
        cell wide. False where it is another, ends in blanks, or has a word that no row can hold.
        """
        width, hang = self._width, self._hang
        if text.endswith(" ") or not _NARROW.fullmatch(text):
            return False
        ranges: list[tuple[int, int]] = []
        start = used = 0
        while used + len(text) - start > width:
            last = start + width - used + (1 if hang else 0)  # where its blank may be at the latest
            blank = text.rfind(" ", start, last)
            end = start + len(text[start : max(blank, start)].rstrip(" "))
            following = blank + 1
            while text[following] == " ":
                following += 1
            if end == start or used + following - start <= hang:
                return False
            ranges.append((start, end))
            start, used = following, hang
        self.ranges = [*ranges, (start, len(text))]
        self.fills = [
            width - (hang if at else 0) - (end - begin) for at, (begin, end) in enumerate(ranges)
        ]
        self.hangs = [0, *[hang] * len(ranges)]
        return True

    def _end(self, start: int, end: int, fill: int | None, hang: int) -> None:
        """End a row; the next one begins with `hang` blanks."""
        self.ranges.append((start, end))
        self.fills.append(fill)
        self.hangs.append(hang)

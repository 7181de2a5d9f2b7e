"""The rows of a screen against what a reader should see of the text (`reader`).

`defects(text, rows, width)` reads the rows from the first to the last, block by block, and tells
what is wrong with them:

    words   a word is lost, doubled, changed, or out of order (nothing after it is compared)
    cut     a row ends within a word that fits into a row
    mark    a row begins with a closing mark, or ends with an opening one, that is not by itself
    indent  a later row does not begin where the first one's text does
    ragged  a row ends although the next word fits into it
    frame   a code block has no line above or below it, or the line does not tell the language
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from wcwidth import wcwidth

from tests.support.reader import MAY_BREAK, Atom, Block, OneOf, blocks_of

TAB = 8

CLOSING = frozenset(
    "\u2019\u201d\u2025\u2026\u3001\u3002\u3005\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019"
    "\u301b\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u309d\u309e\u30a1\u30a3"
    "\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7\u30ee\u30fb\u30fc\u30fd\u30fe\uff01\uff05\uff09"
    "\uff0c\uff0e\uff1a\uff1b\uff1f\uff3d\uff5d"
)
"""No row begins with one: full-width and curly marks, small kana, repetition marks."""
OPENING = frozenset(
    "\u2018\u201c\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\uff08\uff3b\uff5b"
)
"""No row ends with one."""

_PREFIX = re.compile(r"[ ▌]*")
_FRAME = re.compile(r"([ ▌]*)─{2,}(?: (.+?))?(?: ─+)? *$")
_BORDERS = re.compile(r"[│┃┼├┤┬┴┌┐└┘─━═╪╇╋]+")
_RULE = re.compile(r"[ ▌]*─{3,}$")
_SOFT_HYPHEN = "\xad"


class Defect(NamedTuple):
    """What is wrong, in which row (from 1)."""

    kind: str
    row: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind} (row {self.row}): {self.what}"


def defects(text: str, rows: Sequence[str], width: int, *, copied: bool = False) -> list[Defect]:
    """All that is wrong with the rows that a terminal of `width` cells shows of a text.

    `copied`: each row is a whole line, as it is copied from the terminal. Where a row ended there
    may be blanks more.
    """
    return _Reading(rows, width, copied=copied).read(blocks_of(text))


class _Wrong(Exception):
    """The words differ."""


def _cells(text: str) -> int:
    return sum(max(0, wcwidth(char)) for char in text)  # as the emulator counts them


def _is_sure(text: str) -> bool:
    """Whether all agree about the width: nothing in it joins with what is before it."""
    return not any(
        unicodedata.category(char) in ("Cf", "Mn", "Mc", "Me", "Sk")
        or "\U0001f1e6" <= char <= "\U0001f1ff"
        for char in text
    )


def _is_cjk(char: str) -> bool:
    """Whether it is written without blanks; Korean is not."""
    if "\uac00" <= char <= "\ud7a3" or "\U0001f000" <= char < "\U00020000":
        return False
    return unicodedata.east_asian_width(char) in "WF"


def _may_part(before: str, after: str) -> bool:
    """Whether a row may end between these two characters."""
    if after in CLOSING or before in OPENING:
        return False
    emoji = after >= "\U0001f000" and wcwidth(before) != 0
    return _is_cjk(before) or _is_cjk(after) or emoji


def _same(shown: str, char: str) -> bool:
    return shown == char or (
        unicodedata.normalize("NFKC", shown) == unicodedata.normalize("NFKC", char)
    )


class _Reading:
    def __init__(self, rows: Sequence[str], width: int, *, copied: bool) -> None:
        self._rows = [unicodedata.normalize("NFC", row.replace(_SOFT_HYPHEN, "")) for row in rows]
        self._width = width
        self._copied = copied
        self._row = 0  # the one that is read
        self._at = 0  # the character in it
        self._hang = 0  # cells before the text of a block's first row
        self._found: list[Defect] = []

    def read(self, blocks: Sequence[Block]) -> list[Defect]:
        """Each block, one after the other."""
        try:
            for block in blocks:
                match block.kind:
                    case "prose" | "heading":
                        self._prose(block)
                    case "code":
                        self._code(block, last=block is blocks[-1])
                    case "table":
                        self._table(block)
                    case _:
                        self._rule()
            self._skip_empty()
            if self._row < len(self._rows):
                raise _Wrong(f"there is more: {self._rows[self._row]!r}")
        except _Wrong as why:
            self._say("words", str(why))
        return self._found

    def _say(self, kind: str, what: str, row: int | None = None) -> None:
        self._found.append(Defect(kind, (self._row if row is None else row) + 1, what))

    def _line(self) -> str:
        return self._rows[self._row] if self._row < len(self._rows) else ""

    def _skip_empty(self) -> None:
        while self._row < len(self._rows) and not self._line().strip(" ▌"):
            self._row += 1
        self._at = 0

    def _next_row(self) -> None:
        self._row, self._at = self._row + 1, 0

    # ---- prose

    def _prose(self, block: Block) -> None:
        before = self._row, len(self._found)
        self._skip_empty()
        depth = block.quotes + block.items
        optional = not any(isinstance(atom, str) and atom != MAY_BREAK for atom in block.atoms)
        try:
            self._first_row(block, depth)
            self._atoms(_without_soft_hyphens(block.atoms))
            if self._at < len(self._line()):
                raise _Wrong(f"there is more in the row: {self._line()[self._at :]!r}")
            self._next_row()
        except _Wrong:
            if not optional:
                raise
            self._row = before[0]
            del self._found[before[1] :]
        if block.kind == "heading" and re.fullmatch(r"[ ▌]*[─═━]+", self._line()):
            self._next_row()

    def _first_row(self, block: Block, depth: int) -> None:
        line = self._line()
        prefix = _PREFIX.match(line)
        assert prefix
        self._at = prefix.end()
        if prefix[0].count("▌") != block.quotes:
            raise _Wrong(f"{block.quotes} bars should be before {line!r}")
        if not depth and self._at:
            self._say("indent", f"the first row begins with a blank: {line!r}")
        for marker in block.markers:
            shown = [it for it in marker.texts if line.startswith(f"{it} ", self._at)]
            if not shown:
                raise _Wrong(f"{line!r} should have the marker {marker.texts[0]!r}")
            self._at += len(max(shown, key=len)) + 1
        if block.kind == "heading":
            sign = re.match(r"#{1,6} ", line[self._at :])
            self._at += sign.end() if sign and block.atoms[0] != "#" else 0
        self._hang = _cells(line[: self._at])

    def _atoms(self, atoms: Sequence[Atom]) -> None:
        index = 0
        while index < len(atoms):
            atom, line = atoms[index], self._line()
            ended = self._at >= len(line)
            if ended and not any(isinstance(it, str) and it != MAY_BREAK for it in atoms[index:]):
                return
            if isinstance(atom, OneOf):
                self._at += max(
                    (len(it) for it in atom.texts if line.startswith(it, self._at)), default=-1
                )
                if self._at < 0 or not any(
                    line.startswith(it, self._at) for it in ("", *atom.texts)
                ):
                    raise _Wrong(f"one of {atom.texts} should be in {line!r}")
            elif atom in ("\n", MAY_BREAK):
                if ended:
                    self._later_row(atoms, index)
                elif atom == "\n":
                    raise _Wrong(f"a line should end before {line[self._at :]!r}")
            elif ended:
                self._later_row(atoms, index)
                if atom != " ":
                    continue
            elif atom == " ":
                if line[self._at] != " ":
                    raise _Wrong(f"a blank should be before {line[self._at :]!r}")
                self._at = len(line) - len(line[self._at :].lstrip(" "))
            elif _same(line[self._at], atom):
                self._at += 1
            elif self._copied and line[self._at] == " " and self._may_have_blanks(atoms, index):
                self._at = len(line) - len(line[self._at :].lstrip(" "))
                continue
            else:
                raise _Wrong(f"{_text(atoms[index:])!r} should be there, not {line[self._at :]!r}")
            index += 1

    def _later_row(self, atoms: Sequence[Atom], index: int) -> None:
        """The row ends before this atom."""
        ended, atom = self._line(), atoms[index]
        within = atom not in (" ", "\n", MAY_BREAK)
        cut = within and self._is_cut(atoms, index)
        self._next_row()
        if self._row >= len(self._rows) or not self._line().strip(" ▌"):
            raise _Wrong(f"the rows end before {_text(atoms[index:])!r}")
        prefix = _PREFIX.match(self._line())
        assert prefix
        self._at = prefix.end()
        found = _cells(prefix[0])
        word, start = _word(atoms, index) if within else ("", index)
        room = self._width - self._hang
        long = within and _cells(word) > room
        if cut and not long and _is_sure(ended):
            self._say("cut", f"{_text(atoms[start:index])}|{_text(atoms[index:])!r}", self._row - 1)
        if within and not cut and not long and not _parts_well(atoms, index):
            self._say("mark", f"{ended[-6:]!r} | {self._line()[:8]!r}")
        hang = min(self._hang, self._width // 2)
        if atom == "\n" and found > hang:
            hang = found  # a formula keeps its own indent
        elif atom == " " and not hang and found == 1 and _cells(ended) == self._width:
            # The blank after a word that takes whole rows has no other place.
            hang = int(_cells(_word(atoms, index - 1)[0]) >= self._width)
        if found != hang and not long:
            self._say("indent", f"{found} cells before {self._line()[self._at :]!r}, not {hang}")
        if atom == " ":
            following = _following(atoms, index + 1)
            sure = _is_sure(ended + following)
            if sure and following and _cells(ended) + 1 + _cells(following) < self._width:
                self._say("ragged", f"{following!r} fits behind {ended!r}", self._row - 1)

    def _may_have_blanks(self, atoms: Sequence[Atom], index: int) -> bool:
        """Whether a row may have ended here, without a blank in the text."""
        if not index:
            return False
        before, after = atoms[index - 1], atoms[index]
        sure = isinstance(before, str) and isinstance(after, str)
        return sure and before != " " and _may_part(str(before), str(after))

    def _is_cut(self, atoms: Sequence[Atom], index: int) -> bool:
        before, after = atoms[index - 1] if index else " ", atoms[index]
        if isinstance(before, OneOf) or isinstance(after, OneOf):
            return False
        if after in CLOSING or before in OPENING:
            return not (_is_cjk(before) or _is_cjk(after))
        return not _may_part(before, after)

    # ---- blocks

    def _code(self, block: Block, *, last: bool) -> None:
        self._skip_empty()
        above = _FRAME.fullmatch(self._line())
        prefix = ""
        if above:
            prefix = above[1]
            if prefix.count("▌") != block.quotes or bool(block.items) > bool(prefix):
                self._say("frame", f"the line above stands elsewhere: {self._line()!r}")
            language = re.search(r"\w+", block.info)
            if language and language[0] not in (above[2] or ""):
                self._say("frame", f"{block.info!r} is not told by {self._line()!r}")
            self._next_row()
        else:
            self._say("frame", f"no line above {self._line()!r}")
        margin = " " * _cells(prefix)  # a copy has blanks too much, and nothing else
        for line in block.lines:
            for row in self._wrapped(margin + line.expandtabs(TAB)):
                if self._line().rstrip() != row.rstrip():
                    raise _Wrong(f"{row!r} should be there, not {self._line()!r}")
                self._next_row()
        below = _FRAME.fullmatch(self._line())
        if below and not below[2]:
            self._next_row()
        elif not last:
            self._say("frame", f"no line below {block.lines[-1:]}")

    def _wrapped(self, line: str) -> list[str]:
        """The rows that a terminal makes of a line."""
        rows, used = [""], 0
        for char in line:
            cells = max(0, wcwidth(char))
            if used + cells > self._width and not self._copied:
                rows.append("")
                used = 0
            rows[-1] += char
            used += cells
        return rows

    def _table(self, block: Block) -> None:
        """A bag of words: cells stand side by side, and a header may be repeated."""
        self._skip_empty()
        missing = Counter(
            word for row in block.cells for cell in row for word in _table_words(_text(cell))
        )
        headers = {word for cell in block.cells[0] for word in _table_words(_text(cell))}
        rest: Counter[str] = Counter()  # characters of words that were cut
        while self._row < len(self._rows):
            line = self._line().replace("▌", " ")
            words = _table_words(_BORDERS.sub(" ", line))
            if not missing and not rest and not all(word.rstrip(":") in headers for word in words):
                break
            if not words and not missing:
                break
            for word in words:
                title = word.rstrip(":")  # of a record: each has all of them
                if missing[word] > 0:
                    missing[word] -= 1
                elif missing[title] > 0:
                    missing[title] -= 1
                elif word not in headers and title not in headers and word.strip("|"):
                    rest.update(word)
            missing = +missing
            if sum(rest.values()) and sum((rest - _bag(missing)).values()):
                extra = "".join((rest - _bag(missing)).elements())
                raise _Wrong(f"a table has nothing of {extra!r}: {self._line()!r}")
            if missing and _bag(missing) == rest:
                cut = [word for word in missing if _cells(word) <= self._width // 2]
                if cut:
                    self._say("cut", f"words of a table: {cut}")
                missing, rest = Counter(), Counter()
            self._next_row()
        if missing:
            raise _Wrong(f"a table lacks {list(missing)}")

    def _rule(self) -> None:
        self._skip_empty()
        if not _RULE.fullmatch(self._line()):
            raise _Wrong(f"a rule should be there, not {self._line()!r}")
        self._next_row()


def _bag(words: Counter[str]) -> Counter[str]:
    bag: Counter[str] = Counter()
    for word, times in words.items():
        for char in word:
            bag[char] += times
    return bag


def _table_words(text: str) -> list[str]:
    """Words, and each CJK character as one: a cell may break between them."""
    found: list[str] = []
    for word in unicodedata.normalize("NFC", text).split():
        part = ""
        for char in word:
            if _is_cjk(char):
                found += [part, char] if part else [char]
                part = ""
            else:
                part += char
        if part:
            found.append(part)
    return found


def _without_soft_hyphens(atoms: Sequence[Atom]) -> list[Atom]:
    return [atom for atom in atoms if atom != _SOFT_HYPHEN]


def _text(atoms: Sequence[Atom]) -> str:
    shown = "".join(atom if isinstance(atom, str) else atom.texts[0] for atom in atoms)
    return shown if len(shown) < 200 else shown[:40]


def _word(atoms: Sequence[Atom], index: int) -> tuple[str, int]:
    """The characters around this one that stay together, and where they begin."""
    start = end = index
    while start and _stays(atoms[start - 1], atoms[start]):
        start -= 1
    while end + 1 < len(atoms) and _stays(atoms[end], atoms[end + 1]):
        end += 1
    shown = [atom if isinstance(atom, str) else atom.texts[-1] for atom in atoms[start : end + 1]]
    return "".join(shown), start


def _stays(before: Atom, after: Atom) -> bool:
    if isinstance(before, OneOf) or isinstance(after, OneOf):
        return True
    blank = (" ", "\n", MAY_BREAK)
    return before not in blank and after not in blank and not _may_part(before, after)


def _parts_well(atoms: Sequence[Atom], index: int) -> bool:
    before, after = atoms[index - 1], atoms[index]
    return not (after in CLOSING or before in OPENING)


def _following(atoms: Sequence[Atom], index: int) -> str:
    """The next word, as far as it stays together; nothing if that is not sure."""
    word = ""
    while index < len(atoms):
        atom = atoms[index]
        if isinstance(atom, OneOf):
            return ""
        if atom in (" ", "\n", MAY_BREAK) or (word and _may_part(word[-1], atom)):
            break
        word += atom
        index += 1
    return word

"""What one line, or one text, of Markdown is by itself: nothing here knows the lines before.

1. A line has no line end. White space is spaces and tabs; a tab goes to the next fourth column.
2. `content` is a line, or what containers left of it, from its first character that is no white
   space: `Cursor` finds it.
3. Every function takes time linear in its text, whatever stands in it: no expression can match
   one stretch of it in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from chatstream.fences import BLANKS
from chatstream.sinks import tex

_HEADING = re.compile(r"#{1,6}(?=[ \t]|$)")
_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*$")
_MARKER = re.compile(r"[-+*](?=[ \t]|$)|([0-9]{1,9})([.)])(?=[ \t]|$)")
_DELIMITERS = re.compile(r"[|:][-:| \t]+$|-[-:|][-:| \t]*$")
_DELIMITER = re.compile(r":?-+:?")
_PIPE = re.compile(r"(?<!\\)\|")
_RUN = re.compile(r"`+")
_CELL_MARK = re.compile(r"\\.|`+|\|")
_UNDECIDED = re.compile(r"[-+*_=#`~|: \t]*$|[0-9]{1,9}[.)]?$")
_BOX = re.compile(r"\[([ xX])\][ \t]+(?=[^ \t])")
_ALERT = re.compile(r"\[!(note|tip|important|warning|caution)\][ \t]*(?:\n|$)", re.IGNORECASE)
# An escaped character, a run of backticks, another run that opens or closes something (not with
# white space on both sides; `_` not within a word), a bracket, and where a line may be parted.
_MARKS = re.compile(
    r"\\.|(?P<code>`+)|(?P<run>(?<![ \n])[*~]+|[*~]+(?![ \n])|(?<!\w)_+|_+(?!\w))"
    r"|(?P<bracket>[][()])|(?P<gap>[ \n]+|[\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f])"
)


class Cursor:
    """A place in a line: `rest` follows it, `indent` columns of white space, then `content`."""

    __slots__ = ("_column", "content", "indent", "rest")

    def __init__(self, line: str) -> None:
        self.rest = line
        self._column = 0
        self._look()

    def skip(self, width: int) -> None:
        """Go on over white space, `width` columns of it at most; the rest of a tab is spaces."""
        width = min(width, self.indent)
        at = passed = 0
        while passed < width:
            passed += 4 - (self._column + passed) % 4 if self.rest[at] == "\t" else 1
            at += 1
        self.rest = " " * (passed - width) + self.rest[at:]
        self._column += width
        self.indent -= width

    def pass_over(self, length: int) -> None:
        """Go on over the white space and so many characters of the content."""
        self._column += self.indent + length
        self.rest = self.content[length:]
        self._look()

    def _look(self) -> None:
        self.content = self.rest.lstrip(BLANKS)
        self.indent = len(self.rest) - len(self.content)
        if self.indent and "\t" in self.rest[: self.indent]:
            start = self._column % 4
            self.indent = len((" " * start + self.rest[: self.indent]).expandtabs(4)) - start


class Marker(NamedTuple):
    """What an item of a list begins with. Items of one list have the same `kind`."""

    length: int
    kind: str  # "-", "+" and "*"; "." and ")" after a number
    number: int | None
    empty: bool  # nothing follows it

    @property
    def interrupts(self) -> bool:
        """Whether it may begin a list right after a paragraph: not "in" and "1986. What a year"."""
        return not self.empty and self.number in {None, 1}


def marker_of(content: str) -> Marker | None:
    """The marker of the list item that a line begins with."""
    match = _MARKER.match(content)
    if match is None:
        return None
    number, sign = match.groups()
    length = match.end()
    return Marker(
        length,
        sign or match[0],
        int(number) if number else None,
        not content[length:].strip(BLANKS),
    )


def box_of(content: str) -> tuple[str, str]:
    """The box of a task, ☐ or ☑, and the text after it. An item's other text has no box."""
    match = _BOX.match(content)
    return ("☐" if match[1] == " " else "☑", content[match.end() :]) if match else ("", content)


def alert_of(text: str) -> tuple[str, str]:
    """The label of an alert that a quote's first paragraph begins with ("Note"), and the rest."""
    match = _ALERT.match(text)
    return (match[1].capitalize(), text[match.end() :]) if match else ("", text)


def heading_of(content: str) -> tuple[int, str] | None:
    """The level and the text of a heading, without the number signs that may close it."""
    match = _HEADING.match(content)
    if match is None:
        return None
    text = content[match.end() :].strip(BLANKS)
    title = text.rstrip("#")
    closed = not title or title[-1] in BLANKS
    return match.end(), title.rstrip(BLANKS) if closed else text


def underline_of(content: str) -> int:
    """The level of the heading that such a line makes of the lines before it; 0 for none."""
    return (1 if content[0] == "=" else 2) if _UNDERLINE.match(content) else 0


def is_rule(content: str) -> bool:
    """Whether it is a thematic break: at least three equal signs and white space."""
    sign = content[0]
    return sign in "*_-" and not content.strip(sign + BLANKS) and content.count(sign) >= 3


def columns_of(content: str) -> tuple[str, ...]:
    """The alignments in the row between a table's header and its body; none in another line."""
    if not _DELIMITERS.match(content):
        return ()
    cells = cells_of(content)
    return tuple(map(_alignment, cells)) if all(map(_DELIMITER.fullmatch, cells)) else ()


def _alignment(cell: str) -> str:
    left, right = cell[0] == ":", cell[-1] == ":"
    return "center" if left and right else "right" if right else "left" if left else "default"


def cells_of(content: str, columns: int = 0) -> tuple[str, ...]:
    r"""The cells of a table's row; a pipe in code, or written as `\|`, belongs to its cell.

    Where that does not give `columns` cells, other readings are tried: the pipes in code part
    cells, as GFM has it, or `||` is an operator.
    """
    plain = _PIPE.split(content)
    readings = [plain]
    if "`" in content:
        readings.insert(0, _parted(content, _pipes_outside_code(content)))
    if "||" in content:
        pipes = _pipes_outside_code(content)
        readings.append(_parted(content, [at for at in pipes if not _doubled(content, at)]))
    cells = [*map(_cells, readings)]
    return next((it for it in cells if len(it) == columns), cells[0])


def row_of(content: str, columns: int) -> tuple[str, ...]:
    """As many cells as there are columns: missing ones are empty, surplus ones join the last."""
    cells = cells_of(content, columns)
    if len(cells) > columns:
        return (*cells[: columns - 1], " | ".join(cells[columns - 1 :]).strip(BLANKS))
    return cells + ("",) * (columns - len(cells))


def _pipes_outside_code(content: str) -> list[int]:
    """Where the pipes are that part cells."""
    last = {mark[0]: mark.start() for mark in _RUN.finditer(content)}  # of each length of backticks
    pipes: list[int] = []
    at = 0
    while mark := _CELL_MARK.search(content, at):
        start, at = mark.span()
        if mark[0] == "|":
            pipes.append(start)
        elif mark[0][0] == "`" and last[mark[0]] > start:
            closing = re.compile(f"(?<!`){mark[0]}(?!`)").search(content, at)
            at = closing.end() if closing else at
    return pipes


def _doubled(content: str, at: int) -> bool:
    return "|" in (content[at - 1 : at], content[at + 1 : at + 2])


def _parted(content: str, pipes: Sequence[int]) -> list[str]:
    """The texts between these pipes."""
    starts = [0, *(at + 1 for at in pipes)]
    return [content[start:end] for start, end in zip(starts, [*pipes, len(content)], strict=True)]


def _cells(parts: Sequence[str]) -> tuple[str, ...]:
    """Cells without the empty texts outside of the first and the last pipe."""
    cells = [part.strip(BLANKS).replace("\\|", "|") for part in parts]
    if not cells[0]:
        del cells[0]
    if cells and not cells[-1]:
        del cells[-1]
    return tuple(cells)


def is_undecided(line: str) -> bool:
    """Whether a line that is not whole is nothing but what may become markup."""
    return _UNDECIDED.match(line.lstrip(" \t>")) is not None


def cut_of(text: str, longest: int) -> int:
    """Where to part a paragraph: after white space in its first `longest` characters.

    If possible that is in their second half, outside of code, emphasis and links, after a line; and
    outside of a formula, even if it is before their second half.
    """
    line = best = last = depth = 0
    code = ""
    runs: set[str] = set()  # that stand there an odd number of times
    formulas = [it for it in tex.spans(text, goes_on=True) if it.start < longest]
    at = 0
    for mark in _MARKS.finditer(text, 0, longest):
        while at < len(formulas) and formulas[at].end <= mark.start():
            at += 1
        if at < len(formulas) and formulas[at].start <= mark.start():
            last = mark.end() if mark.lastgroup == "gap" else last
            continue
        match mark.lastgroup:
            case "gap":
                last = mark.end()
                if not (code or runs or depth):
                    best = last
                    line = last if text[last - 1] == "\n" else line
            case "code":
                code = "" if code == mark[0] else code or mark[0]
            case "run" if not code:
                runs ^= {mark[0]}
            case "bracket" if not code:
                depth = depth + 1 if mark[0] in "[(" else max(0, depth - 1)
    half = longest // 2
    torn = formulas[-1].start if formulas and formulas[-1].end > longest else 0
    return line if line >= half else best if best >= half else torn or last or longest

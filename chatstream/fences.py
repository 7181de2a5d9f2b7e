"""Code fences of Markdown: what opens a block of code, what it says of it, and what closes it.

1. A fence is three or more backticks, with no backtick after them, or tildes (CommonMark 0.31,
   4.5). It may stand in quotes and list items: `> ```py` and `- ```py` open blocks too.
2. In a block of Markdown (`markdown`, `md`) a fence that names a language opens a level, and the
   next bare fence closes it. So a README with code in it is one block. That is not CommonMark: by
   its rules the first bare fence would end the README. A bare fence never opens a level, because
   nobody could tell it from the end.
3. `Fences` reads lines and knows the quotes and items that they stand in, which end a block of
   code where they end. Of other blocks it knows only that a paragraph in these may go on outside
   of them. A paragraph outside of all is not looked at: a marker after it begins an item.
4. The words after a fence name a language and a file in one of the ways that models use:
   `python title="app.py"`, `python app.py`, `js:src/app.js`, `{.python file=app.py}`, `app.py`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLANKS = " \t"
MAX_CONTAINERS = 20
"""Quotes and items within each other; a marker within these is text. Each costs a line time."""

_FENCE = r"(`{3,})([^`]*)$|(~{3,})(.*)$"
_BEGUN = r"(?:`{0,2}|`{3,}[^`]*|~{0,2}|~{3,}(?s:.*))$"
_CONTAINERS = r"[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]+|>)*[ \t]*"
_CONTAINERS_BEGUN = r"[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]+|>)*(?:[-*+>]|\d{1,9}[.)]?)$"
_QUOTE = " {0,3}> ?"
# Of more than four blanks after a marker, all but one are the indent of code.
_CONTAINER = rf"{_QUOTE}| {{0,3}}(?P<item>[-*+]|\d{{1,9}}[.)])(?P<blanks> {{1,4}}(?=[^ ])| |$)"
_MARKERS = frozenset(">-*+0123456789")  # what a container begins with
_ESCAPED = r"\\([!-/:-@\[-`{-~])"  # as CommonMark has it
_NAMED = r"""\b(?:title|file|filename|name|path)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s,;}]+))"""
_FILE = r"(?:[\w@.+~()\[\]-]*/)*[\w@+~()\[\]-]*\.[A-Za-z][\w+-]{0,9}"
_MARKDOWN = frozenset({"markdown", "md", "mdown", "mkd", "mdx", "rmd", "qmd"})


class Info(NamedTuple):
    """What the words after a fence say; "" for what they do not."""

    language: str
    title: str  # of the file, as it is written: it may be any path


class Fence(NamedTuple):
    """An open fence, and the fences of the levels that are open in its block of Markdown."""

    mark: str
    info: str
    levels: tuple[tuple[str, bool], ...] = ()  # the mark, and whether that is Markdown again

    def after(self, content: str, indent: int = 0) -> Fence | None:
        """The fence after a line of its block; None where the line closes it.

        `content` is the line from its first character that is no white space, and `indent` how far
        that is from where the text of the block's containers begins.
        """
        if content[:1] != self.mark[0]:
            return self
        mark, is_markdown = self.levels[-1] if self.levels else (self.mark, _is_markdown(self.info))
        if closes(mark, content) and (self.levels or indent < 4):
            return self._replace(levels=self.levels[:-1]) if self.levels else None
        inner = opening(content) if is_markdown else None
        if inner is not None and inner.info and inner.mark.startswith(mark):
            return self._replace(levels=(*self.levels, (inner.mark, _is_markdown(inner.info))))
        return self


def opening(content: str) -> Fence | None:
    """The fence that a line opens. `content` begins with its first character that is no blank."""
    match = re.match(_FENCE, content) if content[:1] in {"`", "~"} else None
    if match is None:
        return None
    return Fence(match[1] or match[3], (match[2] or match[4] or "").strip(BLANKS))


def closes(mark: str, content: str) -> bool:
    """Whether the line closes what the mark opened."""
    return content.startswith(mark) and not content.rstrip(BLANKS).strip(mark[0])


def may_open(content: str) -> bool:
    """Whether content that is not a whole line may become an opening fence."""
    return re.match(_BEGUN, content) is not None


def may_begin(line: str) -> bool:
    """Whether a line that is not whole may become one with a fence."""
    if _is_text(line.lstrip(BLANKS)):
        return False
    before = re.match(_CONTAINERS, line)
    rest = line[before.end() :] if before else line
    return may_open(rest) or re.match(_CONTAINERS_BEGUN, line) is not None


def info_of(info: str) -> Info:
    """The language and the file that the words after a fence name."""
    info = re.sub(_ESCAPED, r"\1", info)
    named = re.search(_NAMED, info)
    title = next((it for it in named.groups() if it), "") if named else ""
    words = info.strip(" \t{}").split()
    first = words[0].rstrip(",;") if words else ""
    if re.match(r"\w+=", first):
        return Info("", title)
    language, colon, path = first.lstrip(".").partition(":")
    if not colon and not info.startswith("{") and re.fullmatch(_FILE, first):
        if not first.endswith(".net"):
            language, path = first.rpartition(".")[2], first
    elif not path and len(words) > 1 and re.fullmatch(_FILE, words[1]):
        path = words[1]
    return Info(re.split("[{,;]", language)[0], title or path)


class Fences:
    """Says of each line of a text whether it is code. Feed it whole lines without their ends.

    The block parser (sinks/blocks) follows the same containers, and a test holds the two to the
    same judgement. It does not take the place of this one: it makes pieces of every line, which
    costs ten times as much (7 µs a line against 0.7), and it needs the reader of formulas, whose
    import takes 40 ms. This one is in the path of every answer and is loaded before the request.
    """

    def __init__(self) -> None:
        self.open: Fence | None = None
        """The fence whose block the next line belongs to."""
        self._containers: tuple[int, ...] = ()  # open ones: the width of an item, 0 for a quote
        self._in_text = False  # a paragraph is open; in a container it may go on outside of it

    @property
    def heeds_text(self) -> bool:
        """Whether a line that begins with a word may end the open block, or what it would be in."""
        return self._containers != ()

    def line(self, line: str) -> bool:
        """Take a line. Whether it opened or closed a block.

        The beginning of a line is enough where `may_begin` refuses it, once for the line.
        """
        if not self._containers and self.open is None:
            content = line.lstrip()
            if not content or _is_text(content):
                return False  # as most lines are
        rest, matched = self._match(line.expandtabs(4))
        inside = matched == len(self._containers)
        if self.open is not None:
            if inside:
                content = rest.lstrip()
                self.open = self.open.after(content, len(rest) - len(content))
                return self.open is None
            self.open = None
        begun = self._containers[:matched]
        content = rest.lstrip()
        while content[:1] in _MARKERS and len(begun) < MAX_CONTAINERS:
            it = re.match(_CONTAINER, rest)
            if it is None or (inside and self._goes_on(it)):
                break
            width = len(it[0]) + (not it["blanks"]) if it["item"] else 0
            begun, rest = (*begun, width), rest[it.end() :]
            self._in_text, inside = False, True
            content = rest.lstrip()
        is_indented = len(rest) - len(content) >= 4
        self.open = None if is_indented else opening(content)
        if self.open is None and self._in_text and not inside and content[:1] not in {"", "#"}:
            return False  # the paragraph goes on
        self._containers = begun
        is_text = self.open is None and content[:1] not in {"", "#", "|"}
        self._in_text = is_text and begun != () and (self._in_text or not is_indented)
        return self.open is not None

    def _goes_on(self, marker: re.Match[str]) -> bool:
        """Whether what looks like the marker of an item is text of the open paragraph."""
        number = (marker["item"] or "-").rstrip(".)")
        is_empty = marker.end() == len(marker.string.rstrip())
        return self._in_text and (is_empty or number not in {"-", "*", "+", "1"})

    def _match(self, line: str) -> tuple[str, int]:
        """What the open containers leave of a line, and how many of them go on in it."""
        for matched, width in enumerate(self._containers):
            if width:
                if line[:width].strip():
                    return line, matched
                line = line[width:]
            else:
                mark = re.match(_QUOTE, line)
                if mark is None:
                    return line, matched
                line = line[mark.end() :]
        return line, len(self._containers)


def _is_text(content: str) -> bool:
    """Told from its first character: neither a fence nor a container begins here."""
    return content != "" and content[0] not in "`~" and content[0] not in _MARKERS


def _is_markdown(info: str) -> bool:
    return info_of(info).language.lower() in _MARKDOWN

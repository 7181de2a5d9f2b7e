"""Code fences of Markdown: what opens a block of code, what it says of it, and what closes it.

1. A fence is three or more backticks, with no backtick after them, or tildes (CommonMark 0.31,
   4.5). It may stand in quotes and list items: `> ```py` and `- ```py` open blocks too.
2. In a block of Markdown (`markdown`, `md`) a fence that names a language opens a level, and the
   next bare fence closes it. So a README with code in it is one block. That is not CommonMark: by
   its rules the first bare fence would end the README. A bare fence never opens a level, because
   nobody could tell it from the end.
3. `Fences` reads lines without knowing the blocks around them. It knows what the line of a fence
   itself tells: the quotes and the item that it stands in, which end its block where they end.
4. The words after a fence name a language and a file in one of the ways that models use:
   `python title="app.py"`, `python app.py`, `js:src/app.js`, `{.python file=app.py}`, `app.py`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLANKS = " \t"

_FENCE = r"(`{3,})([^`]*)$|(~{3,})(.*)$"
_BEGUN = r"(?:`{0,2}|`{3,}[^`]*|~{0,2}|~{3,}(?s:.*))$"
_CONTAINERS = r"[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]+|>)*[ \t]*"
_CONTAINERS_BEGUN = r"[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]+|>)*(?:[-*+>]|\d{1,9}[.)]?)$"
_ITEM = r"[-*+][ \t]|\d{1,9}[.)][ \t]"
_QUOTE = r"[ \t]*>[ \t]?"
_ESCAPED = r"\\([!-/:-@\[-`{-~])"  # as CommonMark has it
_NAMED = r"""\b(?:title|file|filename|name|path)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s,;}]+))"""
_FILE = r"(?:[\w@.+~-]*/)*[\w@+~-]*\.[A-Za-z][\w+-]{0,9}"
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
        that is from where the block's lines begin.
        """
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


def may_begin(line: str) -> bool:
    """Whether a line that is not whole may become one with a fence."""
    before = re.match(_CONTAINERS, line)
    rest = line[before.end() :] if before else line
    return re.match(_BEGUN, rest) is not None or re.match(_CONTAINERS_BEGUN, line) is not None


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
    """Tells of each line of a text whether it is code. Feed it whole lines without their ends."""

    def __init__(self) -> None:
        self.open: Fence | None = None
        """The fence whose block the next line belongs to."""
        self._quotes = 0  # that it stands in
        self._item = 0  # the column that the item's text begins at, if it begins an item
        self._margin = 0  # the column of the fence itself
        self._in_list = False  # an item began, and no line without an indent came since

    @property
    def is_contained(self) -> bool:
        """Whether a line may end the open block because what that stands in ends."""
        return self.open is not None and bool(self._quotes or self._item)

    def line(self, line: str) -> bool:
        """Take a line. Whether it opened or closed a block."""
        if self.open is not None:
            content, indent = self._inside(line)
            if indent >= 0:
                self.open = self.open.after(content, max(0, indent - self._margin))
                return self.open is None
            self.open = None
        before = re.match(_CONTAINERS, line)
        at = before.end() if before else 0
        containers = line[:at]
        inner = containers.rpartition(">")[2]
        margin = len(inner.expandtabs(4))
        item = re.search(_ITEM, inner) is not None
        self._in_list = item or (self._in_list and (margin > 0 or at == len(line)))
        if margin < 4 or self._in_list:  # else it is indented code
            self.open = opening(line[at:])
        if self.open is not None:
            self._quotes = containers.count(">")
            self._margin, self._item = margin, margin if item else 0
        return self.open is not None

    def _inside(self, line: str) -> tuple[str, int]:
        """The content of a line and its indent; -1 where what the block stands in has ended."""
        for _ in range(self._quotes):
            quote = re.match(_QUOTE, line)
            if quote is None:
                return line, -1
            line = line[quote.end() :]
        content = line.lstrip(BLANKS)
        indent = len(line[: len(line) - len(content)].expandtabs(4))
        return content, -1 if content and indent < self._item else indent


def _is_markdown(info: str) -> bool:
    return info_of(info).language.lower() in _MARKDOWN

"""Code fences of Markdown: what opens a block of code, what it says of it, and what closes it.

1. A fence is three or more backticks, with no backtick after them, or tildes (CommonMark 0.31,
   4.5). It may stand in quotes and list items: `> ```py` and `- ```py` open blocks too.
2. In a block of Markdown (`markdown`, `md`) a fence that names a language opens a level, and the
   next bare fence closes it. So a README with code in it is one block. That is not CommonMark: by
   its rules the first bare fence would end the README. A bare fence never opens a level, because
   nobody could tell it from the end.
3. `Fences` reads lines without knowing the blocks around them. It knows what the line of a fence
   itself tells: the quotes and items that it begins, which end its block where they end.
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
_CONTAINER = r" *> ?| *(?P<item>[-*+]|\d{1,9}[.)])(?P<blanks> +)"
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
        that is from where the block's lines begin.
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


def may_begin(line: str) -> bool:
    """Whether a line that is not whole may become one with a fence."""
    if _is_text(line.lstrip(BLANKS)):
        return False
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
        self._containers: tuple[int, ...] = ()  # of its line: the width of an item, 0 for a quote
        self._margin = 0  # the indent of the fence in these
        self._in_list = False  # an item began, and no line without an indent came since

    @property
    def heeds_text(self) -> bool:
        """Whether a line that begins with a word may end what the open block, or a list, is in."""
        return self._in_list if self.open is None else bool(self._containers)

    def line(self, line: str) -> bool:
        """Take a line. Whether it opened or closed a block.

        The beginning of a line is enough where `may_begin` refuses it, once for the line.
        """
        line = line.expandtabs(4)
        if self.open is not None:
            inside = self._inside(line)
            if inside is not None:
                content = inside.lstrip()
                indent = len(inside) - len(content)
                self.open = self.open.after(content, max(0, indent - self._margin))
                return self.open is None
            self.open = None
        content = line.lstrip()
        if not content or _is_text(content):
            self._in_list = self._in_list and (not content or content != line)
            return False
        before = re.match(_CONTAINERS, line)
        at = before.end() if before else 0
        marks = line[:at].rstrip()
        margin = at - len(marks) - bool(marks)
        is_item = marks.strip(" >") != ""
        self._in_list = is_item or (self._in_list and (margin > 0 or at == len(line)))
        self.open = opening(line[at:])
        if self.open is not None and not self._enter(line, at):
            self.open = None
        return self.open is not None

    def _enter(self, line: str, at: int) -> bool:
        """Note what the fence at this place stands in. False if it is indented code."""
        containers: list[int] = []
        self._margin = at
        while self._margin and (it := re.compile(_CONTAINER).match(line, at - self._margin)):
            if len(it["blanks"] or "") > 4:
                return False
            containers.append(len(it[0]) if it["item"] else 0)
            self._margin = at - it.end()
        self._containers = tuple(containers)
        if self._in_list:
            return True  # the indent is that of an item
        margin, self._margin = self._margin, 0
        return margin < 4

    def _inside(self, line: str) -> str | None:
        """What is left of a line in the block's containers; None where one of them has ended."""
        for width in self._containers:
            if width:
                if line[:width].strip():
                    return None
                line = line[width:]
            else:
                before, mark, line = line.partition(">")
                if before.strip() or not mark:
                    return None
                line = line.removeprefix(" ")
        return line


def _is_text(content: str) -> bool:
    """Told from its first character: neither a fence nor a container begins here."""
    return content != "" and content[0] not in "`~>-*+0123456789"


def _is_markdown(info: str) -> bool:
    return info_of(info).language.lower() in _MARKDOWN

"""What a reader should see of a Markdown text: its blocks in order, each with its words.

The parser is marko, which shares no code with ours. A thin layer adds what a terminal shows in a
way of its own, or what models mean where CommonMark says something else:

1. TeX is verbatim (`\\(…\\)`, `\\[…\\]`, `$$…$$`, and `$…$` by pandoc's rules).
2. A fence with a language inside of a ```` ```markdown ```` block opens a level.
3. A pipe in backticks belongs to the cell; what a row has too much stays in it.
4. Emphasis next to CJK characters is that of markdown-it-cjk-friendly. Stars within a word and the
   names of Python are themselves.
5. Nothing is taken away: HTML and link definitions are text, and a link is followed by its target.
   The tags of `SMALL_HTML` may be shown or not, and a `<br>` is a line break.
6. List numbers are as written, unless one number is repeated.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from marko import Parser, block, inline_parser
from marko.ext.gfm import elements as gfm


class OneOf(NamedTuple):
    """Any of these may be shown; of those that fit, the longest."""

    texts: tuple[str, ...]


ANSWERS = {
    path.stem: path.read_bytes().decode()
    for path in sorted((Path(__file__).parents[1] / "answers").glob("*.md"))
}
"""Answers as models write them, by what they are about."""

Atom = str | OneOf
"""A character; " " is a blank where a row may end, "\\n" a line break, `MAY_BREAK` either."""

MAY_BREAK = "\r"
SMALL_HTML = ("sub", "sup", "kbd", "details", "summary")


@dataclass
class Block:
    """One block of an answer; `quotes` and `items` are how deep it stands in each."""

    kind: str  # "prose", "heading", "code", "table", "rule"
    quotes: int = 0
    items: int = 0
    markers: list[OneOf] = field(default_factory=list)  # of the items that begin with it
    atoms: list[Atom] = field(default_factory=list)  # of prose and headings
    lines: list[str] = field(default_factory=list)  # of code
    info: str = ""
    cells: list[list[list[Atom]]] = field(default_factory=list)  # of tables: row, cell


def blocks_of(text: str) -> list[Block]:
    """The blocks of a text, in order."""
    protected, verbatim = _protected(_cleaned(text))
    document = _PARSER.parse(protected)
    return list(_Walk(verbatim).blocks(document, 0, 0, []))


def words_of(atoms: Sequence[Atom]) -> list[str]:
    """The words among these atoms, without what may be left out."""
    return "".join(atom for atom in atoms if isinstance(atom, str)).split()


# ---- before the parser

_HIDDEN = dict.fromkeys(
    [0x61C, 0x200B, 0x200E, 0x200F, 0x3164, 0xFEFF, *range(0x2060, 0x2065)], None
)
_SHOWN = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n\r"},
    0x7F: "\u2421",
    **dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"),
    0x2028: "\n",
    0x2029: "\n",
}

_FENCE = re.compile(r"((?:[ \t>]|[-*+][ \t]|[0-9]{1,9}[.)][ \t])*)(`{3,}|~{3,})([^`\n]*)$")
_PIPE, _ESCAPED_PIPE = "\ue010", "\ue011"
_VERBATIM = 0xF0000  # the first of the private characters that stand for TeX

_INLINE = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t>]*\n).)+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<display>\$\$(?:(?!\n[ \t>]*\n).)+?\$\$|\\\[(?:(?!\n[ \t>]*\n).)+?\\\])"
    r"|(?P<tex>\\\((?:(?!\n[ \t>]*\n).)+?\\\)"
    r"|(?<![\\$])\$(?![\s$])(?:\\.|[^$\\\n])+?(?<!\s)\$(?![0-9$]))"
    r"|(?P<escape>\\.)"
    # Stars and underscores of products, expressions and names.
    r"|(?P<literal>(?<=[A-Za-z0-9])\*(?=[A-Za-z0-9])|\.\*\w+\.\*|(?<!\S)\*\.\w+"
    r"|(?<!\w)(?:__?[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+__?(?!\w)|__?[A-Za-z0-9]+__?(?=\.[A-Za-z])))",
    re.DOTALL,
)


def _cleaned(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)
    return unicodedata.normalize("NFC", text.translate(_HIDDEN))


def _protected(text: str) -> tuple[str, list[str]]:
    """The text with a private character for each formula, and the formulas."""
    verbatim: list[str] = []
    out: list[str] = []
    prose: list[str] = []
    open_fence = ""
    levels = 0  # of fences within one of Markdown

    def flush() -> None:
        out.append(_INLINE.sub(lambda match: _kept(match, verbatim), "".join(prose)))
        prose.clear()

    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line.rstrip("\n"))
        if open_fence:
            levels = _level(open_fence, levels, fence)
            if levels == 0:
                open_fence = ""
            out.append(line)
        elif fence:
            flush()
            open_fence, levels = fence[2] + fence[3], 1
            out.append(line)
        else:
            prose.append(line)
    flush()
    return "".join(out), verbatim


def _level(opened: str, levels: int, fence: re.Match[str] | None) -> int:
    """The level of fences behind a line of code that may be one."""
    marks, info = _split(opened)
    if fence is None or fence[2][0] != marks[0] or len(fence[2]) < len(marks):
        return levels
    if not fence[3].strip():
        return levels - 1
    return levels + (info.split()[:1] in (["markdown"], ["md"]))


def _split(opened: str) -> tuple[str, str]:
    marks = opened[: len(opened) - len(opened.lstrip(opened[0]))]
    return marks, opened[len(marks) :].strip()


def _kept(match: re.Match[str], verbatim: list[str]) -> str:
    text = match[0]
    if match["code"]:
        return text.replace("\\|", _ESCAPED_PIPE).replace("|", _PIPE)
    if match["escape"]:
        return text
    if match["literal"]:
        return re.sub(r"[*_]", r"\\\g<0>", text)
    lines = [re.sub(r"^[ \t>]*", "", line) for line in text.split("\n")]
    begins = match["display"] and not match.string[: match.start()].rpartition("\n")[2].strip(" >")
    verbatim.append(("\n" if begins else "") + "\n".join(lines) + ("\n" if begins else ""))
    return chr(_VERBATIM + len(verbatim) - 1)


# ---- the parser


def _is_cjk(char: str) -> bool:
    wide = unicodedata.east_asian_width(char) in ("W", "F", "H")
    return wide and not "\U0001f000" <= char < "\U00020000"


class _Delimiter(inline_parser.Delimiter):
    """markdown-it-cjk-friendly: punctuation beside a CJK character does not stop a star."""

    def is_left_flanking(self) -> bool:
        return super().is_left_flanking() or (self._cjk() and not self._blank(self.end))

    def is_right_flanking(self) -> bool:
        return super().is_right_flanking() or (self._cjk() and not self._blank(self.start - 1))

    def _cjk(self) -> bool:
        sides = (self.text[at] for at in (self.start - 1, self.end) if 0 <= at < len(self.text))
        return self.content[0] == "*" and any(_is_cjk(side) for side in sides)

    def _blank(self, at: int) -> bool:
        return not 0 <= at < len(self.text) or self.text[at].isspace()


# marko has no other place for these two. Only this module uses marko.
inline_parser.Delimiter = _Delimiter  # type: ignore[misc]


class _Fenced(block.FencedCode):
    """Fences with a language open a level in Markdown."""

    override = True

    @classmethod
    def get_type(cls, snake_case: bool = False) -> str:
        return "fenced_code" if snake_case else "FencedCode"

    @classmethod
    def parse(cls, source: Any) -> tuple[str, str, str]:
        source.next_line()
        source.consume()
        info = source.context.code_info
        opened = f"{info.leading}{info.lang}"
        lines: list[str] = []
        levels = 1
        while not source.exhausted and (line := source.next_line()) is not None:
            source.consume()
            fence = _FENCE.match(line.rstrip("\n")) if line[:4].strip(" ") else None
            if fence and fence[1].strip(" "):
                fence = None
            levels = _level(opened, levels, fence)
            if levels == 0:
                break
            prefix = source.match_prefix(info.prefix, line)
            lines.append(line[prefix:] if prefix >= 0 else line.lstrip())
        return info.lang, info.extra, "".join(lines)


class _Paragraph(block.Paragraph):
    """Its last line may be the header of a table, as with GitHub."""

    override = True

    @classmethod
    def get_type(cls, snake_case: bool = False) -> str:
        return "paragraph" if snake_case else "Paragraph"

    @classmethod
    def break_paragraph(cls, source: Any, lazy: bool = False) -> bool:
        if super().break_paragraph(source, lazy):
            return True
        at, match, anchor, context = source.pos, source.match, source._anchor, vars(source.context)
        kept = dict(context)
        states = [(state, state._prefix) for state in source._states]
        found = gfm.Table.match(source)  # type: ignore[no-untyped-call]
        source.pos, source.match, source._anchor = at, match, anchor
        context.clear()
        context.update(kept)
        for state, prefix in states:
            state._prefix = prefix
        return bool(found)


class _Row(gfm.TableRow):
    """Keeps the cells that a row has too much."""

    override = True

    @classmethod
    def get_type(cls, snake_case: bool = False) -> str:
        return "table_row" if snake_case else "TableRow"

    @classmethod
    def parse(cls, source: Any) -> _Row:
        source.consume()
        return cls([gfm.TableCell(cell) for cell in source.context.cells])


gfm.TableRow = _Row  # type: ignore[misc]


class _Item(block.ListItem):
    """Knows the number that was written."""

    override = True

    @classmethod
    def get_type(cls, snake_case: bool = False) -> str:
        return "list_item" if snake_case else "ListItem"

    def __init__(self, info: block.ListItem.ParseInfo) -> None:
        super().__init__(info)
        self.written = info.bullet


class _Strike(gfm.Strikethrough):
    """Two tildes on each side; one is a tilde."""

    override = True
    pattern = re.compile(r"(?<!~)(~~)([^~]+)\1(?!~)")

    @classmethod
    def get_type(cls, snake_case: bool = False) -> str:
        return "strikethrough" if snake_case else "Strikethrough"


class _NoHtml(block.HTMLBlock):
    override = True

    @classmethod
    def get_type(cls, snake_case: bool = False) -> str:
        return "html_block" if snake_case else "HTMLBlock"

    @classmethod
    def match(cls, source: Any) -> bool:
        return False


def _parser() -> Parser:
    parser = Parser()
    for element in (_Fenced, _Paragraph, gfm.Table, _Row, gfm.TableCell, _Item, _Strike, _NoHtml):
        parser.add_element(element)
    del parser.block_elements["LinkRefDef"]
    del parser.inline_elements["InlineHTML"]
    return parser


_PARSER = _parser()


# ---- after the parser

_TAG = re.compile(rf"<(/?)({'|'.join(SMALL_HTML)}|br)(?: open)? ?/?>", re.IGNORECASE)
_BOX = re.compile(r"\[([ xX])\] +(?=\S)")
_ALERT = re.compile(r"\[!(note|tip|important|warning|caution)\] *(?= |\n|$)", re.IGNORECASE)
_BULLET = OneOf(("•", "◦", "▪", "-"))


class _Walk:
    def __init__(self, verbatim: list[str]) -> None:
        self._verbatim = verbatim

    def blocks(
        self, parent: Any, quotes: int, items: int, markers: list[OneOf], *, alert: bool = False
    ) -> Iterator[Block]:
        """The blocks of a container; `markers` wait for the first of them."""
        for element in parent.children:
            kind = element.get_type()
            if kind == "BlankLine":
                continue
            if kind == "Quote":
                yield from self.blocks(element, quotes + 1, items, markers, alert=True)
            elif kind == "List":
                yield from self._list(element, quotes, items, markers)
            else:
                yield self._leaf(element, Block("", quotes, items, list(markers)), alert)
            markers, alert = [], False

    def _list(self, element: Any, quotes: int, items: int, markers: list[OneOf]) -> Iterator[Block]:
        written = [item.written for item in element.children]
        repeated = len(written) > 1 and len(set(written)) == 1
        for at, item in enumerate(element.children):
            marker = _BULLET
            if element.ordered:
                number = int(written[0][:-1]) + at if repeated else int(written[at][:-1])
                marker = OneOf((f"{number}{written[at][-1]}",))
            yield from self.blocks(item, quotes, items + 1, [*markers, marker])
            markers = []

    def _leaf(self, element: Any, it: Block, alert: bool) -> Block:
        match element.get_type():
            case "FencedCode" | "CodeBlock":
                it.kind, it.info = "code", f"{element.lang} {element.extra}".strip()
                text = element.children[0].children
                it.lines = text.removesuffix("\n").split("\n") if text else []
            case "ThematicBreak":
                it.kind = "rule"
            case "Table":
                it.kind = "table"
                it.cells = [
                    [self._atoms(cell, cell=True) for cell in row.children]
                    for row in element.children
                ]
            case "Heading" | "SetextHeading":
                it.kind, it.atoms = "heading", self._atoms(element)
            case _:
                it.kind, it.atoms = "prose", self._atoms(element)
                self._mark(it, alert)
        return it

    def _mark(self, it: Block, alert: bool) -> None:
        """What a paragraph's first characters say: the box of a task, the label of an alert."""
        text = "".join(atom if isinstance(atom, str) else "\ufffc" for atom in it.atoms)
        if it.markers and (box := _BOX.match(text)):
            shown = "☐" if box[1] == " " else "☑"
            bullet = it.markers.pop()
            texts = [f"{before} {shown}" for before in bullet.texts]
            it.markers.append(OneOf((*texts, *([shown] if bullet == _BULLET else []))))
            del it.atoms[: box.end()]
        elif alert and (label := _ALERT.match(text)):
            it.atoms[: label.end()] = [OneOf((label[1].capitalize(), label[1].upper()))]
            if len(it.atoms) > 1:
                it.atoms[1] = "\n"

    def _atoms(self, element: Any, *, cell: bool = False) -> list[Atom]:
        atoms: list[Atom] = []
        for child in element.children:
            atoms += self._inline(child, cell=cell)
        return _joined(atoms)

    def _inline(self, child: Any, *, cell: bool) -> Iterator[Atom]:
        match child.get_type():
            case "RawText":
                yield from self._text(html.unescape(child.children), cell=cell)
            case "LineBreak":
                yield " " if child.soft else "\n"
            case "CodeSpan":
                pipe = "|" if cell else "\\|"
                yield from child.children.replace(_ESCAPED_PIPE, pipe).replace(_PIPE, "|")
            case "Literal":
                yield child.children
            case "AutoLink":
                yield from child.dest.removeprefix("mailto:")
            case "Link" | "Image":
                yield from self._link(child, cell=cell)
            case _:
                for inner in child.children:
                    yield from self._inline(inner, cell=cell)

    def _link(self, child: Any, *, cell: bool) -> Iterator[Atom]:
        atoms = [atom for inner in child.children for atom in self._inline(inner, cell=cell)]
        text, target = "".join(it for it in atoms if isinstance(it, str)), child.dest
        if re.match(r"(?:javascript|vbscript|file|data):", target, re.IGNORECASE):
            yield from [*"[", *atoms, *f"]({target})"]
            return
        yield from atoms
        target = target.removeprefix("mailto:")
        if target and target != text:
            yield from f" ({target})" if text.strip() else target

    def _text(self, text: str, *, cell: bool) -> Iterator[Atom]:
        at = 0
        for tag in _TAG.finditer(text):
            yield from self._plain(text[at : tag.start()])
            yield from _tag(tag)
            at = tag.end()
        yield from self._plain(text[at:])

    def _plain(self, text: str) -> Iterator[Atom]:
        for char in text:
            if _VERBATIM <= ord(char) < _VERBATIM + len(self._verbatim):
                yield from self._verbatim[ord(char) - _VERBATIM]
            else:
                yield char


def _tag(tag: re.Match[str]) -> Iterator[Atom]:
    name = tag[2].lower()
    if name == "br":
        yield "\n"
    elif name in ("details", "summary"):
        yield MAY_BREAK
        yield OneOf(("", tag[0], "▸ ", "▾ ", "▶ "))
        yield MAY_BREAK
    elif name == "kbd":
        yield OneOf(("", tag[0]))
    else:
        sign = "_" if name == "sub" else "^"
        yield OneOf(("", tag[0], ")") if tag[1] else ("", tag[0], sign, f"{sign}("))


def _joined(atoms: Sequence[Atom]) -> list[Atom]:
    """One blank for several, and none at a line break, at the beginning or at the end."""
    joined: list[Atom] = ["\n"]
    for atom in atoms:
        if atom in (" ", "\t"):
            if joined[-1] not in (" ", "\n"):
                joined.append(" ")
        elif atom == "\n":
            while joined[-1] in (" ", MAY_BREAK):
                joined.pop()
            if joined[-1] != "\n":
                joined.append("\n")
        elif atom == MAY_BREAK:
            while joined[-1] == " ":
                joined.pop()
            if joined[-1] not in ("\n", MAY_BREAK):
                joined.append(MAY_BREAK)
        else:
            joined.append(atom)
    while joined and joined[-1] in (" ", "\n", MAY_BREAK):
        joined.pop()
    return joined[1:]

"""The markup within a paragraph: emphasis, code, links. Text in, lines of styled segments out.

1. A line break of the source is a blank, as in Markdown, and a hard one begins a line; where lines
   are kept, each of the source is one.
2. Nothing drives the terminal: an entity such as `&#x202e;` only becomes a character in the
   parser, so what comes out of it is cleaned again.
3. A link is shown with its target, so that nobody is led elsewhere; only a target of http or https
   can be opened from the terminal (OSC 8). A target that the text shows already, as an address
   does, is not shown again; a link without a target is plain text.
4. What begins and ends emphasis is a matter of `flanking`, the few tags one of `tags`, and a text
   that is still written one of `unfinished`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLink
from markdown_it.token import Token
from rich.segment import Segment
from rich.style import Style

from chatstream.escape import clean
from chatstream.sinks import tex
from chatstream.sinks.flanking import tokenize
from chatstream.sinks.lines import Line, line_of, text_of
from chatstream.sinks.tags import tag
from chatstream.sinks.theme import Theme
from chatstream.sinks.unfinished import GOES_ON, begin_emphasis, closed

_MARKUP = re.compile(r"[*_`\[<&\\~$]")
_OPENABLE = ("http://", "https://")

_MARKS = {"strong": "**", "em": "*", "s": "~~"}


class Inline:
    """Draws text in the styles of a theme. `keep_lines`: a line of the source stays one."""

    def __init__(self, theme: Theme, *, keep_lines: bool = False) -> None:
        self._keep_lines = keep_lines
        self._parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
        rules = self._parser.inline.ruler
        rules.before("escape", "tex", tex.rule)
        rules.at("strikethrough", tokenize)
        rules.at("emphasis", tokenize)
        rules.before("autolink", "tag", tag)
        self._parser.inline.ruler2.after("balance_pairs", "unfinished", begin_emphasis)
        self._theme = theme
        self._styles = {
            "strong_open": theme.strong,
            "em_open": theme.emphasis,
            "s_open": theme.strike,
        }
        self._marks = {
            f"{kind}_{end}": mark
            for kind, mark in _MARKS.items()
            if kind in theme.marks
            for end in ("open", "close")
        }

    def lines(self, text: str, style: Style | None = None, *, ended: bool = True) -> list[Line]:
        """The lines of a text; `style` is what all of it has. `ended`: nothing follows it."""
        if not _MARKUP.search(text):
            *whole, last = self._plain_lines(text)
            return [line_of(line, style) for line in (*(it.rstrip(" ") for it in whole), last)]
        lines: list[Line] = [[]]
        tokens = self._parse(text) if ended else self._parse_open(text)
        self._draw(tokens, style or Style.null(), lines)
        return lines

    def _plain_lines(self, text: str) -> list[str]:
        first, *others = text.split("\n")
        lines = [first]
        for line in others:
            if self._keep_lines or lines[-1].endswith("  "):  # a hard break
                lines.append(line)
            else:
                lines[-1] = f"{lines[-1].removesuffix(' ')} {line}"
        return lines

    def _parse(self, text: str, *, goes_on: bool = False) -> list[Token]:
        env = {GOES_ON: True} if goes_on else {}
        return self._parser.parseInline(text, env)[0].children or []

    def _parse_open(self, text: str) -> list[Token]:
        if tex.is_open(text):
            return self._parse(text, goes_on=True)
        ended, last = closed(text)
        tokens = self._parse(ended, goes_on=True)
        if last and (not tokens or tokens[-1].type != last):
            return self._parse(text, goes_on=True)  # there is no such thing to be closed
        return tokens

    def _draw(self, tokens: Iterable[Token], style: Style, lines: list[Line]) -> None:
        outer: list[Style] = []
        links: list[tuple[str, int, int]] = []  # open ones: target, line and segment of the text
        for token in tokens:
            match token.type:
                case "text" | "text_special":
                    self._add(lines, token.content, style)
                case "code_inline":
                    code = _marked(token) if "code" in self._theme.marks else token.content
                    self._add(lines, code, style + self._theme.literal)
                case "softbreak" if not self._keep_lines:
                    self._add(lines, " ", style)
                case "tex" if not self._keep_lines:
                    self._add(lines, token.content.replace("\n", " "), style + self._theme.dim)
                case "tex" | "tex_display":
                    self._add(lines, token.content, style + self._theme.dim)
                case "softbreak" | "hardbreak":
                    lines.append([])
                case "link_open":
                    outer.append(style)
                    target = clean(str(token.attrGet("href") or ""))
                    style = style + _link(self._theme.link, target) if target else style
                    links.append((target, len(lines), len(lines[-1])))
                case "link_close":
                    target, line, at = links.pop()
                    text = text_of(lines[-1][at:]) if line == len(lines) else "…"
                    self._add(lines, _target_after(text, target), style)
                    style = outer.pop()
                case "image":
                    target = clean(str(token.attrGet("src") or ""))
                    self._draw(token.children or (), style, lines)
                    shown = _target_after(token.content, target)
                    self._add(lines, shown, style + _link(self._theme.link, target))
                case kind if kind in self._styles:
                    outer.append(style)
                    style = style + self._styles[kind]
                    self._add(lines, self._marks.get(kind, ""), style)
                case kind if kind.endswith("_close"):
                    self._add(lines, self._marks.get(kind, ""), style)
                    style = outer.pop()

    def _add(self, lines: list[Line], text: str, style: Style) -> None:
        first, *others = clean(text).split("\n")
        if first:
            lines[-1].append(Segment(first, style or None))
        for line in others:
            lines.append([Segment(line, style or None)])


def _target_after(text: str, target: str) -> str:
    """What is shown of a link's target after its text."""
    plain = target.removeprefix("mailto:")
    if not text.strip():
        return plain
    # A name of the domain that only looks like the other ("xn--") is not the same.
    if text in (target, plain) or ("xn--" not in target and normalizeLink(text) == target):
        return ""
    return plain and f" ({plain})"


def _marked(token: Token) -> str:
    """Code in a line with its backticks."""
    blank = " " if token.content.startswith("`") or token.content.endswith("`") else ""
    return f"{token.markup}{blank}{token.content}{blank}{token.markup}"


@lru_cache(maxsize=64)
def _link(style: Style, target: str) -> Style:
    return style + Style(link=target) if target.lower().startswith(_OPENABLE) else style

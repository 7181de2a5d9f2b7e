"""The markup within a paragraph: emphasis, code, links. Text in, lines of styled segments out.

1. A line break of the source is a blank, as in Markdown, and a hard one begins a line; where lines
   are kept, each of the source is one.
2. Nothing drives the terminal: an entity such as `&#x202e;` only becomes a character in the
   parser, so what comes out of it is cleaned again.
3. A link is shown with its target, so that nobody is led elsewhere; only a target of http or https
   can be opened from the terminal (OSC 8).
4. In a text that is still written, emphasis, code and a link that have no end yet are drawn as if
   they ended with it: marks do not stand there as text until the end comes, and nothing shifts
   then. That hides marks and may add the bracket after a target, but no other character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.escape import clean
from chatstream.sinks.lines import Line, expanded, line_of, text_of
from chatstream.sinks.theme import Theme

_MARKUP = re.compile(r"[*_`\[<&\\~]")
_SOFT_BREAK = re.compile(r"(?:(?<! ) )?(?<!  )\n")
_OPENABLE = ("http://", "https://")

_OPEN = "open"
"""Tells the parser that the text goes on."""
_CODE = re.compile(r"\\.|(`+)", re.DOTALL)
_OPEN_LINK = re.compile(r"(?<![\\!])\[[^][\\`<\n]*\]\(https?://[^\s()<>\\`]+\Z")
_OPEN_MARKS = re.compile(r"[*_~\\]+\Z")


class Inline:
    """Draws text in the styles of a theme. `keep_lines`: a line of the source stays one."""

    def __init__(self, theme: Theme, *, keep_lines: bool = False) -> None:
        self._keep_lines = keep_lines
        self._parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
        self._parser.inline.ruler2.after("balance_pairs", "open", _begin_open)
        self._theme = theme
        self._styles = {
            "strong_open": theme.strong,
            "em_open": theme.emphasis,
            "s_open": theme.strike,
        }

    def lines(self, text: str, style: Style | None = None, *, ended: bool = True) -> list[Line]:
        """The lines of a text; `style` is what all of it has. `ended`: nothing follows it."""
        if not _MARKUP.search(text):
            *whole, last = _SOFT_BREAK.sub("\n" if self._keep_lines else " ", text).split("\n")
            return [line_of(line, style) for line in (*(it.rstrip(" ") for it in whole), last)]
        lines: list[Line] = [[]]
        tokens = self._parse(text) if ended else self._parse_open(text)
        self._draw(tokens, style or Style.null(), lines)
        return lines

    def line(self, text: str, style: Style | None = None, *, ended: bool = True) -> Line:
        """The same in one line, for a cell of a table."""
        first, *others = self.lines(text, style, ended=ended)
        line = [*first, *(segment for line in others for segment in (Segment(" "), *line))]
        return expanded(line)

    def _parse(self, text: str, *, goes_on: bool = False) -> list[Token]:
        return self._parser.parseInline(text, {_OPEN: goes_on})[0].children or []

    def _parse_open(self, text: str) -> list[Token]:
        closed, last = _closed(text)
        tokens = self._parse(closed, goes_on=True)
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
                    self._add(lines, token.content, style + self._theme.literal)
                case "softbreak" if not self._keep_lines:
                    self._add(lines, " ", style)
                case "softbreak" | "hardbreak":
                    lines.append([])
                case "link_open":
                    outer.append(style)
                    target = clean(str(token.attrGet("href") or ""))
                    style = style + _link(self._theme.link, target)
                    links.append((target, len(lines), len(lines[-1])))
                case "link_close":
                    target, line, at = links.pop()
                    if line != len(lines) or text_of(lines[-1][at:]) != target:
                        self._add(lines, f" ({target})", style)
                    style = outer.pop()
                case "image":
                    target = clean(str(token.attrGet("src") or ""))
                    self._draw(token.children or (), style, lines)
                    self._add(lines, f" ({target})", style + _link(self._theme.link, target))
                case kind if kind in self._styles:
                    outer.append(style)
                    style = style + self._styles[kind]
                case kind if kind.endswith("_close"):
                    style = outer.pop()

    def _add(self, lines: list[Line], text: str, style: Style) -> None:
        first, *others = clean(text).split("\n")
        if first:
            lines[-1].append(Segment(first, style or None))
        for line in others:
            lines.append([Segment(line, style or None)])


def _closed(text: str) -> tuple[str, str]:
    """A text that is still written, with the end of its open code or link, and without half marks;
    and what the parser must find at its end if something was added.
    """
    at = 0
    while mark := _CODE.search(text, at):
        start, at = mark.span()
        if run := mark[1]:
            if end := re.compile(f"(?<!`){run}(?!`)").search(text, at):
                at = end.end()
            elif "\n" not in text[at:]:  # models do not break code; else it is a lone backtick
                code = text[at:].rstrip("`")
                return (text[:at] + code + run, "code_inline") if code else (text[:start], "")
    if _OPEN_LINK.search(text):
        return text + ")", "link_close"
    return _OPEN_MARKS.sub("", text), ""


def _begin_open(state: StateInline) -> None:
    """A rule of the parser: marks that can begin emphasis, and are not closed, do begin it."""
    if not state.env.get(_OPEN):
        return
    closed = before = -1
    for at, mark in enumerate(state.delimiters):
        if at > closed and mark.open and mark.end < 0:
            token = state.tokens[mark.token]
            token.content = ""
            if mark.marker == ord("~"):
                token.type = "s_open"
            elif before == mark.token - 1 and state.tokens[before].type == "em_open":
                state.tokens[before].type = "strong_open"
            else:
                token.type = "em_open"
            before = mark.token
        closed = max(closed, mark.end)


@lru_cache(maxsize=64)
def _link(style: Style, target: str) -> Style:
    return style + Style(link=target) if target.lower().startswith(_OPENABLE) else style

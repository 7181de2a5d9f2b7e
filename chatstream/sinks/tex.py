r"""TeX in Markdown: where a formula begins and ends. What is in one stays as it is written.

1. The delimiters are those that models write: `\(…\)`, `\[…\]`, `$$…$$`, `$…$`, and an environment
   that stands by itself, `\begin{align}…\end{align}`. A backslash takes the character after it, so
   `\\]` and `\$` end nothing.
2. `$…$` by pandoc's rules: no white space just inside the dollars, and no digit after the second
   one. So "$5 to $10" is money, and "$HOME and $PATH" are words of a shell. Nor does a dollar end a
   formula where it begins another word of a shell, as in `"$HOME" or "$PATH"`; and an amount with
   a word after it is money even where a dollar follows: "$5 per month, in US$".
3. Code wins over dollars. What comes first wins otherwise.
4. `\[` is an escaped bracket where words follow it, as in `\[your name\]` and `\[x\]`. A formula
   has signs that prose has not, or single letters, or white space after the delimiter.
5. A formula that begins a line, and has nothing after it, is a display formula (`display_of`). If
   it has no end, the next empty line ends it, and so it does where `$$` opens one over lines
   within a paragraph. Anything else that has no end in its paragraph is text.
6. In a text that is still written, a formula without an end goes on to the end of the text. But
   until a single dollar has its partner, it is money, unless a `\` or a `^` of TeX follows, or
   a letter and its index: `$x_1`.
7. Every function takes time linear in its text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from markdown_it.rules_inline import StateInline

from chatstream.sinks.unfinished import GOES_ON

_ENVIRONMENT = r"\\begin\{[A-Za-z]+\*?\}"
_MARK = re.compile(
    rf"(?P<code>`+)|(?P<opener>\$\$?(?!\$)|\\[(\[]|{_ENVIRONMENT})|\${{3,}}|\\.", re.DOTALL
)
_DISPLAY = re.compile(rf"\$\$(?!\$)|\\\[|{_ENVIRONMENT}")
_MONEY = r"\d[\d.,]*\s+[^\W\d_]{2}"
_ANOTHER_WORD = r"(?:(?<=[\"'(/:=_~\[{]\$)|(?<=[^^]\*\$))[A-Za-z]"
_DOLLARS = re.compile(
    rf"\$(?!\s|{_MONEY})(?:\\.|[^\\$`])++(?<!\s)\$(?![\d{{]|{_ANOTHER_WORD})", re.DOTALL
)
_OPEN_DOLLAR = re.compile(
    r"\$(?![\s\d])(?:[^\\^$`\n]*+(?:\^|\\[^\W\d]|\\[{}|,;:!])|[A-Za-z]_)[^$`\n]*\Z"
)
_FIRST_LINE = re.compile(r"(?:(?!\\\]).)*")
_SIGNS = re.compile(r"[\\^_=+<>{}]")
_LETTERS = re.compile(r"[^\W\d_]{2}")
_PUNCTUATION = re.compile(r"[.,;:!?\u3002\uff0c\uff1b\uff1a]*")
_ASIDE = re.compile(r"\$\$[ \t]+[^ \t]")


class Span(NamedTuple):
    """A formula with its delimiters: the characters from `start` to `end` of a text."""

    start: int
    end: int
    opener: str
    ended: bool = True

    @property
    def is_display(self) -> bool:
        """Whether its line ends are its own."""
        return self.opener not in ("$", r"\(")


def spans(text: str, *, goes_on: bool = False) -> list[Span]:
    """The formulas of a paragraph, in order. `goes_on`: more of it is still to come."""
    found: list[Span] = []
    endless: set[str] = set()  # what would end them does not follow
    at = 0
    while mark := _MARK.search(text, at):
        start, at = mark.span()
        if run := mark["code"]:
            if run not in endless and (end := re.compile(f"(?<!`){run}(?!`)").search(text, at)):
                at = end.end()
            elif goes_on and "\n" not in text[at:]:
                break  # all that follows is code, by now
            else:
                endless.add(run)
        elif opener := mark["opener"]:
            span = _span(text, start, opener, endless, goes_on=goes_on)
            if span is not None:
                found.append(span)
                at = span.end
    return found


def _span(text: str, start: int, opener: str, endless: set[str], *, goes_on: bool) -> Span | None:
    at = start + len(opener)
    if opener == "$":
        if match := _DOLLARS.match(text, start):
            return Span(start, match.end(), opener)
        if goes_on and _OPEN_DOLLAR.match(text, start):
            return Span(start, len(text), opener, ended=False)
        return None
    closer = closer_of(opener)
    if closer in endless or (opener == r"\[" and _is_prose(text, at)):
        return None
    end = end_of(text, closer, at)
    if end < 0:
        endless.add(closer)
    if opener == "$$" and "`" in text[at : end if end > 0 else None]:
        return None
    if end > 0:
        return Span(start, end, opener)
    if goes_on or (opener == "$$" and "\n" in text[at:] and not _ASIDE.match(text, start)):
        return Span(start, len(text), opener, ended=False)
    return None


def closer_of(opener: str) -> str:
    r"""What ends the formula: `\]` for `\[`, `\end{align}` for `\begin{align}`."""
    if opener.startswith(r"\begin"):
        return opener.replace("begin", "end", 1)
    return {r"\(": r"\)", r"\[": r"\]"}.get(opener, opener)


def end_of(text: str, closer: str, at: int = 0) -> int:
    """Where the formula that goes on at `at` has its end; -1 if it has none in this text."""
    for mark in re.compile(rf"{re.escape(closer)}|\\.", re.DOTALL).finditer(text, at):
        if mark[0] == closer:
            return mark.end()
    return -1


def display_of(content: str) -> str:
    """What opens the display formula that a line begins with; "" if it begins with none.

    Where text follows it in the line it belongs to the paragraph.
    """
    match = _DISPLAY.match(content)
    if match is None or (match[0] == r"\[" and _is_prose(content, 2)):
        return ""
    end = end_of(content, closer_of(match[0]), match.end())
    return match[0] if end < 0 or not parted(content, end)[1] else ""


def parted(line: str, end: int) -> tuple[str, str]:
    """The line of a formula up to its `end`, with a comma or full stop after it; and the rest."""
    punctuation = _PUNCTUATION.match(line, end)
    cut = punctuation.end() if punctuation else end
    return line[:cut], line[cut:].strip(" \t")


def open_after(line: str, closer: str = "") -> str:
    """What ends the formula that is open after this line of a paragraph; "" if none is.

    `closer` is what ends the one that was open before it. Two dollars with words after them open
    one only if they end it too.
    """
    at = end_of(line, closer) if closer else 0
    if at < 0:
        return closer
    for span in spans(line[at:], goes_on=True)[-1:]:
        if not (span.ended or span.opener == "$" or _ASIDE.match(line, at + span.start)):
            return closer_of(span.opener)
    return ""


def is_open(text: str) -> bool:
    """Whether a text that is still written is at its end within a formula."""
    return any(not span.ended for span in spans(text, goes_on=True))


def rule(state: StateInline, silent: bool) -> bool:
    """The rule of markdown-it's inline parser: a formula is one token, "tex" or "tex_display"."""
    if state.src[state.pos] not in "$\\":
        return False
    span = _by_start(state.src, bool(state.env.get(GOES_ON))).get(state.pos)
    if span is None or span.end > state.posMax:
        return False
    if not silent:
        token = state.push("tex_display" if span.is_display else "tex", "", 0)
        token.content = state.src[span.start : span.end]
    state.pos = span.end
    return True


@lru_cache(maxsize=4)
def _by_start(text: str, goes_on: bool) -> dict[int, Span]:
    return {span.start: span for span in spans(text, goes_on=goes_on)}


def _is_prose(text: str, at: int) -> bool:
    """Whether what follows an escaped bracket in its line is no TeX: words, a number, a box."""
    match = _FIRST_LINE.match(text, at)
    line = match[0] if match else ""
    if not line.strip():
        return text.startswith(r"\]", at + len(line))
    if line[0] in " \t":
        return False
    return (
        line in ("x", "X")
        or line.isdecimal()
        or (not _SIGNS.search(line) and _LETTERS.search(line) is not None)
    )

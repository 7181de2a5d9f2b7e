"""The few HTML tags that models write in prose, made readable; every other tag is text.

1. `<br>` breaks the line. `H<sub>2</sub>O` becomes H₂O where Unicode has every character, else (and
   for whole words) the mark of TeX stands there: `x_q`, `x^(1/q)`. `<kbd>` is drawn as code is. The
   summary of `<details>` is a bold line of its own, and the tags around it are not shown.
2. Only tags without attributes count (but `<details open>`), and for the short ones only a content
   without other markup. So no word, target or mark is lost.
"""

from __future__ import annotations

import re

from markdown_it.common.utils import unescapeAll
from markdown_it.rules_inline import StateInline

NAMES = ("br", "sub", "sup", "kbd", "details", "summary")
FOLDED = "▸ "
"""Stands before a summary."""

_TAG = re.compile(
    r"<(?:"
    r"(?P<br>br[ ]?/?)>[ \t]*\n?"
    r"|(?P<short>sub|sup|kbd)>(?![^<>\n]*\]\()(?P<content>[^<>`\n]+)</(?P=short)>"
    r"|/?details(?:[ ]open)?>[ \t]*\n?"
    r"|summary>\s*(?:<(?P<bold>b|strong)>)?(?P<summary>[^\n]*?)(?(bold)(?:</(?P=bold)>)?)"
    r"\s*</summary>[ \t]*\n?"
    r")",
    re.IGNORECASE,
)
_FOLDS = re.compile(r"(?:\s*</?details(?:[ ]open)?>)+\s*", re.IGNORECASE)

_SUBSCRIPTS = str.maketrans(
    "0123456789+-\u2212=()aehijklmnoprstuvx\u03b2\u03b3\u03c1\u03c6\u03c7",
    "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
)
_SUPERSCRIPTS = str.maketrans(
    "0123456789+-\u2212=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ",
)
_MAX_SMALL_LETTERS = 4
"""Characters of what has letters; more of them are hard to read as small as that."""


def tag(state: StateInline, silent: bool) -> bool:
    """The rule of the parser for these tags."""
    if state.src[state.pos] != "<":
        return False
    match = _TAG.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        if match["br"]:
            state.pending = state.pending.rstrip(" ")
            state.push("hardbreak", "br", 0)
        elif match["short"]:
            name, content = match["short"].lower(), unescapeAll(match["content"])
            token = state.push("code_inline" if name == "kbd" else "text", "", 0)
            token.content = content if name == "kbd" else _script(name, content)
        elif match["summary"] is None:
            _begin_line(state, goes_on=match.end() < state.posMax)
        else:
            _summary(state, match)
    state.pos = match.end()
    return True


def is_fold(text: str) -> bool:
    """Whether a paragraph is nothing but tags of `<details>`."""
    return "<" in text and _FOLDS.fullmatch(text) is not None


def _summary(state: StateInline, match: re.Match[str]) -> None:
    end = state.posMax
    _begin_line(state, goes_on=True)
    # Of no nesting, for the parser: what a summary leaves open is closed as in a paragraph.
    state.push("strong_open", "strong", 0)
    state.push("text", "", 0).content = FOLDED
    state.pos, state.posMax = match.span("summary")
    state.md.inline.tokenize(state)
    state.push("strong_close", "strong", 0)
    state.posMax = end
    _begin_line(state, goes_on=match.end() < end)


def _begin_line(state: StateInline, *, goes_on: bool) -> None:
    """End the line, once, if there is one and it `goes_on`."""
    state.pending = state.pending.rstrip(" ")
    if not state.pending and state.tokens and state.tokens[-1].type in ("softbreak", "hardbreak"):
        del state.tokens[-1]
    if goes_on and (state.pending or state.tokens):
        state.push("hardbreak", "br", 0)


def _script(name: str, content: str) -> str:
    table, sign = (_SUBSCRIPTS, "_") if name == "sub" else (_SUPERSCRIPTS, "^")
    word = len(content) > _MAX_SMALL_LETTERS and any(char.isalpha() for char in content)
    if not word and all(ord(char) in table for char in content):
        return content.translate(table)
    return f"{sign}{content}" if len(content) == 1 else f"{sign}({content})"

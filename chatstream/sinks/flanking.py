"""Which runs of `*`, `_` and `~` can begin or end emphasis: the rules of GFM, and what they lack.

1. Punctuation next to a Chinese, Japanese or Korean character does not stop a run of `*` or `~`:
   `**重要。**请`. This is the amendment of `markdown-it-cjk-friendly` (specification.md at
   github.com/tats-u/markdown-cjk-friendly), with its variation selectors.
2. One star between letters or digits is itself: `2*3*4`, `a*b*c`. This holds for scripts that put
   blanks between words, so that a part of a Chinese, Japanese, Korean or Thai sentence can be
   emphasised.
3. A star that is an operator, a wildcard or a repetition begins nothing: `(a+b)*c`, `2**10`,
   `src/*.py`, `COUNT(*)`, `.*foo.*`. Two stars between letters are emphasis (`un**believ**able`),
   but not if blanks stand between such runs: `x**n + y**n`.
4. Names in programs keep their underscores: `__init__.py`, `__name__`, `_private_var_`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from markdown_it.common.utils import isPunctChar, isWhiteSpace
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter

from chatstream.sinks.unfinished import GOES_ON

_UNSPACED = re.compile("[\u0e00-\u109f\u1780-\u17ff\u19e0-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff]")
"""Scripts, besides those of `_is_cjk`, that put no blanks between words: Thai, Lao, Tibetan,
Burmese, Khmer, Tai Tham."""

_LITERAL = re.compile(
    r"(?<=[\w)\]}])\*\*(?=[0-9])"  # 2**10
    r"|(?<=[/(\"'])\*{1,2}(?=\.(?:\w|\Z))"  # src/*.py  "*.py"
    r"|(?<=\()\*{1,2}(?=\))|(?<=\[)\*{1,2}(?=\])|(?<=\{)\*{1,2}(?=\})"  # COUNT(*)
    r"|(?<=([\"'|/]))\*{1,2}(?=\1)"  # "*"  |a|*|b|  a/**/b
)
"""Stars that neither begin nor end emphasis, whatever is around them."""
_NO_BEGIN = re.compile(
    r"(?<=[)\]}.%°$€£])(?:\*|__?)(?![*_])"  # (a+b)*c  [a-z]*  .*foo  5%*,  object.__dict__
    r"|(?<=/)\*{1,2}(?![\w*])"  # "src/*"
    r"|\*{1,2}(?=/(?:[*0-9]|\Z))|\*(?=\.(?:\w|\Z))"  # */*  **/*.py  */5  *.txt
    r"|(?<=[0-9])\*\*(?=\w)"  # 2**n; it may end emphasis, as in **1**st
)

_LIKELY_CODE = re.compile(r"(?:\*args|\*\*kwargs|\*{1,2}[a-z](?=[,;]))(?![\w*])")
"""What is hardly ever emphasis, but still could be: `f(*args, **kwargs)`, `char *p, *q;`."""

_SPECIAL = (
    "abs|add|aenter|aexit|aiter|all|anext|annotations|await|bool|builtins|bytes|call|class"
    "|contains|copy|cplusplus|deepcopy|delattr|delitem|dict|dir|dirname|doc|enter|eq|exit|file"
    "|filename|float|floordiv|format|future|ge|get|getattr|getattribute|getitem|getstate|globals"
    "|gt|hash|iadd|import|index|init|instancecheck|int|invert|iter|le|len|lt|main|matmul|missing"
    "|mod|module|mro|mul|name|ne|neg|new|next|package|path|pow|prepare|proto|qualname|radd"
    "|reduce|repr|reversed|set|setattr|setitem|setstate|slots|spec|str|subclasses|truediv|version"
    "|weakref|wrapped|CLASS|DATE|DIR|FILE|FUNCTION|LINE|METHOD|NAMESPACE|TIME|VERSION"
)
"""Names between two underscores on each side that Python, C, PHP and JavaScript know. Any other
single word may be bold, as in `__important__`."""

_NAME = re.compile(
    r"(?<!\w)(?:"
    r"__?[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+__?(?!\w)"
    rf"|__(?:{_SPECIAL})__(?!\w)"
    r"|__?[A-Za-z0-9]+__?(?=\.[A-Za-z])"
    r")"
)


class Run(NamedTuple):
    """What a run of equal marks can do; its length in characters."""

    opens: bool
    closes: bool
    length: int


def run_at(text: str, start: int, end: int) -> Run:
    """The run that begins at `start`; of what follows, only the text up to `end` counts."""
    mark = text[start]
    stop = start + 1
    while stop < end and text[stop] == mark:
        stop += 1
    length = stop - start
    before, cjk = _before(text, start)
    after = text[stop] if stop < end else " "
    if isWhiteSpace(ord(before)) or isWhiteSpace(ord(after)):
        opens, closes = not isWhiteSpace(ord(after)), not isWhiteSpace(ord(before))
    elif mark == "_":
        opens, closes = isPunctChar(before), isPunctChar(after)
    else:
        cjk = cjk or _is_cjk(after)
        opens = cjk or isPunctChar(before) or not isPunctChar(after)
        closes = cjk or isPunctChar(after) or not isPunctChar(before)
    if mark == "*" and not cjk and _is_word(before) and _is_word(after):
        if length == 1:
            return Run(opens=False, closes=False, length=1)
        opens = opens and not _parts_words(text, stop, end)
    if not cjk and _LITERAL.match(text, start, end):
        return Run(opens=False, closes=False, length=length)
    if opens and not cjk and _NO_BEGIN.match(text, start, end):
        opens = False
    return Run(opens, closes, length)


def tokenize(state: StateInline, silent: bool) -> bool:
    """The rule of the parser for such runs: as markdown-it's own, with `run_at` for its scan."""
    text, start = state.src, state.pos
    mark = text[start]
    if silent or mark not in "*_~":
        return False
    if mark == "_" and (name := _NAME.match(text, start, state.posMax)):
        state.push("text", "", 0).content = name[0]
        state.pos = name.end()
        return True
    run = run_at(text, start, state.posMax)
    if GOES_ON in state.env and _LIKELY_CODE.match(text, start, state.posMax):
        run = run._replace(opens=False)  # nothing that follows takes a style from it meanwhile
    state.pos += run.length
    width = 2 if mark == "~" else 1
    if rest := run.length % width:  # the odd tilde, which is text
        state.push("text", "", 0).content = mark * rest
    for _ in range(run.length // width):
        state.push("text", "", 0).content = mark * width
        token = len(state.tokens) - 1
        # The length serves CommonMark's "rule of 3", which strikethrough does not have.
        length = 0 if mark == "~" else run.length
        state.delimiters.append(Delimiter(ord(mark), length, token, -1, run.opens, run.closes))
    return True


def _before(text: str, start: int) -> tuple[str, bool]:
    """The character before a run, and whether it counts as CJK, with its variation selector."""
    last = text[start - 1] if start else " "
    if "\ufe00" <= last <= "\ufe0e" and start > 1 and not isWhiteSpace(ord(text[start - 2])):
        varied = text[start - 2]
        # U+FE01 makes the full-width form of a quotation mark.
        return varied, _is_cjk(varied) or (
            last == "\ufe01" and varied in "\u2018\u2019\u201c\u201d"
        )
    return last, _is_cjk(last) or "\U000e0100" <= last <= "\U000e01ef"


def _is_cjk(char: str) -> bool:
    """Whether a character is wide or Hangul, and no emoji."""
    if char < "\u1100":
        return False
    if unicodedata.east_asian_width(char) in "WFH":
        return unicodedata.category(char) not in ("So", "Sk") or "\u2e80" <= char < "\U0001f000"
    return "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7fb"


def _is_word(char: str) -> bool:
    """Whether a character belongs to words that have blanks between them."""
    return (
        unicodedata.category(char)[0] in "LMN" and not _is_cjk(char) and not _UNSPACED.match(char)
    )


def _parts_words(text: str, stop: int, end: int) -> bool:
    """Whether the next two stars stand within a word again, with a blank before them."""
    at = text.find("**", stop, end)
    if at < 0 or not re.search(r"\s", text[stop:at]):
        return False
    after = text[at:end].lstrip("*")[:1]
    return _is_word(text[at - 1]) and after != "" and _is_word(after)

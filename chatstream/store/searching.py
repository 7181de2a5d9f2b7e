"""Searching: what of a text is indexed, what a search asks the index for, and where a text matches.

1. The index splits text into words, as `unicode61` of SQLite's FTS5 does. Chinese, Japanese,
   Korean, Thai, Lao, Khmer and Burmese put no spaces between words (Korean puts none before its
   particles), so there each character counts as a word. A word of a search is a phrase, so it is
   found wherever its characters stand side by side, also next to Latin letters.
2. Case, accents of Latin letters and the width of a character (full-width Latin, half-width kana)
   make no difference, and Hangul is the same composed and decomposed.
3. The database calls `searchable` when a message is added and again when it is removed, and both
   must give the same words. What it gives changes only together with a migration that rebuilds the
   index. Python's own tables may grow: Unicode keeps the forms of characters that are assigned.

Measured with 10,000 runs of Chinese, 14 MB, the newest 20 matches: the slowest search takes about
10 ms with single characters (two common ones that are nowhere side by side), 0.6 ms with
overlapping pairs of characters, and 25 to 40 ms as a scan of all messages. Pairs would double the
index (41 MB instead of 20) and take four times as long to build. `python -m tests.bench search`
compares with the scan.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

TOKENIZER = "unicode61 remove_diacritics 0 categories ''L* N* Co M*''"
"""For the table of words; as it is written within quotes of SQL."""

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u3005-\u3007\u3031-\u3035\u3041-\u30ff\u31f0-\u31ff"  # 々〆〇, kana
    "\u3100-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul
)
_RUN = re.compile(f"[{_SPACELESS}]+")
_LETTER = rf"[^\W_{_SPACELESS}]"
_WORD = re.compile(f"[{_SPACELESS}]|{_LETTER}+")
_ACCENTS = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_CLUSTER = re.compile(
    "[\u1100-\u115f][\u1160-\u11a7]?[\u11a8-\u11ff]?|.[\u0300-\u036f\u3099\u309a]*", re.DOTALL
)
"""The letters of a Hangul syllable, or a character with the marks that may become one with it."""

_BEFORE = 40  # characters of a snippet before the match
_LENGTH = 160  # characters of a snippet
_NEAR = 12  # characters to look for a space at which a snippet may begin or end


def searchable(text: str) -> str:
    """What the index is given for a text."""
    return _RUN.sub(lambda run: f" {' '.join(run[0])} ", _folded(text))


def expression(question: str) -> str:
    """A question as FTS5 has it: each word quoted, so that none is taken for an operator.

    `*` at the end of a word stands for any ending.
    """
    quoted = [f'"{searchable(word)}"' + "*" * ending for word, ending in _words(question)]
    return " AND ".join(quoted) or '""'


def matches(text: str, question: str) -> list[tuple[int, int]]:
    """Where words of the question stand in a text: begin and end of each, in order."""
    pattern = _pattern(question)
    return list(_spans(text, pattern)) if pattern else []


def snippet(text: str, question: str, *, before: int = _BEFORE, length: int = _LENGTH) -> str:
    """The text around the first match, on one line and with … where more of it is left out.

    It has `length` characters at most, `before` of them before the match.
    """
    at = _first(text, question)
    begin, end = _cut(text, at - before, forwards=True), _cut(text, at - before + length)
    line = " ".join(text[begin:end].split())
    return "…" * (begin > 0) + line + "…" * (end < len(text))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    apart = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", apart)


def _words(question: str) -> Iterator[tuple[str, bool]]:
    """The words that can be found at all, and whether each may have any ending."""
    for word in _folded(question).replace("\0", " ").replace('"', " ").split():
        if _WORD.search(word):
            yield word.rstrip("*"), word.endswith("*")


def _pattern(question: str) -> re.Pattern[str] | None:
    """What finds the words in a text that is folded."""
    found = []
    for word, ending in _words(question):
        parts = _WORD.findall(word)
        begin = f"(?<!{_LETTER})" if re.match(_LETTER, parts[0]) else ""
        end = ""
        if re.match(_LETTER, parts[-1]):
            end = f"{_LETTER}*" if ending else f"(?!{_LETTER})"
        found.append(begin + r"[\W_]*".join(map(re.escape, parts)) + end)
    return re.compile("|".join(found)) if found else None


def _first(text: str, question: str) -> int:
    """Where the first match begins, or 0. Only its line is looked at character by character."""
    at, pattern = 0, _pattern(question)
    for line in text.splitlines(keepends=True) if pattern else ():
        if pattern and pattern.search(_folded(line)):
            return at + next((begin for begin, _ in _spans(line, pattern)), 0)
        at += len(line)
    return 0


def _spans(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    folded: list[str] = []
    places: list[tuple[int, int]] = []  # of each folded character, in the text
    for cluster in _CLUSTER.finditer(text):
        part = _folded(cluster[0])
        folded.append(part)
        places += [cluster.span()] * len(part)
    for match in pattern.finditer("".join(folded)):
        end = places[match.end() - 1][1]
        while end < len(text) and unicodedata.category(text[end]).startswith("M"):
            end += 1  # a vowel sign or a tone mark, which is drawn on the character before it
        yield places[match.start()][0], end


def _cut(text: str, at: int, *, forwards: bool = False) -> int:
    """A place to cut a text, at a space where one is near."""
    if at <= 0 or at >= len(text):
        return min(max(at, 0), len(text))
    if forwards:
        near = [at + space.end() for space in re.finditer(r"\s+", text[at : at + _NEAR])]
    else:
        near = [at - len(it) + it.rfind(" ") for it in [text[at - _NEAR : at]] if " " in it]
    return near[0] if near else at

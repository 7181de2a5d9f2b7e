"""What differs between two answers, word by word. Pure.

1. White space between words does not count: answers are wrapped differently for no reason. In
   scripts without spaces, each character is a word.
2. The work is bounded, also for a word that comes a thousand times: what both have in common at
   their beginnings and ends is set aside first, and what would take too long is compared by
   sentences and lines, or not at all.
3. Of a long stretch that is the same in both, only the beginning and the end are shown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from chatstream.analysis.words import SINGLES
from chatstream.escape import clean
from chatstream.wording import counted

_MOST_WORK = 100_000_000
"""Pairs of equal words times words: a second or two at worst; prose of 2,000 words is below it."""
_WORD = re.compile(rf"\s*(?:[{SINGLES}]|[^\s{SINGLES}]+)\s*")
_SENTENCE = re.compile(r".*?(?:[.!?]\s|[\u3002\uff01\uff1f]|\n|\Z)", re.DOTALL)
_AROUND = 12  # words around a difference

Kind = Literal["same", "first", "second"]


class Part(NamedTuple):
    """A stretch of text that both answers have, or only one of them."""

    kind: Kind
    text: str


def parts(first: str, second: str) -> list[Part]:
    """Both answers as stretches that are the same or different, in order."""
    one, other = _words(first), _words(second)
    start, most = 0, min(len(one), len(other))
    while start < most and _same(one[start], other[start]):
        start += 1
    end = 0
    while end < most - start and _same(one[-1 - end], other[-1 - end]):
        end += 1
    found = [Part("same", "".join(one[:start]))]
    found += _compared(one[start : len(one) - end], other[start : len(other) - end])
    found.append(Part("same", "".join(one[len(one) - end :])))
    return [it for it in found if it.text]


def likeness(found: Sequence[Part]) -> float:
    """The share of the words that are the same in both, from 0 to 1."""
    counts = dict.fromkeys(("same", "first", "second"), 0)
    for part in found:
        counts[part.kind] += len(_words(part.text))
    all_words = 2 * counts["same"] + counts["first"] + counts["second"]
    return 2 * counts["same"] / all_words if all_words else 1.0


def shortened(found: Sequence[Part]) -> Iterator[Part]:
    """The stretches, without the middle of long ones that are the same."""
    for at, part in enumerate(found):
        words = _words(part.text)
        before = _AROUND if at else 0
        after = _AROUND if at + 1 < len(found) else 0
        hidden = len(words) - before - after
        if part.kind != "same" or hidden <= _AROUND:
            yield part
            continue
        note = f"[… {counted(hidden, 'word')} the same …]"
        shown = ["".join(words[:before]).rstrip(), note, "".join(words[len(words) - after :])]
        yield Part("same", " ".join(it for it in shown[:2] if it) + " " + shown[2])


def marked(found: Sequence[Part]) -> str:
    """The stretches as text: `[-only in the first-]` and `{+only in the second+}`."""
    marks = {"same": ("", ""), "first": ("[-", "-]"), "second": ("{+", "+}")}
    return "".join(_between(part.text, *marks[part.kind]) for part in found)


def coloured(found: Sequence[Part]) -> str:
    """The stretches in colours: red and struck out what only the first has, else green."""
    codes = {"same": "", "first": "31;9", "second": "32"}
    return "".join(
        _between(clean(part.text), f"\x1b[{code}m", "\x1b[0m")
        if (code := codes[part.kind])
        else clean(part.text)
        for part in found
    )


def _between(text: str, begin: str, end: str) -> str:
    """The text between two marks, which stand at its words and not at the white space around."""
    words = text.strip()
    if not words:
        return text
    before, _, after = text.partition(words)
    return f"{before}{begin}{words}{end}{after}"


def _words(text: str) -> list[str]:
    """The words, each with the white space after it."""
    return _WORD.findall(text)


def _same(one: str, other: str) -> bool:
    return one.strip() == other.strip()


def _compared(one: list[str], other: list[str]) -> Iterator[Part]:
    if not one or not other:
        yield from _only(one, other)
        return
    if _work(one, other) > _MOST_WORK:
        one, other = _sentences(one), _sentences(other)
    if _work(one, other) > _MOST_WORK:
        yield from _only(one, other)
        return
    from difflib import SequenceMatcher

    left, right = ([it.strip() for it in side] for side in (one, other))
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Part("same", "".join(one[a:b]))
        else:
            yield from _only(one[a:b], other[c:d])


def _work(one: Sequence[str], other: Sequence[str]) -> int:
    """What a comparison costs at most: `SequenceMatcher` may look at every pair for every match."""
    counts = Counter(it.strip() for it in one)
    return sum(counts[it.strip()] for it in other) * min(len(one), len(other))


def _only(one: Sequence[str], other: Sequence[str]) -> Iterator[Part]:
    if one:
        yield Part("first", "".join(one))
    if other:
        yield Part("second", "".join(other))


def _sentences(words: Sequence[str]) -> list[str]:
    return [it for it in _SENTENCE.findall("".join(words)) if it]

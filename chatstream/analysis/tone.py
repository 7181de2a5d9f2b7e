"""The tone of a text by word lists (`wordlists`): it counts words and understands nothing.

1. The word-list sentiment is (positive - negative) / (positive + negative), -1 to 1.
2. The style score is (evidence + citations) / (evidence + citations + qualifiers), 0 to 1. A
   citation is a number in brackets or a link. The score says how the text is written, not whether
   it is true.
3. Both are None if the text has no such words. The words are English; in other languages only
   citations are counted.
"""

from __future__ import annotations

from chatstream.analysis.wordlists import EVIDENCE, LINKS, NEGATIVE, POSITIVE, QUALIFIERS
from chatstream.analysis.words import REFERENCE

_LISTS = {
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "evidence": EVIDENCE,
    "qualifiers": QUALIFIERS,
    "citations": {*LINKS, REFERENCE},
}
_KINDS: dict[str, tuple[str, ...]] = {}
for _kind, _words in _LISTS.items():
    for _word in _words:
        _KINDS[_word] = (*_KINDS.get(_word, ()), _kind)


class Tone:
    """Feed it what `words` gives, one by one; `counts` are the words of each kind."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(_LISTS, 0)

    def add(self, word: str) -> None:
        """The next word, or a reference."""
        for kind in _KINDS.get(word, ()):
            self.counts[kind] += 1

    @property
    def sentiment(self) -> float | None:
        """The word-list sentiment."""
        good, bad = self.counts["positive"], self.counts["negative"]
        return round((good - bad) / (good + bad), 2) if good or bad else None

    @property
    def style(self) -> float | None:
        """The style score."""
        backed = self.counts["evidence"] + self.counts["citations"]
        every = backed + self.counts["qualifiers"]
        return round(backed / every, 2) if every else None

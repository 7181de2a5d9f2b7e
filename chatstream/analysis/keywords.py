"""The language of a text and its keywords, found word by word.

1. The language is the one whose stop words are the most frequent; None before the first stop word.
2. Keywords are the most frequent words that have at least two letters and are not stop words of
   that language. If two are equally frequent, the earlier one comes first. In scripts without
   spaces, keywords are pairs of characters (`words`).
3. Memory is bounded. Counts are exact for up to `MAX_WORDS` different words. With one more, the
   less frequent half is forgotten; of equally frequent words, the newer ones. So the count of a
   word that is rare in a large text may be too low, but never too high.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatstream.analysis.wordlists import STOP_WORDS
from chatstream.analysis.words import PAIR

MAX_WORDS = 10_000
"""Different words that are counted: about 2 MB."""

_LEADERS = 250
"""Words that come most often. More than one language has stop words, so keywords are among them."""

_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _words in STOP_WORDS.items():
    for _word in _words:
        _LANGUAGES[_word] = (*_LANGUAGES.get(_word, ()), _language)


class Keywords:
    """Feed it what `words` gives, word by word."""

    def __init__(self) -> None:
        self._words: dict[str, tuple[int, int]] = {}  # how often, and when first, negated
        self._seen = 0
        self._languages = dict.fromkeys(STOP_WORDS, 0)
        # All words that come more often than `_floor` are leaders, and the first of those that come
        # as often: whoever reaches it is one, and those at the end leave together, now and then.
        self._leaders: set[str] = set()
        self._floor = 0

    def add(self, word: str) -> None:
        """The next word or pair."""
        for language in _LANGUAGES.get(word, ()):
            self._languages[language] += 1
        known = self._words.get(word)
        if known is None:
            if len(self._words) >= MAX_WORDS:
                self._forget()
            self._seen += 1
            known = (0, -self._seen)
        count = known[0] + 1
        self._words[word] = (count, known[1])
        if count >= self._floor and word not in self._leaders and _is_keyword(word):
            self._leaders.add(word)
            if len(self._leaders) >= 2 * _LEADERS:
                kept = self._sorted(self._leaders)[:_LEADERS]
                self._leaders, self._floor = set(kept), self._words[kept[-1]][0]

    def _forget(self) -> None:
        kept = self._sorted(self._words)[: MAX_WORDS // 2]
        self._words = {word: self._words[word] for word in kept}
        self._leaders &= self._words.keys()

    def _sorted(self, words: Iterable[str]) -> list[str]:
        """The most frequent first, and of those that came as often the first."""
        return sorted(words, key=self._words.__getitem__, reverse=True)

    @property
    def language(self) -> str | None:
        """The code of the language (ISO 639-1)."""
        best = max(self._languages, key=self._languages.__getitem__)
        return best if self._languages[best] else None

    def top(self, number: int) -> dict[str, int]:
        """The first keywords, with how often each has come; `number` is small."""
        common = STOP_WORDS.get(self.language or "", frozenset())
        words = [it for it in self._sorted(self._leaders) if it not in common]
        return {it.removeprefix(PAIR): self._words[it][0] for it in words[:number]}


def _is_keyword(word: str) -> bool:
    return len(word) > 1 and not word[0].isdigit()

"""The language of a text and its keywords, from its words one by one.

1. The language is the one whose stop words come most often; None while none has come.
2. A keyword is the word that comes most often, of those with two letters at least and no stop word
   of that language; of words that come as often, the one that came first. In scripts without
   spaces it is a pair of characters (`words`).
3. Memory is bounded. Up to `MAX_WORDS` different words every count is exact. One more, and the half
   that came least often is forgotten, of words that came as often the newest. So a word that is
   rare in a large text may be counted too low; none is ever counted too high.
"""

from __future__ import annotations

from chatstream.analysis.wordlists import STOP_WORDS
from chatstream.analysis.words import PAIR

MAX_WORDS = 10_000
"""Different words that are counted: about 1 MB."""

_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _words in STOP_WORDS.items():
    for _word in _words:
        _LANGUAGES[_word] = (*_LANGUAGES.get(_word, ()), _language)


class Keywords:
    """Feed it what `words` gives, word by word."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._languages = dict.fromkeys(STOP_WORDS, 0)

    def add(self, word: str) -> None:
        """The next word or pair."""
        for language in _LANGUAGES.get(word, ()):
            self._languages[language] += 1
        counts = self._counts
        if word not in counts and len(counts) >= MAX_WORDS:
            kept = sorted(counts, key=counts.__getitem__, reverse=True)[: MAX_WORDS // 2]
            chosen = set(kept)
            self._counts = counts = {it: n for it, n in counts.items() if it in chosen}
        counts[word] = counts.get(word, 0) + 1

    @property
    def language(self) -> str | None:
        """The code of the language (ISO 639-1)."""
        best = max(self._languages, key=self._languages.__getitem__)
        return best if self._languages[best] else None

    def top(self, number: int) -> dict[str, int]:
        """The first keywords, with how often each has come."""
        common = STOP_WORDS.get(self.language or "", frozenset())
        words = sorted(self._counts, key=self._counts.__getitem__, reverse=True)
        found: dict[str, int] = {}
        for word in words:
            shown = word.removeprefix(PAIR)
            if len(shown) > 1 and shown not in common and not shown[0].isdigit():
                found[shown] = self._counts[word]
                if len(found) == number:
                    break
        return found

"""All figures about one text: feed it in pieces of any size, and read the figures at any time.

1. Fenced code is not prose and does not count. The words of other Markdown count.
2. Before `finish`, the figures cover the words that are complete; afterwards, all of them.
3. Reading takes a minute for `WORDS_PER_MINUTE` words, or for `CHARACTERS_PER_MINUTE` characters of
   a script without spaces.
4. Memory is bounded, whatever the text: about 2 MB.
"""

from __future__ import annotations

from chatstream.analysis.keywords import Keywords
from chatstream.analysis.prose import Prose
from chatstream.analysis.repetition import Repetition
from chatstream.analysis.tone import Tone
from chatstream.analysis.words import PAIR, REFERENCE, SENTENCE, Words, is_single
from chatstream.counts import TextFigures

WORDS_PER_MINUTE = 238
"""Silent reading of English prose (Brysbaert 2019, https://doi.org/10.1016/j.jml.2019.104047)."""
CHARACTERS_PER_MINUTE = 500
KEYWORDS = 8


class TextAnalysis:
    """The figures of one text."""

    def __init__(self) -> None:
        self._prose = Prose()
        self._words = Words()
        self._keywords = Keywords()
        self._repetition = Repetition()
        self._tone = Tone()
        self._count = self._singles = self._sentences = 0

    def feed(self, text: str) -> None:
        """The next piece."""
        if prose := self._prose.feed(text):
            self._add(self._words.feed(prose))

    def finish(self) -> None:
        """The text is over, or a part of it that no word or sentence goes beyond."""
        self._add(self._words.feed(self._prose.finish()))
        self._add(self._words.finish())

    def _add(self, items: list[str]) -> None:
        for item in items:
            if item == SENTENCE:
                self._sentences += 1
            elif item == REFERENCE:
                self._tone.add(item)
            elif item[0] == PAIR:
                self._keywords.add(item)
            else:
                self._count += 1
                self._singles += is_single(item)
                self._keywords.add(item)
                self._repetition.add(item)
                self._tone.add(item)

    @property
    def figures(self) -> TextFigures:
        """The figures of what has come."""
        others = self._count - self._singles
        minutes = others / WORDS_PER_MINUTE + self._singles / CHARACTERS_PER_MINUTE
        loop, tone = self._repetition.loop, self._tone.counts
        return TextFigures(
            words=self._count,
            sentences=self._sentences,
            reading_seconds=round(minutes * 60, 1),
            language=self._keywords.language,
            keywords=self._keywords.top(KEYWORDS),
            repetition=round(self._repetition.repeated / max(self._count, 1), 3),
            loop_words=loop.words,
            loop_times=loop.times,
            positive=tone["positive"],
            negative=tone["negative"],
            word_list_sentiment=self._tone.sentiment,
            evidence=tone["evidence"],
            citations=tone["citations"],
            qualifiers=tone["qualifiers"],
            style_score=self._tone.style,
        )

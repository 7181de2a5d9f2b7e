"""The figures of an analysis as lines to read, short enough for 40 columns. Not escaped yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatstream.counts import TextFigures
from chatstream.sinks.words import one_line
from chatstream.wording import counted

_KEYWORDS = 4
_PLUGIN_FIGURES = 8


def analysis_lines(figures: TextFigures) -> Iterator[str]:
    """The lines about the whole answer."""
    words = counted(figures.words, "word", commas=True)
    yield f"analysis: {words} in {counted(figures.sentences, 'sentence', commas=True)}"
    yield f"reading time: {_minutes(figures.reading_seconds)}"
    if figures.keywords:
        most = list(figures.keywords.items())[:_KEYWORDS]
        yield f"keywords: {', '.join(f'{word} {times}' for word, times in most)}"
    yield f"repeated: {figures.repetition:.0%} of the words".replace("%", " %")
    if figures.loop_times:
        yield f"loop: {counted(figures.loop_words, 'word')}, {figures.loop_times} times in a row"
    if figures.word_list_sentiment is not None:
        yield (
            f"sentiment by word list: {figures.word_list_sentiment:+.2f} "
            f"({figures.positive} : {figures.negative})"
        )
    if figures.style_score is not None:
        yield f"style score: {figures.style_score:.2f}"
        yield (
            f"{figures.evidence} evidence, {counted(figures.citations, 'citation')}, "
            f"{counted(figures.qualifiers, 'qualifier')}"
        )
    if figures.confidence is not None:
        yield f"confidence: {figures.confidence:.2f}"
    for name, its in figures.plugins.items():
        told = [f"{key} {_value(value)}" for key, value in list(its.items())[:_PLUGIN_FIGURES]]
        yield one_line(f"{name}: {', '.join(told)}")


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"

"""All figures of a text: the same whatever the cuts, and memory that has a bound."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest

from chatstream.analysis.text import TextAnalysis
from chatstream.counts import TextFigures
from tests.support.sampling import by_size, sampled, seeded

ANSWERS = sorted((Path(__file__).parents[1] / "answers").glob("*.md"))


def figures(*pieces: str) -> TextFigures:
    found = TextAnalysis()
    for piece in pieces:
        found.feed(piece)
    found.finish()
    return found.figures


def test_the_figures_of_a_text() -> None:
    text = (
        "The window grows, as a study found [1]. The window is good!\n\n"
        "```python\nwindow = window\n```\n\nPerhaps 漢字。"
    )
    found = figures(text)
    assert (found.words, found.sentences, found.language) == (15, 3, "en")
    assert found.keywords["window"] == 2  # code counts for nothing
    assert found.keywords["漢字"] == 1
    assert (found.evidence, found.citations, found.qualifiers) == (2, 1, 1)
    assert (found.style_score, found.word_list_sentiment) == (0.75, 1.0)
    assert found.reading_seconds == round(13 / 238 * 60 + 2 / 500 * 60, 1)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda it: it.stem)
def test_where_an_answer_is_cut_makes_no_difference(answer: Path) -> None:
    text = answer.read_text("utf-8")
    whole = figures(text)
    assert figures(*text) == whole
    chance = seeded("figures", answer.stem)
    for _ in range(by_size(2, 20)):
        cuts = sorted(chance.sample(range(len(text)), min(len(text) - 1, len(text) // 5 + 1)))
        ends = [0, *cuts, len(text)]
        assert figures(*(text[a:b] for a, b in pairwise(ends))) == whole


def test_every_cut_of_a_text_in_two_makes_no_difference() -> None:
    for answer in sampled(ANSWERS, 4, "two"):
        text = answer.read_text("utf-8")[:1500]
        whole = figures(text)
        for at in range(1, len(text), by_size(7, 1)):
            assert figures(text[:at], text[at:]) == whole, (answer.stem, at)


def test_figures_in_between_change_nothing_and_are_about_whole_words() -> None:
    found = TextAnalysis()
    found.feed("one two thr")
    assert found.figures.words == 2
    found.feed("ee")
    assert found.figures.words == 2
    found.finish()
    assert (found.figures.words, found.figures.sentences) == (3, 1)


def test_an_empty_text_has_no_words() -> None:
    assert figures() == TextFigures()


def test_memory_has_a_bound() -> None:
    found = TextAnalysis()

    def feed(start: int, count: int) -> int:
        for at in range(start, start + count):
            found.feed(f"word{at} \u4e00{chr(0x4E00 + at % 20000)} ")
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first = feed(0, 8_000)
        last = feed(8_000, by_size(6_000, 200_000))
    finally:
        tracemalloc.stop()
    assert last < first + 1_000_000
    assert last < 8_000_000

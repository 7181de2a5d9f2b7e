"""Scores that come from counted words, and are called that."""

from __future__ import annotations

import pytest

from chatstream.analysis.tone import Tone
from chatstream.analysis.words import REFERENCE


def read(text: str) -> Tone:
    found = Tone()
    for word in text.split():
        found.add(word)
    return found


@pytest.mark.parametrize(
    ("text", "sentiment", "style"),
    [
        ("nothing of the kind", None, None),
        ("good good bad", 0.33, None),
        ("terrible", -1.0, None),
        (f"the study shows {REFERENCE} https", None, 1.0),
        ("perhaps it may", None, 0.0),
        (f"data perhaps may {REFERENCE}", None, 0.5),
    ],
)
def test_the_scores_are_shares_of_the_words_on_the_lists(
    text: str, sentiment: float | None, style: float | None
) -> None:
    found = read(text)
    assert (found.sentiment, found.style) == (sentiment, style)


def test_the_counts_are_there_beside_the_scores() -> None:
    counts = read(f"good bad data may {REFERENCE} http").counts
    expected = {"positive": 1, "negative": 1, "evidence": 1, "qualifiers": 1, "citations": 2}
    assert counts == expected

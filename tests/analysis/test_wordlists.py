"""The lists hold words as the reader of words gives them."""

from __future__ import annotations

import pytest

from chatstream.analysis import wordlists
from chatstream.analysis.words import SENTENCE, Words

LISTS = {
    **wordlists.STOP_WORDS,
    "positive": wordlists.POSITIVE,
    "negative": wordlists.NEGATIVE,
    "evidence": wordlists.EVIDENCE,
    "qualifiers": wordlists.QUALIFIERS,
    "links": wordlists.LINKS,
}


@pytest.mark.parametrize("name", LISTS)
def test_every_entry_is_one_word(name: str) -> None:
    for entry in LISTS[name]:
        reader = Words()
        assert reader.feed(entry) + reader.finish() == [entry, SENTENCE]


def test_no_word_is_in_two_lists_that_exclude_each_other() -> None:
    assert not wordlists.POSITIVE & wordlists.NEGATIVE
    assert not wordlists.EVIDENCE & wordlists.QUALIFIERS

"""Claimed: an answer on the screen is what its author wrote, laid out so that it can be read.

However it came, the terminal ends as after one print of the answer. Its words are those of the
source, in their order, as a parser reads them that shares no code with ours; rows end between
words; later rows of items and quotes are indented; code is between two lines and byte for byte.

The answers are those of `tests/answers`, one or more of each kind that models write.
"""

from __future__ import annotations

from functools import cache

import pytest

from tests.support.reader import ANSWERS
from tests.support.rows import Defect, defects
from tests.support.sampling import by_size, sampled
from tests.support.showing import FEEDS, Feed, printed, shown

WIDTHS = [40, 60, 80, 100]
SAMPLE: dict[Feed, int] = {"whole": 8, "tokens": 6, "characters": 3}  # answers for each width
READ = 20  # answers for each width that are read

KINDS = {
    "words": "no word is lost, doubled or changed",
    "cut": "no row ends within a word",
    "mark": "no row begins with a closing mark",
    "indent": "later rows are indented as the first one's text is",
    "ragged": "no row ends before it has to",
    "frame": "code is between two lines, and the first tells its language",
}


@cache
def rows(name: str, width: int) -> list[str]:
    """The rows of one print of an answer."""
    return printed(ANSWERS[name], width).text()


@cache
def found(name: str, width: int) -> list[Defect]:
    """What is wrong with them."""
    return defects(ANSWERS[name], rows(name, width), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("feed", FEEDS)
def test_the_terminal_ends_as_after_one_print(feed: Feed, width: int) -> None:
    longest = by_size(1500 if feed == "characters" else 4000, 1_000_000)
    names = [name for name, text in sorted(ANSWERS.items()) if len(text) <= longest]
    for name in sampled(names, SAMPLE[feed], feed, width):
        assert shown(ANSWERS[name], width, feed).text() == rows(name, width), name


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS, ids=KINDS.values())
def test_on_the_screen(kind: str, width: int) -> None:
    wrong = {
        name: [str(it) for it in found(name, width) if it.kind == kind]
        for name in sampled(sorted(ANSWERS), READ, "read", width)
    }
    assert {name: them for name, them in wrong.items() if them} == {}


TEXT = """\
Some words of a paragraph that takes two rows.

- one, with a text that needs two rows, too
- two
"""
READS = [
    "Some words of a paragraph that takes",
    "two rows.",
    "",
    "• one, with a text that needs two rows,",
    "  too",
    "• two",
]


@pytest.mark.parametrize(
    ("kind", "row", "others"),
    [
        ("words", 0, ["Some words of paragraph that takes"]),
        ("words", 1, ["two rows. rows."]),
        ("words", 1, []),
        ("words", 5, ["• two", "", "• two"]),
        ("words", 3, ["- - one, with a text that needs two rows,"]),
        ("words", 0, ["Some words of a paragraph that takes", ""]),
        ("cut", 0, ["Some words of a paragraph that takes t", "wo rows."]),
        ("indent", 1, [" two rows."]),
        ("indent", 4, ["too"]),
        ("ragged", 0, ["Some words of a", "paragraph that takes"]),
    ],
)
def test_what_is_wrong_is_found(kind: str, row: int, others: list[str]) -> None:
    assert defects(TEXT, READS, 40) == []
    wrong = [*READS[:row], *others, *READS[row + 1 :]]
    if kind == "cut":
        del wrong[row + 2]
    assert kind in {it.kind for it in defects(TEXT, wrong, 40)}

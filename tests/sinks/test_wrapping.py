"""Claimed: words stay whole, rows hang, a copy is one line, and rows depend on the text alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from chatstream.sinks.lines import Line, line_of, text_of
from chatstream.sinks.wrapping import Prose, _Rows, like, widest, words_of, wrapped

BOLD = Style(bold=True)
WORDS = st.text(st.sampled_from("ab(,.)é你好。「」ー—"), min_size=1, max_size=12)
TEXTS = st.lists(WORDS, max_size=20).map(" ".join)


def rows(text: str, width: int, hang: int = 0) -> list[str]:
    return [text_of(row) for row in wrapped(Prose(line_of(text), hang), width)]


@pytest.mark.parametrize(
    ("text", "width", "hang", "expected"),
    [
        ("one two three", 9, 0, ["one two  ", "three"]),
        ("one two three", 8, 0, ["one two ", "three"]),
        ("one two three", 7, 0, ["one    ", "two    ", "three"]),  # a blank belongs to the joint
        ("• one two three", 9, 2, ["• one two", "  three"]),  # here the hang is that blank
        ("see abcdefghijklm now", 8, 0, ["see     ", "abcdefgh", "ijklm   ", "now"]),
        ("• abcdefghijklm", 8, 2, ["• abcdef", "ghijklm"]),
        ("abcdefgh ij", 8, 0, ["abcdefgh", " ij"]),
        ("one", 2, 0, ["on", "e"]),
        ("a aa aaa", 4, 4, ["a aa", "  aa", "a"]),  # a prefix that fills the row
        ("", 5, 0, [""]),
        ("你好世界再见", 8, 0, ["你好世界", "再见"]),
        ("你好世界再见", 7, 0, ["你好世 ", "界再见"]),
        ("你好世界。再见", 8, 0, ["你好世  ", "界。再见"]),  # no mark begins a row
        ("你好世「界再见", 8, 0, ["你好世  ", "「界再见"]),  # and none that opens ends one
        ("用 git 提交(commit)吧", 12, 0, ["用 git 提交 ", "(commit)吧"]),
        ("한국어를 씁니다 지금", 10, 0, ["한국어를  ", "씁니다    ", "지금"]),
        ("a\u00a0b\u00a0c d", 6, 0, ["a\u00a0b\u00a0c ", "d"]),  # a no-break space is no joint
    ],
)
def test_rows_end_between_words(text: str, width: int, hang: int, expected: list[str]) -> None:
    assert rows(text, width, hang) == expected


def test_a_hang_that_leaves_no_room_is_half_of_the_row() -> None:
    assert rows(" " * 15 + "• word words", 20, 17)[1:] == [" " * 10 + "word words"]


@given(TEXTS, st.integers(4, 30), st.integers(0, 4))
def test_a_copy_is_the_text_once_blanks_are_joined(text: str, width: int, hang: int) -> None:
    def no_gaps(copied: str) -> str:
        # Between CJK characters a joint may be a blank where the text has none.
        return re.sub(
            r"(?<=[。「」ー你好—(,.)]) | (?=[。「」ー你好—(,.)])", "", re.sub(" +", " ", copied)
        )

    assert no_gaps("".join(rows(text, width, hang))) == no_gaps(text)
    assert all(cell_len(row) <= max(width, 2) for row in rows(text, width, hang))


@given(TEXTS, st.integers(4, 30), st.integers(0, 4), st.integers(1, 3))
def test_no_row_is_wider_than_the_terminal_also_where_the_text_ends_in_blanks(
    text: str, width: int, hang: int, blanks: int
) -> None:
    assert all(cell_len(row) <= width for row in rows(text + " " * blanks, width, hang))


@given(st.lists(st.text("ab.", min_size=1, max_size=12), max_size=20), st.integers(13, 30))
def test_no_word_that_fits_is_ever_cut(words: list[str], width: int) -> None:
    assert " ".join(rows(" ".join(words), width)).split() == words
    assert "".join(rows(" ".join(words), width)).split() == words  # and none is glued to the next


@given(TEXTS)
def test_no_row_can_begin_with_a_closing_mark_or_end_with_an_opening_one(text: str) -> None:
    for word in words_of(text):
        if word.start and text[word.start - 1] != " ":
            assert text[word.start] not in "。」ー—),."
            assert text[word.start - 1] not in "「("


@given(TEXTS, st.integers(4, 30), st.integers(0, 4), st.data())
def test_a_text_that_goes_on_from_its_last_row_gets_the_same_rows(
    text: str, width: int, hang: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    *full, last = wrapped(Prose(line_of(text[:cut]), hang), width)
    rest = wrapped(Prose([*last, *line_of(text[cut:])], hang), width)
    assert [text_of(row) for row in [*full, *rest]] == rows(text, width, hang)


@given(
    st.lists(st.text("ab.é—\xa0", min_size=1, max_size=9), max_size=30),
    st.sampled_from([" ", "  ", "   "]),
    st.integers(2, 30),
    st.integers(0, 6),
)
def test_the_quick_way_lays_narrow_text_out_as_the_other_does(
    words: list[str], gap: str, width: int, prefix: int
) -> None:
    text = gap.join(words)
    quick, other = _Rows(prefix, width), _Rows(prefix, width)
    other.take(text)
    if quick.take_narrow(text):
        assert vars(quick) == vars(other)
    else:
        assert quick.ranges == []


def test_prose_is_laid_out_in_the_quick_way() -> None:
    quick = _Rows(0, 40)
    assert quick.take_narrow(
        "Words of “ordinary” prose — naïve, русские, Ελλάς — all narrow. " * 9 + "x"
    )


@given(TEXTS, st.integers(4, 30))
def test_styles_stay_with_their_characters_and_fillers_have_none(text: str, width: int) -> None:
    line: Line = [Segment(it, BOLD if at % 2 else None) for at, it in enumerate(text)]
    found = [
        (character, segment.style)
        for row in wrapped(Prose(line, 0), width)
        for segment in row
        for character in segment.text
        if character != " "
    ]
    assert found == [(it.text, it.style) for it in line if it.text != " "]


@pytest.mark.parametrize(
    ("text", "cells"),
    [("ab", 2), ("你", 2), ("👨\u200d👩\u200d👧", 6), ("⚠\ufe0f", 2), ("e\u0301", 1), ("🇩🇪", 4)],
)
def test_where_widths_differ_the_widest_counts(text: str, cells: int) -> None:
    assert widest(text) == cells


def test_what_replaces_a_line_is_wrapped_as_it_is() -> None:
    assert like([], [Segment("a")]) == [Segment("a")]
    prose = like(Prose([], 3), [Segment("a")])
    assert isinstance(prose, Prose)
    assert prose.hang == 3

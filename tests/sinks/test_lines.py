"""Claimed: rows are those of a terminal, and what is called sure is as wide everywhere."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from wcwidth import wcwidth

from chatstream.sinks.lines import Line, cropped, expanded, is_sure, line_of, rows_of, text_of
from tests.support.screen import Screen

BOLD = Style(bold=True)
TEXTS = st.text(st.sampled_from("ab cdé—│你好한。😀🚀"), max_size=60)
LINES = st.lists(st.builds(Segment, TEXTS, st.sampled_from([None, BOLD])), max_size=4)


def shown(line: Line, width: int) -> list[str]:
    """The rows of a terminal. Pyte does not wrap a wide character that does not fit; here it is
    given the space that is left, as terminals leave it.
    """
    screen = Screen(width, 80)
    cell = 0
    for character in text_of(line):
        cells = wcwidth(character)
        if cell + cells > width > 1:
            screen.stream.feed(" " * (width - cell))
            cell = 0
        screen.stream.feed(character)
        cell += cells
    return screen.text()


@given(LINES, st.integers(1, 30))
def test_the_rows_are_those_of_a_terminal(line: Line, width: int) -> None:
    rows = [text_of(row).rstrip() for row in rows_of(line, width)]
    while rows and not rows[-1]:
        rows.pop()
    assert rows == shown(line, width)


@given(LINES, st.integers(1, 30))
def test_rows_join_to_the_line_with_its_styles(line: Line, width: int) -> None:
    rows = rows_of(line, width)
    assert [(c, it.style) for row in rows for it in row for c in it.text] == [
        (c, it.style) for it in line for c in it.text
    ]
    assert all(cell_len(text_of(row)) <= max(width, 2) for row in rows)


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("", 5, [""]),
        ("abcde", 5, ["abcde"]),
        ("abcdef", 5, ["abcde", "f"]),
        ("abcd你", 5, ["abcd", "你"]),
        ("你好", 2, ["你", "好"]),
        ("你好", 1, ["你", "好"]),
        ("a你b", 1, ["a", "你", "b"]),
        ("abc", 1, ["a", "b", "c"]),
        ("你你你", 3, ["你", "你", "你"]),
    ],
)
def test_a_wide_character_that_does_not_fit_begins_the_next_row(
    text: str, width: int, rows: list[str]
) -> None:
    assert [text_of(row) for row in rows_of(line_of(text), width)] == rows


def test_a_row_may_end_where_a_segment_ends() -> None:
    line = [Segment("你"), Segment("ab", BOLD), Segment("c")]
    assert [text_of(row) for row in rows_of(line, 2)] == ["你", "ab", "c"]
    assert [text_of(row) for row in rows_of(line, 1)] == ["你", "a", "b", "c"]


def test_what_is_sure_is_as_wide_for_everybody_and_joins_with_nothing() -> None:
    sure = [chr(code) for code in range(32, sys.maxunicode + 1) if is_sure(chr(code))]
    assert len(sure) > 40_000
    assert [it for it in sure if it != "\x7f" and cell_len(it) != wcwidth(it)] == []
    unsettled = {"Mn", "Mc", "Me", "Cf", "Cc", "Cs", "Cn", "Zl", "Zp"}
    assert [it for it in sure if unicodedata.category(it) in unsettled] == ["\x7f"]
    assert [it for it in sure if "\U0001f1e6" <= it <= "\U0001f1ff"] == []  # two make a flag
    assert [it for it in sure if "\U0001f3fb" <= it <= "\U0001f3ff"] == []  # skin tones
    assert [it for it in sure if unicodedata.bidirectional(it) in {"R", "AL"}] == []


@pytest.mark.parametrize("text", ["plain", "café — “ok” │ 你好 → 😀 ✓", "日本語の。한국어", ""])
def test_usual_texts_are_sure(text: str) -> None:
    assert is_sure(text)


@pytest.mark.parametrize(
    "text",
    ["e\u0301", "👩\u200d💻", "❤\ufe0f", "🇫🇷", "👍🏽", "नमस्ते", "שלום", "a\u00adb", "🏴\U000e0067"],
)
def test_texts_that_terminals_disagree_about_are_not(text: str) -> None:
    assert not is_sure(text)


@given(LINES, st.integers(1, 30))
def test_a_cropped_line_fits_into_one_row_and_tells_what_is_missing(line: Line, width: int) -> None:
    short = cropped(line, width)
    assert cell_len(text_of(short)) <= width
    if short != line:
        assert cell_len(text_of(line)) > width
        assert text_of(short).endswith("…")
        assert text_of(line).startswith(text_of(short)[:-1])


@pytest.mark.parametrize(
    ("text", "width", "seen"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcd", 1, "…"), ("你好", 2, "…"), ("你好", 3, "你…")],
)
def test_a_line_is_cropped_to_the_cell(text: str, width: int, seen: str) -> None:
    assert text_of(cropped(line_of(text), width)) == seen


def test_the_ellipsis_has_the_style_of_what_it_stands_for() -> None:
    assert cropped(line_of("abcd", BOLD), 2)[-1] == Segment("…", BOLD)


@given(st.lists(st.builds(Segment, st.text("a你\t ", max_size=9), st.just(BOLD)), max_size=4))
def test_tabs_end_where_those_of_a_terminal_do(line: Line) -> None:
    screen = Screen(200, 3)
    screen.stream.feed(text_of(line))
    assert [text_of(expanded(line)).rstrip(), *[""] * 2] == screen.visible()
    assert {it.style for it in expanded(line)} <= {BOLD}

"""Claimed: what is typed for later has a row of its own below the answer, on any width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chatstream.flow import Typed
from chatstream.sinks.lines import text_of
from chatstream.sinks.theme import THEMES
from chatstream.sinks.typed import MAX_ROWS, typed_lines


def rows(*queued: str, draft: str = "", width: int = 80) -> list[str]:
    typed = Typed(queued=[*queued], draft=draft)
    return [text_of(line) for line in typed_lines(typed, THEMES["dark"], width)]


def test_nothing_has_no_rows() -> None:
    assert rows() == []


def test_each_message_has_a_row_and_the_newest_says_how_it_is_taken_back() -> None:
    assert rows("give me a formula", "and\n a picture", draft="in col") == [
        " ⏎ queued: give me a formula",
        " ⏎ queued: and a picture   (↑ takes it back)",
        " › in col_",
    ]


def test_of_many_the_newest_are_shown() -> None:
    assert rows(*"abcde") == [
        " ⏎ 2 more messages queued",
        " ⏎ queued: c",
        " ⏎ queued: d",
        " ⏎ queued: e   (↑ takes it back)",
    ]
    assert rows(*"abcd")[0] == " ⏎ 1 more message queued"


@pytest.mark.parametrize(
    ("draft", "row"),
    [
        ("a\tb\nc", " › a b↵c_"),
        ("0123456789", " › 0123456789_"),
        ("01234567890123456", " › …234567890123456_"),
        ("日本語の文章は空白", " › …語の文章は空白_"),
        ("\x1b[31mred", " › ␛[31mred_"),
        ("x" * 300_000 + "end", " › …xxxxxxxxxxxxend_"),
    ],
)
def test_the_end_of_the_line_is_shown(draft: str, row: str) -> None:
    assert rows(draft=draft, width=20)[-1] == row


def test_on_forty_columns_a_message_and_its_hint_fit() -> None:
    row = rows("a message that is longer", width=40)[0]
    assert row == " ⏎ queued: a messag…   (↑ takes it back)"
    assert rows("a message that is longer", width=30) == [" ⏎ queued: a message that is …"]


@given(st.lists(st.text(), max_size=5), st.text(), st.integers(8, 100))
def test_no_row_is_wider_than_the_terminal(queued: list[str], draft: str, width: int) -> None:
    shown = rows(*queued, draft=draft, width=width)
    assert len(shown) <= MAX_ROWS + 2
    assert all(cell_len(row) <= width and "\n" not in row for row in shown)

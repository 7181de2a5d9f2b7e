"""The picker of earlier questions: what it chooses and shows."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from chatstream.chat.picking import MAX_ROWS, Picker

QUESTIONS = [f"question {number}" for number in range(1, 31)]


def test_the_last_question_is_chosen_first_and_moving_ends_at_both_ends() -> None:
    picker = Picker(QUESTIONS)
    assert picker.number == 30
    picker.move(1)
    assert picker.number == 30
    picker.move(-3)
    assert picker.number == 27
    picker.move(-100)
    assert picker.number == 1


@pytest.mark.parametrize("up", range(30))
def test_the_chosen_question_is_always_among_the_rows(up: int) -> None:
    picker = Picker(QUESTIONS)
    picker.move(-up)
    rows = picker.rows(80, 24)
    assert len(rows) == MAX_ROWS
    (chosen,) = [row for row in rows if row.is_chosen]
    assert chosen.text == f"▸ {30 - up:>2}  question {30 - up}"


@pytest.mark.parametrize("width", [40, 20, 8, 1])
@pytest.mark.parametrize("height", [24, 3, 1])
def test_no_row_is_wider_than_the_terminal_or_has_control_characters(
    width: int, height: int
) -> None:
    rows = Picker(["日本語 " * 40, "one\ntwo\x1b[31m", "👨\u200d👩\u200d👧 " * 30]).rows(
        width, height
    )
    assert 1 <= len(rows) <= max(1, height - 2)
    for text, _ in rows:
        assert cell_len(text) <= width
        assert text.isprintable() or "\u200d" in text

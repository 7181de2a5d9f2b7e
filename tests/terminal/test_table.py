"""Claimed: in a pipe nothing of a table is cut, and on a terminal no line of it runs over."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from chatstream.terminal.table import MAX_COLUMN_CELLS, fit, table

ROWS = [("a", "short", "日本語 " * 30), ("a longer name " * 5, "b", "the end")]


def test_in_a_pipe_columns_are_separated_by_tabs_and_nothing_is_cut() -> None:
    lines = table(ROWS, None).splitlines()
    assert lines == ["\t".join(" ".join(cell.split()) for cell in row) for row in ROWS]


def test_a_cell_is_one_line_without_control_characters() -> None:
    for cells in (None, 60):
        assert table([("a\tb\nc", "\x1b]0;evil\x07 end")], cells).count("\n") == 1
        assert "\x1b" not in table([("a", "\x1b[31mred")], cells)


@pytest.mark.parametrize("cells", range(1, 90))
def test_no_line_is_wider_than_the_terminal(cells: int) -> None:
    assert all(cell_len(line) <= cells for line in table(ROWS, cells).splitlines())


def test_on_a_terminal_columns_are_aligned_and_a_long_one_leaves_room_for_the_next() -> None:
    first, second = table(ROWS, 100).splitlines()
    assert first.index("short") == second.index("b ", MAX_COLUMN_CELLS) == MAX_COLUMN_CELLS + 2
    assert first.endswith("…")


def test_the_last_column_may_be_shortened_by_its_owner() -> None:
    asked: list[tuple[str, int]] = []

    def last(text: str, cells: int) -> str:
        asked.append((text, cells))
        return "\x1b[1mowned\x1b[22m"

    assert table([("a", "text")], 20, last) == "a  \x1b[1mowned\x1b[22m\n"
    assert table([("abcdef", "text")], 5, last) == "abcd…\n", "no cells are left for it"
    assert asked == [("text", 17)]


def test_an_empty_table_is_no_text() -> None:
    assert (table([], 80), table([], None)) == ("", "")


def test_a_text_that_fits_is_left_alone() -> None:
    assert [fit("日本", cells) for cells in (4, 3, 2)] == ["日本", "日…", " …"]

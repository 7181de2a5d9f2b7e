"""Claimed: a table is aligned where the terminal has room, and loses nothing where not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from chatstream.sinks.lines import Line, line_of, text_of
from chatstream.sinks.tables import Grid
from chatstream.sinks.theme import THEMES

THEME = THEMES["dark"]
BOLD = Style(bold=True)


def grid(
    header: Sequence[str],
    *rows: Sequence[str],
    columns: Sequence[str] = (),
    before: tuple[str, str] = ("", ""),
) -> Grid:
    first, other = map(line_of, before)
    made = Grid(
        columns or ["default"] * len(header), [line_of(it) for it in header], (first, other), THEME
    )
    for row in rows:
        made = made.with_row([line_of(it) for it in row])
    return made


def drawn(table: Grid, width: int = 80) -> list[str]:
    return [text_of(line) for line in table.laid_out(width)[0]]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert drawn(grid(["a", "long one"], ["wider", "b"], ["", "c"])) == [
        "a     │ long one",
        "──────┼─────────",
        "wider │ b",
        "      │ c",
    ]


def test_cells_are_aligned_as_the_table_says() -> None:
    table = grid(["head", "head", "head"], ["a", "b", "c"], columns=["left", "right", "center"])
    assert drawn(table)[2] == "a    │    b │  c"


def test_wide_characters_count_twice() -> None:
    lines = drawn(grid(["名前", "b"], ["é", "c"], ["表表表", "d"]))
    assert lines == ["名前   │ b", "───────┼──", "é      │ c", "表表表 │ d"]


def test_a_line_has_no_spaces_at_its_end() -> None:
    table = grid(["head", "head"], ["a", "b"], columns=["left", "center"])
    assert drawn(table)[2] == "a    │  b"


def test_the_widest_column_gives_way_first_and_breaks_between_words() -> None:
    lines = drawn(grid(["id", "text"], ["1", "some words that are too many"]), 20)
    assert lines == [
        "id │ text",
        "───┼────────────────",
        "1  │ some words that",
        "   │ are too many",
    ]


def test_a_word_that_is_wider_than_its_column_is_broken() -> None:
    assert drawn(grid(["a", "b"], ["x", "aaaaaaaaaaaa bb"]), 10)[2:] == [
        "x │ aaaaaa",
        "  │ aaaaaa",
        "  │ bb",
    ]


def test_more_columns_than_cells_stay_one_cell_wide_each() -> None:
    lines = drawn(grid(["ab"] * 9, ["cd"] * 9), 10)
    assert lines[0] == " │ ".join("a" * 9)
    assert lines[1] == " │ ".join("b" * 9)
    assert len(lines) == 5


def test_a_terminal_of_one_cell_still_gets_every_character() -> None:
    assert drawn(grid(["ab"], ["你c"]), 1) == ["a", "b", "─", "你", "c"]


def test_a_table_without_rows_is_its_header() -> None:
    assert drawn(grid(["a"])) == ["a", "─"]


def test_a_cell_keeps_its_styles_where_it_is_broken() -> None:
    table = grid(["a"]).with_row([[*line_of("one t"), *line_of("wo three", BOLD)]])
    lines = table.laid_out(7)[0][2:]
    assert [[(it.text, it.style) for it in line] for line in lines] == [
        [("one t", None), ("wo", BOLD)],
        [("three", BOLD)],
    ]


@pytest.mark.parametrize(
    ("before", "lines"),
    [(("• ", "  "), ["• a", "  ─", "  b"]), (("▌ ", "▌ "), ["▌ a", "▌ ─", "▌ b"])],
)
def test_it_stands_in_its_containers(before: tuple[str, str], lines: list[str]) -> None:
    assert drawn(grid(["a"], ["b"], before=before)) == lines


def test_the_containers_take_room_from_the_columns() -> None:
    lines = drawn(grid(["a" * 30], before=("• ", "  ")), 20)
    assert lines == ["• " + "a" * 18, "  " + "a" * 12, "  " + "─" * 18]


def test_widths_stay_when_the_first_rows_are_laid_out() -> None:
    lines, rest = grid(["a", "b"], ["x", "y"]).laid_out(80)
    assert rest.is_fixed
    more, same = rest.with_row([line_of("longer"), line_of("z")]).laid_out(80)
    assert [text_of(line) for line in more] == ["l │ z", *(f"{letter} │ " for letter in "onger")]
    assert same == rest
    assert len(lines) == 3


CELLS = st.text("ab 你é", max_size=20).map(str.strip)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    columns = draw(st.integers(1, 5))
    row = st.lists(CELLS, min_size=columns, max_size=columns)
    return draw(st.lists(row, min_size=1, max_size=5))


@given(tables(), st.integers(1, 60))
def test_it_fits_where_it_can_and_no_character_is_lost(cells: list[list[str]], width: int) -> None:
    header, *rows = cells
    lines = drawn(grid(header, *rows), width)
    least = 2 * len(header) + 3 * (len(header) - 1)  # a wide character in each column
    if width >= least:
        assert max(map(cell_len, lines)) <= width
    seen = sorted(c for line in lines for c in line if c not in " │─┼")
    assert seen == sorted(c for row in cells for cell in row for c in cell if c != " ")


@given(tables(), st.integers(1, 60))
def test_rows_laid_out_one_by_one_are_those_laid_out_together(
    cells: list[list[str]], width: int
) -> None:
    header, *rows = cells
    start, fixed = grid(header).laid_out(width)
    one_by_one: list[Line] = []
    rest = together = fixed
    for row in rows:
        styled = [line_of(cell) for cell in row]
        lines, rest = rest.with_row(styled).laid_out(width)
        one_by_one += lines
        together = together.with_row(styled)
    assert one_by_one == together.laid_out(width)[0]
    assert len(start) >= 2

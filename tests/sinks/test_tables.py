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
from chatstream.sinks.wrapping import Prose, wrapped

THEME = THEMES["dark"]
BOLD = Style(bold=True)


def grid(
    header: Sequence[str],
    *rows: Sequence[str],
    columns: Sequence[str] = (),
    before: tuple[str, str] = ("", ""),
) -> Grid:
    first, other = map(line_of, before)
    made = Grid(columns or ["default"] * len(header), cells(header), (first, other), THEME)
    for row in rows:
        made = made.with_row(cells(row))
    return made


def cells(texts: Sequence[str]) -> list[list[Line]]:
    return [[line_of(line) for line in text.split("\n")] for text in texts]


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


def test_a_word_is_never_cut_so_that_another_column_gives_way() -> None:
    assert drawn(grid(["a b", "number"], ["x y", "1,234,567.89"]), 16) == [
        "a │ number",
        "b │",
        "──┼─────────────",
        "x │ 1,234,567.89",
        "y │",
    ]


def test_separators_get_narrow_before_a_word_is_cut() -> None:
    lines = drawn(grid(["abc", "def", "ghi"], ["123", "456", "789"]), 11)
    assert lines == ["abc│def│ghi", "───┼───┼───", "123│456│789"]


def test_where_the_words_do_not_fit_each_row_is_a_record() -> None:
    table = grid(["name", "value:", ""], ["one", "some words", "x"], ["two", "", "a\nb"])
    assert drawn(table, 10) == [
        *("name: one", "value: some words", "x", "", "name: two", "value:", "a", "  b")
    ]
    assert {line.hang for line in table.laid_out(10)[0] if isinstance(line, Prose)} == {2}


def test_a_record_stands_in_its_containers() -> None:
    table = grid(["abcdef", "ghijkl"], ["1", "2"], ["3", "4"], before=("• ", "  "))
    lines = table.laid_out(12)[0]
    assert [text_of(line) for line in lines] == [
        *("• abcdef: 1", "  ghijkl: 2", "", "  abcdef: 3", "  ghijkl: 4")
    ]
    assert {line.hang for line in lines if isinstance(line, Prose)} == {4}


def test_titles_without_room_and_without_rows_are_lines() -> None:
    assert drawn(grid(["abcdef", "ghijkl"]), 8) == ["abcdef:", "ghijkl:"]


def test_an_address_and_a_word_wider_than_the_terminal_are_broken_after_a_mark() -> None:
    lines = drawn(grid(["a", "b"], ["x", "http://example.com/one/two"]), 24)[2:]
    assert lines == ["x │ http://example.com/", "  │ one/two"]
    lines = drawn(grid(["a", "b"], ["number", "http://example.com/one-two?three=4"]), 25)[2:]
    assert lines == [
        "number │ http://",
        "       │ example.com/",
        "       │ one-two?three=4",
    ]
    lines = drawn(grid(["a"], ["https://example.com/some-long-path"]), 12)[2:]
    assert lines == ["https://", "example.com/", "some-long-", "path"]
    assert drawn(grid(["a"], ["a" * 25]), 20)[2:] == ["a" * 20, "a" * 5]


def test_the_scheme_of_an_address_stays_with_its_host_where_both_have_room() -> None:
    table = grid(["a"], ["the site (https://example.com/one/two)"])
    assert drawn(table, 28)[2:] == ["the site", "(https://example.com/one/", "two)"]
    assert drawn(table, 16)[2:] == [*("the site", "(https://", "example.com/one/", "two)")]


def test_a_title_that_ends_with_a_wide_colon_gets_no_other() -> None:
    assert drawn(grid(["配置\uff1a", "value"], ["one", "two"]), 8) == [
        *("配置\uff1a one", "value: two")
    ]


def test_a_colon_never_makes_a_title_too_wide_for_the_terminal() -> None:
    table = grid(["abcdefgh", "ijklmnop"], ["1", "2"])
    assert drawn(table, 9) == ["abcdefgh: 1", "ijklmnop: 2"]
    assert drawn(table, 8) == ["abcdefgh 1", "ijklmnop 2"]


def test_a_record_is_made_once_for_each_width() -> None:
    table = grid(["abcdef", "ghijkl"], ["1", "2"])
    (row,) = table.rows
    hangs = []
    for room in (8, 9, 8):
        made = row.record(table.header, room)
        assert row.record(table.header, room) is made
        hangs.append([line.hang for line in made if isinstance(line, Prose)])
    assert hangs == [[0, 0], [2, 2], [0, 0]]


def test_line_breaks_of_a_cell_are_lines_of_its_row() -> None:
    assert drawn(grid(["a", "b"], ["1", "one\ntwo"]))[2:] == ["1 │ one", "  │ two"]


def test_no_closing_mark_begins_a_line_of_a_cell() -> None:
    assert drawn(grid(["a"], ["你好世界。"]), 8)[2:] == ["你好世", "界。"]


def test_a_terminal_of_one_cell_still_gets_every_character() -> None:
    assert drawn(grid(["ab"], ["你c"]), 1) == ["a", "b", "─", "你", "c"]


def test_a_table_without_rows_is_its_header() -> None:
    assert drawn(grid(["a"])) == ["a", "─"]


def test_a_cell_keeps_its_styles_where_it_is_broken() -> None:
    table = grid(["a"]).with_row([[[*line_of("one t"), *line_of("wo three", BOLD)]]])
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


def test_a_late_row_makes_columns_wider_and_later_ones_stay_so() -> None:
    rest = grid(["a", "b"], ["x", "y"]).laid_out(80)[1]
    assert rest.is_fixed
    more, grown = rest.with_row(cells(["longer", "z"])).laid_out(80)
    assert [text_of(line) for line in more] == ["longer │ z"]
    last, _ = grown.with_row(cells(["s", "a much longer cell of many words"])).laid_out(80)
    assert [text_of(line) for line in last] == ["s      │ a much longer cell of many words"]


def test_a_late_row_for_which_there_is_no_room_is_a_record() -> None:
    rest = grid(["a", "b"], ["x", "yyyyyy"]).laid_out(12)[1]
    record, after = rest.with_row(cells(["12345678", "zzzz"])).laid_out(12)
    assert [text_of(line) for line in record] == ["", "a: 12345678", "b: zzzz"]
    assert after.after_record
    plain, _ = after.with_row(cells(["v", "w"])).with_row(cells(["x", "y"])).laid_out(12)
    assert [text_of(line) for line in plain] == ["", "v │ w", "x │ y"]


def test_a_late_row_that_needs_other_widths_has_them_alone() -> None:
    rest = grid(["a", "b"], ["x", "some words"]).laid_out(16)[1]
    late = rest.with_row(cells(["12345678", "some more"])).with_row(cells(["y", "z and more"]))
    assert drawn(late, 16) == ["12345678 │ some", "         │ more", "y │ z and more"]


def test_a_record_hangs_only_where_its_words_have_room_for_that() -> None:
    lines = grid(["a", "b"], ["1234567 1234567", "xxxxxxxxxx y"]).laid_out(10)[0]
    assert [text_of(line) for line in lines] == ["a: 1234567 1234567", "b: xxxxxxxxxx y"]
    assert {line.hang for line in lines if isinstance(line, Prose)} == {0}
    rows = [text_of(row) for line in lines for row in wrapped(line, 10)]  # type: ignore[arg-type]
    assert "xxxxxxxxxx" in rows


def test_after_the_terminal_got_narrower_the_columns_do_too() -> None:
    rest = grid(["a", "b"], ["some words", "many more words"]).laid_out(80)[1]
    lines, _ = rest.with_row(cells(["two words", "x"])).laid_out(14)
    assert [text_of(line) for line in lines] == ["two words │ x"]


CELLS = st.text("ab 你é", max_size=20).map(str.strip)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    columns = draw(st.integers(1, 5))
    row = st.lists(CELLS, min_size=columns, max_size=columns)
    return draw(st.lists(row, min_size=1, max_size=5))


@given(tables(), st.integers(1, 60))
def test_no_character_is_lost_and_columns_never_exceed_the_terminal(
    texts: list[list[str]], width: int
) -> None:
    header, *rows = texts
    lines, table = grid(header, *rows).laid_out(width)
    for line in lines:
        assert isinstance(line, Prose) or cell_len(text_of(line)) <= max(width, 2)
        assert not text_of(line).endswith(" ")
    if table.separator:
        seen = sorted(c for line in lines for c in text_of(line) if c not in " │─┼")
        assert seen == sorted(c for row in texts for cell in row for c in cell if c != " ")
    elif rows:  # each is a record with all the titles
        seen = sorted(c for line in lines for c in text_of(line) if c not in " :")
        told = [cell for row in rows for cell in (*header, *row)]
        assert seen == sorted(c for cell in told for c in cell if c != " ")


WORDS = st.text("ab1,", min_size=1, max_size=9)


@given(st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=2, max_size=4))
def test_every_word_that_the_terminal_can_hold_stands_whole_in_one_line(
    texts: list[list[str]],
) -> None:
    header, *rows = texts
    for width in range(9, 40):
        words = " ".join(drawn(grid(header, *rows), width)).replace("│", " ").split()
        assert all(word in words for row in rows for word in row)


@given(tables(), st.integers(1, 60))
def test_rows_laid_out_one_by_one_are_those_laid_out_together(
    texts: list[list[str]], width: int
) -> None:
    header, *rows = texts
    start, fixed = grid(header).laid_out(width)
    one_by_one: list[Line] = []
    rest = together = fixed
    for row in rows:
        styled = cells(row)
        lines, rest = rest.with_row(styled).laid_out(width)
        one_by_one += lines
        together = together.with_row(styled)
    assert one_by_one == together.laid_out(width)[0]
    assert start

"""Claimed: what one line or text of Markdown is, by itself, in time linear in its length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.sinks.scan import (
    Cursor,
    alert_of,
    box_of,
    cells_of,
    columns_of,
    cut_of,
    heading_of,
    is_rule,
    is_undecided,
    marker_of,
    row_of,
    underline_of,
)


@pytest.mark.parametrize(
    ("line", "indent", "content"),
    [
        ("", 0, ""),
        ("a  ", 0, "a  "),
        ("   a", 3, "a"),
        ("\ta", 4, "a"),
        ("  \ta", 4, "a"),
        ("    \ta", 8, "a"),
        (" \t \ta", 8, "a"),
        (" \t", 4, ""),
        ("\u00a0a", 0, "\u00a0a"),
    ],
)
def test_a_tab_goes_to_the_next_fourth_column(line: str, indent: int, content: str) -> None:
    at = Cursor(line)
    assert (at.indent, at.content, at.rest) == (indent, content, line)


@pytest.mark.parametrize(
    ("line", "width", "rest"),
    [
        ("    a", 2, "  a"),
        ("  a", 4, "a"),
        ("a", 4, "a"),
        ("\ta", 1, "   a"),
        ("\ta", 4, "a"),
        ("\t\ta", 2, "  \ta"),
        ("\t\ta", 4, "\ta"),
        ("\t\ta", 6, "  a"),
        ("  \ta", 3, " a"),
        ("a\tb", 4, "a\tb"),
    ],
)
def test_white_space_is_passed_by_columns(line: str, width: int, rest: str) -> None:
    at = Cursor(line)
    before = at.indent
    at.skip(width)
    assert at.rest == rest
    assert at.indent == before - min(width, before)
    assert at.content == rest.lstrip(" \t")


def test_columns_are_counted_from_the_beginning_of_the_line() -> None:
    at = Cursor("  >\t\ta")  # the first tab is one column wide
    at.pass_over(1)
    assert (at.indent, at.content) == (5, "a")
    at.skip(1)
    assert (at.rest, at.indent) == ("\ta", 4)


@given(st.text(" \t", max_size=12), st.lists(st.integers(0, 9), max_size=5))
def test_steps_over_white_space_add_up(blanks: str, widths: list[int]) -> None:
    once, several = Cursor(blanks + "a"), Cursor(blanks + "a")
    once.skip(sum(widths))
    for width in widths:
        several.skip(width)
    assert several.indent == once.indent
    assert len(several.rest.expandtabs(4)) >= 1
    assert several.content == once.content == "a"


@pytest.mark.parametrize(
    ("content", "kind", "number", "length"),
    [
        ("- a", "-", None, 1),
        ("+", "+", None, 1),
        ("*\ta", "*", None, 1),
        ("1. a", ".", 1, 2),
        ("007) a", ")", 7, 4),
        ("123456789. a", ".", 123456789, 10),
    ],
)
def test_an_item_begins_with_a_marker(
    content: str, kind: str, number: int | None, length: int
) -> None:
    marker = marker_of(content)
    assert marker is not None
    assert (marker.kind, marker.number, marker.length) == (kind, number, length)


@pytest.mark.parametrize(
    "content", ["a", "-a", "1.a", "1", "1234567890. a", "-1. a", "\u0663. a", "1: a", ". a"]
)
def test_anything_else_begins_no_item(content: str) -> None:
    assert marker_of(content) is None


@pytest.mark.parametrize(
    ("content", "interrupts"),
    [("- a", True), ("1. a", True), ("01) a", True), ("- ", False), ("1.", False), ("2. a", False)],
)
def test_only_some_items_begin_a_list_after_a_paragraph(content: str, interrupts: bool) -> None:
    marker = marker_of(content)
    assert marker is not None
    assert marker.interrupts == interrupts


@pytest.mark.parametrize(
    ("content", "heading"),
    [
        ("# a", (1, "a")),
        ("###### a  b ", (6, "a  b")),
        ("#", (1, "")),
        ("## ##", (2, "")),
        ("# a ##", (1, "a")),
        ("# a\t#  ", (1, "a")),
        ("# a#", (1, "a#")),
        ("# a # b", (1, "a # b")),
        ("# \\#", (1, "\\#")),
        ("####### a", None),
        ("#a", None),
        ("a", None),
    ],
)
def test_a_heading_has_a_level_and_a_text(content: str, heading: tuple[int, str] | None) -> None:
    assert heading_of(content) == heading


@pytest.mark.parametrize(
    ("content", "level"), [("=", 1), ("===  ", 1), ("-", 2), ("--\t", 2), ("= =", 0), ("==-", 0)]
)
def test_an_underline_is_one_run_of_one_sign(content: str, level: int) -> None:
    assert underline_of(content) == level


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        *(("***", True), ("- -\t-  ", True), ("____", True)),
        *(("--", False), ("-*-", False), ("+++", False), ("- - - a", False)),
    ],
)
def test_a_rule_is_three_signs(content: str, is_one: bool) -> None:
    assert is_rule(content) == is_one


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("|---|:-:|", ("default", "center")),
        (":-- | --:", ("left", "right")),
        ("--", ("default",)),
        ("-|", ("default",)),
        (":-:", ("center",)),
        ("-", ()),
        ("- | -", ()),
        ("|", ()),
        ("||", ()),
        ("|-||-|", ()),
        ("|:|", ()),
        ("|--|a", ()),
    ],
)
def test_the_row_of_delimiters_aligns_the_columns(content: str, columns: tuple[str, ...]) -> None:
    assert columns_of(content) == columns


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("| a | b |", ("a", "b")),
        ("a|b", ("a", "b")),
        ("a | b |\t", ("a", "b")),
        ("|a||b|", ("a", "", "b")),
        ("| |", ("",)),
        ("||", ("",)),
        ("|", ()),
        ("a \\| b | c", ("a | b", "c")),
        ("`\\|` | b", ("`|`", "b")),
    ],
)
def test_pipes_part_the_cells_of_a_row(content: str, cells: tuple[str, ...]) -> None:
    assert cells_of(content) == cells


@pytest.mark.parametrize(
    ("content", "columns", "cells"),
    [
        ("a | b", 2, ("a", "b")),
        ("a", 3, ("a", "", "")),
        ("|", 2, ("", "")),
        ("a|b|c|", 2, ("a", "b | c")),
        ("a|b", 1, ("a | b",)),
    ],
)
def test_a_row_has_as_many_cells_as_there_are_columns(
    content: str, columns: int, cells: tuple[str, ...]
) -> None:
    assert row_of(content, columns) == cells


@pytest.mark.parametrize(
    ("line", "undecided"),
    [
        *(("", True), ("> ", True), ("- ", True), ("12", True), ("12)", True), ("> ``", True)),
        *(("|--", True), ("a", False), ("- a", False), ("12 a", False), ("```py", False)),
    ],
)
def test_half_a_line_is_undecided_while_it_is_only_markup(line: str, undecided: bool) -> None:
    assert is_undecided(line) == undecided


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("aaaa bbbb cccc dddd", "aaaa bbbb cccc "),
        ("aaaa bbbb cc\ndd eeee ffff", "aaaa bbbb cc\n"),
        ("aa\nbbbb cccc dddd eeee", "aa\nbbbb cccc dddd "),
        ("aaaa bbbb **cc dddd** eeee", "aaaa bbbb "),
        ("aaaa bbbb *cc* dd _ee ff_ gg", "aaaa bbbb *cc* dd "),
        ("aaaa bbbb `cc ddddd` eeee", "aaaa bbbb "),
        ("aaaa bbbb `*` dd ee ff", "aaaa bbbb `*` dd ee "),
        ("aaaa bbbb ``c ` dddd`` eeee", "aaaa bbbb "),
        ("aaaa bbbb [cc dddd](eeee)", "aaaa bbbb "),
        ("aaaa bbbb [cc](d 'ee ffff')", "aaaa bbbb "),
        ("aaaa bbbb ~~cc dddd~~ eeee", "aaaa bbbb "),
        ("aaaa bbbb $cc ddddd$ eeee ffff", "aaaa bbbb "),
        ("aaaa bbbb $c d$ dd eeee ffff", "aaaa bbbb $c d$ dd "),
        ("aa \\(bb cc dd ee ff\\) ff", "aa "),
        ("\\(bb cc dd ee ff\\) ffff", "\\(bb cc dd ee ff\\) "),
        ("\\(bb cc dd ee ff gg\\) ff", "\\(bb cc dd ee ff "),
        ("aa $5 bb cc dd ee 6$ fffff", "aa $5 bb cc dd ee "),
        ("aaa 2 * 3 a_b :) cc dd ee", "aaa 2 * 3 a_b :) cc "),
        ("aaaa bbbb \\* cc dd ee", "aaaa bbbb \\* cc dd "),
        ("**aaaa bbbb cccc dddd eeee**", "**aaaa bbbb cccc "),
        ("aaaa bbbbbbbbbbbbbbbbbbbbbbb", "aaaa "),
        ("\u65e5\u672c\u8a9e\u3002\u65e5\u672c\u8a9e\u306e\u3002\u65e5\u672c" + "\u8a9e" * 20,
         "\u65e5\u672c\u8a9e\u3002\u65e5\u672c\u8a9e\u306e\u3002"),
        ("a" * 40, "a" * 20),
    ],
)  # fmt: skip
def test_a_long_text_is_cut_where_it_shows_least(text: str, before: str) -> None:
    longest = 16 if len(text) < 20 else 20
    assert text[: cut_of(text, longest)] == before


@given(st.text("a *`[(_~\n\\\u3002", min_size=21, max_size=80))
def test_a_cut_leaves_something_and_takes_something(text: str) -> None:
    assert 0 < cut_of(text, 20) <= 20


@pytest.mark.parametrize(
    ("content", "box", "text"),
    [
        ("[ ] a", "☐", "a"),
        ("[x] a", "☑", "a"),
        ("[X]\ta b", "☑", "a b"),
        *((text, "", text) for text in ("[ ]", "[x]a", "[y] a", "[] a", "a [x] b", "[x](y) a")),
    ],
)
def test_a_task_has_a_box_and_a_text(content: str, box: str, text: str) -> None:
    assert box_of(content) == (box, text)


@pytest.mark.parametrize(
    ("text", "label", "rest"),
    [
        ("[!NOTE]\na\nb", "Note", "a\nb"),
        ("[!tip]", "Tip", ""),
        ("[!Important] \na", "Important", "a"),
        ("[!WARNING]\n", "Warning", ""),
        ("[!CAUTION]\na", "Caution", "a"),
        *((text, "", text) for text in ("[!NOTE] a", "a [!NOTE]", "[!OTHER]\na", "[NOTE]\na")),
    ],
)
def test_an_alert_has_its_label_alone_in_the_first_line(text: str, label: str, rest: str) -> None:
    assert alert_of(text) == (label, rest)


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ("| `a | b` | union |", ("`a | b`", "union")),
        (r"| `a \| b` | union |", ("`a | b`", "union")),
        ("| ``a ` | b`` | c |", ("``a ` | b``", "c")),
        ("| a ` b | c ` d |", ("a ` b", "c ` d")),  # as many cells as there are columns
        ("| ` | c |", ("`", "c")),
        (r"| \`a | b\` |", (r"\`a", r"b\`")),
        ("| x || y | or |", ("x || y", "or")),
        ("| a || ", ("a", "")),
        ("| a | b | c |", ("a", "b | c")),
        ("a", ("a", "")),
    ],
)
def test_a_pipe_in_code_belongs_to_its_cell(content: str, cells: tuple[str, ...]) -> None:
    assert row_of(content, 2) == cells

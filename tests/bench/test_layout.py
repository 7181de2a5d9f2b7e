"""Claimed: figures have three digits and a unit that reads well, and widths are those of cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from chatstream.bench.layout import (
    Line,
    Span,
    cells,
    clean,
    cut,
    joined,
    name,
    number,
    prose,
    said,
    seconds,
    table,
    text_of,
    to_ascii,
)

ODD = st.text(
    "ab, .é\n\t\x00\x1b\x9b\x7f\u200b\u202e\u00ad\ud800日本\uff57😀\u0301❤\ufe0f…", max_size=60
)
"""Text of servers: controls, bidi marks, wide and combining characters, half a surrogate pair."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (3e-12, "<1 ns"),
        (4.2e-8, "42.0 ns"),
        (0.00005, "50.0 µs"),
        (0.0009994, "999 µs"),
        (0.0009996, "1.00 ms"),
        (0.0181, "18.1 ms"),
        (0.412, "412 ms"),
        (0.9996, "1.00 s"),
        (1.25, "1.25 s"),
        (999.7, "1000 s"),
        (86400.0, "86400 s"),
        (1.7e308, "1.70e+308 s"),
    ],
)
def test_a_time_has_three_digits_and_the_unit_that_reads_best(value: float, text: str) -> None:
    assert seconds(value) == text


@given(st.floats(min_value=1e-9, max_value=9e5))
def test_a_time_is_never_told_as_nothing_and_never_wrong_by_more_than_its_digits(
    value: float,
) -> None:
    figure, unit = seconds(value).split()
    told = float(figure) / {"ns": 1e9, "µs": 1e6, "ms": 1e3, "s": 1.0}[unit]
    assert told == pytest.approx(value, rel=0.0051)
    assert len(figure) <= 7


def test_plain_numbers_have_three_digits() -> None:
    values = (0.0, 0.00012, 0.0712, 1.0, 55.35, 999.6, 12345.6, 1e7)
    told = "0 1.20e-04 0.0712 1.00 55.4 1000 12346 1.00e+07"
    assert [number(it) for it in values] == told.split()


@given(ODD, st.integers(1, 30))
def test_remote_text_never_takes_more_cells_than_it_was_given(text: str, limit: int) -> None:
    for shown in (clean(text, limit), name(text, limit)):
        assert 0 <= wcswidth(shown) <= cells(shown) <= limit
        assert shown.isprintable()


def test_what_cannot_be_printed_becomes_a_question_mark_and_line_ends_become_blanks() -> None:
    assert clean("a\x1b[31mb\nc\u202ed", 20) == "a?[31mb c?d"


def test_a_long_text_loses_its_end_and_a_long_name_its_middle() -> None:
    assert clean("abcdefghij", 8) == "abcdefg…"
    assert clean("abcdefgh", 8) == "abcdefgh"
    assert name("qwen2.5-coder:32b, not streamed", 24) == "qwen2.5-code…ot streamed"
    assert name("日本語日本語日本語", 9) == "日本…本語"


def test_a_huge_message_costs_no_more_than_its_beginning() -> None:
    assert clean("x" * 10_000_000, 10) == "x" * 9 + "…"


def test_ascii_is_never_wider() -> None:
    text = "≈18.0 µs \u2013 │ 日本 …"
    assert to_ascii(text) == "~18.0 us - | ?? >"
    assert cells(to_ascii(text)) <= cells(text)


@given(st.lists(ODD.map(lambda it: clean(it, 60)), max_size=5), st.integers(1, 60))
def test_a_cut_line_fits_and_a_fitting_line_is_left_alone(texts: list[str], width: int) -> None:
    line: Line = [(it, "") for it in texts]
    shown, whole = text_of([cut(line, width)]), "".join(texts)
    assert cells(shown) <= width
    if cells(whole) <= width:
        assert cut(line, width) == line
    elif whole.strip():
        assert "".join(it for it, _ in cut(line, width)).endswith("…")


def test_what_is_said_goes_on_in_the_next_line_behind_its_label() -> None:
    parts: list[Span] = [("one two", ""), ("three", "good"), ("four", "")]
    assert text_of(said("label", parts, 28)) == "label     one two · three\n          four"
    assert text_of(said("label", parts, 60)) == "label     one two · three · four"
    assert text_of(said("label", parts, 17, most=2)) == "label     one two\n          three …"
    narrow = "label     one\n          two\n          three\n          four"
    assert text_of(said("label", parts, 15)) == narrow  # a part is broken between its words


def test_prose_breaks_between_words() -> None:
    lines = prose("warning", "many words\tthat need\nsome room", "warn", 25)
    assert text_of(lines) == "warning   many words that\n          need some room"
    assert {role for line in lines for text, role in line if text.strip()} == {"warn"}


ROWS: list[list[Span]] = [
    [("", ""), ("median", ""), ("max", "")],
    [("日本", ""), ("1.00 s", ""), ("3.00 s", "")],
    [("b", ""), ("10 ms", ""), ("2 s", "")],
]


def test_columns_stand_under_each_other_also_behind_wide_characters() -> None:
    assert text_of(table(ROWS, 40)) == "\n".join(
        [
            "      median     max",
            "日本  1.00 s  3.00 s",
            "b      10 ms     2 s",
        ]
    )


def test_a_table_moves_together_and_then_loses_its_last_columns() -> None:
    assert text_of(table(ROWS, 18)).splitlines()[2] == "b     10 ms    2 s"
    assert text_of(table(ROWS, 17)).splitlines()[2] == "b      10 ms"
    assert text_of(table(ROWS, 1)).splitlines()[2] == "b     10 ms"


def test_blocks_are_parted_by_a_blank_line_and_no_line_is_wider_than_there_is_room() -> None:
    blocks: list[list[Line]] = [[], [[("one", "")], [("µ" * 9, "")]], [], [[("two", "bold")]]]
    assert text_of(joined(blocks, 5)) == "one\nµµµµ…\n\ntwo"
    assert text_of(joined(blocks, 5, ascii_only=True)) == "one\nuuuu>\n\ntwo"
    assert joined([], 5) == []

"""The lines of a file that match: every line once, whatever its length and wherever reads end."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.tools.builtin import matching
from chatstream.tools.builtin.matching import found


@pytest.fixture(autouse=True)
def no_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be that of this process."""
    monkeypatch.setattr(matching, "_limit_time", lambda _: None)


def search(data: bytes, pattern: str, context: int = 0, most: int = 1000) -> Any:
    return found(cast(Any, BytesIO(data)), re.compile(pattern), context, most, 1.0)


@given(st.lists(st.text("ab\u00fc", max_size=5)), st.integers(1, 7), st.integers(0, 3))
def test_wherever_reads_end_the_lines_are_the_same(
    lines: list[str], block: int, context: int
) -> None:
    data = "\n".join(lines).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "BLOCK_BYTES", block)
        report = search(data, "a", context)
    text = data.decode().split("\n")
    near = {
        number + step
        for number, line in enumerate(text, 1)
        if "a" in line
        for step in range(-context, context + 1)
    }
    expected = [
        (number, "a" in line, line) for number, line in enumerate(text, 1) if number in near
    ]
    if text[-1] == "":  # the end of the last line begins no other
        expected = [it for it in expected if it[0] != len(text)]
    assert report["lines"] == expected


def test_a_line_of_any_length_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "BLOCK_BYTES", 10)
    monkeypatch.setattr(matching, "MOST_LINE_BYTES", 25)
    report = search(b"x" * 100 + b"needle\nneedle\n" + b"needle" + b"y" * 100, "needle")
    assert [number for number, _, _ in report["lines"]] == [2, 3]


def test_what_is_around_a_match_is_shown_of_a_long_line() -> None:
    report = search(b"x" * 5000 + b"needle" + b"y" * 5000, "needle")
    ((_, _, text),) = report["lines"]
    assert text.startswith("…x")
    assert "needle" in text
    assert len(text) == matching.SHOWN_CHARACTERS + 2


def test_it_stops_at_the_most_and_says_so() -> None:
    report = search(b"a\na\na\n", "a", most=2)
    assert report["more"]
    assert len(report["lines"]) == 2
    assert "more" not in search(b"a\na\n", "a", most=2)


def test_a_file_with_a_nul_byte_is_binary() -> None:
    assert search(b"a\0", "a") == {"binary": True}


def test_the_end_of_a_line_is_not_part_of_it() -> None:
    assert search(b"a\r\nb\r\n", "[ab]$")["lines"] == [(1, True, "a"), (2, True, "b")]


def test_bytes_that_are_no_text_do_not_end_the_search() -> None:
    report = search(b"caf\xe9\na\n", "a$")
    assert report["lines"] == [(2, True, "a")]

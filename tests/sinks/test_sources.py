"""Claimed: the sources of an answer are listed once each, with the numbers that the text has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.sinks.sources import HEADING, MAX_SOURCES, Sources

A, B, C = (f"https://{name}.example/" for name in "abc")
RESET = ev.Retry(attempt=2, max=2, delay=0.0, cause="cut", action="reset")
GOING_ON = ev.Retry(attempt=2, max=2, delay=0.0, cause="cut", action="continue")


def listed(*events: ev.Event) -> list[str]:
    """The lines below the heading."""
    sources = Sources()
    for event in events:
        sources.note(event)
    lines = sources.lines()
    assert lines[:1] == ([HEADING] if lines else [])
    return lines[1:]


CASES: list[Any] = [
    pytest.param([], [], id="none"),
    pytest.param([ev.Metadata(), ev.Usage()], [], id="other-events"),
    pytest.param(
        [ev.Citation(A, number=1), ev.Citation(B, number=2)], [f"[1] {A}", f"[2] {B}"], id="numbers"
    ),
    pytest.param(
        [ev.Citation(A, "A"), ev.Citation(B, "B")], [f"[1] A · {A}", f"[2] B · {B}"], id="titles"
    ),
    pytest.param(
        [ev.Citation(B, number=2), ev.Citation(A, number=1), ev.Citation(B, number=2)],
        [f"[2] {B}", f"[1] {A}"],
        id="with-each-piece-of-the-text",
    ),
    pytest.param(
        [ev.Citation(A, number=1), ev.Citation(A, number=3)],
        [f"[1] {A}", f"[3] {A}"],
        id="one-source-with-two-numbers",
    ),
    pytest.param(
        [ev.Citation(A, "A"), ev.Citation(A, number=5), ev.Citation(A, "later")],
        [f"[5] A · {A}"],
        id="the-title-apart-from-the-number",
    ),
    pytest.param(
        [ev.Citation(A, number=7), ev.Citation(B, "B")], [f"[7] {A}", f"[8] B · {B}"], id="mixed"
    ),
    pytest.param([ev.Citation(A, A)], [f"[1] {A}"], id="a-title-that-says-nothing"),
    pytest.param([ev.Citation(A), RESET, ev.Citation(B)], [f"[1] {B}"], id="reset"),
    pytest.param(
        [ev.Citation(A, "A"), ev.Metadata(restart=True), ev.Citation(A)], [f"[1] {A}"], id="restart"
    ),
    pytest.param(
        [ev.Citation(A), GOING_ON, ev.Metadata(), ev.Citation(B)],
        [f"[1] {A}", f"[2] {B}"],
        id="gone-on-with",
    ),
]


@pytest.mark.parametrize(("events", "lines"), CASES)
def test_each_source_is_listed_once_with_its_number(
    events: list[ev.Event], lines: list[str]
) -> None:
    assert listed(*events) == lines


def test_very_many_sources_are_counted() -> None:
    lines = listed(*(ev.Citation(f"{A}{n}") for n in range(MAX_SOURCES + 23)))
    assert lines[MAX_SOURCES - 1] == f"[{MAX_SOURCES}] {A}{MAX_SOURCES - 1}"
    assert lines[MAX_SOURCES:] == ["and 23 more; --json has them all"]


def test_an_address_is_not_cut_and_a_title_is() -> None:
    address = A + "x" * 2000
    (line,) = listed(ev.Citation(address, "t" * 5000))
    assert line.endswith(f" · {address}")
    assert len(line) < 2300


@settings(deadline=None)
@given(
    st.lists(st.builds(ev.Citation, st.text(), st.none() | st.text(), st.none() | st.integers()))
)
def test_no_line_drives_a_terminal_or_looks_like_two(citations: list[ev.Citation]) -> None:
    for line in listed(*citations):
        assert clean(line) == line
        assert "\n" not in line

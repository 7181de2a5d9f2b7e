"""Claimed: an open paragraph and an open formula know, after each line, what may follow."""

from __future__ import annotations

import pytest

from chatstream.sinks.paragraphs import Display, Text


@pytest.mark.parametrize(
    ("lines", "formula"),
    [
        (["a"], ""),
        ([r"a \("], r"\)"),
        ([r"a \(", "- b"], r"\)"),
        ([r"a \(", r"- b\) c"], ""),
        ([r"a \(", r"- b\) $$"], "$$"),
        (["a `", r"\("], r"\)"),
    ],
)
def test_a_paragraph_knows_which_formula_is_open(lines: list[str], formula: str) -> None:
    first, *others = lines
    text = Text.of(first)
    for line in others:
        text = text.with_line(line, header=True)
    assert text == Text("\n".join(lines), formula=formula)


def test_a_line_that_came_in_parts_counts_when_it_is_whole() -> None:
    text = Text(r"a \(" + "\n" + r"b\) c $$", formula=r"\)")
    assert text.with_line_ended().formula == "$$"


@pytest.mark.parametrize(
    ("line", "begun", "parts"),
    [
        ("a", 0, ("a", None)),
        ("$$", 2, ("$$", None)),
        ("$$", 0, ("$$", "")),
        ("$$a$$", 2, ("$$a$$", "")),
        ("a $$.", 0, ("a $$.", "")),
        ("a $$, b", 0, ("a $$,", "b")),
        (r"a \$$", 0, (r"a \$$", None)),
        (r"a \\$$ ", 0, (r"a \\$$", "")),
    ],
)
def test_a_formula_ends_with_its_delimiter_and_a_mark_after_it(
    line: str, begun: int, parts: tuple[str, str | None]
) -> None:
    assert Display("$$", 0).parted(line, begun) == parts

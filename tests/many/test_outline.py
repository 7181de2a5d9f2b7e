"""Claimed: an outline is read as it was meant, and each section is told all of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream import schemas
from chatstream.errors import UsageError
from chatstream.many import outline
from chatstream.many.outline import MOST_SECTIONS, PAGE, Outline


def read(text: str) -> list[tuple[str, str]]:
    """The headings of a file, each with its notes."""
    return [(it.heading, it.notes) for it in outline.of_file(text, "file", "topic").sections]


def test_markdown_headings_are_sections_and_what_is_below_them_is_notes() -> None:
    text = "# Title\nan abstract\n## One\nfirst\n### deeper\nsecond\n\n## Two ##\n"
    found = outline.of_file(text, "file", "topic")
    assert found.title == "Title"
    assert read(text) == [("One", "first\n### deeper\nsecond"), ("Two", "")]
    assert [it.opens for it in found.sections] == ["## One\n\n", "## Two\n\n"]


@pytest.mark.parametrize(
    ("text", "title", "headings"),
    [
        ("# One\n# Two\n", "topic", ["One", "Two"]),
        ("# One\n", "topic", ["One"]),
        ("## One\n# Two\n", "topic", ["Two"]),
        ("# Title\n### One\n## Two\n### Three\n", "Title", ["Two"]),
        ("One\n\nTwo\n", "topic", ["One", "Two"]),
        ("- One\n  - a note\n- Two\n", "topic", ["One", "Two"]),
        ("1. One\n2) Two\n* Three", "topic", ["One", "Two", "Three"]),
        ("One #1\n#hash\n", "topic", ["One #1", "hash"]),
    ],
)
def test_an_outline_in_a_file(text: str, title: str, headings: list[str]) -> None:
    found = outline.of_file(text, "file", "topic")
    assert (found.title, [it.heading for it in found.sections]) == (title, headings)


def test_indented_lines_are_notes() -> None:
    assert read("One\n  first\n\tsecond\nTwo") == [("One", "first\nsecond"), ("Two", "")]


@pytest.mark.parametrize("text", ["", "\n \n", "#\n##\n", "# \n"])
def test_a_file_without_sections_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no sections"):
        outline.of_file(text, "plan.txt", "topic")


def test_a_file_with_too_many_sections_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 100"):
        outline.of_file("x\n" * (MOST_SECTIONS + 1), "plan.txt", "topic")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = outline.of_file(text, "file", "topic")
    except UsageError:
        return
    assert found.sections
    for it in found.sections:
        assert it.heading == " ".join(it.heading.split())
        assert it.heading


@pytest.mark.parametrize("count", [None, 1, 7])
def test_the_schema_is_one_and_asks_for_the_number(count: int | None) -> None:
    schema = outline.schema(count)
    schemas.check(schema)
    section = {"heading": "One", "notes": "", "words": 100}
    value = {"title": "T", "sections": [section] * (count or 4)}
    assert schemas.mistake(schema, value) is None
    assert schemas.mistake(schema, {**value, "sections": []}) is not None
    if count:
        assert schemas.mistake(schema, {**value, "sections": [section] * (count + 1)}) is not None
        assert f"exactly {count} sections" in outline.question("topic", count)


def test_the_outline_of_a_model_has_sound_headings_and_weights() -> None:
    sections = [
        {"heading": "# One\nmore", "notes": " about ", "words": 0},
        {"heading": " ", "notes": "", "words": 5},
        {"heading": "Two", "notes": "", "words": 10**9},
    ]
    found = outline.of_answer(json.dumps({"title": "", "sections": sections}), "the topic")
    assert found.title == "the topic"
    assert [(it.heading, it.notes, it.words) for it in found.sections] == [
        ("One more", "about", 20),
        ("Two", "", 3000),
    ]


@pytest.mark.parametrize("answer", ["", "{}", '{"title": "T", "sections": []}', "[]", "nonsense"])
def test_an_answer_that_is_no_outline_is_refused(answer: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's own words, or ours
        outline.of_answer(answer, "topic")


def test_a_long_topic_is_no_title() -> None:
    assert outline.title_of("How rainbows form") == "How rainbows form"
    assert outline.title_of("word " * 100) == ""
    assert outline.title_of("one\ntwo") == ""


@pytest.mark.parametrize("plan", [PAGE, outline.of_file("# T\n## A\nx\n## B\n", "f", "topic")])
def test_each_section_is_told_the_topic_the_outline_and_its_place(plan: Outline) -> None:
    asked = [outline.request("the topic", plan, at) for at in range(1, len(plan.sections) + 1)]
    assert len({*asked}) == len(plan.sections)
    for number, (text, section) in enumerate(zip(asked, plan.sections, strict=True), 1):
        assert "the topic" in text
        assert all(it.heading in text for it in plan.sections)
        assert f"Write only section {number}, “{section.heading}”" in text
        assert section.notes in text


def test_labels_differ_even_if_headings_do_not() -> None:
    plan = outline.of_file("Same\nSame\n", "file", "topic")
    assert plan.labels == ["1 Same", "2 Same"]

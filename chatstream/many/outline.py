"""The outline of a document: its sections, their contents, and the prompts for a model.

1. An outline comes from a model, as JSON by `schema`, or from a file, or is that of a web page.
2. In a file with Markdown headings, the first heading is the title if no other has its level. The
   sections are the headings of the next level, and all text below a heading is its notes. In any
   other file, each line is a heading, and indented lines below it are its notes; list markers are
   ignored.
3. A section is a part of the Markdown document: `opens`, what the model writes, and an empty line.
4. Its weight is its number of words, if known.
5. The prompt for a section has the topic, the whole outline, and the section's place in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from chatstream import schemas
from chatstream.errors import UsageError

MOST_SECTIONS = 100

_USUAL_WORDS = 250
_FEWEST_WORDS, _MOST_WORDS = 20, 3000
_TITLE_CHARACTERS = 120  # a longer topic is no title

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$")
_MARKER = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]+")


class Section(msgspec.Struct, frozen=True):
    """One section. `notes` say what it is about, `opens` is what stands before its text."""

    heading: str
    notes: str = ""
    words: int = _USUAL_WORDS
    opens: str = ""


class Outline(msgspec.Struct, frozen=True):
    """The sections of a document. `title` is "" where it has none."""

    title: str
    sections: tuple[Section, ...]

    @property
    def labels(self) -> list[str]:
        """A name for each section that no other one has."""
        return [f"{number} {it.heading}" for number, it in enumerate(self.sections, 1)]


class _Planned(msgspec.Struct):
    heading: str
    notes: str
    words: int


class _Answer(msgspec.Struct):
    title: str
    sections: list[_Planned]


_answer = msgspec.json.Decoder(_Answer)

PAGE = Outline(
    "",
    (
        Section("Headline", "One line of at most ten words, without a period.", 20, "# "),
        Section("Subheadline", "One sentence that says what the reader gains.", 30, "## "),
        Section("Body", "Two to four short paragraphs: the problem, the offer, and proof.", 220),
        Section("Call to action", "One short, direct sentence that asks the reader to act.", 20),
    ),
)
"""A web page."""


def schema(sections: int | None) -> schemas.Schema:
    """What the answer to `question` has to fit."""
    text: schemas.Schema = {"type": "string"}
    number: schemas.Schema = {"type": "integer"}
    its = schemas.table({"heading": text, "notes": text, "words": number})
    count = {"minItems": sections or 1, "maxItems": sections or MOST_SECTIONS}
    return schemas.table({"title": text, "sections": {"type": "array", "items": its, **count}})


def question(topic: str, sections: int | None) -> str:
    """What a model is asked for an outline."""
    count = f"exactly {sections} sections" if sections else "three to eight sections"
    return (
        "Write the outline of a document, in the language of the topic, as JSON: its title, and "
        f"{count} in the order in which they are read. Each section has a heading without a "
        "number, notes on what it covers in one or two sentences, and the number of words that it "
        f"should have. No two sections cover the same.\n\nTopic: {topic}"
    )


def request(topic: str, outline: Outline, number: int) -> str:
    """What a model is asked for the section with this number, from 1."""
    section = outline.sections[number - 1]
    title = f" of the document “{outline.title}”" if outline.title else ""
    plan = "\n".join(
        f"{at}. {it.heading}{f': {_one_line(it.notes)}' if it.notes else ''}"
        for at, it in enumerate(outline.sections, 1)
    )
    notes = f"\nWhat it covers:\n{section.notes}\n" if section.notes else ""
    return (
        f"You write one section{title}; the others are written at the same time.\n\n"
        f"Topic: {topic}\n\nOutline:\n{plan}\n\n"
        f"Write only section {number}, “{section.heading}”, in about {section.words} words, in the "
        f"language of the topic.\n{notes}\n"
        "Begin with the text: the heading is already there. Do not repeat what belongs to other "
        "sections. Use Markdown, with no headings above the third level."
    )


def of_answer(answer: str, topic: str) -> Outline:
    """The outline that a model has given by `schema`. Raises `ValueError` for one without use."""
    found = _answer.decode(answer)
    sections = [
        _section(heading, it.notes, it.words)
        for it in found.sections
        if (heading := _one_line(it.heading))
    ]
    if not sections:
        raise ValueError("the outline has no sections")
    return Outline(_one_line(found.title) or title_of(topic), tuple(sections))


def of_file(text: str, name: str, topic: str) -> Outline:
    """The outline in the text of a file. Raises `UsageError`."""
    lines = text.splitlines()
    marked = any(map(_HEADING.match, lines))
    title, parts = _of_markdown(lines) if marked else ("", _of_lines(lines))
    if not parts:
        raise UsageError(
            f"{name} has no sections", hint="an outline has a heading on each line, notes below it"
        )
    if len(parts) > MOST_SECTIONS:
        raise UsageError(f"{name} has {len(parts)} sections; at most {MOST_SECTIONS} are possible")
    sections = tuple(_section(heading, "\n".join(notes).strip()) for heading, notes in parts)
    return Outline(title or title_of(topic), sections)


def heading_in(line: str) -> str:
    """The words of a heading of Markdown; "" for any other line."""
    heading = _HEADING.match(line)
    return _one_line(heading[2]) if heading else ""


def title_of(topic: str) -> str:
    """The topic as a title; "" if it is too long for one."""
    title = _one_line(topic)
    return title if len(title) <= _TITLE_CHARACTERS and "\n" not in topic.strip() else ""


def _section(heading: str, notes: str, words: int = _USUAL_WORDS) -> Section:
    count = min(max(words, _FEWEST_WORDS), _MOST_WORDS)
    return Section(heading, notes.strip(), count, f"## {heading}\n\n")


Parts = list[tuple[str, list[str]]]


def _of_markdown(lines: Sequence[str]) -> tuple[str, Parts]:
    found = [(len(it[1]), _one_line(it[2])) for it in map(_HEADING.match, lines) if it]
    levels = [level for level, _ in found]
    has_title = len(found) > 1 and levels[0] < min(levels[1:])
    level = min(levels[1:] if has_title else levels)
    parts: Parts = []
    for line in lines:
        heading = _HEADING.match(line)
        if heading and len(heading[1]) == level and _one_line(heading[2]):
            parts.append((_one_line(heading[2]), []))
        elif parts:
            parts[-1][1].append(line.rstrip())
    return found[0][1] if has_title else "", parts


def _of_lines(lines: Sequence[str]) -> Parts:
    parts: Parts = []
    for line in lines:
        if not line.strip():
            continue
        if parts and line[0].isspace():
            parts[-1][1].append(line.strip())
        else:
            heading = _one_line(_MARKER.sub("", line.strip(), count=1))
            parts.append((heading, []))
    return [part for part in parts if part[0]]


def _one_line(text: str) -> str:
    return " ".join(text.split()).lstrip("#").strip()

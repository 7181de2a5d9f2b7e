"""Claimed: who answers a question has seen the whole call, and each character of it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.sinks.questions import question_lines, spelled_out


def lines(name: str = "f", **parameters: object) -> list[str]:
    question = ev.Approval("1", name, "ask", "default", parameters)
    return [it.text for it in question_lines(question)]


def test_each_argument_is_a_line_and_a_text_of_lines_has_its_lines() -> None:
    assert lines("write", path="a b ", mode=0o644, text="one\n  two\n", tags=["é", None]) == [
        "The model wants to run write:",
        '  path: "a b "',
        "  mode: 420",
        "  text:",
        "  │ one",
        "  │   two",
        "  │ ",
        '  tags: ["é", null]',
    ]


def test_a_call_without_arguments_says_so() -> None:
    assert lines("now") == ["The model wants to run now:", "  without arguments"]


def test_nothing_is_cut() -> None:
    text = "x" * 100_000
    assert lines(command=text)[1] == f'  command: "{text}"'
    assert len(lines(text="\n" * 5000)) == 5003


SPELLED = [
    ("plain, é, 日本, 😀", "plain, é, 日本, 😀"),
    ("a\x1b[2Jb", "a\\x1b[2Jb"),
    ("a\u200bb", "a\\u200bb"),
    ("a\u202eb", "a\\u202eb"),
    ("a\xa0b", "a\\xa0b"),
    ("a\u3164b\u2800c", "a\\u3164b\\u2800c"),
    ("a\U000e0041b", "a\\U000e0041b"),
    ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
    ("\ud800", "\\ud800"),
    ("❤\ufe0f", "❤\\ufe0f"),
]


@pytest.mark.parametrize(("text", "spelled"), SPELLED)
def test_what_cannot_be_seen_is_spelled_out(text: str, spelled: str) -> None:
    assert spelled_out(text) == spelled


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_every_character_can_be_seen(name: str, value: str) -> None:
    for line in lines(name, **{"x" + name: value}):
        assert clean(line) == line
        assert line.isprintable()
        hidden = [it for it in line if unicodedata.category(it) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
        assert hidden == []

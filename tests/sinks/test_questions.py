"""Claimed: who answers a question has seen the whole call, and each character of it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.sinks.questions import choice, comes_first, question_lines, spelled_out


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
    ("a\u2d7fb\U0001d159c", "a\\u2d7fb\\U0001d159c"),
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


# ---- a diff

DIFF = (
    "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n one\n--- two\n+++ \u202etwo\n\\ No newline at end\n"
)


def asked(*, whole: bool = False, preview: str | None = DIFF) -> list[tuple[str, str]]:
    arguments = {"path": "x.py", "text": "one\n++ two\n", "last": "a\nb"}
    question = ev.Approval("1", "write", "ask", "default", arguments, preview)
    return [(it.text, it.kind) for it in question_lines(question, whole=whole)]


SHOWN_DIFF = [
    ("  │ --- a/x.py", "place"),
    ("  │ +++ b/x.py", "place"),
    ("  │ @@ -1,2 +1,2 @@", "place"),
    ("  │  one", "argument"),
    ("  │ --- two", "removed"),
    ("  │ +++ \\u202etwo", "added"),
    ("  │ \\ No newline at end", "argument"),
]


def test_a_diff_stands_for_the_texts_that_it_shows() -> None:
    assert asked() == [
        ("The model wants to run write:", "call"),
        ('  path: "x.py"', "argument"),
        ("  text: 2 lines", "argument"),
        ("  last: 2 lines", "argument"),
        *SHOWN_DIFF,
    ]


def test_all_of_a_call_has_its_texts_and_the_diff() -> None:
    lines = asked(whole=True)
    assert lines == [*asked(preview=None), *SHOWN_DIFF]
    assert ("  │ ++ two", "argument") in lines


def test_without_a_diff_all_is_shown_at_once() -> None:
    assert asked(whole=True, preview=None) == asked(preview=None)
    assert asked(preview="") != asked(preview=None), "an empty diff says that nothing changes"


@given(st.text(st.characters(), max_size=40))
def test_every_character_of_a_diff_can_be_seen(diff: str) -> None:
    for text, _ in asked(preview=diff):
        assert clean(text) == text
        assert text.isprintable()


# ---- what hides


BIDI = [chr(it) for it in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C)]
TAGS = [chr(it) for it in range(0xE0000, 0xE0080)]
SELECTORS = [chr(it) for it in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))]
UNSEEN = [
    *(chr(it) for it in (0xAD, 0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180E, 0x3164)),
    *(chr(it) for it in (0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x2060, 0x2800, 0xFEFF, 0xFFA0)),
    *(chr(it) for it in (0xA0, 0x2003, 0x202F, 0x3000, 0xFFF9, 0x1D173, 0xFFFC, 0xE000)),
    *(chr(it) for it in (0x1D159, 0x16FE4, 0x13441, 0x13442)),
]


@pytest.mark.parametrize("around", ["a{}b", "{}", "🏴{}", "❤{}", "中{}文", "म{}म", "{0}{0}"])
def test_what_hides_is_spelled_out_wherever_it_stands(around: str) -> None:
    """Also where an answer may have it: whoever approves reads, and does not admire."""
    for hidden in (*BIDI, *TAGS, *SELECTORS, *UNSEEN):
        text = spelled_out(around.format(hidden))
        assert hidden not in text, f"U+{ord(hidden):04X}"
        assert f"{ord(hidden):x}" in text


def test_letters_that_look_alike_are_shown_as_they_are() -> None:
    """Nobody is warned of them: whole languages would be."""
    for text in ("p\u0430ypal", "\u0397ello", "\u0440\u0430ypal", "e\u0301cole", "\uff21"):
        assert spelled_out(text) == text


def test_that_a_stranger_may_have_asked_is_said_first() -> None:
    question = ev.Approval("1", "shell", "ask", "taint", {"command": "ls"})
    assert question.is_question
    first, second, _ = question_lines(question)
    assert first.text == "Text from outside is in the conversation. It may have asked for this:"
    assert second.text == "The model wants to run shell:"


def test_always_is_offered_only_where_it_is_an_answer() -> None:
    question = ev.Approval("1", "f", "ask", "rule")
    assert choice(question) == "Run it? y yes · a always · n no · d all"
    assert choice(replace(question, once=True)) == "Run it? y yes · n no · d all"


@pytest.mark.parametrize(
    ("line", "first"), [("", False), ("y", False), ("yy", False), ("a ", True)]
)
def test_a_line_that_has_begun_comes_before_the_answer_and_an_early_key_does_not(
    line: str, first: bool
) -> None:
    assert comes_first(line) is first

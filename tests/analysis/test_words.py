"""Prose to words and sentences, one by one and whatever the cuts; the rule against a pattern."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.analysis.words import (
    MAX_WORD_CHARACTERS,
    PAIR,
    REFERENCE,
    SENTENCE,
    Words,
    is_single,
)
from tests.support.sampling import examples

LANGUAGES = (
    "aZéße\u0301\u0130Жשम\u093fก\u0e33漢字ひカー한글09\u0663'\u2019·.,_-!? \n\t\u200d\xad"
    '\u3002\uff01[](){}"\u201c\u201d«»*`:/😀🇫🇷'
)


def words(text: str) -> list[str]:
    reader = Words()
    return reader.feed(text) + reader.finish()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is here.", "it is here ."),
        ("Don't stop", "don't stop ."),
        ("Don\u2019t stop", "don't stop ."),  # the same word
        ("'quoted' words'", "quoted words ."),
        ("3.14 and 1,000 or 7.", "3.14 and 1,000 or 7 ."),
        ("a snake_case _emphasis_", "a snake_case emphasis ."),
        ("state-of-the-art", "state of the art ."),
        ("cafe\u0301 café CAFÉ", "café café café ."),
        ("co\xadoperate", "cooperate ."),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u062e\u0648 ."),
        ("हिन्दी में", "हिन्दी में ."),
        ("한국어 문장", "한국어 문장 ."),
        ("😀 🇫🇷", ""),
        ("\u0301 x", "x ."),  # a mark without a letter
    ],
)
def test_a_word_is_letters_digits_and_marks(text: str, said: str) -> None:
    assert words(text) == [unicodedata.normalize("NFC", it) for it in said.split()]


def test_each_character_of_a_script_without_spaces_is_a_word_and_neighbours_are_pairs() -> None:
    assert words("漢字。") == ["漢", "+漢字", "字", SENTENCE]
    assert words("字、の字") == ["字", "の", "字", SENTENCE]  # with Hiragana there is no pair
    assert [it for it in words("ไทย") if it[0] != PAIR] == ["ไ", "ท", "ย", SENTENCE]
    assert [it for it in words("か\u3099き") if it[0] != PAIR] == ["が", "き", SENTENCE]
    assert words("用API") == ["用", "api", SENTENCE]
    assert [is_single(it) for it in ("漢", "한국", "api")] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four…", 4),
        ("No mark at the end", 1),
        ("E.g. this, i.e. one. Then another.", 2),
        ("It is, e.g. here, one.", 1),
        ("See example.com or 3.5 for it.", 1),
        ("“Really?” she asked. (Yes.) No.", 3),
        ("1. First\n2. Second\n- third\n\n\n", 3),
        ("1. 2. 3.", 0),  # no word with a letter
        ("多い。少ない\uff01", 2),
        ("Wait... what? **Bold.** Next", 3),
        ("", 0),
    ],
)
def test_a_sentence_ends_with_its_mark_and_a_space_or_with_its_line(
    text: str, sentences: int
) -> None:
    assert words(text).count(SENTENCE) == sentences


def test_a_number_in_brackets_is_a_reference() -> None:
    assert words("so [1], [22].").count(REFERENCE) == 2
    assert words("so [a1] [1a] 1] [ ] [1").count(REFERENCE) == 0


def test_of_a_long_word_the_beginning_is_kept() -> None:
    reader = Words()
    for _ in range(1000):
        assert reader.feed("x" * 1000) == []
    assert reader.finish() == ["x" * MAX_WORD_CHARACTERS, SENTENCE]


def test_after_the_end_another_text_begins() -> None:
    reader = Words()
    assert reader.feed("one tw") + reader.finish() == ["one", "tw", SENTENCE]
    assert reader.feed("o [1") + reader.finish() + reader.feed("]") == ["o", "1", SENTENCE]


@settings(max_examples=examples(500), deadline=None)
@given(st.text(alphabet=st.sampled_from(LANGUAGES), max_size=40), st.data())
def test_where_a_text_is_cut_makes_no_difference(text: str, data: st.DataObject) -> None:
    reader, said, at = Words(), [], 0
    while at < len(text):
        end = data.draw(st.integers(at + 1, len(text)))
        said += reader.feed(text[at:end])
        at = end
    assert said + reader.finish() == words(text)


@settings(max_examples=examples(500), deadline=None)
@given(st.text(alphabet=st.sampled_from(LANGUAGES), max_size=40))
def test_words_are_those_of_the_rule_read_from_the_whole_text(text: str) -> None:
    """The rule again, as the whole text has it: no state, and another way to find the words."""
    assert [it for it in words(text) if it[0] not in f"{PAIR}{SENTENCE}{REFERENCE}"] == whole(text)


def whole(text: str) -> list[str]:
    text = "".join(it for it in text if unicodedata.category(it) != "Cf").replace("\u2019", "'")
    kinds = [kind(it) for it in text]
    found: list[str] = []
    at = 0
    while at < len(text):
        end = at
        if kinds[at] == "one":
            end += 1
            while end < len(text) and kinds[end] == "mark":
                end += 1
        elif kinds[at] in {"letter", "digit"}:
            last = kinds[at]
            while end < len(text):
                following = kinds[end + 1] if end + 1 < len(text) else ""
                if kinds[end] in {"letter", "digit"}:
                    last = kinds[end]
                elif kinds[end] != "mark" and not (
                    (text[end] == "_" and following in {"letter", "digit"})
                    or (text[end] in "'·" and last == following == "letter")
                    or (text[end] in ".," and last == following == "digit")
                ):
                    break
                end += 1
        if end > at:
            found.append(unicodedata.normalize("NFC", text[at:end].lower()))
        at = max(end, at + 1)
    return found


def kind(character: str) -> str:
    if is_single(character):
        return (
            "one"
            if unicodedata.category(character)[0] == "L"
            else {"M": "mark"}.get(
                unicodedata.category(character)[0], "digit" if character.isdigit() else ""
            )
        )
    return {"L": "letter", "N": "digit", "M": "mark"}.get(unicodedata.category(character)[0], "")

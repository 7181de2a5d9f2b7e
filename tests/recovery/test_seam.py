"""Claimed: at the seam nothing is lost and nothing is there twice, whatever the server does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.recovery.seam import MAX_OVERLAP_CHARACTERS, Diverged, Seam
from tests.support.sampling import examples

WORDS = (
    "A stream is a sequence of pieces that arrive one after another, and what has arrived is "
    "shown at once. When it breaks off, somebody has to find the place where it goes on."
)


def join(
    text: str, *pieces: str, words: bool = False, repeats: bool = False, resent: str = ""
) -> str:
    """The text, and what goes on after it."""
    seam = Seam(text, words=words, repeats=repeats, resent=resent)
    new = [seam.feed(piece) for piece in pieces]
    return "".join([text, *new, seam.finish()])


def unlike(seed: int, length: int) -> str:
    """A text of which no two characters are alike."""
    return "".join(map(chr, random.Random(seed).sample(range(0x4E00, 0x9FFF), length)))


def cut(text: str, cuts: list[int]) -> Iterator[str]:
    ends = sorted({0, len(text), *(at for at in cuts if at < len(text))})
    return (text[a:b] for a, b in pairwise(ends))


SEEDS = st.integers(0, 2**32)
CUTS = st.lists(st.integers(1, 600), max_size=12)
MANY = settings(max_examples=examples(150))


# ---- true continuations


@MANY
@given(SEEDS, st.integers(2, 600), st.integers(1, 599), CUTS)
def test_what_goes_on_truly_is_whole(seed: int, length: int, k: int, cuts: list[int]) -> None:
    text = unlike(seed, length)
    k = min(k, length - 1)
    for words in (False, True):
        assert join(text[:k], *cut(text[k:], cuts), words=words) == text


PERIODIC = [
    "=" * 60,
    "-" * 300,
    "ha " * 12 + "ha",
    "test " * 9,
    "abcd" * 30,
    "na na na na na na na na hey hey hey",
    "|---" * 12 + "|\n",
    "| a | b |\n|---|---|\n" + "| 0 | 0 |\n" * 8,
    "0 | 0 | 0 | 0 | 0 |\n| 0 | 0 | 0 | 0 | 0 |\n",
    "    x\n" * 7,
    "{\n        {\n            {\n            }\n        }\n}\n",
    "\n\n\n\n\n\n",
    "Here it is:\n\n```python\n" + "    counter += step * 2\n" * 4 + "```\n",
    "A grid:\n\n" + "| 0 | 0 | 0 | 0 | 0 |\n" * 5 + "\nAnd that is all of it.",
    "1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n",
]


@pytest.mark.parametrize("text", PERIODIC, ids=lambda text: repr(text[:20]))
def test_text_that_repeats_itself_loses_nothing_when_it_goes_on_truly(text: str) -> None:
    for k in range(1, len(text)):
        for size in (1, 3, len(text)):
            rest = text[k:]
            pieces = (rest[at : at + size] for at in range(0, len(rest), size))
            assert join(text[:k], *pieces) == text, f"cut at {k}, in pieces of {size}"


@pytest.mark.parametrize("k", range(1, len(WORDS)))
def test_prose_goes_on_truly_at_any_cut(k: int) -> None:
    assert join(WORDS[:k], WORDS[k:]) == WORDS
    assert join(WORDS[:k], *WORDS[k:]) == WORDS


def test_a_repetition_shorter_than_chance_explains_is_none() -> None:
    """Fifteen characters; sixteen are told from chance, see below."""
    assert join("It is said: fifteen letters", "fifteen letters.") == (
        "It is said: fifteen lettersfifteen letters."
    )


def test_an_overlap_of_two_lengths_is_none() -> None:
    line = "|-----------------|"
    text = f"# A table\n\n{line}{line}{line}"
    assert join(text, line, line) == text + line + line


def test_an_answer_that_ends_within_its_own_beginning_goes_on_truly() -> None:
    text = "The end of it is the beginning. Again: "
    assert join(text, "The end of it is the be") == text + "The end of it is the be"


# ---- servers that begin anew


@MANY
@given(SEEDS, st.integers(5, 600), st.integers(4, 599), CUTS)
def test_a_text_that_comes_again_is_there_once(
    seed: int, length: int, k: int, cuts: list[int]
) -> None:
    text = unlike(seed, length)
    k = min(k, length - 1)
    for words in (False, True):
        assert join(text[:k], *cut(text, cuts), words=words) == text


def test_a_text_that_comes_again_is_there_once_also_where_white_space_was_left_out() -> None:
    whole = "One two three four five.\n\nSix seven."
    for pieces in ([whole], list(whole)):
        assert join("One two three four five.\n\n", *pieces, resent="\n\n") == whole


@pytest.mark.parametrize("size", [1, 7, 500])
def test_what_begins_anew_and_says_something_else_has_diverged(size: int) -> None:
    other = WORDS[:50] + "but then it is quite another one."
    seam, new = Seam(WORDS[:80]), [""]
    pieces = (other[at : at + size] for at in range(0, len(other), size))
    with pytest.raises(Diverged):
        new.extend(map(seam.feed, pieces))
    assert "".join(new) == "", "nothing of it was passed on"


def test_nothing_is_new_before_the_end_of_a_text_that_comes_again() -> None:
    seam = Seam(WORDS[:80])
    assert [seam.feed(char) for char in WORDS[:80]] == [""] * 80
    assert seam.feed(WORDS[80]) == WORDS[80]


def test_a_text_that_is_sure_to_come_again_may_be_of_any_kind() -> None:
    for text in (*PERIODIC, WORDS, "x"):
        for k in range(1, len(text), 7):
            assert join(text[:k], *text, repeats=True) == text
            assert join(text[:k], text, repeats=True) == text


def test_what_is_sure_to_come_again_and_does_not_has_diverged() -> None:
    with pytest.raises(Diverged):
        Seam("Hello", repeats=True).feed("J")


# ---- servers that repeat the end


@MANY
@given(
    SEEDS, st.integers(17, 600), st.integers(16, MAX_OVERLAP_CHARACTERS), st.integers(16, 599), CUTS
)
def test_a_long_end_that_comes_again_is_there_once(
    seed: int, length: int, n: int, k: int, cuts: list[int]
) -> None:
    text = unlike(seed, length)
    k = min(k, length - 1)
    n = min(n, k)
    for words in (False, True):
        assert join(text[:k], *cut(text[k - n :], cuts), words=words) == text


@pytest.mark.parametrize("size", [1, 4, 200])
@pytest.mark.parametrize("n", [16, 17, 40, 199])
def test_a_long_end_of_prose_that_comes_again_is_there_once(n: int, size: int) -> None:
    text = " ".join([WORDS, WORDS.upper(), WORDS.title()])
    k = len(text) - 30
    rest = text[k - n :]
    assert join(text[:k], *(rest[i : i + size] for i in range(0, len(rest), size))) == text


def test_an_end_that_comes_again_and_nothing_more_is_there_once() -> None:
    assert join(WORDS, WORDS[-30:]) == WORDS


# ---- asked in words


@pytest.mark.parametrize(
    ("text", "new", "whole"),
    [
        pytest.param("say hel", "hello world", "say hello world", id="the-word-that-was-cut"),
        pytest.param("say hello", "hello world", "say hello world", id="the-last-word"),
        pytest.param("on the mat", "the mat.", "on the mat.", id="the-last-words"),
        pytest.param("say hel", "lo world", "say hello world", id="nothing"),
        pytest.param("the hat", "at home", "the hatat home", id="no-whole-word"),
        pytest.param("so he", "hello", "so hehello", id="too-short-to-tell"),
        pytest.param("say hello", " world", "say hello world", id="a-space"),
        pytest.param("say hello", " hello world", "say hello world", id="the-space-before-it"),
        pytest.param(
            "so the cat sat on the",
            "the cat sat on the mat",
            "so the cat sat on the mat",
            id="words-that-begin-and-end-alike",
        ),
        pytest.param("| a |\n|---", "---|\n", "| a |\n|------|\n", id="a-rule-goes-on"),
        pytest.param("| 0 | 0 |", " 0 |\n", "| 0 | 0 | 0 |\n", id="a-row-goes-on"),
        pytest.param("he: ha ha", " ha ha ha", "he: ha ha ha ha ha", id="laughter-goes-on"),
        pytest.param("=" * 40, "=" * 9, "=" * 49, id="a-line-goes-on"),
    ],
)
def test_a_model_asked_in_words_repeats_its_last_words(text: str, new: str, whole: str) -> None:
    assert join(text, new, words=True) == whole
    assert join(text, *new, words=True) == whole


def test_a_true_continuation_is_not_taken_for_a_repetition_of_words() -> None:
    assert join("bye bye", "bye bye", repeats=False) == "bye byebye bye"
    assert join("she said bye ", "bye love") == "she said bye bye love"


CODE = "Look:\n\n```python\nfor n in range(9):\n    print(n)\n"


@pytest.mark.parametrize("opened", ["```python\n", "```py\n", "```python title=a\n"])
def test_a_code_block_that_is_opened_again_in_words_is_open_once(opened: str) -> None:
    new = opened + "    print(n * n)\n```\n"
    for pieces in ([new], list(new)):
        assert join(CODE, *pieces, words=True) == CODE + "    print(n * n)\n```\n"


def test_a_code_block_that_is_opened_again_may_repeat_its_last_line_too() -> None:
    new = "```python\n    print(n)\n    print(n * n)\n"
    text = CODE.rstrip("\n") + "\n"
    for pieces in ([new], list(new)):
        assert join(text, *pieces, words=True) == text + "    print(n * n)\n"


@pytest.mark.parametrize("fence", ["````markdown\n", "~~~markdown\n"])
def test_any_other_fence_that_is_opened_again_is_open_once_too(fence: str) -> None:
    text = fence + "# Title\n"
    again = fence.replace("markdown", "md")
    for pieces in ([again + "text\n"], [*again, *"text\n"]):
        assert join(text, *pieces, words=True) == text + "text\n"


@pytest.mark.parametrize(
    ("text", "new", "words"),
    [
        pytest.param(CODE, "```\nDone.", True, id="the-end-of-the-block"),
        pytest.param("Look:\n", "```python\nx\n```\n", True, id="no-block-is-open"),
        pytest.param(CODE + "```\n", "```python\nx\n```\n", True, id="it-was-closed"),
        pytest.param(CODE, "```python\n", False, id="not-in-words"),
        pytest.param("~~~\n```\nx\n", "~~~\n", True, id="tildes"),
        pytest.param("```` md\n```\n", "````\n", True, id="four-are-not-closed-by-three"),
    ],
)
def test_other_fences_are_the_models_own(text: str, new: str, words: bool) -> None:
    assert join(text, new, words=words) == text + new
    assert join(text, *new, words=words) == text + new


# ---- white space that the server was not given


@pytest.mark.parametrize(
    ("space", "new", "whole"),
    [
        ("\n\n", "\n\nNext", "One.\n\nNext"),
        ("\n\n", "\nNext", "One.\n\nNext"),
        ("\n\n", "Next", "One.\n\nNext"),
        ("\n\n", "\n\n\nNext", "One.\n\n\nNext"),
        (" ", " two", "One. two"),
        (" ", "two", "One. two"),
        (" ", "\ntwo", "One. \ntwo"),
        ("\n    ", "\n    x", "One.\n    x"),
        ("\n\n", "", "One.\n\n"),
        ("\n\n", "\n", "One.\n\n"),
    ],
)
def test_white_space_that_was_left_out_is_there_once(space: str, new: str, whole: str) -> None:
    assert join("One." + space, new, resent=space) == whole
    assert join("One." + space, *new, resent=space) == whole


@MANY
@given(SEEDS, st.integers(2, 40), st.sampled_from([" ", "\n", "\n\n", " \n  "]), CUTS)
def test_a_server_without_the_white_space_sends_it(
    seed: int, length: int, space: str, cuts: list[int]
) -> None:
    text = unlike(seed, length)
    k = length // 2
    assert join(text[:k] + space, *cut(space + text[k:], cuts), resent=space) == (
        text[:k] + space + text[k:]
    )


# ---- the contract


def test_what_cannot_be_a_repetition_is_passed_on_at_once() -> None:
    seam = Seam(WORDS)
    assert seam.feed("Ω") == "Ω"
    assert seam.closed
    assert seam.feed(WORDS[:30]) == WORDS[:30], "once it is closed everything is new"
    assert seam.finish() == ""


def test_what_is_held_comes_at_the_end_once() -> None:
    seam = Seam("a b c d e f")
    assert seam.feed("c d") == ""
    assert not seam.closed
    assert (seam.finish(), seam.finish(), seam.closed) == ("c d", "", True)


def test_an_empty_piece_changes_nothing() -> None:
    assert join("Hello", "", " wor", "", "ld") == "Hello world"


@pytest.mark.parametrize(
    "part", ["(NULL, NULL, NULL), ", '{"x": 0, "y": 0}, ', "very, very, very much "]
)
def test_a_text_that_repeats_within_a_line_goes_on_to_repeat(part: str) -> None:
    text = "VALUES " + part * 4 + ";"
    begun = len("VALUES ") + len(part) + 2
    for cut in range(begun, len(text)):
        seam = Seam(text[:cut])
        assert text[:cut] + seam.feed(text[cut:]) + seam.finish() == text

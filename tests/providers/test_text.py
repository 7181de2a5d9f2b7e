"""Claimed: halves of a character are joined over deltas, and a half that stays alone is U+FFFD."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.events import Content, Event, Reasoning, ToolCallDelta, Usage
from chatstream.providers.text import Surrogates, whole_characters

HIGH, LOW = "\ud83d", "\ude00"  # the halves of 😀


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", ""),
        ("plain", "plain"),
        ("é日😀", "é日😀"),
        (HIGH + LOW, "😀"),
        (f"a{HIGH}{LOW}b{HIGH}{LOW}", "a😀b😀"),
        (HIGH, "�"),
        (LOW, "�"),
        (f"a{HIGH}b", "a�b"),
        (f"a{HIGH}é", "a�é"),
        (f"{LOW}{HIGH}", "��"),
        (f"{HIGH}{HIGH}{LOW}", "�😀"),
        (f"{HIGH}{LOW}{LOW}", "😀�"),
        ("\x00\x1b", "\x00\x1b"),
    ],
)
def test_pairs_are_joined_and_single_halves_replaced(text: str, whole: str) -> None:
    assert whole_characters(text) == whole


def mend(*events: Event) -> list[Event]:
    surrogates = Surrogates()
    return [m for event in events for m in surrogates.mend([event])] + surrogates.flush()


def test_a_first_half_waits_for_the_next_delta() -> None:
    surrogates = Surrogates()
    assert surrogates.mend([Content(f"a{HIGH}", t=1.0)]) == [Content("a", t=1.0)]
    assert surrogates.mend([Content("", t=2.0)]) == []
    assert surrogates.mend([Content(f"{LOW}b", t=3.0)]) == [Content("😀b", t=3.0)]
    assert surrogates.flush() == []


def test_a_half_that_nothing_follows_comes_out_replaced_at_its_own_time() -> None:
    surrogates = Surrogates()
    assert surrogates.mend([Reasoning(HIGH, t=1.0)]) == []
    assert surrogates.flush() == [Reasoning("�", t=1.0)]
    assert surrogates.flush() == []


def test_content_and_reasoning_are_not_joined_with_each_other() -> None:
    assert mend(Content(HIGH), Reasoning(f"{LOW}a"), Content("b")) == [
        Content("�"),
        Reasoning("�a"),
        Content("b"),
    ]


def test_other_events_pass_between_two_halves() -> None:
    assert mend(Content(HIGH), Usage(), Content(LOW)) == [Usage(), Content("😀")]


def test_clean_text_passes_as_it_is() -> None:
    assert mend(Content("é😀"), Reasoning("日")) == [Content("é😀"), Reasoning("日")]


@settings(deadline=None)
@given(st.text(st.sampled_from(["a", "é", "😀", HIGH, LOW])), st.lists(st.integers(0, 30)))
def test_any_cut_gives_the_text_of_the_whole(text: str, cuts: list[int]) -> None:
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    deltas = [Content(text[a:b]) for a, b in pairwise(ends)]
    mended = mend(*deltas)
    assert "".join(e.delta for e in mended if isinstance(e, Content)) == whole_characters(text)


def test_a_piece_of_arguments_has_its_halves_replaced() -> None:
    assert mend(ToolCallDelta("i", "n", f'"{HIGH}')) == [ToolCallDelta("i", "n", '"�')]

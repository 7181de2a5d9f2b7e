"""Claimed: reasoning is shown whole where it is wanted, costs little, and ends in one line."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from chatstream import events as ev
from chatstream.escape import clean
from chatstream.sinks.lines import Line, text_of
from chatstream.sinks.theme import THEMES, Theme
from chatstream.sinks.thoughts import (
    HIDDEN,
    KEPT_CHARACTERS,
    MAX_LINE_CHARACTERS,
    MAX_ROWS,
    NO_MORE,
    SHOWN,
    Mode,
    Thoughts,
)
from tests.support.sampling import sampled

DARK = THEMES["dark"]
NONE = Style.null()
PLAIN = DARK._replace(dim=NONE, success=NONE, warning=NONE, failure=NONE, tool=NONE)
MODES: list[Mode] = ["show", "hide", None]
CONTENT = ev.Content("answer")


class Mind:
    """The reasoning of a run, the time, and what was printed for good."""

    def __init__(self, mode: Mode, theme: Theme = DARK) -> None:
        self.now = 10.0
        self.thoughts = Thoughts(theme, mode)
        self.printed: list[str] = []

    def think(self, *deltas: str, after: float = 0.0) -> None:
        self.now += after
        for delta in deltas:
            self.printed += texts(self.thoughts.feed(ev.Reasoning(delta), self.now))

    def end(self, event: ev.Event | None = CONTENT, after: float = 0.0) -> None:
        self.now += after
        self.printed += texts(self.thoughts.end(event, self.now))

    def press(self) -> None:
        self.printed += texts(self.thoughts.toggle())

    def live(self, width: int = 80) -> list[str]:
        return texts(self.thoughts.lines(width))

    @property
    def held(self) -> int:
        """The characters that are kept."""
        return sum(map(len, self.thoughts._lines)) + len(self.thoughts._open)


def texts(lines: Iterable[Line]) -> list[str]:
    return [text_of(line) for line in lines]


def test_shown_reasoning_prints_whole_lines_and_has_the_open_one_live() -> None:
    mind = Mind("show")
    mind.think("first line\nsec")
    assert (mind.printed, mind.live()) == (["first line"], ["sec"])
    mind.think("ond", " line\n\nthird")
    assert (mind.printed, mind.live()) == (["first line", "second line", ""], ["third"])
    mind.end(after=12.3)
    assert mind.printed[3:] == ["third", "thought for 12 s, 3 tokens"]
    assert mind.live() == []


def test_collapsed_reasoning_has_its_newest_rows_live_and_ends_in_one_line() -> None:
    mind = Mind(None)
    mind.think(*(f"line {n}\n" for n in range(30)), "open")
    assert mind.live() == [*(f"line {n}" for n in range(25, 30)), "open"]
    mind.think("\n")
    assert mind.live() == [*(f"line {n}" for n in range(25, 30)), "open"]
    mind.end(after=12.0)
    assert mind.printed == ["thought for 12 s, 32 tokens"]
    assert mind.live() == []


def test_rows_are_those_of_the_width() -> None:
    mind = Mind(None)
    mind.think("abcdefghij" * 3, "\nlast")
    assert mind.live(10) == ["abcdefghij"] * 3 + ["last"]
    assert mind.live(4) == ["cdef", "ghij", "abcd", "efgh", "ij", "last"]
    assert len(mind.live(1)) == len(mind.live(0)) == MAX_ROWS
    mind.think("\n" + "漢" * 8)
    assert [row.rstrip() for row in mind.live(5)[-4:]] == ["漢漢"] * 4


def test_hidden_reasoning_has_no_rows_and_ends_in_one_line() -> None:
    mind = Mind("hide")
    mind.think("secret\n", "more")
    assert mind.live() == []
    mind.end(after=2.0)
    assert mind.printed == ["thought for 2 s, 2 tokens"]


@pytest.mark.parametrize("mode", MODES)
def test_all_that_is_drawn_is_dim(mode: Mode) -> None:
    thoughts = Thoughts(DARK, mode)
    lines = thoughts.feed(ev.Reasoning("one\ntwo"), 0.0) + thoughts.lines(80)
    lines += thoughts.end(None, 5.0)
    assert {segment.style for line in lines for segment in line} == {DARK.dim}


@pytest.mark.parametrize(
    ("seconds", "tokens", "said"),
    [
        (0.0, 1, "thought a moment"),
        (0.99, 5, "thought a moment"),
        (1.0, 1, "thought for 1 s, 1 token"),
        (12.7, 840, "thought for 12 s, 840 tokens"),
        (75.0, 2, "thought for 75 s, 2 tokens"),
    ],
)
def test_the_end_tells_the_seconds_and_the_tokens(seconds: float, tokens: int, said: str) -> None:
    mind = Mind(None)
    mind.think(*["x"] * tokens)
    mind.end(after=seconds)
    assert mind.printed == [said]


def test_the_seconds_are_those_of_the_events_where_they_have_any() -> None:
    thoughts = Thoughts(DARK, "hide")
    thoughts.feed(ev.Reasoning("a", t=3.0), 100.0)
    thoughts.feed(ev.Reasoning("b", t=4.0), 100.1)
    assert texts(thoughts.end(ev.Content("c", t=15.5), 100.2)) == ["thought for 12 s, 2 tokens"]


@pytest.mark.parametrize("began", [-1.0, 3.0])
@pytest.mark.parametrize("event", [None, ev.Content("c")])
def test_the_seconds_are_those_of_the_clock_where_an_event_has_none(
    began: float, event: ev.Event | None
) -> None:
    thoughts = Thoughts(DARK, "hide")
    thoughts.feed(ev.Reasoning("a", t=began), 100.0)
    assert texts(thoughts.end(event, 107.0)) == ["thought for 7 s, 1 token"]


def test_the_seconds_are_those_of_the_clock_where_the_beginning_has_none() -> None:
    thoughts = Thoughts(DARK, "hide")
    thoughts.feed(ev.Reasoning("a"), 100.0)
    assert texts(thoughts.end(ev.Content("c", t=50.0), 107.0)) == ["thought for 7 s, 1 token"]


@pytest.mark.parametrize("mode", MODES)
def test_a_thought_ends_once_and_only_where_there_was_one(mode: Mode) -> None:
    mind = Mind(mode)
    assert not mind.thoughts.active
    mind.end()
    assert mind.printed == []
    mind.think("")
    assert mind.thoughts.active
    mind.end()
    mind.end()
    assert mind.printed == ["thought a moment"]
    assert not mind.thoughts.active


def test_a_second_thought_is_told_by_itself() -> None:
    mind = Mind(None)
    mind.think("old one\n", "old open")
    mind.end(after=5)
    mind.think("new", after=60)
    assert mind.live() == ["new"]
    mind.end(after=2)
    assert mind.printed == ["thought for 5 s, 2 tokens", "thought for 2 s, 1 token"]


def test_a_line_end_is_not_taken_for_the_second_half_of_one_in_the_thought_before() -> None:
    mind = Mind("show")
    mind.think("one\r")
    mind.end()
    mind.think("\ntwo")
    mind.end()
    assert mind.printed == ["one", "thought a moment", "", "two", "thought a moment"]


@pytest.mark.parametrize("mode", ["hide", None])
def test_turning_it_on_prints_what_was_thought_and_then_what_comes(mode: Mode) -> None:
    mind = Mind(mode)
    mind.think("one\ntwo\nopen")
    mind.press()
    assert (mind.printed, mind.live()) == ([SHOWN, "one", "two"], ["open"])
    mind.think(" line\nnext")
    assert (mind.printed[3:], mind.live()) == (["open line"], ["next"])
    mind.end()
    assert mind.printed[4:] == ["next", "thought a moment"]


@pytest.mark.parametrize("mode", ["hide", None])
def test_turning_it_off_and_on_again_loses_and_repeats_nothing(mode: Mode) -> None:
    mind = Mind(mode)
    mind.think("one\n")
    mind.press()
    mind.think("two\n")
    mind.press()
    mind.think("three\nfo")
    assert mind.printed == [SHOWN, "one", "two", HIDDEN]
    assert mind.live() == ([] if mode == "hide" else ["three", "fo"])
    mind.press()
    mind.think("ur\n")
    assert mind.printed == [SHOWN, "one", "two", HIDDEN, SHOWN, "three", "four"]


@pytest.mark.parametrize("mode", ["hide", None])
def test_what_was_printed_takes_no_room_from_what_was_not(mode: Mode) -> None:
    mind = Mind(mode)
    lines = [f"line {n:03}" + "." * 80 for n in range(700)]
    for _ in range(3):
        mind.think("\n".join(lines) + "\n")
        mind.press()
        assert mind.printed == [SHOWN, *lines]
        mind.press()
        mind.printed.clear()


def test_turning_off_what_was_shown_from_the_start_folds_it() -> None:
    mind = Mind("show")
    mind.think("one\ntwo")
    mind.press()
    mind.think("\nthree")
    assert (mind.printed, mind.live()) == (["one", HIDDEN], ["two", "three"])
    mind.end()
    assert mind.printed == ["one", HIDDEN, "thought a moment"]


@pytest.mark.parametrize("mode", ["hide", None])
def test_it_can_be_turned_on_after_the_thoughts_ended(mode: Mode) -> None:
    mind = Mind(mode)
    mind.think("one\ntwo")
    mind.end()
    mind.think("three")
    mind.end()
    mind.press()
    assert mind.printed == ["thought a moment"] * 2 + [SHOWN, "one", "two", "three"]
    mind.press()
    mind.press()
    assert mind.printed[6:] == [HIDDEN, NO_MORE]


def test_a_tab_is_as_wide_as_its_line_says() -> None:
    mind = Mind("show")
    mind.think("a", "b\tc\n\td\n")
    assert mind.printed == ["ab      c", "        d"]


def test_reasoning_cannot_drive_the_terminal_wherever_it_is_cut() -> None:
    text = "a\x1b[2J\x9b0;x\x07\r\nb\u202ec\rd\n"
    for cut in range(len(text) + 1):
        mind = Mind("show")
        mind.think(text[:cut], text[cut:])
        assert mind.printed == ["a␛[2J\ufffd0;x␇", "b\ufffdc", "d"]


LONG = " ".join(f"word{n}" for n in range(3000))


@pytest.mark.parametrize("size", [1, 7, 4000, 100_000])
def test_a_line_without_end_is_broken_at_the_same_spaces_however_it_was_cut(size: int) -> None:
    mind = Mind("show")
    mind.think(*(LONG[at : at + size] for at in range(0, len(LONG), size)))
    mind.end()
    lines = mind.printed[:-1]
    assert "".join(lines) == LONG
    assert all(line.endswith(" ") for line in lines[:-1])
    assert max(map(len, lines)) <= MAX_LINE_CHARACTERS


BIG = {
    "without a space": "x" * 1_000_000,
    "in words": "word " * 200_000,
    "in lines": "a line\n" * 150_000,
    "of line ends": "\n" * 1_000_000,
    "of tabs": "\t" * 1_000_000,
}


@pytest.mark.parametrize(("mode", "kind"), sampled(list(product(MODES, BIG)), 6, "megabyte"))
def test_of_a_megabyte_only_the_newest_part_is_held(mode: Mode, kind: str) -> None:
    mind, text = Mind(mode), BIG[kind]
    mind.think(text, "\nthe newest")
    assert mind.held <= KEPT_CHARACTERS + MAX_LINE_CHARACTERS
    assert len(mind.thoughts._lines) <= KEPT_CHARACTERS
    if mode != "hide":
        assert len(mind.live()) <= MAX_ROWS
        assert mind.live()[-1] == "the newest"
    mind.end()
    if mode == "show":
        assert "".join(mind.printed[:-1]) == text.replace("\n", "").expandtabs() + "the newest"
    else:
        mind.press()
        assert mind.printed[-1] == "the newest"


@pytest.mark.parametrize("mode", ["hide", None])
def test_many_small_pieces_are_held_no_longer_than_one_big_one(mode: Mode) -> None:
    mind = Mind(mode)
    mind.think(*["ten chars\n"] * 20_000, *["x"] * 20_000)
    assert mind.held <= KEPT_CHARACTERS + MAX_LINE_CHARACTERS


@given(st.lists(st.text(max_size=20) | st.sampled_from(["\n", "\r\n", "\x1b[2J", "\t", "\x9b"])))
def test_shown_reasoning_is_the_cleaned_text_whole_and_in_order(deltas: list[str]) -> None:
    mind = Mind("show")
    mind.think("begin", *deltas)
    mind.end()
    expected = clean("begin" + "".join(deltas)).removesuffix("\n").split("\n")
    assert mind.printed[:-1] == [line.expandtabs() for line in expected]


STEPS = st.one_of(
    st.builds(ev.Reasoning, st.text(max_size=20) | st.sampled_from(["\x1b[2J", "a\r", "\ud800"])),
    st.just(CONTENT),
    st.just("r"),
)


@given(
    st.lists(st.tuples(STEPS, st.floats(0, 3))),
    st.sampled_from(MODES),
    st.sampled_from([DARK, PLAIN]),
    st.integers(0, 30),
)
def test_no_order_of_events_and_keys_breaks_a_line(
    steps: list[tuple[ev.Event | str, float]], mode: Mode, theme: Theme, width: int
) -> None:
    mind = Mind(mode, theme)
    for step, after in steps:
        mind.now += after
        was, before = mind.thoughts.active, len(mind.printed)
        if isinstance(step, str):
            mind.press()
        elif isinstance(step, ev.Reasoning):
            mind.think(step.delta)
            assert mind.thoughts.active
        else:
            mind.end(step)
            said = [line for line in mind.printed[before:] if line.startswith("thought ")]
            assert len(said) == was
        assert len(mind.live(width)) <= MAX_ROWS
        for line in [*mind.printed[before:], *mind.live(width)]:
            assert clean(line) == line
            assert not set(line) & {"\n", "\t"}

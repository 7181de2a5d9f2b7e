"""An answer ends right behind the match, or with the token, that the user has named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from chatstream.events import (
    Content,
    Event,
    Metadata,
    Reasoning,
    Retry,
    ToolCall,
    ToolComplete,
    ToolStart,
    Usage,
)
from chatstream.flow import Arrival, Finish, events_in
from chatstream.stages.stopping import BadCondition, condition, stopping

RESET = Retry(attempt=2, max=3, delay=0.0, cause="cut", action="reset")
CONTINUE = Retry(attempt=2, max=3, delay=0.0, cause="cut", action="continue")
ROUND: list[Event] = [
    ToolCall("1", "t", "{}"),
    ToolStart(id="1", name="t"),
    ToolComplete("1", "t", "", 0.1),
    Metadata(model="m"),
]


class Source:
    """Arrivals, of which it is known how many were asked for and whether they were closed."""

    def __init__(self, arrivals: Sequence[Sequence[Event]]) -> None:
        self.given = 0
        self.closed = False
        self._arrivals = arrivals

    def __iter__(self) -> Iterator[Arrival]:
        try:
            for events in self._arrivals:
                self.given += 1
                yield Arrival(list(events))
            yield Arrival([Finish("stop", "end")])
        finally:
            self.closed = True


def passed(
    when: str, *arrivals: Sequence[Event], earlier: Sequence[Event] = ()
) -> tuple[str, Finish, Source]:
    """The text that passes, how the answer ends, and the source."""
    source = Source(arrivals)
    events = list(events_in(stopping(condition(when), earlier)(iter(source))))
    assert isinstance(events[-1], Finish)
    assert sum(isinstance(it, Finish) for it in events) == 1
    return "".join(it.delta for it in events if isinstance(it, Content)), events[-1], source


def pieces(text: str) -> list[list[Event]]:
    return [[Content(it)] for it in text]


@pytest.mark.parametrize("when", ["END", "E(N+)D", "3 tokens", " 3  token "])
def test_nothing_behind_the_condition_passes_and_the_source_is_closed(when: str) -> None:
    text, finish, source = passed(when, *pieces("END of it"))
    assert (text, finish.reason, finish.raw) == ("END", "stop_condition", None)
    assert (source.given, source.closed) == (3, True)


def test_a_match_is_found_across_pieces_and_cut_within_one() -> None:
    text, finish, _ = passed("END", [Content("the E")], [Content("ND, and"), Content(" more")])
    assert (text, finish.reason) == ("the END", "stop_condition")


def test_every_piece_before_the_match_passes_at_once() -> None:
    source = Source([[Content("E")], [Content("N")], [Content("X")]])
    arrivals = stopping(condition("END"))(iter(source))
    for number, delta in enumerate("ENX", 1):
        assert [it.delta for it in next(arrivals).events if isinstance(it, Content)] == [delta]
        assert source.given == number


def test_an_answer_without_a_match_passes_as_it_is() -> None:
    text, finish, _ = passed("END", *pieces("so it goes"))
    assert (text, finish.reason, finish.raw) == ("so it goes", "stop", "end")


def test_the_piece_before_a_place_is_not_cut_and_an_empty_one_does_not_pass() -> None:
    text, finish, _ = passed(r"STOP\b", [Content("STOP")], [Content(" here")])
    assert (text, finish.reason) == ("STOP", "stop_condition")


def test_counts_that_came_with_the_match_still_pass() -> None:
    source = Source([[Content("END"), Content("x"), Usage(input_tokens=3)]])
    events = list(events_in(stopping(condition("END"))(iter(source))))
    assert [type(it) for it in events] == [Content, Usage, Finish]


@pytest.mark.parametrize("when", ["END", "1 token"])
def test_reasoning_and_calls_do_not_count(when: str) -> None:
    call = ToolCall("1", "END", "END")
    text, _, _ = passed(when, [Reasoning("END"), call, Content("END")], [Content("x")])
    assert text == "END"


def test_what_is_void_does_not_count() -> None:
    text, _, _ = passed("abc", [Content("ab"), RESET, Content("c")], [Content("abcd")])
    assert text == "abcabc"  # the void piece, and the answer
    text, _, _ = passed("2 tokens", [Content("a"), RESET, Content("b")], [Content("c")], [RESET])
    assert text == "abc"


def test_what_continues_goes_on_with_the_match() -> None:
    text, _, _ = passed("abc", [Content("ab"), CONTINUE, Content("cd")])
    assert text == "abc"


def test_a_match_lies_within_a_response_and_tokens_are_those_of_all() -> None:
    text, finish, _ = passed("abc", [Content("ab"), *ROUND, Content("c")])
    assert (text, finish.reason) == ("abc", "stop")
    text, finish, _ = passed("2 tokens", [Content("ab"), *ROUND, Content("c")], [Content("d")])
    assert (text, finish.reason) == ("abc", "stop_condition")
    text, _, _ = passed("2 tokens", [Content("a"), *ROUND, Content("b"), RESET, Content("c")])
    assert text == "ab"
    text, _, _ = passed("3 tokens", [Content("a"), *ROUND, Content("b"), RESET, Content("c")])
    assert text == "abc"


def test_an_earlier_part_counts() -> None:
    text, _, _ = passed("abc", [Content("cd")], earlier=[Content("ab")])
    assert text == "c"
    text, _, _ = passed("3 tokens", *pieces("xyz"), earlier=[Content("8 bytes!")])
    assert text == "x"
    text, _, _ = passed("abc", [Content("cd")], earlier=[Content("ab"), *ROUND])
    assert text == "cd"


@pytest.mark.parametrize("when", ["abc", "1 tokens"])
def test_if_an_earlier_part_is_all_of_it_nothing_is_asked(when: str) -> None:
    text, finish, source = passed(when, [Content("d")], earlier=[Content("abc, and more")])
    assert (text, finish.reason, source.given) == ("", "stop_condition", 0)


NO_NUMBERS = ("0 tokens", "-1 tokens", "1.5 tokens", "1,000 tokens", "9999999999 tokens")


@pytest.mark.parametrize("when", ["2 tokens", "2tokens", " 02 Tokens "])
def test_a_number_of_tokens_may_be_written_in_several_ways(when: str) -> None:
    text, _, _ = passed(when, *pieces("abc"))
    assert text == "ab"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((it, "takes a whole number of tokens, from 1") for it in NO_NUMBERS),
        ("(", r"is not a usable regular expression: missing \)"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadCondition, match=words) as caught:
        condition(text)
    assert caught.value.hint

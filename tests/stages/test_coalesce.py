"""Claimed: small deltas become fewer, none waits longer than 100 ms, no text is lost or moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.clock import POLL_SECONDS
from chatstream.events import (
    Content,
    Event,
    Metadata,
    Reasoning,
    Retry,
    ToolCallDelta,
    Usage,
    Waiting,
    Warn,
)
from chatstream.flow import Arrival
from chatstream.stages.coalesce import MAX_AGE_SECONDS, MAX_HELD_SECONDS, coalesce
from tests.support.arrivals import each, events_of

Step = float | list[Event] | Exception
"""Seconds that pass, an arrival, or a failure."""

TINY = 1e-9


class Clock:
    """Moves only when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def timed(steps: Iterable[Step]) -> Iterator[tuple[float, Event]]:
    """What passes, each with the time that it is out."""
    clock = Clock()

    def source() -> Iterator[Arrival]:
        for step in steps:
            if isinstance(step, float):
                clock.now += step
            elif isinstance(step, Exception):
                raise step
            else:
                yield Arrival(step)

    for arrival in coalesce(clock)(source()):
        for event in arrival.events:
            yield clock.now - Clock.now, event


def passed(*events: Event) -> list[Event]:
    """What passes of one arrival."""
    return [event for _, event in timed([[*events]])]


def texts(events: Iterable[Event]) -> list[str]:
    return [event.delta for event in events if isinstance(event, Content | Reasoning)]


def shown(steps: Iterable[Step]) -> list[tuple[int, str]]:
    """Each delta that passes, with the milliseconds until it is out."""
    return [(round(at * 1000), text) for at, event in timed(steps) for text in texts([event])]


def runs(events: Iterable[Event]) -> list[tuple[type[Event], str]]:
    """The text of each stretch of one kind; every other event is a stretch of its own."""
    found: list[tuple[type[Event], str]] = []
    for event in events:
        kind, text = type(event), "".join(texts([event]))
        if found and found[-1][0] is kind and kind in (Content, Reasoning):
            text = found.pop()[1] + text
        found.append((kind, text))
    return found


def test_the_pieces_of_one_arrival_are_joined_up_to_ten_characters() -> None:
    events = passed(*(Content("abc") for _ in range(6)))
    assert texts(events) == ["abcabcabcabc", "abcabc"]


def test_ten_characters_go_out_at_once() -> None:
    arrivals = coalesce(Clock())(each(Content("a"), Content("123456789"), Content("b")))
    assert texts(events_of(islice(arrivals, 2))) == ["a123456789"]


def test_a_long_delta_passes_as_the_very_same_event() -> None:
    event = Content("0123456789")
    assert passed(event)[0] is event


def test_a_joined_delta_has_the_time_of_its_first_piece() -> None:
    assert passed(Content("a", t=7.0), Content("b", t=8.0)) == [Content("ab", t=7.0, seq=0)]


def test_content_and_reasoning_are_not_joined() -> None:
    events = passed(Reasoning("a"), Reasoning("b"), Content("c"), Content("d"), Reasoning("e"))
    assert runs(events) == [(Reasoning, "ab"), (Content, "cd"), (Reasoning, "e")]
    assert len(events) == 3


OTHERS: list[Event] = [
    Metadata(restart=True),
    Retry(attempt=2, max=2, delay=0.0, cause="m", action="reset"),
    ToolCallDelta("i", "n", "{"),
    Warn("c", "m"),
    Usage(),
]


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_held_goes_out_before_any_other_event(other: Event) -> None:
    before, event, after = passed(Content("a"), other, Content("b"))
    assert texts([before, after]) == ["a", "b"]
    assert event is other


def test_seq_is_numbered_anew_without_a_gap() -> None:
    events = passed(Metadata(seq=0), *(Content("abc", seq=n) for n in range(1, 6)), Usage(seq=6))
    assert [event.seq for event in events] == [0, 1, 2, 3]


def test_every_arrival_passes_even_if_nothing_is_in_it_any_more() -> None:
    arrivals = iter([Arrival(), Arrival([Content("a")], alive=True), Arrival()])
    passed = [(it.events, it.alive) for it in coalesce(Clock())(arrivals)]
    assert passed[:3] == [([], False), ([], True), ([], False)]


def test_a_small_delta_waits_for_the_next_arrival() -> None:
    steps: list[Step] = [[Content("abcd")], 0.016, [Content("efgh")]]
    assert shown(steps) == [(16, "abcdefgh")]


def test_what_is_held_waits_for_one_arrival_at_most() -> None:
    steps: list[Step] = [[Content("a")], 0.001, [Content("b")], POLL_SECONDS, []]
    assert shown(steps) == [(1, "ab")]


def test_silence_lets_out_what_is_held() -> None:
    steps: list[Step] = [[Content("a")], POLL_SECONDS, [], 1.0, [Content("b")]]
    assert shown(steps) == [(100, "a"), (1100, "b")]


@pytest.mark.parametrize(
    ("length", "age", "goes"),
    [
        (1, MAX_AGE_SECONDS * 0.9 - 0.001, False),
        (1, MAX_AGE_SECONDS * 0.9 + 0.001, True),
        (5, MAX_AGE_SECONDS * 0.5 - 0.001, False),
        (5, MAX_AGE_SECONDS * 0.5 + 0.001, True),
        (9, MAX_AGE_SECONDS * 0.1 - 0.001, False),
        (9, MAX_AGE_SECONDS * 0.1 + 0.001, True),
    ],
)
def test_the_age_that_is_allowed_shrinks_with_the_length(
    length: int, age: float, goes: bool
) -> None:
    """An empty delta makes the stage look at the age without making the text longer."""
    steps: list[Step] = [[Content("x" * length)], age, [Content(""), Content("y")]]
    assert shown(steps)[0][1] == "x" * length + ("" if goes else "y")


def test_what_is_held_goes_out_at_the_end() -> None:
    assert texts(passed(Content("a"), Content("b"))) == ["ab"]


def test_what_is_held_goes_out_before_a_failure() -> None:
    events = timed([[Content("a"), Content("b")], ValueError("m")])
    assert texts([next(events)[1]]) == ["ab"]
    with pytest.raises(ValueError, match="m"):
        next(events)


def test_the_clock_is_read_once_an_arrival() -> None:
    readings: list[float] = []

    def clock() -> float:
        readings.append(0.0)
        return 0.0

    arrival = Arrival([Content("ab") for _ in range(100)])
    assert list(coalesce(clock)(iter([arrival])))
    assert len(readings) == 1


def lateness(steps: Iterable[Step], out: list[tuple[float, Event]]) -> list[float]:
    """How long each character was held: the characters are the same, in the same order."""
    now, came = 0.0, list[float]()
    for step in steps:
        if isinstance(step, float):
            now += step
        elif isinstance(step, list):
            came += [now] * len("".join(texts(step)))
    went = [at for at, event in out for _ in "".join(texts([event]))]
    return [there - here for here, there in zip(came, went, strict=True)]


MAKE: list[Callable[[str], Event]] = [Content, Content, Content, Reasoning, lambda _: Usage()]
ARRIVAL = st.tuples(
    st.integers(0, 100).map(lambda ms: ms / 1000),  # since the last arrival: never above a tick
    st.lists(st.tuples(st.sampled_from(MAKE), st.text(max_size=12)), max_size=8),
)


@given(st.lists(ARRIVAL, max_size=30))
def test_no_text_is_lost_or_moved_and_none_waits_longer_than_100_ms(
    arrivals: list[tuple[float, list[tuple[Callable[[str], Event], str]]]],
) -> None:
    def steps() -> Iterator[Step]:
        """New events at each call: the stage changes those that it joins."""
        for seconds, pieces in arrivals:
            yield seconds
            yield [make(text) for make, text in pieces]
        yield POLL_SECONDS
        yield []
        yield [Waiting("first_token", 0.0)]

    source = [event for step in steps() if isinstance(step, list) for event in step]
    out = list(timed(steps()))
    events = [event for _, event in out]

    assert runs(events) == runs(source)
    assert [event.seq for event in events] == list(range(len(events)))
    assert max(lateness(steps(), out), default=0.0) <= MAX_HELD_SECONDS + TINY

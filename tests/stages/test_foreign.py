"""A filter of another package may do anything: no text is lost, and the run ends as it did."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from chatstream import grammar
from chatstream.cancel import CancelToken
from chatstream.errors import Truncated
from chatstream.events import Content, Done, Error, Event, ToolStart, Warn, new_run
from chatstream.flow import Arrival, Finish, Stage, close, events_in, pipe
from chatstream.plugins import PATIENCE_SECONDS
from chatstream.stages.foreign import foreign
from chatstream.stages.seal import seal
from tests.support.loopback import LIMIT

TEXT = "one two three four five six"
NAMED = "filter 'f' of the package 'p'"


def run(*, cut: bool = False) -> Iterator[Arrival]:
    """The arrivals of a sealed run, a word in each, with heartbeats in between."""

    def words() -> Iterator[Arrival]:
        for word in TEXT.split(" "):
            yield Arrival([Content(f"{word} ")], 1.0)
            yield Arrival()
        if cut:
            raise Truncated("cut")
        yield Arrival([Finish("stop")], 1.0)

    return seal(new_run(), CancelToken(), clock=lambda: 0.0)(words())


def filtered(stage: Stage, *, cut: bool = False) -> list[Event]:
    events = list(events_in(foreign(NAMED, stage, CancelToken())(run(cut=cut))))
    grammar.check(events)
    assert isinstance(events[-1], Error if cut else Done)
    return events


def text(events: list[Event]) -> str:
    return "".join(it.delta for it in events if isinstance(it, Content)).strip()


def upper(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    for arrival in arrivals:
        for event in arrival.events:
            if isinstance(event, Content):
                event.delta = event.delta.upper()
        yield arrival


def everything_at_the_end(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    events = list(events_in(arrivals))
    yield Arrival([*reversed(events[1:]), events[0]][::-1])


def doubled(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    for arrival in arrivals:
        yield arrival
        yield Arrival([Content(it.delta) for it in arrival.events if isinstance(it, Content)])


@pytest.mark.parametrize("cut", [False, True])
def test_what_a_filter_says_is_what_comes(cut: bool) -> None:
    assert text(filtered(upper, cut=cut)) == TEXT.upper()
    assert text(filtered(everything_at_the_end, cut=cut)) == TEXT
    assert text(filtered(doubled, cut=cut)).split()[:4] == ["one", "one", "two", "two"]


@pytest.mark.parametrize("cut", [False, True])
def test_a_filter_that_drops_everything_does_not_drop_the_end(cut: bool) -> None:
    def dropped(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        for _ in arrivals:
            yield Arrival()

    events = filtered(dropped, cut=cut)
    assert (text(events), len(events)) == ("", 2)


def fails_at_once(_arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    raise ValueError("no\nluck")


def fails_at(number: int, error: BaseException) -> Stage:
    def stage(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        for at, arrival in enumerate(upper(arrivals)):
            if at == number:
                raise error
            yield arrival

    return stage


def ends_at(number: int) -> Stage:
    return lambda arrivals: itertools.islice(upper(arrivals), number)


def holds_back_and_fails(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    held = [next(arrivals), next(arrivals), next(arrivals), next(arrivals)]
    yield from held[:1]
    held += [next(arrivals)]
    raise ValueError("late")


def gives_something_else(arrivals: Iterator[Arrival]) -> Iterator[Any]:
    yield next(arrivals)
    for arrival in arrivals:
        yield arrival.events


def gives_no_events(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    yield next(arrivals)
    yield Arrival(None)  # type: ignore[arg-type]


def gives(*events: Any) -> Stage:
    """Yields the first arrival, then these events."""

    def stage(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        yield next(arrivals)
        next(arrivals)
        yield Arrival([*events])

    return stage


FAILING: dict[str, Callable[[], Stage]] = {
    "at once": lambda: fails_at_once,
    "not a stage": lambda: lambda arrivals: None,  # type: ignore[dict-item, return-value]
    "exit": lambda: fails_at(3, SystemExit(1)),
    "something else": lambda: gives_something_else,
    "no event": lambda: gives(Content("x"), "text"),
    "no arrival's events": lambda: gives_no_events,
    "no text": lambda: gives(Content(5)),  # type: ignore[arg-type]
    "no Unicode": lambda: gives(Content("\udc80")),
    "no time": lambda: gives(Content("x", t="now")),  # type: ignore[arg-type]
    "no message": lambda: gives(Warn("plugin", None)),  # type: ignore[arg-type]
    "an end": lambda: gives(Error("filter", "no", True, True)),
    "the last one": lambda: ends_at(12),
    **{f"raises {at}": partial(fails_at, at, KeyError("k")) for at in range(13)},
    **{f"ends {at}": partial(ends_at, at) for at in range(13)},
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("how", FAILING)
def test_wherever_it_fails_no_text_is_lost_or_doubled_and_one_warning_names_it(
    how: str, cut: bool
) -> None:
    events = filtered(FAILING[how](), cut=cut)
    (warning,) = [it for it in events if isinstance(it, Warn)]
    assert warning.message.startswith(f"the {NAMED} failed, so the rest is not filtered: ")
    assert "\n" not in warning.message
    assert text(events).lower() == TEXT


def test_what_it_held_back_is_passed_on_as_far_as_it_is_known() -> None:
    events = filtered(holds_back_and_fails)
    assert set(TEXT.split()) >= set(text(events).split())
    assert text(events).endswith("three four five six")


def test_it_is_given_copies() -> None:
    """What stands before it, as the journal does, keeps its events as they were."""
    seen: list[Arrival] = []

    def before(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        for arrival in arrivals:
            arrival.events += [ToolStart(id="1", name="t", parameters={"a": ["b"]}, seq=9, t=2.0)]
            seen.append(replace(arrival, events=list(arrival.events)))
            yield arrival
            return

    def vandal(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        for arrival in arrivals:
            for event in arrival.events:
                if isinstance(event, ToolStart):
                    event.parameters["a"].append("c")
                event.seq = 77
            arrival.events.clear()
            yield arrival

    list(pipe(run(), before, foreign(NAMED, vandal, CancelToken())))
    (arrival,) = seen
    assert [it.seq for it in arrival.events] == [0, 9]
    assert isinstance(start := arrival.events[1], ToolStart)
    assert start.parameters == {"a": ["b"]}


def test_a_failure_before_the_filter_is_no_failure_of_it() -> None:
    def broken() -> Iterator[Arrival]:
        yield Arrival([new_run()])
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        list(foreign(NAMED, upper, CancelToken())(broken()))


def test_closing_it_closes_the_filter_and_what_is_before_it() -> None:
    closed: list[str] = []

    def source() -> Iterator[Arrival]:
        try:
            while True:
                yield Arrival([Content("a", seq=1, t=0.0)])
        finally:
            closed.append("source")

    def stage(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        try:
            yield from arrivals
        finally:
            closed.append("filter")
            raise ValueError("while it closes")

    arrivals = foreign(NAMED, stage, CancelToken())(source())
    next(arrivals)
    close(arrivals)
    assert closed == ["filter", "source"]


def test_a_filter_that_hangs_is_left_behind_and_no_text_is_lost() -> None:
    token, gate, threads = CancelToken(), threading.Event(), set[threading.Thread]()

    def stuck(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        for at, arrival in enumerate(arrivals):
            if at == 4:
                threads.add(threading.current_thread())
                token.cancel()
                gate.wait()
            yield arrival

    arrivals = foreign(NAMED, stuck, token)(run())
    events = list(events_in(arrivals))
    grammar.check(events)
    assert text(events) == TEXT
    assert isinstance(events[-1], Done)
    (warning,) = [it.message for it in events if isinstance(it, Warn)]
    assert warning.startswith(f"the {NAMED} failed")
    gate.set()
    (thread,) = threads
    thread.join(LIMIT)
    assert not thread.is_alive()  # it got nothing more


def test_a_filter_is_not_blamed_for_what_comes_late() -> None:
    token = CancelToken()

    def slow() -> Iterator[Arrival]:
        for at, arrival in enumerate(run()):
            if at == 3:
                token.cancel()
                token_free.wait(2 * PATIENCE_SECONDS)
            yield arrival

    token_free = threading.Event()  # never set: the pause of a source that is slow to end
    events = list(events_in(foreign(NAMED, upper, token)(slow())))
    assert text(events) == TEXT.upper()
    assert not any(isinstance(it, Warn) for it in events)

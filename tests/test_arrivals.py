"""Claimed: how events are grouped into arrivals changes nothing of what comes out of any layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.api import stream
from chatstream.cancel import CancelToken
from chatstream.errors import Truncated
from chatstream.events import AnyEvent, Content, Event, Metadata, Usage, encode, new_run
from chatstream.flow import Arrival, Finish, Stage, drive, events_in
from chatstream.messages import ChatRequest
from chatstream.readahead import Pressure
from chatstream.recovery.attempts import Attempts
from chatstream.recovery.degrade import unstreamed
from chatstream.recovery.fallback import fallback
from chatstream.recovery.retry import Plan, retry
from chatstream.recovery.watchdog import Limits, watchdog, within
from chatstream.stages.buffer import buffer
from chatstream.stages.coalesce import coalesce
from chatstream.stages.journal import journal
from chatstream.stages.pace import pace
from chatstream.stages.seal import seal
from chatstream.stages.thinking import thinking
from chatstream.transcript import Transcript
from tests.support.answers import ALL_DIALECTS, WORDS, whole
from tests.support.arrivals import events_of, grouped
from tests.support.loopback import Script

REQUEST = ChatRequest("m", ())
PIECES = st.lists(
    st.sampled_from(["a", "word ", "<", "<think>", "</think>", "`", "```\n", "\n", "<b>", "=="]),
    min_size=1,
    max_size=12,
)
SIZES = st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any)
FINISH = Finish(reason="stop")


def sealed(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    return seal(new_run(), CancelToken(), clock=lambda: 0.0)(arrivals)


class Kept:
    """A writer that keeps what it was given, until it fails."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.lines: list[bytes] = []
        self._fails_at = fails_at

    def write(self, events: Sequence[Event]) -> None:
        if self._fails_at is not None and len(self.lines) >= self._fails_at:
            raise OSError(28, "No space left on device")
        self.lines += [encode(event) for event in events]

    def close(self) -> None:
        """There is nothing to let go of."""


def journalled(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    return journal(Kept(), lambda: None)(sealed(arrivals))


def told(events: Iterable[Event]) -> list[tuple[str, int, str]]:
    """What of the events must not depend on how they came."""
    return [(type(it).__name__, it.seq, getattr(it, "delta", "")) for it in events]


STAGES = [
    pytest.param(thinking, id="thinking"),
    pytest.param(sealed, id="seal"),
    pytest.param(lambda it: sealed(thinking(it)), id="both"),
    pytest.param(journalled, id="journal"),
    pytest.param(lambda it: journal(Kept(0), lambda: None)(sealed(it)), id="broken-journal"),
    pytest.param(buffer("fixed", Pressure(), most_events=16), id="buffer"),
    pytest.param(pace(1.0, lambda _: True, lambda: 0.0), id="pace"),
]


@pytest.mark.parametrize("layer", STAGES)
@given(pieces=PIECES, sizes=SIZES)
def test_a_stage_makes_the_same_of_it(layer: Stage, pieces: list[str], sizes: list[int]) -> None:
    events: list[Event] = [*(Content(piece, t=1.0) for piece in pieces), Usage(t=1.0), FINISH]
    alone = told(events_in(layer(grouped(events, [1]))))
    assert told(events_in(layer(grouped(events, sizes)))) == alone


@given(pieces=PIECES, sizes=SIZES)
def test_coalescing_loses_and_moves_nothing(pieces: list[str], sizes: list[int]) -> None:
    events = [Content(piece) for piece in pieces]
    out = events_of(coalesce(lambda: 0.0)(grouped(events, sizes)))
    assert "".join(it.delta for it in out if isinstance(it, Content)) == "".join(pieces)
    assert [it.seq for it in out] == list(range(len(out)))


@given(cut=st.integers(16, 40), sizes=SIZES)
def test_a_continuation_repeats_nothing(cut: int, sizes: list[int]) -> None:
    text = "The quick brown fox jumps over the lazy dog."

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        if not request.partial:
            yield Arrival([Content(text[:cut])], 1.0)
            raise Truncated("cut")
        yield from grouped([Metadata(), *map(Content, text), FINISH], sizes)  # from the beginning

    answer = Transcript()
    plan = Plan("continue", "prefill")
    asked = retry(source, Attempts(1), plan, lambda: 0.0, lambda _token, _seconds: True)
    for event in events_in(asked(REQUEST, CancelToken())):
        answer.add(event)
    assert answer.message.content == text


LATE = [Metadata(), Usage(), Content("a"), Usage(), FINISH]


@given(sizes=SIZES)
def test_limits_change_nothing_while_they_hold(sizes: list[int]) -> None:
    def source(_request: ChatRequest, _token: CancelToken) -> Iterator[Arrival]:
        yield from grouped(LATE, sizes)

    guarded = within(watchdog(source, Limits(), lambda: 0.0), 1.0, lambda: 0.0)
    assert events_of(guarded(REQUEST, CancelToken())) == LATE


def test_a_token_resets_the_limits_on_silence_wherever_it_stands() -> None:
    for events in ([Content("a")], [Usage(), Content("a")], [Content("a"), Usage()]):
        arrivals = [Arrival([*events], 0.4), Arrival(t=0.8)]
        limits = Limits(first_token=0.5, between_tokens=0.5)
        guarded = watchdog(lambda _request, _token, it=arrivals: iter(it), limits, lambda: 0.0)  # type: ignore[misc]
        assert list(guarded(REQUEST, CancelToken())) == arrivals


@given(sizes=SIZES)
def test_the_model_that_takes_over_drops_the_text_right_before_its_first_token(
    sizes: list[int],
) -> None:
    def first(_request: ChatRequest, _token: CancelToken) -> Iterator[Arrival]:
        yield Arrival([Content("old")])
        raise Truncated("cut")

    def second(_request: ChatRequest, _token: CancelToken) -> Iterator[Arrival]:
        yield from grouped([Metadata(), Usage(), Content("new"), Usage(), FINISH], sizes)

    asked = fallback([("a", first), ("b", second)], Attempts(0), after_text=True)
    events = events_of(asked(REQUEST, CancelToken()))[2:]
    assert events == [Metadata(), Usage(), Metadata(restart=True), Content("new"), Usage(), FINISH]


@given(sizes=SIZES)
def test_a_stream_that_has_begun_is_not_asked_for_again_as_a_whole(sizes: list[int]) -> None:
    asked: list[bool] = []

    def source(request: ChatRequest, _token: CancelToken) -> Iterator[Arrival]:
        asked.append(request.stream)
        yield from grouped([Metadata(), Usage(), Content("a"), Usage()], sizes)
        raise Truncated("cut")

    with pytest.raises(Truncated):
        list(unstreamed(source)(REQUEST, CancelToken()))
    assert asked == [True]


@given(sizes=SIZES)
def test_the_journal_has_every_event_that_was_shown(sizes: list[int]) -> None:
    kept = Kept()
    events = [*map(Content, WORDS), FINISH]
    shown = events_of(journal(kept, lambda: None)(sealed(grouped(events, sizes))))
    assert kept.lines == [encode(event) for event in shown]


def test_a_sink_gets_every_arrival_as_it_is() -> None:
    class Texts:
        def __init__(self) -> None:
            self.taken: list[list[Event]] = []

        def write(self, arrival: Arrival) -> None:
            self.taken.append(arrival.events)

        def close(self) -> None:
            """Nothing is held."""

    sink = Texts()
    drive(grouped([*map(Content, WORDS)], [2, 0]), sink)
    assert events_of(map(Arrival, sink.taken)) == [*map(Content, WORDS)]
    assert [len(events) for events in sink.taken[:3]] == [2, 0, 2]


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_nothing_but_events_leaves_the_pipeline(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        events = list(stream("hi", provider=dialect, base_url=server.url, model="m", api_key="k"))
    assert {type(event) for event in events} <= set(get_args(AnyEvent))
    assert [event.delta for event in events if isinstance(event, Content)] == WORDS

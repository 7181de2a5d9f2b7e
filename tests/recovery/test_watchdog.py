"""Claimed: only tokens reset the limits on silence, and each phase has its own limit."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, Stalled, TimedOut
from chatstream.events import (
    Content,
    Event,
    Image,
    Metadata,
    Reasoning,
    ToolCall,
    ToolCallDelta,
    Usage,
    Waiting,
    Warn,
)
from chatstream.flow import Arrival, Finish, Open, close, events_in
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.watchdog import AWAY_SECONDS, Limits, watchdog, within
from tests.support.arrivals import each

REQUEST = ChatRequest("m", (Message("user", "q"),))
Step = Event | Arrival
LIMITS = Limits(connect=2.0, first_token=5.0, between_tokens=3.0)


def dial(t: float) -> Arrival:
    return Arrival(t=t, connected=False)


def looks(start: float, end: float, *, connected: bool = True, alive: bool = False) -> list[Step]:
    """A heartbeat each quarter of a second from `start` to before `end`."""
    count = round((end - start) * 4)
    return [Arrival(t=start + n / 4, connected=connected, alive=alive) for n in range(count)]


class Source:
    """An Open that yields arrivals; knows whether it was closed."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.closed = False

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        try:
            yield from each(*self._steps)
        finally:
            self.closed = True


def run(*steps: Step, limits: Limits = LIMITS) -> tuple[list[Event], ChatstreamError | None]:
    """The events that passed, and what ended them; the clock starts at 0."""
    source = Source(*steps)
    passed: list[Event] = []
    failure = None
    try:
        arrivals = watchdog(source.open, limits, lambda: 0.0)(REQUEST, CancelToken())
        passed.extend(events_in(arrivals))
    except ChatstreamError as error:
        failure = error
    assert source.closed
    return passed, failure


def waits(events: list[Event]) -> list[tuple[str, float, bool]]:
    return [(e.phase, e.silent_for, e.alive) for e in events if isinstance(e, Waiting)]


def test_every_event_passes_in_its_order() -> None:
    steps: list[Step] = [
        dial(0.1),
        Arrival(t=0.2),
        Metadata(),
        Content("a", t=0.3),
        Arrival(t=0.3),
        Usage(),
    ]
    source = Source(*deepcopy(steps))
    passed = list(watchdog(source.open, LIMITS, lambda: 0.0)(REQUEST, CancelToken()))
    assert passed == list(each(*steps))


@pytest.mark.parametrize(
    ("events", "kind", "says", "phase"),
    [
        pytest.param(
            [*looks(0.0, 2.0, connected=False), dial(2.0)],
            TimedOut,
            "no connection within 2 s",
            "connect",
            id="connect",
        ),
        pytest.param(
            [dial(0.4), *looks(0.5, 5.5), Arrival(t=5.5)],
            TimedOut,
            "no token within 5 s",
            "first_token",
            id="first-token",
        ),
        pytest.param(
            [Arrival(t=1.0), Content("a", t=4.0), *looks(4.0, 7.0), Arrival(t=7.0)],
            Stalled,
            "no further token for 3 s",
            "between_tokens",
            id="between-tokens",
        ),
    ],
)
def test_each_phase_ends_at_its_own_limit(
    events: list[Step], kind: type[ChatstreamError], says: str, phase: str
) -> None:
    assert run(*events[:-1])[1] is None
    failure = run(*events)[1]
    assert type(failure) is kind
    assert (failure.message, failure.phase) == (says, phase)
    assert "-timeout" in (failure.hint or "")


@pytest.mark.parametrize(
    "token",
    [
        Content("a"),
        Reasoning("a"),
        ToolCallDelta("i", "n", "x"),
        ToolCall("i", "n", "{}"),
        Image(data="AAAA"),
    ],
)
def test_every_kind_of_token_resets_the_limit(token: Event) -> None:
    events: list[Step] = [Arrival(t=0.0)]
    for t in range(0, 40, 2):
        again = type(token)(**{f: getattr(token, f) for f in token.__struct_fields__})
        again.t = float(t)
        events += [again, Arrival(t=t + 1.9)]
    assert run(*events)[1] is None


@pytest.mark.parametrize("event", [Metadata(t=3.0), Usage(t=3.0), Warn("c", "m", t=3.0)])
def test_nothing_but_a_token_resets_the_limit(event: Event) -> None:
    before: list[Step] = [Arrival(t=0.0), Content("a", t=1.0), *looks(1.0, 3.0), event]
    assert type(run(*before, *looks(3.0, 4.0), Arrival(t=4.0))[1]) is Stalled


def test_keep_alives_for_ever_end_at_the_limit_and_are_told() -> None:
    beats = [Arrival(t=t / 2, alive=True) for t in range(100)]
    passed, failure = run(Content("a", t=0.0), *beats)
    assert type(failure) is Stalled
    assert failure.message == "no further token for 3 s, only keep-alives"
    assert waits(passed) == [("between_tokens", 1.0, True), ("between_tokens", 2.0, True)]


def test_keep_alives_are_told_also_when_the_last_arrival_brought_none() -> None:
    beats = [Arrival(t=0.5, alive=True), *looks(0.75, 4.0)]
    passed, failure = run(Content("a", t=0.0), *beats)
    assert failure is not None
    assert failure.message == "no further token for 3 s, only keep-alives"
    assert [alive for _, _, alive in waits(passed)] == [True, True]


def test_a_server_with_keep_alives_but_no_first_token_ends_at_the_first_token_limit() -> None:
    failure = run(*(Arrival(t=t / 2, alive=True) for t in range(100)))[1]
    assert type(failure) is TimedOut
    assert failure.message == "no token within 5 s, only keep-alives"


def test_waiting_is_told_once_a_second_with_its_phase() -> None:
    passed, _ = run(
        *(dial(t / 4) for t in range(1, 6)),
        *(Arrival(t=t / 4) for t in range(6, 17)),
        Content("a", t=4.0),
        *(Arrival(t=t / 4) for t in range(17, 22)),
    )
    assert waits(passed) == [
        ("connect", 1.0, False),
        ("first_token", 1.0, False),
        ("first_token", 2.0, False),
        ("between_tokens", 1.0, False),
    ]


def test_waiting_tells_the_limit() -> None:
    passed, _ = run(*looks(0.0, 1.0), Arrival(t=1.0))
    assert passed == [Waiting("first_token", 1.0, 5.0)]


def test_a_sign_of_life_is_forgotten_with_the_next_token() -> None:
    passed, _ = run(
        Content("a", t=0.0),
        Arrival(t=0.5, alive=True),
        Content("b", t=1.0),
        *looks(1.0, 2.0),
        Arrival(t=2.0),
    )
    assert waits(passed) == [("between_tokens", 1.0, False)]


def test_a_pause_of_the_reader_is_no_silence_when_tokens_were_in_hand() -> None:
    """A slow terminal: the token was received long ago, the next look comes right after it."""
    tokens = [Content("a", t=1.0), Content("b", t=90.0)]
    assert run(Arrival(t=0.0), *tokens, Arrival(t=90.1))[1] is None


def test_no_limit_is_no_limit() -> None:
    limits = Limits(connect=None, first_token=None, between_tokens=None)
    events: list[Step] = [
        *looks(0.0, 500.0, connected=False),
        *looks(500.0, 1500.0),
        Content("a", t=1500.0),
        *looks(1500.0, 2500.0),
    ]
    passed, failure = run(*events, limits=limits)
    assert failure is None
    told = [(e.phase, e.limit) for e in passed if isinstance(e, Waiting)]
    assert set(told) == {("connect", None), ("first_token", None), ("between_tokens", None)}


def test_closing_the_events_closes_the_source() -> None:
    source = Source(Arrival(t=0.0), Content("a", t=0.0))
    for guarded in (watchdog(source.open, LIMITS, lambda: 0.0), within(source.open, 1.0)):
        source.closed = False
        events = guarded(REQUEST, CancelToken())
        next(events)
        close(events)
        assert source.closed


def limited(source: Open, seconds: float | None, now: list[float]) -> list[Arrival]:
    return list(within(source, seconds, lambda: now[0])(REQUEST, CancelToken()))


def test_the_total_limit_ends_everything_also_while_tokens_come() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        while True:
            for _ in range(4):
                now[0] += 0.25
                yield Arrival(t=now[0])
            yield Arrival([Content("a")], now[0])

    with pytest.raises(TimedOut, match="not complete within 10 s") as caught:
        limited(source, 10.0, now)
    assert caught.value.phase == "total"
    assert now == [10.0]


def test_time_in_which_a_run_is_held_counts_against_no_total_limit() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        for held in (True, False):
            for _ in range(400):
                now[0] += 0.25
                yield Arrival(t=now[0], connected=False, held=held)

    with pytest.raises(TimedOut):
        limited(source, 10.0, now)
    assert now == [110.0]


def test_a_total_limit_of_none_changes_nothing() -> None:
    source = Source(Content("a")).open
    assert within(source, None) is source


# ---- what comes with the arrival at which a limit has passed


LATE: list[Event] = [Metadata(), Usage()]


def test_what_comes_at_the_limit_is_passed_on_before_the_failure() -> None:
    passed, failure = run(
        Content("a", t=0.0), *looks(0.0, 3.0), Arrival([*LATE], 3.0), Arrival(t=3.1)
    )
    assert type(failure) is Stalled
    assert passed[-2:] == LATE


@pytest.mark.parametrize("end", [[Finish(reason="stop")], [Usage(), Finish(reason="stop")]])
def test_an_answer_that_ends_at_the_limit_is_whole_and_its_end_comes_last(end: list[Event]) -> None:
    for t in (2.0, 3.0):
        passed, failure = run(Content("a", t=0.0), *looks(0.0, t), Arrival([*end], t))
        assert failure is None
        assert passed[-1] is end[-1]


def test_what_comes_at_the_total_limit_is_passed_on_before_the_failure() -> None:
    now, passed = [0.0], list[Arrival]()

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        while True:
            now[0] += 0.5
            yield Arrival([Content(f"{now[0]}")], now[0])

    with pytest.raises(TimedOut):
        passed.extend(within(source, 10.0, lambda: now[0])(REQUEST, CancelToken()))
    assert [event for it in passed for event in it.events][-1] == Content("10.0")


# ---- time in which nobody looked


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    """Ctrl+Z, a laptop that slept, a reader who held everything up: in each phase."""
    hours = 9e3
    assert run(*looks(0.0, 1.0, connected=False), dial(hours))[1] is None
    assert run(Arrival(t=0.1), *looks(0.25, 4.0), Arrival(t=hours))[1] is None
    assert run(Arrival(t=0.1), Content("a", t=0.2), Arrival(t=0.2), Arrival(t=hours))[1] is None


def test_the_looks_after_such_a_time_count_on() -> None:
    before: list[Step] = [Arrival(t=0.0), Content("a", t=0.0), *looks(0.0, 1.0)]
    after = looks(500.0, 502.0)
    assert run(*before, *after[:4])[1] is None
    assert type(run(*before, *after)[1]) is Stalled


def test_many_such_times_add_up_to_little() -> None:
    """A reader that takes a line a minute: each gap counts as the longest look, no more."""
    gaps = [Arrival(t=60.0 * n) for n in range(1, round(LIMITS.between_tokens or 0))]
    assert run(Content("a", t=0.0), *gaps)[1] is None


def test_silence_that_somebody_looks_at_counts_at_any_pace_of_a_busy_machine() -> None:
    for step in (0.01, 0.1, AWAY_SECONDS):
        beats = [Arrival(t=n * step) for n in range(1, round(4.0 / step))]
        assert type(run(Content("a", t=0.0), *beats)[1]) is Stalled


def test_a_gap_is_not_told_as_silence() -> None:
    passed, _ = run(Content("a", t=0.0), Arrival(t=0.5), Arrival(t=100.0), Arrival(t=100.1))
    assert [silent for _, silent, _ in waits(passed)] == [1.0]


def test_the_total_limit_does_not_count_time_in_which_nobody_looked() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        for gap in (1.0, 0.1, 9e4, 0.1, 0.1):
            now[0] += gap
            yield Arrival(t=now[0])

    assert len(limited(source, 3.0, now)) == 5


def test_the_total_limit_counts_silence_that_somebody_looks_at() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        while True:
            now[0] += 0.25
            yield Arrival(t=now[0])

    with pytest.raises(TimedOut, match="not complete within 10 s"):
        limited(source, 10.0, now)
    assert now == [10.0]

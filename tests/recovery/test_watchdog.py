"""Claimed: only tokens reset the limits on silence, and each phase has its own limit."""

from __future__ import annotations

from collections.abc import Iterator

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
from chatstream.flow import Open, Pulse, close
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.watchdog import AWAY_SECONDS, Limits, watchdog, within

REQUEST = ChatRequest("m", (Message("user", "q"),))
LIMITS = Limits(connect=2.0, first_token=5.0, between_tokens=3.0)


def dial(t: float) -> Pulse:
    return Pulse(t=t, connected=False)


def looks(start: float, end: float, *, connected: bool = True, alive: bool = False) -> list[Event]:
    """A pulse each quarter of a second from `start` to before `end`."""
    count = round((end - start) * 4)
    return [Pulse(t=start + n / 4, connected=connected, alive=alive) for n in range(count)]


class Source:
    """An Open that yields events; knows whether it was closed."""

    def __init__(self, *events: Event) -> None:
        self._events = events
        self.closed = False

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        try:
            yield from self._events
        finally:
            self.closed = True


def run(*events: Event, limits: Limits = LIMITS) -> tuple[list[Event], ChatstreamError | None]:
    """The events that passed, without the pulses, and what ended them; the clock starts at 0."""
    source = Source(*events)
    passed: list[Event] = []
    failure = None
    try:
        for event in watchdog(source.open, limits, lambda: 0.0)(REQUEST, CancelToken()):
            if not isinstance(event, Pulse):
                passed.append(event)
    except ChatstreamError as error:
        failure = error
    assert source.closed
    return passed, failure


def waits(events: list[Event]) -> list[tuple[str, float, bool]]:
    return [(e.phase, e.silent_for, e.alive) for e in events if isinstance(e, Waiting)]


def test_every_event_passes_in_its_order() -> None:
    events = [dial(0.1), Pulse(t=0.2), Metadata(), Content("a", t=0.3), Pulse(t=0.3), Usage()]
    source = Source(*events)
    assert list(watchdog(source.open, LIMITS, lambda: 0.0)(REQUEST, CancelToken())) == events


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
            [dial(0.4), *looks(0.5, 5.5), Pulse(t=5.5)],
            TimedOut,
            "no token within 5 s",
            "first_token",
            id="first-token",
        ),
        pytest.param(
            [Pulse(t=1.0), Content("a", t=4.0), *looks(4.0, 7.0), Pulse(t=7.0)],
            Stalled,
            "no further token for 3 s",
            "between_tokens",
            id="between-tokens",
        ),
    ],
)
def test_each_phase_ends_at_its_own_limit(
    events: list[Event], kind: type[ChatstreamError], says: str, phase: str
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
    events: list[Event] = [Pulse(t=0.0)]
    for t in range(0, 40, 2):
        again = type(token)(**{f: getattr(token, f) for f in token.__struct_fields__})
        again.t = float(t)
        events += [again, Pulse(t=t + 1.9)]
    assert run(*events)[1] is None


@pytest.mark.parametrize("event", [Metadata(t=3.0), Usage(t=3.0), Warn("c", "m", t=3.0)])
def test_nothing_but_a_token_resets_the_limit(event: Event) -> None:
    before: list[Event] = [Pulse(t=0.0), Content("a", t=1.0), *looks(1.0, 3.0), event]
    assert type(run(*before, *looks(3.0, 4.0), Pulse(t=4.0))[1]) is Stalled


def test_keep_alives_for_ever_end_at_the_limit_and_are_told() -> None:
    beats = [Pulse(t=t / 2, alive=True) for t in range(100)]
    passed, failure = run(Content("a", t=0.0), *beats)
    assert type(failure) is Stalled
    assert failure.message == "no further token for 3 s, only keep-alives"
    assert waits(passed) == [("between_tokens", 1.0, True), ("between_tokens", 2.0, True)]


def test_keep_alives_are_told_also_when_the_last_pulse_brought_none() -> None:
    pulses = [Pulse(t=0.5, alive=True), *looks(0.75, 4.0)]
    passed, failure = run(Content("a", t=0.0), *pulses)
    assert failure is not None
    assert failure.message == "no further token for 3 s, only keep-alives"
    assert [alive for _, _, alive in waits(passed)] == [True, True]


def test_a_server_with_keep_alives_but_no_first_token_ends_at_the_first_token_limit() -> None:
    failure = run(*(Pulse(t=t / 2, alive=True) for t in range(100)))[1]
    assert type(failure) is TimedOut
    assert failure.message == "no token within 5 s, only keep-alives"


def test_waiting_is_told_once_a_second_with_its_phase() -> None:
    passed, _ = run(
        *(dial(t / 4) for t in range(1, 6)),
        *(Pulse(t=t / 4) for t in range(6, 17)),
        Content("a", t=4.0),
        *(Pulse(t=t / 4) for t in range(17, 22)),
    )
    assert waits(passed) == [
        ("connect", 1.0, False),
        ("first_token", 1.0, False),
        ("first_token", 2.0, False),
        ("between_tokens", 1.0, False),
    ]


def test_waiting_tells_the_limit() -> None:
    passed, _ = run(*looks(0.0, 1.0), Pulse(t=1.0))
    assert passed == [Waiting("first_token", 1.0, 5.0, t=1.0)]


def test_a_sign_of_life_is_forgotten_with_the_next_token() -> None:
    passed, _ = run(
        Content("a", t=0.0),
        Pulse(t=0.5, alive=True),
        Content("b", t=1.0),
        *looks(1.0, 2.0),
        Pulse(t=2.0),
    )
    assert waits(passed) == [("between_tokens", 1.0, False)]


def test_a_pause_of_the_reader_is_no_silence_when_tokens_were_in_hand() -> None:
    """A slow terminal: the token was received long ago, the next pulse comes right after it."""
    assert run(Pulse(t=0.0), Content("a", t=1.0), Content("b", t=90.0), Pulse(t=90.1))[1] is None


def test_no_limit_is_no_limit() -> None:
    limits = Limits(connect=None, first_token=None, between_tokens=None)
    events: list[Event] = [
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
    source = Source(Pulse(t=0.0), Content("a", t=0.0))
    for guarded in (watchdog(source.open, LIMITS, lambda: 0.0), within(source.open, 1.0)):
        source.closed = False
        events = guarded(REQUEST, CancelToken())
        next(events)
        close(events)
        assert source.closed


def limited(source: Open, seconds: float | None, now: list[float]) -> list[Event]:
    return list(within(source, seconds, lambda: now[0])(REQUEST, CancelToken()))


def test_the_total_limit_ends_everything_also_while_tokens_come() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        while True:
            for _ in range(4):
                now[0] += 0.25
                yield Pulse(t=now[0])
            yield Content("a", t=now[0])

    with pytest.raises(TimedOut, match="not complete within 10 s") as caught:
        limited(source, 10.0, now)
    assert caught.value.phase == "total"
    assert now == [10.0]


def test_a_total_limit_of_none_changes_nothing() -> None:
    source = Source(Content("a")).open
    assert within(source, None) is source


# ---- time in which nobody looked


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    """Ctrl+Z, a laptop that slept, a reader who held everything up: in each phase."""
    hours = 9e3
    assert run(*looks(0.0, 1.0, connected=False), dial(hours))[1] is None
    assert run(Pulse(t=0.1), *looks(0.25, 4.0), Pulse(t=hours))[1] is None
    assert run(Pulse(t=0.1), Content("a", t=0.2), Pulse(t=0.2), Pulse(t=hours))[1] is None


def test_the_looks_after_such_a_time_count_on() -> None:
    before = [Pulse(t=0.0), Content("a", t=0.0), *looks(0.0, 1.0)]
    after = looks(500.0, 502.0)
    assert run(*before, *after[:4])[1] is None
    assert type(run(*before, *after)[1]) is Stalled


def test_many_such_times_add_up_to_little() -> None:
    """A reader that takes a line a minute: each gap counts as the longest look, no more."""
    gaps: list[Event] = [Pulse(t=60.0 * n) for n in range(1, round(LIMITS.between_tokens or 0))]
    assert run(Content("a", t=0.0), *gaps)[1] is None


def test_silence_that_somebody_looks_at_counts_at_any_pace_of_a_busy_machine() -> None:
    for step in (0.01, 0.1, AWAY_SECONDS):
        beats = [Pulse(t=n * step) for n in range(1, round(4.0 / step))]
        assert type(run(Content("a", t=0.0), *beats)[1]) is Stalled


def test_a_gap_is_not_told_as_silence() -> None:
    passed, _ = run(Content("a", t=0.0), Pulse(t=0.5), Pulse(t=100.0), Pulse(t=100.1))
    assert [silent for _, silent, _ in waits(passed)] == [1.0]


def test_the_total_limit_does_not_count_time_in_which_nobody_looked() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        for gap in (1.0, 0.1, 9e4, 0.1, 0.1):
            now[0] += gap
            yield Pulse(t=now[0])

    assert len(limited(source, 3.0, now)) == 5


def test_the_total_limit_counts_silence_that_somebody_looks_at() -> None:
    now = [0.0]

    def source(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        while True:
            now[0] += 0.25
            yield Pulse(t=now[0])

    with pytest.raises(TimedOut, match="not complete within 10 s"):
        limited(source, 10.0, now)
    assert now == [10.0]

"""Claimed: an attempt that fails before anything was shown is made again, and no other is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import AuthError, Cancelled, ConnectError, RateLimited, Stalled, Terminated
from chatstream.events import (
    Content,
    Event,
    Metadata,
    Reasoning,
    Retry,
    ToolCall,
    ToolCallDelta,
    Usage,
    Waiting,
)
from chatstream.flow import Finish, Open, Pulse, close
from chatstream.messages import ChatRequest, Message
from chatstream.recovery.retry import retry

REQUEST = ChatRequest("m", (Message("user", "q"),))
FINISH = Finish(reason="stop")


class Time:
    """A clock that only sleeping moves. `on_sleep` runs in each sleep."""

    def __init__(self, on_sleep: Callable[[CancelToken], None] = lambda token: None) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._on_sleep = on_sleep

    def clock(self) -> float:
        return self.now

    def sleep(self, token: CancelToken, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += seconds
        self._on_sleep(token)
        return token.cancelled


class Source:
    """An Open whose attempts are scripts: events to yield, failures to raise."""

    def __init__(self, *attempts: list[Event | Exception]) -> None:
        self._attempts = list(attempts)
        self.tokens: list[CancelToken] = []
        self.closed = 0

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        assert request is REQUEST
        self.tokens.append(token)
        try:
            for step in self._attempts.pop(0):
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed += 1


def run(source: Open, retries: int = 2, time: Time | None = None) -> list[Event]:
    time = time or Time()
    return list(retry(source, retries, time.clock, time.sleep)(REQUEST, CancelToken()))


def without_pulses(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Pulse)]


def test_an_answer_passes_as_it_is() -> None:
    answer: list[Event] = [Metadata(), Content("a"), Usage(), Content("b"), FINISH]
    assert run(Source([*answer]).open) == answer


def test_a_failure_before_the_first_token_is_tried_again() -> None:
    failure = RateLimited("slow down", status=429, retry_after=0.25)
    source = Source([Metadata(), Waiting("connect", 1.0), failure], [Metadata(), Content("a")])
    events = run(source.open)
    assert without_pulses(events) == [
        Metadata(attempt=1),
        Waiting("connect", 1.0),
        Retry(attempt=2, max=3, delay=0.25, cause="slow down", status=429, action="reset", t=100.0),
        Metadata(attempt=2),
        Content("a"),
    ]
    assert source.closed == 2


@pytest.mark.parametrize(
    "token", [Content("a"), Reasoning("a"), ToolCallDelta("i", "n", ""), ToolCall("i", "n", "{}")]
)
def test_after_the_first_visible_token_nothing_is_tried_again(token: Event) -> None:
    source = Source([Metadata(), token, Usage(), Stalled("m")])
    with pytest.raises(Stalled):
        run(source.open, retries=9)
    assert (len(source.tokens), source.closed) == (1, 1)


def test_a_failure_that_cannot_heal_is_raised_at_once() -> None:
    source, time = Source([AuthError("m")]), Time()
    with pytest.raises(AuthError):
        run(source.open, time=time)
    assert (source.closed, time.slept) == (1, [])


def test_the_last_failure_is_raised_when_the_retries_are_used_up() -> None:
    failures = [ConnectError(str(n), retry_after=1.0) for n in (1, 2, 3)]
    source = Source([failures[0]], [failures[1]], [failures[2]])
    with pytest.raises(ConnectError) as raised:
        run(source.open, retries=2)
    assert raised.value is failures[2]
    assert source.closed == 3


def test_no_retries_are_none() -> None:
    source = Source([ConnectError("m")])
    with pytest.raises(ConnectError):
        run(source.open, retries=0)
    assert source.closed == 1


def test_a_mistake_of_ours_is_never_tried_again() -> None:
    source = Source([ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        run(source.open)
    assert source.closed == 1


def test_an_attempt_is_closed_before_the_pause_begins() -> None:
    source = Source([ConnectError("m")], [Content("a")])
    events = retry(source.open, 1, Time().clock, Time().sleep)(REQUEST, CancelToken())
    assert isinstance(next(events), Retry)
    assert source.closed == 1


def test_the_pause_is_as_long_as_told_and_pulses_ten_times_a_second() -> None:
    time = Time()
    source = Source([RateLimited("m", retry_after=1.25)], [FINISH])
    events = run(source.open, time=time)
    assert sum(time.slept) == pytest.approx(1.25)
    assert max(time.slept) <= 0.1
    pulses = [event for event in events if isinstance(event, Pulse)]
    assert len(pulses) >= 12
    assert not any(pulse.connected or pulse.alive for pulse in pulses)
    assert [pulse.t for pulse in pulses] == sorted({pulse.t for pulse in pulses})


@pytest.mark.parametrize("reason", [Cancelled("stop"), Terminated("stop")])
def test_a_cancel_ends_the_pause_at_once_with_its_reason(reason: Cancelled) -> None:
    token = CancelToken()
    time = Time(on_sleep=lambda sleeping: sleeping.cancel(reason))
    source = Source([RateLimited("m", retry_after=60.0)])
    with pytest.raises(Cancelled) as raised:
        list(retry(source.open, 2, time.clock, time.sleep)(REQUEST, token))
    assert raised.value is reason
    assert len(time.slept) == 1


def test_a_failure_that_the_cancel_made_is_the_cancel() -> None:
    token = CancelToken()

    def source(request: ChatRequest, child: CancelToken) -> Iterator[Event]:
        yield Metadata()
        token.cancel()
        raise ConnectError("the socket was shut down")

    with pytest.raises(Cancelled):
        list(retry(source, 2)(REQUEST, token))


def test_each_attempt_has_a_token_that_the_run_cancels_and_not_the_other_way_round() -> None:
    token = CancelToken()
    source = Source([ConnectError("m", retry_after=0.1)], [Metadata(), FINISH])
    time = Time()
    events = retry(source.open, 1, time.clock, time.sleep)(REQUEST, token)
    while not isinstance(next(events), Metadata):
        pass
    first, second = source.tokens
    second.cancel()
    assert not token.cancelled
    token.cancel()
    assert not first.cancelled, "an attempt that is over holds on to nothing"
    assert second.cancelled


def test_closing_the_events_closes_the_attempt() -> None:
    for read in (1, 2, 3):
        source = Source([Metadata(), Content("a"), Content("b"), FINISH])
        events = retry(source.open, 1)(REQUEST, CancelToken())
        for _ in range(read):
            next(events)
        close(events)
        assert source.closed == 1


def test_only_the_failure_that_is_raised_decides_and_not_an_earlier_one() -> None:
    source = Source([ConnectError("m", retry_after=0.1)], [Content("a"), ConnectError("again")])
    with pytest.raises(ConnectError, match="again"):
        run(source.open, retries=5)
    assert source.closed == 2

"""Claimed: what a server asks of one request, all of them heed; and no run loses an attempt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import (
    MAX_WAIT_SECONDS,
    AuthError,
    BadRequest,
    Cancelled,
    ChatstreamError,
    ModelNotFound,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerError,
)
from chatstream.events import Content, Metadata, Usage, Warn
from chatstream.flow import Arrival, close
from chatstream.many.gate import MOST_REFUSALS, Gates
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Endpoint

REQUEST = ChatRequest(model="m", messages=(Message("user", "hi"),))


class Time:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers with what `plays` says, in turn: a failure, or None for a whole answer."""

    def __init__(self, *plays: ChatstreamError | None, key: str = "k") -> None:
        self.endpoint = Endpoint("openai", "http://server", key)
        self.plays = list(plays)
        self.asked = 0
        self.gone: float | None = None
        self.used: int | None = None

    def used_up(self) -> float | None:
        return self.gone

    def open(self, _request: ChatRequest, _token: CancelToken) -> Iterator[Arrival]:
        play = self.plays[min(self.asked, len(self.plays) - 1)]
        self.asked += 1
        yield Arrival()
        if play is not None:
            raise play
        yield Arrival([Metadata()])
        yield Arrival([Content("a")])
        yield Arrival([Content("b"), *([Usage(0, self.used)] if self.used else [])])


class Run:
    """One run that asks a server through its gate. `step` until it has sent, or has to wait."""

    def __init__(self, gates: Gates, server: Server) -> None:
        self.token = CancelToken()
        self.arrivals = gates.around(server, server.open)(REQUEST, self.token)

    def step(self) -> Arrival:
        return next(self.arrivals)

    def finish(self) -> list[Arrival]:
        return list(self.arrivals)


def held(run: Run) -> bool:
    return run.step().held


def waits(run: Run, gates: Gates, time: Time) -> list[float]:
    """The waits of a run that the server only ever refuses; time passes at once."""
    found = []
    with suppress(RateLimited):
        for arrival in run.arrivals:
            if arrival.events:
                found.append(gates.wait())
                time.now += gates.wait()
    assert isinstance(gates.refusal, RateLimited)
    return found


def test_one_request_is_under_way_until_the_server_has_accepted_one() -> None:
    gates, server = Gates(), Server(None)
    runs = [Run(gates, server) for _ in range(3)]
    assert [held(run) for run in runs] == [False, True, True]
    assert not runs[0].step().held  # and its head is there: accepted
    assert [held(run) for run in runs[1:]] == [False, False]
    assert server.asked == 3


@pytest.mark.parametrize(
    "failure",
    [
        AuthError("wrong key", status=401),
        QuotaExceeded("nothing left"),
        Refused("this country"),
        ModelNotFound("no such model"),
        RateLimited("tomorrow", retry_after=MAX_WAIT_SECONDS + 1),
    ],
)
def test_a_refusal_of_all_costs_one_request(failure: ChatstreamError) -> None:
    gates, server = Gates(), Server(failure)
    runs = [Run(gates, server) for _ in range(4)]
    assert [held(run) for run in runs] == [False, True, True, True]
    for run in runs:
        with pytest.raises(type(failure), match=failure.message) as raised:
            run.finish()
        assert run is runs[0] or not raised.value.retryable
    assert server.asked == 1
    assert isinstance(gates.refusal, type(failure))


def test_a_refusal_of_one_stops_nobody() -> None:
    gates, server = Gates(), Server(None, BadRequest("too long"), ModelNotFound("no"), None)
    Run(gates, server).finish()
    for failure in (BadRequest, ModelNotFound):
        with pytest.raises(failure):
            Run(gates, server).finish()
    Run(gates, server).finish()
    assert gates.refusal is None


def test_while_a_server_asks_to_wait_nobody_asks_it() -> None:
    time = Time()
    gates = Gates(clock=time)
    server = Server(None, RateLimited("slowly", retry_after=2.0), None)
    Run(gates, server).finish()
    refused, *others = [Run(gates, server) for _ in range(4)]
    refused.step()
    (warned,) = refused.step().events
    assert isinstance(warned, Warn)
    assert "2 s" in warned.message
    for now in (100.0, 101.0, 101.99):
        time.now = now
        assert all(held(run) for run in (refused, *others))
    assert server.asked == 2
    time.now = 102.0
    for run in (refused, *others):
        run.finish()
    assert server.asked == 2 + 4


def test_a_success_that_says_that_nothing_remains_is_heeded() -> None:
    time = Time()
    gates, server = Gates(clock=time), Server(None)
    server.gone = 30.0
    Run(gates, server).finish()
    assert gates.wait() == 30.0
    run = Run(gates, server)
    assert held(run)
    time.now += 30.0
    run.finish()


def test_a_success_that_says_that_nothing_remains_for_hours_is_the_last() -> None:
    gates, server = Gates(), Server(None)
    server.gone = 5 * 3600.0
    assert len(Run(gates, server).finish()) == 4
    with pytest.raises(RateLimited, match="used up") as raised:
        Run(gates, server).finish()
    assert raised.value.hint == "the server asks for a wait of 5 h"


def test_a_refusal_halves_what_is_under_way_and_successes_add_to_it() -> None:
    time = Time()
    gates, server = Gates(clock=time), Server(None)
    Run(gates, server).finish()

    def allowed() -> int:
        """How many requests are let through at once."""
        runs = [Run(gates, server) for _ in range(12)]
        passed = [run for run in runs if not held(run)]
        for run in passed:
            run.token.cancel()
            close(run.arrivals)
        return len(passed)

    assert allowed() == 12
    limit = RateLimited("slowly", retry_after=1.0)
    runs = [Run(gates, server) for _ in range(8)]
    server.plays = [limit]
    for run in runs:
        run.step()
    for run in runs:  # all of them were sent before the first refusal: it is one
        assert isinstance(run.step().events[0], Warn)
    time.now += 1.0
    assert allowed() == 4
    server.plays = [None]
    for _ in range(4):
        Run(gates, server).finish()
    assert allowed() == 5


def test_without_a_time_the_pause_doubles_until_it_is_too_long() -> None:
    time = Time()
    gates, server = Gates(pause=0.5, clock=time), Server(RateLimited("slowly"))
    assert waits(Run(gates, server), gates, time) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]


def test_a_server_that_only_ever_asks_to_wait_is_given_up() -> None:
    time = Time()
    gates, server = Gates(clock=time), Server(RateLimited("slowly", retry_after=2.0))
    assert waits(Run(gates, server), gates, time) == [2.0] * MOST_REFUSALS
    assert server.asked == MOST_REFUSALS + 1


def test_a_refusal_after_the_first_token_is_for_the_run_to_see() -> None:
    gates, server = Gates(), Server(None)

    def open_(_request: ChatRequest, _token: CancelToken) -> Iterator[Arrival]:
        yield Arrival([Content("a")])
        raise RateLimited("slowly", retry_after=1.0)

    with pytest.raises(RateLimited):
        list(gates.around(server, open_)(REQUEST, CancelToken()))
    assert gates.wait() > 0


def test_an_overloaded_server_that_names_a_time_is_waited_for() -> None:
    time = Time()
    gates = Gates(clock=time)
    server = Server(ServerError("busy", status=503, retry_after=3.0), None)
    run = Run(gates, server)
    list(islice(run.arrivals, 2))
    assert gates.wait() == 3.0
    time.now += 3.0
    run.finish()
    with pytest.raises(ServerError):
        Run(gates, Server(ServerError("broken", status=500))).finish()


def test_another_key_has_another_gate() -> None:
    gates = Gates()
    with pytest.raises(AuthError):
        Run(gates, Server(AuthError("wrong"))).finish()
    Run(gates, Server(None, key="another")).finish()


def test_requests_and_tokens_of_a_minute_are_limited() -> None:
    time = Time()
    server = Server(None)
    gates = Gates(rpm=3, clock=time)
    for _ in range(3):
        Run(gates, server).finish()
    run = Run(gates, server)
    assert held(run)
    time.now += 60.0
    run.finish()

    time, server = Time(), Server(None)
    server.used = 40
    gates = Gates(tpm=100, clock=time)
    for _ in range(2):
        Run(gates, server).finish()
    run = Run(gates, server)  # 80 are used; about 40 more would be too many
    assert held(run)
    time.now += 60.0
    run.finish()


def test_a_run_that_waits_is_cancelled() -> None:
    gates, server = Gates(), Server(RateLimited("slowly", retry_after=100.0))
    run = Run(gates, server)
    list(islice(run.arrivals, 3))
    run.token.cancel(Cancelled("enough"))
    with pytest.raises(Cancelled):
        run.finish()


def test_who_waits_passes_as_soon_as_another_has_ended() -> None:
    gates, server = Gates(), Server(BadRequest("no"), None)
    first, second = Run(gates, server), Run(gates, server)
    first.step()
    passed = threading.Thread(target=second.finish)
    passed.start()
    with pytest.raises(BadRequest):
        first.finish()
    passed.join(5)
    assert not passed.is_alive()
    assert server.asked == 2

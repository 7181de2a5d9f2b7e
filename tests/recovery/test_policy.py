"""Claimed: only failures that may heal are worth another attempt, after the pause that is due."""

from __future__ import annotations

import pytest

from chatstream.errors import (
    MAX_WAIT_SECONDS,
    AuthError,
    BadRequest,
    Cancelled,
    ChatstreamError,
    ConfigError,
    ConnectError,
    ContextLength,
    InternalError,
    ModelNotFound,
    Overloaded,
    ProtocolError,
    QuotaExceeded,
    RateLimited,
    ServerError,
    Stalled,
    Terminated,
    TimedOut,
    TLSError,
    Truncated,
    UsageError,
)
from chatstream.recovery.policy import Policy

HEAL = [ConnectError, TimedOut, Stalled, Truncated, ServerError, Overloaded, RateLimited]
STAY: list[type[ChatstreamError]] = [
    AuthError,
    BadRequest,
    Cancelled,
    ConfigError,
    ContextLength,
    InternalError,
    ModelNotFound,
    ProtocolError,
    QuotaExceeded,
    TLSError,
    Terminated,
    UsageError,
]


@pytest.mark.parametrize("kind", HEAL)
def test_what_may_heal_is_tried_again(kind: type[ChatstreamError]) -> None:
    assert Policy(1, 0.5).delay(1, kind("m")) is not None


@pytest.mark.parametrize("kind", STAY)
def test_what_cannot_heal_is_not_tried_again(kind: type[ChatstreamError]) -> None:
    assert Policy(9, 0.5).delay(1, kind("m", retry_after=1.0)) is None


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
def test_there_are_as_many_retries_as_allowed(retries: int) -> None:
    delays = [Policy(retries, 0.5).delay(n, ServerError("m")) for n in range(1, retries + 3)]
    assert [delay is not None for delay in delays] == [True] * retries + [False, False]


@pytest.mark.parametrize(
    ("attempt", "least", "most"),
    [(1, 0.5, 1.0), (2, 1.0, 1.5), (3, 2.0, 2.5), (4, 4.0, 4.5), (5, 8.0, 8.5), (900, 8.0, 8.5)],
)
def test_the_pause_doubles_up_to_8_seconds_and_half_a_second_of_jitter(
    attempt: int, least: float, most: float
) -> None:
    for _ in range(50):
        delay = Policy(1000, 0.5).delay(attempt, ServerError("m"))
        assert delay is not None
        assert least <= delay <= most


def test_the_pause_has_jitter() -> None:
    assert len({Policy(1, 0.5).delay(1, ServerError("m")) for _ in range(50)}) > 1


@pytest.mark.parametrize("seconds", [0.001, 3.0, MAX_WAIT_SECONDS])
def test_the_pause_is_what_the_server_asks_for(seconds: float) -> None:
    for attempt in (1, 3):
        assert Policy(3, 0.5).delay(attempt, RateLimited("m", retry_after=seconds)) == seconds


def test_a_server_that_asks_for_more_than_the_ceiling_gets_no_retry() -> None:
    assert Policy(3, 0.5).delay(1, RateLimited("m", retry_after=MAX_WAIT_SECONDS + 1)) is None


@pytest.mark.parametrize(("kind", "advice"), [(ServerError, False), (BadRequest, True)])
def test_what_the_failure_itself_says_beats_its_class(
    kind: type[ChatstreamError], advice: bool
) -> None:
    failure = kind("m")
    failure.retryable = advice
    assert (Policy(1, 0.5).delay(1, failure) is not None) is advice


@pytest.mark.parametrize(
    ("pause", "attempt", "least", "most"),
    [
        (0.0, 1, 0.0, 0.0),
        (0.0, 9, 0.0, 0.0),
        (2.0, 1, 2.0, 4.0),
        (2.0, 3, 8.0, 10.0),
        (2.0, 9, 8.0, 10.0),
        (30.0, 1, 30.0, 60.0),
        (30.0, 9, 30.0, 60.0),
    ],
)
def test_the_first_pause_is_the_users(
    pause: float, attempt: int, least: float, most: float
) -> None:
    delay = Policy(100, pause).delay(attempt, ServerError("m"))
    assert delay is not None
    assert least <= delay <= most

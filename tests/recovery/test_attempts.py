"""Claimed: one budget holds over all that is asked again, and a model's turn costs nothing."""

from __future__ import annotations

import pytest

from chatstream.errors import (
    MAX_WAIT_SECONDS,
    AuthError,
    ConnectError,
    RateLimited,
    Truncated,
    Unreachable,
)
from chatstream.recovery.attempts import Attempts

CUT = Truncated("cut")


@pytest.mark.parametrize("retries", [0, 1, 3, 10])
def test_there_are_so_many_attempts_after_the_first(retries: int) -> None:
    attempts = Attempts(retries)
    taken = 0
    while attempts.next(CUT) is not None:
        taken += 1
        assert (attempts.number, attempts.most) == (taken + 1, retries + 1)
    assert (taken, attempts.number) == (retries, retries + 1)
    assert attempts.next(CUT) is None, "and none after that"


def test_what_cannot_heal_costs_nothing() -> None:
    attempts = Attempts(1)
    assert attempts.next(AuthError("m")) is None
    assert attempts.next(RateLimited("m", retry_after=MAX_WAIT_SECONDS + 1)) is None
    assert (attempts.number, attempts.most) == (1, 2)
    assert attempts.next(CUT) is not None


def test_the_pause_is_what_the_server_asks_for() -> None:
    assert Attempts(1).next(RateLimited("m", retry_after=7.0)) == 7.0


def test_the_pauses_grow_with_what_was_spent_whatever_it_was_for() -> None:
    attempts = Attempts(3)
    pauses = []
    for error in (ConnectError("m"), CUT, ConnectError("m")):
        pauses.append(attempts.next(error) or 0.0)
        attempts.turn()
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 2.0


def test_another_model_has_its_first_attempt_free() -> None:
    attempts = Attempts(1)
    attempts.turn()
    assert (attempts.number, attempts.most) == (2, 3)
    assert attempts.next(CUT) is not None
    assert (attempts.number, attempts.most) == (3, 3)
    attempts.turn()
    assert (attempts.number, attempts.most) == (4, 4)
    assert attempts.next(CUT) is None


def test_the_first_pause_is_the_users() -> None:
    assert Attempts(1, 0.0).next(CUT) == 0.0
    assert (Attempts(1, 40.0).next(CUT) or 0.0) >= 40.0


HERE, ELSEWHERE = Unreachable("refused", here=True), Unreachable("refused")


def test_a_server_that_is_not_on_this_machine_is_not_asked_again() -> None:
    attempts = Attempts(3)
    assert attempts.next(HERE) is None
    assert (attempts.number, attempts.most) == (1, 4)


@pytest.mark.parametrize("named", [True, False])
def test_one_that_is_not_there_elsewhere_is_asked_once_more(named: bool) -> None:
    attempts = Attempts(3)
    assert attempts.next(Unreachable("m", named=named)) is not None
    assert (attempts.number, attempts.most) == (2, 2), "and that is said"
    assert attempts.next(Unreachable("m", named=named)) is None


def test_once_is_once_whatever_else_fails_in_between() -> None:
    attempts = Attempts(5)
    assert attempts.next(ELSEWHERE) is not None
    assert attempts.next(ConnectError("m")) is not None
    assert attempts.most == 6
    assert attempts.next(ELSEWHERE) is None


def test_each_model_has_its_own_server() -> None:
    attempts = Attempts(5)
    assert attempts.next(ELSEWHERE) is not None
    attempts.turn()
    assert attempts.next(ELSEWHERE) is not None


@pytest.mark.parametrize("error", [HERE, ELSEWHERE])
def test_a_server_that_has_answered_is_given_time_to_restart(error: Unreachable) -> None:
    attempts = Attempts(3)
    assert [attempts.next(error, answered=True) is not None for _ in range(4)] == [True] * 3 + [
        False
    ]


def test_no_retries_are_none_for_it_either() -> None:
    assert Attempts(0).next(ELSEWHERE) is None

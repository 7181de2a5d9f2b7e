"""Claimed: one plain sentence says what was measured, and states no difference that is not sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chatstream.bench.conclusion import NO_DIFFERENCE, conclusion
from chatstream.bench.metrics import summed
from chatstream.bench.result import Client, Result, Sample
from tests.support import fewruns
from tests.support.fewruns import FAILED, sample

FAST = [0.50 + n / 1000 for n in range(12)]
SLOW = [1.00 + n / 1000 for n in range(12)]
SPREAD = [0.1 + n / 10 for n in range(12)]


def arm(
    ttfts: Sequence[float], tpots: Sequence[float] | None = None, name: str = "a", **changes: Any
) -> list[Sample]:
    """Runs of an arm, timed by the kernel."""
    changes = {"kernel": True, **changes}
    paces: Sequence[float | None] = tpots or [None] * len(ttfts)
    pairs = zip(ttfts, paces, strict=True)
    return [sample(ttft, name, tpot=tpot, **changes) for ttft, tpot in pairs]


def said(*samples: Sample, arms: Sequence[str] = ("a",), **changes: Any) -> str:
    made: Result = fewruns.result(*samples, arms=arms, **changes)
    made.arms = [summed(it, made.samples) for it in made.arms]
    return conclusion(made)


def two(one: list[Sample], other: list[Sample], **changes: Any) -> str:
    return said(*one, *other, arms=("a", "b"), **changes)


# ---- one arm


def test_one_arm_has_its_figures_and_how_sure_they_are() -> None:
    assert said(*arm(FAST, [0.02] * 12)) == (
        "a sends its first token after 506 ms, known to within 0.7 %, and then 50.0 tokens/s "
        "(median of 12 runs; kernel-timed)."
    )


def test_what_is_not_sure_is_said_to_be() -> None:
    assert "known only to within 54 %" in said(*arm(SPREAD))
    few = said(*arm(FAST[:3]))
    assert "after 501 ms (median of 3 runs, too few for a confidence interval; kernel" in few
    assert "(1 run, too few" in said(*arm(FAST[:1]))


def test_failed_runs_are_named() -> None:
    some = said(*arm(FAST), sample(None, status=FAILED))
    assert "(median of 13 runs, 1 of which failed; kernel-timed)" in some
    most = said(*arm(FAST[:1]), *[sample(None, status=FAILED)] * 2)
    assert most == "a failed 2 of 3 runs."
    assert said(sample(None, status=FAILED)) == "a gave no complete answer."


def test_tokens_that_were_not_counted_are_marked() -> None:
    assert "then ≈50.0 tokens/s" in said(*arm(FAST, [0.02] * 12, approximate=True))


def test_a_client_that_was_the_limit_is_not_relied_on() -> None:
    client = Client(clock="kernel", verdict="CLIENT-BOUND", reason="busy")
    assert said(*arm(FAST), client=client).endswith(" this client was the limit.")


# ---- two arms


@pytest.mark.parametrize(
    ("start", "pace", "sentence"),
    [
        (SLOW, SLOW, "a is 1.99 × sooner to its first token and 1.99 × faster than b"),
        (SLOW, FAST, "a is 1.99 × sooner to its first token than b, and then as fast"),
        (SLOW, None, "a is 1.99 × sooner to its first token than b"),
        (SLOW, SPREAD, "a is 1.99 × sooner to its first token than b; after that, no difference"),
        (FAST, SLOW, "a is 1.99 × faster than b; up to the first token, they are equal"),
        (SPREAD, SLOW, "a is 1.99 × faster than b; up to the first token, no difference"),
        (FAST, FAST, "a and b are equally fast"),
    ],
)
def test_each_way_to_differ_has_its_words(
    start: list[float], pace: list[float] | None, sentence: str
) -> None:
    one = arm(FAST, FAST if pace else None)
    told = two(one, arm(start, pace, "b"))
    assert told.replace(NO_DIFFERENCE, "no difference") == f"{sentence}; both kernel-timed."


def test_sooner_is_not_faster() -> None:
    told = two(arm(FAST, SLOW), arm(SLOW, FAST, "b"))
    assert told.startswith("a is 1.99 × sooner to its first token than b, but then 1.99 × slower;")


def test_the_winner_comes_first_wherever_it_stands() -> None:
    assert two(arm(SLOW, SLOW), arm(FAST, FAST, "b")).startswith("b is 1.99 × sooner to its")


def test_a_difference_that_is_not_sure_is_none() -> None:
    told = two(arm(SPREAD), arm([it + 0.1 for it in SPREAD], name="b"))
    assert told.startswith(f"a and b: {NO_DIFFERENCE} (about ")
    few = two(arm(FAST[:3]), arm(SLOW[:3], name="b"))
    assert few.startswith(f"a and b: {NO_DIFFERENCE} (about 3 more runs might show one)")


def test_an_arm_whose_runs_fail_is_far_behind_or_out() -> None:
    failing = [*arm(FAST[:2], name="b"), *[sample(None, "b", status=FAILED)] * 10]
    assert two(arm(FAST), failing).startswith("a is far sooner to its first token than b")
    silent = two(arm(FAST), [sample(None, "b", status=FAILED)] * 3)
    assert silent.startswith("a sends its first token after")
    assert silent.endswith(" b gave no complete answer.")


@pytest.mark.parametrize(
    ("kernel", "words"),
    [((True, True), "both kernel-timed"), ((False, False), "both timed by this process")],
)
def test_the_clock_is_named(kernel: tuple[bool, bool], words: str) -> None:
    one, other = arm(FAST, kernel=kernel[0]), arm(SLOW, name="b", kernel=kernel[1])
    assert two(one, other).endswith(f"; {words}.")
    mixed = two(arm(FAST), arm(SLOW, name="b", kernel=False))
    assert mixed.endswith("; only a kernel-timed.")


# ---- more arms


def test_the_best_of_many_is_compared_with_the_next() -> None:
    slower = [1.5 * it for it in FAST]
    runs = [*arm(SLOW, SLOW), *arm(FAST, FAST, "b"), *arm(slower, slower, "c")]
    assert said(*runs, arms=("a", "b", "c")) == (
        "The best two of 3: b is 1.50 × sooner to its first token and 1.50 × faster than c; "
        "all kernel-timed."
    )


def test_where_each_wins_something_both_are_named() -> None:
    slower = [1.5 * it for it in FAST]
    runs = [*arm(FAST, SLOW), *arm(slower, FAST, "b"), *arm(SLOW, slower, "c")]
    assert said(*runs, arms=("a", "b", "c")) == (
        "Of 3 arms, a is soonest (1.50 × sooner to its first token than b); "
        "b is fastest (1.50 × faster than c); all kernel-timed."
    )


def test_nothing_asked_is_nothing_said() -> None:
    assert said(arms=()) == ""

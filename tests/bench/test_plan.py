"""Claimed: the arms are treated alike, and the benchmark ends when it knows enough, not before."""

from __future__ import annotations

import math
import random
from itertools import islice
from typing import Any

import pytest

from chatstream.bench.plan import (
    QUESTION,
    Plan,
    arms_of,
    enough,
    filler,
    intended,
    order,
    prompt_for,
    share_done,
)
from chatstream.bench.result import Arm, Sample

BUST = Arm(name="m", provider="p", model="m")
REUSE = Arm(name="m, same prompt", provider="p", model="m", cache="reuse")


def runs(*ttfts: float | None, first: int = 1, length: float = 1.0) -> list[Sample]:
    """Samples of one arm; None is a failed run."""
    return [
        Sample(number=number, arm="m", status="reset")
        if ttft is None
        else Sample(number=number, arm="m", ttft=ttft, duration=length)
        for number, ttft in enumerate(ttfts, first)
    ]


def steady(count: int, first: int = 1) -> list[Sample]:
    return runs(*[1.0 + n % 3 / 1000 for n in range(count)], first=first)


def scattered(count: int) -> list[Sample]:
    return runs(*[1.0 + n % 2 for n in range(count)])


def cold(number: int, status: str = "ok") -> Sample:
    return Sample(number=number, arm="m", cold=True, status=status, ttft=9.0, duration=20.0)


# ---- turns


@pytest.mark.parametrize(
    ("arms", "turns"),
    [(1, [0, 0, 0, 0, 0]), (2, [0, 1, 1, 0, 0, 1, 1, 0]), (3, [0, 1, 2, 2, 1, 0, 0, 1, 2])],
)
def test_the_arms_take_turns_forth_and_back(arms: int, turns: list[int]) -> None:
    assert list(islice(order(arms), len(turns))) == turns


@pytest.mark.parametrize("arms", [2, 3, 5])
def test_a_steady_drift_adds_the_same_to_every_arm(arms: int) -> None:
    drift = [0] * arms
    for at, arm in enumerate(islice(order(arms), 2 * arms * 7)):
        drift[arm] += at
    assert len(set(drift)) == 1


@pytest.mark.parametrize("count", range(1, 8))
def test_whole_rounds_give_every_arm_as_many_runs(count: int) -> None:
    turns = list(islice(order(3), 3 * count))
    assert [turns.count(arm) for arm in range(3)] == [count] * 3


# ---- when it is enough


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        pytest.param([steady(5)], None, id="too few for an interval"),
        pytest.param([steady(6)], "precision", id="narrow"),
        pytest.param([scattered(29)], None, id="wide"),
        pytest.param([scattered(30)], "runs", id="wide for ever"),
        pytest.param([steady(12), scattered(12)], None, id="one arm is wide"),
        pytest.param([steady(12), steady(5, 13)], None, id="one arm has too few"),
        pytest.param([steady(12), steady(12, 13)], "precision", id="both narrow"),
        pytest.param([steady(40), scattered(29)], None, id="one arm has many"),
    ],
)
def test_it_ends_when_the_median_of_every_arm_is_known_well_enough(
    samples: list[list[Sample]], reason: str | None
) -> None:
    assert enough(Plan(), samples, 1.0) == reason


def test_the_wanted_precision_is_the_users() -> None:
    samples = [runs(1.0, 1.02, 1.04, 1.06, 1.08, 1.1)]
    assert enough(Plan(precision=0.05), samples, 1.0) == "precision"
    assert enough(Plan(precision=0.01), samples, 1.0) is None


def test_a_cold_run_does_not_count() -> None:
    assert enough(Plan(), [[cold(1), *steady(5, 2)]], 1.0) is None
    assert enough(Plan(), [[cold(1), *steady(6, 2)]], 1.0) == "precision"


def test_failed_runs_are_the_slowest_and_not_left_out() -> None:
    """Six good ones among many failures: the median is infinite, nothing is known precisely."""
    good = steady(6)
    assert enough(Plan(), [[*good, *runs(*[None] * 8, first=7)]], 1.0) is None
    assert enough(Plan(), [[*good, *runs(None, first=7)]], 1.0) is None


def test_an_answer_without_a_token_tells_nothing_of_the_first_one() -> None:
    empty = Sample(number=1, arm="m")
    assert enough(Plan(), [[empty, *steady(5, 2)]], 1.0) is None


def test_the_time_ends_it_but_not_before_the_least_number_of_runs() -> None:
    assert enough(Plan(), [scattered(6)], 28.0) is None
    assert enough(Plan(), [scattered(6)], 31.0) == "time"
    assert enough(Plan(), [scattered(5)], 31.0) is None
    assert enough(Plan(), [scattered(9), scattered(5)], 31.0) is None


def test_a_run_that_would_end_after_the_time_is_not_begun() -> None:
    lengths = {1: 2.0, 2: 3.0, 3: 30.0}
    samples = [
        Sample(number=n, arm="m", ttft=n * 1.0, duration=lengths.get(n, 3.0)) for n in range(1, 8)
    ]
    assert enough(Plan(), [samples], 26.9) is None
    assert enough(Plan(), [samples], 27.1) == "time"


def test_a_time_that_the_user_gave_is_a_hard_limit() -> None:
    plan = Plan(timed=True, seconds=10.0)
    assert enough(plan, [scattered(2)], 8.9) is None
    assert enough(plan, [scattered(2)], 9.1) == "time"
    assert enough(plan, [[]], 10.0) == "time"


def test_the_length_of_a_cold_run_says_nothing_of_the_others() -> None:
    assert enough(Plan(timed=True, seconds=30.0), [[cold(1)]], 20.0) is None


def test_an_exact_number_of_runs_is_kept_however_long_and_however_precise() -> None:
    assert enough(Plan(runs=9), [steady(8)], 1000.0) is None
    assert enough(Plan(runs=9), [steady(9)], 1.0) == "runs"
    assert enough(Plan(runs=2), [scattered(2)], 1.0) == "runs"
    assert enough(Plan(runs=2), [scattered(2), scattered(1)], 1.0) is None
    assert enough(Plan(runs=9, timed=True), [steady(8)], 1000.0) == "time"


def test_three_failures_at_the_start_end_it() -> None:
    assert enough(Plan(), [[cold(1, "http_404"), *runs(None, first=2)]], 1.0) is None
    assert enough(Plan(), [[cold(1, "http_404"), *runs(None, None, first=2)]], 1.0) == "failures"
    arms = [[cold(1, "reset"), *runs(None, first=3)], [cold(2, "reset")]]
    assert enough(Plan(runs=9), arms, 1.0) == "failures"


def test_later_failures_do_not_end_it() -> None:
    assert enough(Plan(), [[cold(1), *runs(*[None] * 5, first=2)]], 1.0) is None
    arms = [[cold(1, "reset"), *runs(None, None, first=3)], [cold(2)]]
    assert enough(Plan(), arms, 1.0) is None
    arms = [[cold(1), *runs(None, first=3), *runs(None, first=6)], [cold(2, "reset")]]
    arms[1] += runs(None, None, first=4)
    assert enough(Plan(), arms, 1.0) is None


@pytest.mark.parametrize(("streams", "fewest", "limit"), [(1, 6, 30), (2, 6, 30), (64, 128, 192)])
def test_many_at_once_are_two_rounds_at_least(streams: int, fewest: int, limit: int) -> None:
    plan = Plan(concurrency=streams)
    assert (plan.fewest, plan.limit) == (fewest, limit)
    if streams > 1:
        assert enough(plan, [steady(fewest - 1)], 1.0) is None
    assert enough(plan, [steady(fewest)], 1.0) == "precision"
    assert enough(plan, [scattered(limit)], 1.0) == "runs"


def test_a_load_lasts_for_its_time_or_its_number_of_requests() -> None:
    assert enough(Plan(rate=10.0), [steady(290)], 28.9) is None
    assert enough(Plan(rate=10.0), [steady(290)], 29.1) == "time"
    assert enough(Plan(rate=10.0, runs=290), [steady(290)], 1.0) == "runs"


# ---- prompts


def test_each_prompt_differs_from_its_very_start() -> None:
    prompts = [prompt_for(Plan(), BUST, number, "abc") for number in range(1, 40)]
    assert len(set(prompts)) == len(prompts)
    assert all(prompt.endswith(f"-abc {QUESTION}") for prompt in prompts)
    assert prompts[0].startswith("1-abc ")
    assert prompt_for(Plan(), BUST, 1, "abc") != prompt_for(Plan(), BUST, 1, "abd")


def test_the_difference_stands_before_a_long_text_too() -> None:
    assert prompt_for(Plan(prompt_tokens=500), BUST, 7, "abc").startswith("7-abc ")


def test_a_prompt_for_a_warm_cache_is_always_the_same() -> None:
    plan = Plan(prompt_tokens=50)
    assert prompt_for(plan, REUSE, 1, "abc") == prompt_for(plan, REUSE, 2, "abd")


def test_the_users_prompt_is_asked_as_it_is() -> None:
    assert prompt_for(Plan(prompt="Why?"), REUSE, 1, "abc") == "Why?"
    assert prompt_for(Plan(prompt=""), REUSE, 1, "abc") == ""
    assert prompt_for(Plan(prompt="Why?"), BUST, 3, "abc") == "3-abc Why?"
    assert prompt_for(Plan(prompt="Why?", prompt_tokens=9), REUSE, 1, "").endswith("\n\nWhy?")


@pytest.mark.parametrize("tokens", [0, 1, 7, 100, 20_000])
def test_a_text_of_so_many_tokens_has_a_word_of_four_characters_for_each(tokens: int) -> None:
    text = filler(tokens)
    assert len(text.split()) == tokens
    assert {len(word) for word in text.split()} <= {3}
    assert text == filler(tokens)


# ---- arms


def named(models: list[tuple[str, str, str]], **given: Any) -> list[str]:
    return [arm.name for arm in arms_of(models, **{"cache": "bust", "vs_blocking": False, **given})]


def test_an_arm_is_a_model() -> None:
    arms = arms_of([("ollama", "a", "here"), ("ollama", "b", "here")], "bust", False)
    assert arms == [
        Arm(name="a", provider="ollama", model="a"),
        Arm(name="b", provider="ollama", model="b"),
    ]


def test_a_use_of_the_cache_and_waiting_are_arms_beside_it() -> None:
    arms = arms_of([("p", "m", "here")], "compare", True)
    assert [(arm.name, arm.cache, arm.streamed) for arm in arms] == [
        ("m", "bust", True),
        ("m, not streamed", "bust", False),
        ("m, same prompt", "reuse", True),
        ("m, same prompt, not streamed", "reuse", False),
    ]
    assert [(it.name, it.cache) for it in arms_of([("p", "m", "p")], "reuse", False)] == [
        ("m, same prompt", "reuse")
    ]


def test_every_name_occurs_once() -> None:
    p, q = ("p", "m", "p"), ("q", "m", "q")
    assert named([p, q, ("q", "n", "q")]) == ["m@p", "m@q", "n@q"]
    assert named([p, ("p", "m", "host:1")]) == ["m@p", "m@host:1"]
    assert named([p, p]) == ["m", "m (2)"]
    many = named([p, q, p], cache="compare", vs_blocking=True)
    assert len(set(many)) == len(many) == 12


# ---- the open loop


def test_constant_arrivals_come_at_the_rate() -> None:
    assert list(islice(intended(Plan(rate=4.0)), 5)) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_poisson_arrivals_have_exponential_gaps_of_the_same_mean() -> None:
    times = list(islice(intended(Plan(rate=4.0, arrivals="poisson", seed=3)), 20_000))
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    assert min(gaps) > 0
    assert sum(gaps) / len(gaps) == pytest.approx(0.25, rel=0.03)
    for share in (0.1, 0.5, 0.9):  # the quantiles of the exponential distribution
        found = sorted(gaps)[round(share * len(gaps))]
        assert found == pytest.approx(-math.log(1 - share) / 4, rel=0.1)


def test_poisson_arrivals_are_those_of_the_seed() -> None:
    def times(seed: int) -> list[float]:
        return list(islice(intended(Plan(rate=1.0, arrivals="poisson", seed=seed)), 9))

    random.seed(1)
    one = times(1)
    random.seed(2)
    assert times(1) == one
    assert times(2) != one


@pytest.mark.parametrize("rate", [None, 0.0, -1.0])
def test_an_open_loop_needs_a_rate(rate: float | None) -> None:
    with pytest.raises(ValueError, match="rate"):
        intended(Plan(rate=rate))


@pytest.mark.parametrize(
    ("plan", "ended", "elapsed", "share"),
    [
        (Plan(runs=9), 0, 0.0, 0.0),
        (Plan(runs=9), 10, 500.0, 0.5),  # of two arms, each with a cold run; no time ends it
        (Plan(runs=9), 20, 1.0, 1.0),
        (Plan(runs=9, timed=True, seconds=10), 2, 9.0, 0.9),
        (Plan(seconds=10, most=99), 14, 5.0, 0.5),
        (Plan(seconds=10, most=99), 7, 10.0, 0.5),  # the fewest runs are made, whatever it takes
        (Plan(seconds=10, most=9), 10, 1.0, 0.5),
        (Plan(rate=2.0, seconds=10, timed=True), 3, 4.0, 0.4),
        (Plan(rate=2.0, seconds=10, timed=True), 3, 40.0, 1.0),
        (Plan(seconds=0), 0, 1.0, 0.0),
    ],
)
def test_the_share_that_is_done_is_that_of_the_nearest_end(
    plan: Plan, ended: int, elapsed: float, share: float
) -> None:
    assert share_done(plan, 2, ended, elapsed) == pytest.approx(share)

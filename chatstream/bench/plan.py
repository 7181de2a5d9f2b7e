"""Which run comes next, what it asks, and when to stop. Pure; the time is an argument.

1. One cold run of each arm comes first and is shown apart: it has a fresh connection, and a server
   that may have to load its model. It never counts.
2. Then the arms take turns as A B B A: what drifts steadily (heat, load) hits each of them alike.
3. A closed loop ends when the median TTFT of every arm is precise enough, the time is used up,
   or there are many runs. An open loop ends with its time: a load was asked for, not a precision.
"""

from __future__ import annotations

import functools
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Literal

import msgspec

from chatstream.bench import stats
from chatstream.bench.result import OK, Arm, Sample

Arrivals = Literal["constant", "poisson"]
Cache = Literal["bust", "reuse", "compare"]
Reason = Literal["precision", "time", "runs", "failures"]

HOPELESS_RUNS = 3
"""If this many runs at the start all fail, the benchmark gives up."""

RECENT_RUNS = 30
"""This many of an arm's latest runs show how long one takes, which changes under load."""

QUESTION = (
    "Write a plain story of about 400 words about a lighthouse keeper who waits for a ship. "
    "Begin at once, without a title."
)
"""Prose: steadier than a list that a draft model can guess, and longer than `max_tokens`."""

WORDS = (
    "the and for are but not you all any can had her was one our out day get has him his how man "
    "new now old see two way who boy did its let put say she too use red sun sea far few big end"
)
"""Words of three letters, so common that tokenizers know each of them, with its space, whole."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a benchmark is to be run.

    `runs` (-n) is the exact number of runs of each arm; the cold ones come on top, always.
    `seconds` is the time for everything, kept before `least` runs only when the user gave it
    (`timed`). `precision` is the half width of the interval of the median TTFT, as a share of it.
    `rate` makes it an open loop: requests a second, all arms together; the streams that are
    open at once are then as many as it takes.
    """

    runs: int | None = None
    seconds: float = 30.0
    timed: bool = False
    precision: float = 0.05
    least: int = 6
    most: int = 30
    concurrency: int = 1
    rate: float | None = None
    arrivals: Arrivals = "constant"
    reuse: bool = True
    prompt: str | None = None
    prompt_tokens: int | None = None
    max_tokens: int = 128
    seed: int = 0

    @property
    def fewest(self) -> int:
        """Runs of each arm before it can be enough: two rounds, where many run at once."""
        return self.least if self.concurrency == 1 else max(self.least, 2 * self.concurrency)

    @property
    def is_load(self) -> bool:
        """Whether runs are open at the same time, so that what all of them get is a figure."""
        return self.concurrency > 1 or self.rate is not None

    @property
    def limit(self) -> int | None:
        """Runs of each arm that are never exceeded; None where only the time ends them."""
        if self.runs is not None:
            return self.runs
        if self.rate is not None:
            return None
        return self.most if self.concurrency == 1 else max(self.most, 3 * self.concurrency)


def order(arms: int) -> Iterator[int]:
    """The turns of this many arms, without end: in order, then reversed, and so on (A B B A)."""
    while True:
        yield from range(arms)
        yield from reversed(range(arms))


def enough(plan: Plan, samples_by_arm: Sequence[Sequence[Sample]], elapsed: float) -> Reason | None:
    """Why no further run is to start, or None. `elapsed` seconds have passed.

    The samples of an arm stand in the order in which they ended, the cold one first. The time
    counts as used up when a run of the usual length would end after it.
    """
    early = chain.from_iterable(samples[:HOPELESS_RUNS] for samples in samples_by_arm)
    first = sorted(early, key=lambda it: it.number)[:HOPELESS_RUNS]
    if len(first) == HOPELESS_RUNS and all(it.status != OK for it in first):
        return "failures"
    warm = [it[1:] if it and it[0].cold else it for it in samples_by_arm]
    done = min(map(len, warm))
    if (plan.timed or (plan.runs is None and done >= plan.fewest)) and (
        elapsed + _usual(warm) >= plan.seconds
    ):
        return "time"
    if plan.limit is not None and done >= plan.limit:
        return "runs"
    if plan.runs is not None or plan.rate is not None or done < plan.fewest:
        return None
    return "precision" if all(_precise(plan, samples) for samples in warm) else None


def share_done(plan: Plan, arms: int, ended: int, elapsed: float) -> float:
    """How much of it is done, 0 to 1, after so many runs and seconds: the nearest end counts.

    It may end earlier: when the figures are precise enough, nobody knows before.
    """
    shares = [0.0]
    if plan.limit is not None:
        shares.append(ended / (arms * (plan.limit + 1)))
    if plan.timed or plan.runs is None:
        share = elapsed / plan.seconds if plan.seconds > 0 else 0.0
        least = 1.0 if plan.timed else ended / (arms * (plan.fewest + 1))
        shares.append(min(share, least))
    return min(1.0, max(shares))


def _usual(warm: list[Sequence[Sample]]) -> float:
    """The median length of the latest runs, in seconds; 0 where none ended well."""
    lengths = [
        it.duration
        for it in chain.from_iterable(samples[-RECENT_RUNS:] for samples in warm)
        if it.status == OK and it.duration is not None
    ]
    return stats.median(lengths) if lengths else 0.0


def _precise(plan: Plan, samples: Sequence[Sample]) -> bool:
    values = [it.ttft if it.status == OK else math.inf for it in samples]
    found = stats.precision([it for it in values if it is not None])
    return found is not None and found <= plan.precision


def prompt_for(plan: Plan, arm: Arm, number: int, nonce: str) -> str:
    """What run `number` of the benchmark `nonce` asks.

    A server keeps what it computed for the beginning of a prompt, up to the first difference, so
    the difference stands at the very start; where the cache is to be reused, nothing differs.
    """
    question = plan.prompt if plan.prompt is not None else QUESTION
    if plan.prompt_tokens is not None:
        question = f"{filler(plan.prompt_tokens)}\n\n{question}"
    return question if arm.cache == "reuse" else f"{number}-{nonce} {question}"


@functools.lru_cache(maxsize=1)
def filler(tokens: int) -> str:
    """Plain English words of about this many tokens: a word is a token of 4 characters.

    Always the same text for the same number.
    """
    return " ".join(random.Random(tokens).choices(WORDS.split(), k=tokens))


def arms_of(models: Sequence[tuple[str, str, str]], cache: Cache, vs_blocking: bool) -> list[Arm]:
    """The arms to compare, of (provider, model, place) each; every name occurs once.

    A name is the model's, or MODEL@PLACE where places differ.
    """
    elsewhere = len({place for _, _, place in models}) > 1
    taken: Counter[str] = Counter()
    arms = []
    for provider, model, place in models:
        name = f"{model}@{place}" if elsewhere else model
        taken[name] += 1
        if taken[name] > 1:  # against itself: what differs then is chance
            name += f" ({taken[name]})"
        for same in [False, True] if cache == "compare" else [cache == "reuse"]:
            for streamed in [True, False] if vs_blocking else [True]:
                arms.append(
                    Arm(
                        name=name + same * ", same prompt" + (not streamed) * ", not streamed",
                        provider=provider,
                        model=model,
                        cache="reuse" if same else "bust",
                        streamed=streamed,
                    )
                )
    return arms


def intended(plan: Plan) -> Iterator[float]:
    """When the requests of an open loop are to start, in seconds since its start, without end.

    Poisson arrivals have exponential gaps, with the mean of the constant ones. Raises
    `ValueError` for a plan without a rate above 0.
    """
    rate = plan.rate
    if rate is None or rate <= 0:
        raise ValueError("--rate needs a number above 0")
    if plan.arrivals == "constant":
        return (number / rate for number in count())
    return _poisson(rate, random.Random(plan.seed))


def _poisson(rate: float, chance: random.Random) -> Iterator[float]:
    at = 0.0
    while True:
        at += chance.expovariate(rate)
        yield at

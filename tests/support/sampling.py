"""How much of each matrix is run, and which part: the one home of the size and the seed.

`make test` and CI run a *sample* of what is too large for every day: seeded, and the same each
time. `make test-all` runs *all* of it; what has no end even then (any byte of any recording) is
sampled more densely, with a random seed that pytest's header prints. Both are variables:

    TEST_SIZE=all TEST_SEED=12345 python -m pytest tests/test_recordings.py

A matrix says what it consists of, and how much of it is enough for every day:

    @pytest.mark.parametrize("width", WIDTHS)
    def test_it(width: int) -> None:
        for document in sampled(DOCUMENTS, 25, "it", width):

The key after the number keeps the choices of two matrices, or of two rows of one, apart.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Literal, TypeVar

T = TypeVar("T")

Size = Literal["sample", "all"]

SIZE: Size = "all" if os.environ.get("TEST_SIZE") == "all" else "sample"

# Set for the processes that pytest-xdist starts: all have to choose the same.
_random = random.SystemRandom().randrange(1_000_000) if SIZE == "all" else 0
SEED = int(os.environ.setdefault("TEST_SEED", str(_random)))


def by_size(sample: T, everything: T) -> T:
    """The first for a sample, the second for all: a number of rounds, for instance."""
    return everything if SIZE == "all" else sample


def seeded(*key: object) -> random.Random:
    """Chance that depends on the seed and the key alone."""
    return random.Random(repr((SEED, *key)))


def sampled(items: Sequence[T], count: int, *key: object) -> Sequence[T]:
    """At most `count` of the items, in their order; all of them when all are to be run."""
    return items if SIZE == "all" else chosen(items, count, *key)


def chosen(items: Sequence[T], count: int, *key: object) -> Sequence[T]:
    """At most `count` of the items, in their order, whatever the size."""
    if count >= len(items):
        return items
    return [items[at] for at in sorted(seeded(*key).sample(range(len(items)), count))]


def examples(count: int) -> int:
    """So many examples of Hypothesis; a fifth of them in a sample, but never less than ten."""
    return by_size(max(10, count // 5), count)

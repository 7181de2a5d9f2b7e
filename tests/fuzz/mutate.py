"""Seeded damage to recordings: what servers, gateways and proxies do to a stream, and worse.

    mutant = mutate(Stream.of(recording), random.Random(7))
    mutant.body, mutant.kinds, mutant.told, mutant.harmless

A mutator changes a `Stream` in one place and says what it did. It is *harmless* if what it touched
has no meaning for the answer: then the client must give the same answer, without a warning.
A mutator that finds nothing to change returns None, and another one is tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.fuzz import fields, frames
from tests.fuzz.fields import field
from tests.fuzz.stream import Mutator, Step, Stream


@dataclass(frozen=True)
class Mutant:
    """A recording with a change or two."""

    body: bytes
    kinds: tuple[str, ...]
    told: tuple[str, ...]
    harmless: bool
    counts: bool


def mutate(stream: Stream, random: Random, kind: str | None = None) -> Mutant:
    """One change, sometimes two; of one kind if it is named."""
    steps: list[tuple[str, Step]] = []
    for _ in range(1 if random.random() < 0.8 else 2):
        for _ in range(50):
            name = kind or random.choices(_NAMES, _WEIGHTS)[0]
            step = MUTATORS[name][1](stream, random)
            if step is not None:
                stream = step.stream
                steps.append((name, step))
                break
    return Mutant(
        stream.body(),
        tuple(name for name, _ in steps),
        tuple(step.told for _, step in steps),
        bool(steps) and all(step.harmless for _, step in steps),
        all(step.counts for _, step in steps),
    )


MUTATORS: dict[str, tuple[int, Mutator]] = {
    "retype": (14, field(fields.retyped)),
    "null": (5, field(fields.nulled)),
    "number": (7, field(fields.numbered)),
    "word": (5, field(fields.worded)),
    "wrap": (5, field(fields.wrapped)),
    "borrow": (3, field(fields.borrowed)),
    "deep": (1, field(fields.deepened)),
    "drop": (8, field(fields.dropped)),
    "double": (6, field(fields.doubled)),
    "rename": (6, field(fields.renamed)),
    "move": (3, field(fields.moved)),
    "add": (6, field(fields.added)),
    "respell": (5, frames.respelled),
    "swap": (5, frames.swapped),
    "repeat": (5, frames.repeated),
    "lose": (3, frames.lost),
    "join": (5, frames.joined),
    "bare": (5, frames.bare),
    "between": (6, frames.interrupted),
    "reframe": (3, frames.reframed),
    "bytes": (4, frames.bitten),
    "cut": (2, frames.cut),
}
"""Each kind of change, with how often it is chosen."""

_NAMES = list(MUTATORS)
_WEIGHTS = [weight for weight, _ in MUTATORS.values()]

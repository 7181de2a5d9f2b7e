"""What an analysis costs: how its CPU time grows with the answer, and beside an answer without one.

All in this process: arrivals of one token each, fifty a second, so that the figures are made as
often as they are in a run. The words of the texts are as frequent as those of real ones are.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from chatstream.events import Content
from chatstream.flow import Arrival, Finish
from chatstream.stages.analyze import analyze
from tests.bench.rendering import cpu_of, exponent, pieces
from tests.bench.rig import Rig
from tests.bench.rows import Row

TOKENS = (6_250, 25_000, 100_000)
TOKEN = 4  # characters
PART = 125  # tokens that are measured together
PER_SECOND = 50
LIMIT_SECONDS = 100e-6
"""Of a token: half a percent of a core at this pace."""


def rows(rig: Rig) -> Iterator[Row]:
    """An exponent for each kind of text, and the cost of a token."""
    sizes = [it // (20 if rig.quick else 1) for it in TOKENS]
    for name, make in (("English", english), ("Chinese", chinese), ("a loop", loop)):
        seconds = best(make(sizes[-1] * TOKEN), sizes, rig.pairs(5))
        spent = " ".join(f"{it:.3g}" for it in seconds)
        found = exponent(sizes, seconds)
        yield Row(f"analysis: exponent, {name}", 1.05, [found], [1.0], f"({spent} s)")
        each = [seconds[-1] / sizes[-1] * 1e6]
        yield Row(f"analysis: a token, {name} / 100 µs", 1.0, each, [LIMIT_SECONDS * 1e6], "µs")


def best(text: str, sizes: Sequence[int], times: int) -> list[float]:
    """Seconds that the first so many tokens take at least: of each part, the least of its times.

    What else runs here only adds to a time, and it would add more to a long answer than to a short
    one if whole answers were measured.
    """
    tokens = list(pieces(text, TOKEN))
    parts = [min(its) for its in zip(*(measured(tokens) for _ in range(times)), strict=True)]
    return [sum(parts[: size // PART]) for size in sizes]


def measured(tokens: Sequence[str]) -> list[float]:
    """The seconds that each part of an answer takes."""

    def arrivals() -> Iterator[Arrival]:
        for at, token in enumerate(tokens):
            yield Arrival([Content(token)], at / PER_SECOND)
        yield Arrival([Finish("stop")])

    analysed = analyze()(arrivals())
    count = len(tokens) // PART
    return [cpu_of(partial(deque, islice(analysed, PART), 0)) for _ in range(count)]


def english(characters: int) -> str:
    """Words by a power law: some hundreds are most of the text, and new ones come to its end."""
    chance = random.Random(1)
    said: list[str] = []
    while len(said) * 6 < characters + 100:
        word = int(chance.paretovariate(0.7)) % 500_000
        said.append(f"w{word:x}" + (". " if chance.random() < 0.07 else " "))
    return "".join(said).ljust(characters)[:characters]


def chinese(characters: int) -> str:
    """Characters by a power law."""
    chance = random.Random(2)
    numbers = (int(chance.paretovariate(0.7)) % 6000 for _ in range(characters))
    return "".join("\u3002" if it % 29 == 7 else chr(0x4E00 + it) for it in numbers)


def loop(characters: int) -> str:
    """The same words again and again."""
    line = "the server waits for the next window of the reader, and says so once more. "
    return (line * (characters // len(line) + 1))[:characters]

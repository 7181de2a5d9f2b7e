"""A long chat: its last turns cost what its first ones cost, but for the messages themselves.

Every request has all messages so far, so what it takes to encode and to send them grows. Nothing
else may.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.rig import Rig
from tests.bench.rows import Row

TURNS, FEW = 500, 60
WORDS = 100  # of a question
SPEC = "t=20,size=5"
GROWTH = 3.0  # MB: besides its text, a turn is some 2 KB of objects


def rows(rig: Rig) -> Iterator[Row]:
    """The CPU time of a turn, and the memory, from one chat for each pair."""
    turns = FEW if rig.quick else TURNS
    command = rig.peer("long_chat", rig.url, SPEC, str(turns), str(WORDS))
    found = [tuple(map(float, rig.output(command).split())) for _ in range(rig.pairs())]
    long, short, grown = zip(*found, strict=True)
    yield Row(f"chat: CPU time of turn {turns} / of an early one", 1.20, long, short, "s")
    yield Row(
        f"chat: growth in {turns} turns, less the text / {GROWTH:.0f} MB",
        1.00,
        [it / 1e6 for it in grown],
        [GROWTH] * len(grown),
        "MB",
    )

"""The whole process for a long answer that comes as fast as it is taken."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.bench.rig import Rig
from tests.bench.rows import Row, compare

SPEC = "t=10000"


def rows(rig: Rig) -> Iterator[Row]:
    """Against the SDK and the other command line."""
    ours = rig.ask("openai", SPEC, "--plain")
    for name, peer, limit in (
        ("openai SDK", rig.peer("openai_sdk", rig.url, SPEC), 0.18),
        ("llm", rig.llm(SPEC), 0.15),
    ):
        yield compare(
            f"whole: 10,000 tokens / {name}",
            limit,
            partial(rig.wall, ours),
            partial(rig.wall, peer),
            pairs=rig.pairs(),
        )

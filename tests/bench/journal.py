"""What the journal costs: the CPU time of a whole answer with it, and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.bench.rig import Rig
from tests.bench.rows import Row, compare

SPEC = "t=10000"


def rows(rig: Rig) -> Iterator[Row]:
    """10,000 tokens, in two dialects."""
    for dialect in ("ollama", "openai"):
        yield compare(
            f"journal: {dialect}, 10,000 tokens / --no-journal",
            1.15,
            _cpu(rig, rig.ask(dialect, SPEC, "--plain")),
            _cpu(rig, rig.ask(dialect, SPEC, "--plain", "--no-journal")),
            pairs=rig.pairs(15),
        )


def _cpu(rig: Rig, command: list[str]) -> Callable[[], float]:
    return lambda: rig.spend(command).cpu

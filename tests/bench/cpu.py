"""CPU time for a token: the slope between a short and a long answer, so a start does not count.

The peers keep no journal, so ours is off here; what it costs is a benchmark of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tests.bench.rig import Rig
from tests.bench.rows import Measure, Row, compare

FEW, MANY = 10_000, 100_000


def rows(rig: Rig) -> Iterator[Row]:
    """Plain and JSON against the raw socket, plain against iter_lines, in two dialects.

    `msgspec` is iter_lines with the decoder that we use.
    """
    for dialect in ("ollama", "openai"):
        for flag, name, limit in (
            ("--plain", "raw_socket", 3.0),
            ("--json", "raw_socket", 5.0),
            ("--plain", "iter_lines", 0.4),
            ("--plain", "iter_lines msgspec", 1.0),
        ):
            yield compare(
                f"cpu per token: {dialect} {flag} / {name}",
                limit,
                _slope(rig, partial(_ours, rig, dialect, flag)),
                _slope(rig, partial(_theirs, rig, dialect, name.split()[0], name.split()[1:])),
                pairs=rig.pairs(),
                unit="µs",
            )


def _ours(rig: Rig, dialect: str, flag: str, spec: str) -> list[str]:
    return rig.ask(dialect, spec, flag, "--no-journal")


def _theirs(rig: Rig, dialect: str, name: str, more: Sequence[str], spec: str) -> list[str]:
    return rig.peer(name, dialect, rig.url, spec, *more)


def _slope(rig: Rig, command: Callable[[str], list[str]]) -> Measure:
    few, many = command(f"t={FEW}"), command(f"t={MANY}")
    return lambda: (rig.spend(many).cpu - rig.spend(few).cpu) / (MANY - FEW) * 1e6

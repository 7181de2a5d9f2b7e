"""Statistics over 10,000 runs with their journals, from the start of the program to its end."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from chatstream import events as ev
from tests.bench.rig import Rig
from tests.bench.rows import Row, compare
from tests.support.runs import failed, run_id, write_run

RUNS = 10_000
LIMIT = 1.0  # seconds


def rows(rig: Rig) -> Iterator[Row]:
    """All runs in a pipe and as JSON, once the history has them."""
    number = RUNS // (100 if rig.quick else 1)
    with tempfile.TemporaryDirectory() as home:
        _fill(Path(home) / "chatstream", number)
        for arguments in (["stats"], ["stats", "--json", "--by", "day"]):
            yield compare(
                f"{' '.join(arguments)}: {number:,} runs / 1 s",
                1.00,
                _seconds(rig, rig.chatstream(*arguments), home),
                lambda: LIMIT,
                pairs=rig.pairs(),
            )


def _seconds(rig: Rig, command: list[str], home: str) -> Callable[[], float]:
    def measured() -> float:
        began = time.perf_counter()
        rig.output(command, XDG_STATE_HOME=home)
        return time.perf_counter() - began

    return measured


def _fill(folder: Path, number: int) -> None:
    seeded = random.Random(7)
    for at in range(number):
        stats = ev.Stats(
            duration=5.0,
            chunks=200,
            ttft=seeded.lognormvariate(-1, 0.5),
            tokens_per_second=seeded.lognormvariate(4, 0.3),
        )
        usage = ev.Counts(input_tokens=seeded.randint(10, 2000), output_tokens=200)
        whole = ev.Done(finish_reason="stop", usage=usage, stats=stats, attempts=1)
        end = failed() if seeded.random() < 0.05 else whole
        model = seeded.choice(["small", "large", "remote"])
        write_run(folder, run_id(at * 8), "an answer", end=end, model=model)

"""`python -m tests.bench [NAME…]`: chatstream beside its peers, in one run on one machine.

A line for each target: the median ratio of paired runs, its range, the target, the verdict, and
the medians of both sides for information. Exit status 1 if a target is not met.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Iterator

from tests.bench import (
    accuracy,
    ahead,
    batch,
    chat,
    cpu,
    journal,
    lateness,
    memory,
    rendering,
    search,
    start,
    terminal,
    tools,
    whole,
)
from tests.bench.rig import Failed, Rig, open_rig
from tests.bench.rows import Row

BENCHMARKS: dict[str, Callable[[Rig], Iterator[Row]]] = {
    "start": start.rows,
    "ahead": ahead.rows,
    "cpu": cpu.rows,
    "whole": whole.rows,
    "journal": journal.rows,
    "search": search.rows,
    "lateness": lateness.rows,
    "memory": memory.rows,
    "chat": chat.rows,
    "tools": tools.rows,
    "batch": batch.rows,
    "terminal": terminal.rows,
    "rendering": rendering.rows,
    "accuracy": accuracy.rows,
}


def main() -> int:
    """Run the benchmarks that are named, or all; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help=f"one of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="few and short runs: a smoke test")
    given = parser.parse_args()
    if unknown := set(given.name) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    gc.disable()  # a collection in here would look like a token that is late
    bad = 0
    with open_rig(quick=given.quick) as rig:
        for name in given.name or BENCHMARKS:
            try:
                for row in BENCHMARKS[name](rig):
                    print(row, flush=True)
                    bad += not row.met
            except Failed as why:
                print(f"{name}: NOT MEASURED: {why}", flush=True)
                bad += 1
    print("all targets met" if not bad else f"{bad} not met")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())

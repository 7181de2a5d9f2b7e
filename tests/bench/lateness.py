"""From the server's send of a token to its last byte on standard output, at a steady pace."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from tests.bench.rig import Failed, Rig
from tests.bench.rows import Row, compare
from tests.support.mockscript import parse_spec, tokens

PACES = {50: (300, 7), 200: (600, 11), 1000: (1000, 21)}  # tokens a second: tokens a run, pairs

Read = tuple[int, int]  # bytes received so far, and when, in ns


def rows(rig: Rig) -> Iterator[Row]:
    """The 99th percentile against the raw socket's, for each pace and each end of a body."""
    for pace, (count, pairs) in PACES.items():
        for body in ("chunked", "close"):
            spec = f"t={count // 5 if rig.quick else count},rate={pace},body={body}"
            ours = rig.ask("ollama", spec, "--plain")
            theirs = rig.peer("raw_socket", "ollama", rig.url, spec)
            yield compare(
                f"lateness, p99: {pace}/s, {body} / raw_socket",
                1.50,
                partial(_p99, rig, ours, spec),
                partial(_p99, rig, theirs, spec),
                pairs=rig.pairs(pairs),
                unit="µs",
            )


def _p99(rig: Rig, command: Sequence[str], spec: str) -> float:
    """In microseconds."""
    child = rig.start(command, stdout=subprocess.PIPE)
    with child.process.stdout as output:  # type: ignore[union-attr]
        reads = list(_reads(output.fileno()))
    child.finish()
    sizes = [len(token.encode()) for token in tokens(parse_spec(spec))]
    late = sorted(lateness(rig.sent(), sizes, reads))
    return late[math.ceil(0.99 * len(late)) - 1] / 1e3


def _reads(descriptor: int) -> Iterator[Read]:
    total = 0
    while data := os.read(descriptor, 65536):
        at = time.monotonic_ns()
        total += len(data)
        yield total, at


def lateness(sent: Iterable[int], sizes: Sequence[int], reads: Sequence[Read]) -> list[int]:
    """For each token, ns from `sent` to the read that brought its last byte. Raises `Failed`."""
    if not reads or reads[-1][0] != sum(sizes):
        raise Failed(f"{sum(sizes)} bytes were sent, {reads[-1][0] if reads else 0} came out")
    late, due, coming = [], 0, iter(reads)
    total, at = next(coming)
    for sent_at, size in zip(sent, sizes, strict=True):
        due += size
        while total < due:
            total, at = next(coming)
        late.append(at - sent_at)
    return late

"""Journals in batches, each of which is taken into the history in one transaction.

A batch is as large as other processes may wait for it, and never empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

BATCH_BYTES = 1024 * 1024
"""Of journals, from which a batch is full."""

LEAST_BYTES = 16 * 1024
"""What a journal counts for, however small it is."""


def batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """The runs of these journals, by the sizes of the journals in bytes, in their order."""
    batch: list[str] = []
    filled = 0
    for run, size in sizes.items():
        batch.append(run)
        filled += max(size, LEAST_BYTES)
        if filled >= BATCH_BYTES:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch

"""Batches hold every journal once, in order, and are only as large as others may wait for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatstream.store.batches import BATCH_BYTES, LEAST_BYTES, batches


@given(st.lists(st.integers(0, 3 * BATCH_BYTES), max_size=200))
def test_every_journal_is_in_one_batch_and_in_its_place(sizes: list[int]) -> None:
    journals = {str(number): size for number, size in enumerate(sizes)}
    found = list(batches(journals))
    assert [run for batch in found for run in batch] == list(journals)
    assert all(found)
    for batch in found:
        assert sum(max(LEAST_BYTES, journals[run]) for run in batch[:-1]) < BATCH_BYTES


def test_small_journals_share_a_batch_and_large_ones_do_not() -> None:
    small = {str(number): 10 for number in range(100)}
    assert [len(batch) for batch in batches(small)] == [64, 36]
    assert list(batches({"a": BATCH_BYTES, "b": BATCH_BYTES})) == [["a"], ["b"]]
    assert list(batches({})) == []

"""Claimed: what the benchmarks compute from their measurements; they themselves run in `bench`."""

from __future__ import annotations

import itertools

import pytest

from tests.bench.lateness import lateness
from tests.bench.rig import Failed
from tests.bench.rows import Row, compare


def test_a_row_is_judged_by_the_median_of_the_ratios_of_its_pairs() -> None:
    row = Row("it", 1.15, [1.0, 2.2, 90.0], [1.0, 2.0, 3.0], "s")
    assert row.ratio == pytest.approx(1.1)
    assert row.met
    assert not Row("it", 1.05, row.ours, row.theirs, "s").met


def test_pairs_are_measured_in_turns_and_the_first_does_not_count() -> None:
    clock = map(float, itertools.count(1))
    row = compare("it", 1.0, lambda: next(clock), lambda: next(clock), pairs=2)
    assert (row.ours, row.theirs) == ([3.0, 5.0], [4.0, 6.0])


def test_a_token_is_as_late_as_the_read_that_brings_its_last_byte() -> None:
    reads = [(3, 100), (10, 200), (12, 350)]
    assert lateness([0, 50, 300], [2, 8, 2], reads) == [100, 150, 50]


def test_an_output_of_another_length_than_was_sent_is_no_measurement() -> None:
    with pytest.raises(Failed, match="12 bytes were sent, 10 came out"):
        lateness([0, 1], [6, 6], [(10, 5)])
    with pytest.raises(Failed, match="6 bytes were sent, 0 came out"):
        lateness([0], [6], [])

"""Claimed: figures that are not known are left out of the JSON, and never shown as zero."""

from __future__ import annotations

import msgspec

from chatstream.counts import Cost, Counts, ServerTimes, Stats, summed, summed_cost


def test_what_is_not_known_is_not_in_the_json() -> None:
    assert msgspec.json.encode(Counts()) == b"{}"
    assert msgspec.json.encode(ServerTimes()) == b"{}"
    assert msgspec.json.encode(Stats(1.5, 2)) == b'{"duration":1.5,"chunks":2}'


def test_a_zero_that_was_counted_is_in_the_json() -> None:
    assert msgspec.json.encode(Counts(output_tokens=0)) == b'{"output_tokens":0}'


def test_what_no_run_counted_is_not_known_of_all_together() -> None:
    assert summed([]) == Counts()
    assert summed([Counts(input_tokens=1), Counts(2, 3)]) == Counts(3, 3)


def test_a_cost_is_known_if_that_of_every_run_is() -> None:
    assert summed_cost([]) is None
    assert summed_cost([Cost(1.0), None]) is None
    assert summed_cost([Cost(1.0), Cost(0.5, estimated=True)]) == Cost(1.5, estimated=True)

"""Claimed: figures that are not known are left out of the JSON, and never shown as zero."""

from __future__ import annotations

import msgspec

from chatstream.counts import Counts, ServerTimes, Stats


def test_what_is_not_known_is_not_in_the_json() -> None:
    assert msgspec.json.encode(Counts()) == b"{}"
    assert msgspec.json.encode(ServerTimes()) == b"{}"
    assert msgspec.json.encode(Stats(1.5, 2)) == b'{"duration":1.5,"chunks":2}'


def test_a_zero_that_was_counted_is_in_the_json() -> None:
    assert msgspec.json.encode(Counts(output_tokens=0)) == b'{"output_tokens":0}'

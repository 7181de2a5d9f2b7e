"""Claimed: the first line of every id is known, in little memory for many lines."""

from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from chatstream.many.repeated import Ids
from tests.support.sampling import by_size


@given(st.lists(st.text(max_size=2), max_size=60))
def test_the_first_line_of_an_id_is_that_of_a_dict(names: list[str]) -> None:
    ids, known = Ids(), dict[str, int]()
    for number, name in enumerate(names, 1):
        assert ids.first(name, number) == known.setdefault(name, number)


def test_an_id_is_found_however_many_came_after_it() -> None:
    ids, count = Ids(), by_size(5_000, 300_000)
    for number in range(1, count + 1):
        assert ids.first(f"request {number}", number) == number
    for number in random.Random(7).sample(range(1, count + 1), 1_000):
        assert ids.first(f"request {number}", count + 1) == number


def test_an_id_takes_less_than_forty_bytes() -> None:
    ids, count = Ids(), by_size(20_000, 200_000)
    tracemalloc.start()
    try:
        for number in range(1, count + 1):
            ids.first(f"request {number}", number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / count < 40


def test_an_id_may_have_what_no_encoding_has() -> None:
    ids = Ids()
    assert (ids.first("\ud800", 1), ids.first("\ud801", 2), ids.first("\ud800", 3)) == (1, 2, 1)

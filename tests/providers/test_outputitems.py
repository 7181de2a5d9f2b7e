"""Claimed: frames of one item are told as one, whatever the server says wrong about ids and
places."""

from __future__ import annotations

from typing import Any

from chatstream.providers.outputitems import OutputItems


def at(place: int | None = None, item: str = "") -> dict[str, Any]:
    """The fields of a frame that say which item it speaks of."""
    return ({} if place is None else {"output_index": place}) | ({"item_id": item} if item else {})


def test_ids_alone_tell_items_apart() -> None:
    items = OutputItems()
    assert [items.begun({}, {"id": it}) for it in "ab"] == [0, 1]
    assert [items.piece(at(item=it)) for it in "bab"] == [1, 0, 1]
    assert items.ended({}, {"id": "b"}) == 1
    assert items.ended({}, {"id": "b"}) is None
    assert [items.listed(n, {"id": it}) for n, it in enumerate("ab")] == [0, None]


def test_places_alone_tell_items_apart() -> None:
    items = OutputItems()
    assert [items.begun(at(it), {}) for it in (0, 1)] == [0, 1]
    assert [items.piece(at(it)) for it in (1, 0)] == [1, 0]
    assert items.ended(at(0), {}) == 0
    assert [items.listed(it, {}) for it in (0, 1)] == [None, 1]


def test_an_id_of_its_own_in_each_frame_means_nothing() -> None:
    items = OutputItems()
    assert items.begun(at(0), {"id": "a"}) == 0
    assert items.piece(at(0, "b")) == 0
    assert items.ended(at(0), {"id": "c"}) == 0
    assert items.begun(at(1), {"id": "d"}) == 1
    assert items.ended(at(1), {"id": "e"}) == 1
    assert [items.listed(n, {"id": it}) for n, it in enumerate("fg")] == [None, None]


def test_a_call_is_found_by_its_own_id_where_it_ends_without_that_of_the_item() -> None:
    items = OutputItems()
    assert items.begun({}, {"id": "fc_1", "call_id": "call_1"}) == 0
    assert items.ended({}, {"call_id": "call_1"}) == 0
    items.begun({}, {"id": "fc_2", "call_id": "call_2"})
    assert items.ended({}, {"item_id": "fc_2"}) == 1


def test_items_that_all_have_the_same_place_are_several() -> None:
    items = OutputItems()
    assert [items.begun(at(0), {"id": it}) for it in "ab"] == [0, 1]
    assert [items.piece(at(0, it)) for it in "ab"] == [0, 1]
    unannounced = OutputItems()
    assert [unannounced.ended(at(0), {"id": it}) for it in "ab"] == [0, 1]


def test_a_piece_without_either_belongs_to_the_newest_item() -> None:
    items = OutputItems()
    assert items.piece({}) == 0
    items.begun({}, {"id": "a"})
    assert items.piece({}) == 1


def test_what_is_no_id_and_no_place_means_nothing() -> None:
    items = OutputItems()
    assert items.begun({"output_index": "0"}, {"id": 7, "call_id": []}) == 0
    assert items.begun({"output_index": None}, {"id": ""}) == 1

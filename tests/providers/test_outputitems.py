"""Claimed: frames of one item are told as one, whatever the server says wrong about ids and
places."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.providers.outputitems import OutputItems, Pieces


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


def came(*found: str, kind: str = "text", number: int = 0) -> Pieces:
    pieces = Pieces()
    for it in found:
        assert pieces.add(kind, number, it) == it
    return pieces


def test_the_rest_of_a_text_is_what_did_not_come_in_pieces() -> None:
    assert came("Hel", "lo").rest("text", 0, "Hello.") == "."
    assert came("Hello.").rest("text", 0, "Hello.") == ""
    assert came().rest("text", 0, "Hello.") == "Hello."
    assert came("Hi").rest("text", 1, "Hello.") == "Hello."
    assert came("Hi").rest("arguments", 0, "{}") == "{}"


@pytest.mark.parametrize(
    ("text", "whole", "differs"),
    [
        ("Hello.", "", False),  # not every server says it again
        ("Hello.", " Hello.\n", False),
        ('{"a":1}', '{ "a": 1 }', False),
        ("\ud83c\udf0d", "\U0001f30d", False),
        ("Helo.", "Hello.", True),
        ("Hello.", "Hello", True),
    ],
)
def test_another_text_at_the_end_is_told(text: str, whole: str, differs: bool) -> None:
    pieces = came(text)
    assert pieces.rest("text", 0, whole) == ""
    assert pieces.differs is differs


def test_a_text_that_came_under_another_id_is_no_other_text() -> None:
    pieces = came("Hello.", number=7)
    assert pieces.rest("text", 0, "Hello.") == ""
    assert pieces.rest("text", 1, "Hello.") == ""  # the end of the response has it, too
    assert pieces.rest("text", 2, "Bye.") == "Bye."


def test_pieces_that_no_end_has_are_astray() -> None:
    items = OutputItems()
    assert not came("Hi").astray(items)  # nothing has ended
    assert items.ended({}, {"id": "a"}) == 0
    assert came("Hi").astray(items)  # its item ended without a text
    pieces = came("Hi", number=5)
    assert not pieces.astray(items)
    pieces.rest("text", 0, "Hello.")
    assert pieces.astray(items)  # and another one with one


def test_what_is_no_text_is_no_piece() -> None:
    pieces = Pieces()
    assert [pieces.add("text", 0, it) for it in (None, "", 7, ["a"])] == [""] * 4
    assert not pieces.some("text", 0)
    assert not pieces.taken("text", 0)
    pieces.add("text", 0, "a")
    assert pieces.taken("text", 0)
    assert not pieces.some("text", 0)

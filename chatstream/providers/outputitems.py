"""Which item of a response a frame of the Responses API speaks of.

Servers should give an item one id and one place (`output_index`), and say both in every frame.
These do not:

1. llama.cpp numbers no items: an id that is known says which.
2. GitHub Copilot and mistral.rs make up an id for each frame: where the id is not known, the place
   says which. Bedrock has no id at the end of a call, but its `call_id`.
3. A place that somebody else has already is a mistake of the server: an item that begins with an
   id of its own is another, and so is one that ends where another has ended.
4. The end of a response lists its items in their order. One whose id is not known there has come
   before if as many have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OutputItems:
    """The items of one response, by numbers of our own."""

    def __init__(self) -> None:
        self._by_id: dict[str, int] = {}
        self._by_place: dict[int, int] = {}
        self._ended: list[int] = []
        self._count = 0

    def begun(self, frame: Mapping[str, Any], item: Mapping[str, Any]) -> int:
        """The number of an item that begins."""
        ids, place = _ids(frame, item), _place(frame, item)
        return self._noted(ids, place, self._of_id(ids))

    def piece(self, frame: Mapping[str, Any]) -> int:
        """The number of the item that a piece belongs to."""
        ids, place = _ids(frame, {}), _place(frame, {})
        if not ids and place is None and self._count:
            return self._count - 1
        return self._noted(ids, place, self._of_id(ids), self._of_place(place))

    def ended(self, frame: Mapping[str, Any], item: Mapping[str, Any]) -> int | None:
        """The number of an item that is whole; None if it was before."""
        ids, place = _ids(frame, item), _place(frame, item)
        return self._over(ids, place)

    def listed(self, position: int, item: Mapping[str, Any]) -> int | None:
        """The number of an item at this position of the whole response; None if it came before."""
        ids = _ids({}, item)
        if self._of_id(ids) is None and position < len(self._ended):
            return None
        return self._over(ids, position)

    def _over(self, ids: list[str], place: int | None) -> int | None:
        number = self._of_id(ids)
        if number in self._ended:
            return None
        if number is None and (number := self._of_place(place)) in self._ended:
            number = None
        number = self._noted(ids, place, number)
        self._ended.append(number)
        return number

    def _of_id(self, ids: list[str]) -> int | None:
        return next((self._by_id[it] for it in ids if it in self._by_id), None)

    def _of_place(self, place: int | None) -> int | None:
        return None if place is None else self._by_place.get(place)

    def _noted(self, ids: list[str], place: int | None, *numbers: int | None) -> int:
        """The first of these numbers, or a new one; it has these ids and this place from now on."""
        number = next((it for it in numbers if it is not None), self._count)
        self._count = max(self._count, number + 1)
        self._by_id |= dict.fromkeys(ids, number)
        if place is not None:
            self._by_place[place] = number
        return number


def _ids(frame: Mapping[str, Any], item: Mapping[str, Any]) -> list[str]:
    found = frame.get("item_id"), item.get("id"), item.get("item_id"), item.get("call_id")
    return [it for it in found if it and isinstance(it, str)]


def _place(frame: Mapping[str, Any], item: Mapping[str, Any]) -> int | None:
    found = frame.get("output_index"), item.get("output_index")
    return next((it for it in found if isinstance(it, int)), None)

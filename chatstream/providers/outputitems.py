"""The item that a frame of the Responses API belongs to, and the pieces of it that have come.

Servers should give an item one id and one place (`output_index`), and send both in every frame.
Some do not:

1. llama.cpp does not number its items: a known id identifies the item.
2. GitHub Copilot and mistral.rs make up an id for each frame: if the id is unknown, the place
   identifies the item. Bedrock sends no id at the end of a call, only its `call_id`.
3. A place that is already taken is a mistake of the server: an item that begins there with an id of
   its own is a new one, and so is one that ends where another has ended.
4. The end of a response lists its items in order. If the id of one is unknown, the item has come
   before if as many items have.
5. The end of an item repeats its text. If the beginning of it came in pieces, the rest counts; if a
   different text came, `differs` says so. A text under an id that never ends belongs to the item
   that ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatstream.providers.lenient import value_of
from chatstream.providers.text import whole_characters


class OutputItems:
    """The items of one response, under numbers of our own."""

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
        """The number of an item that is now whole; None if it already was."""
        ids, place = _ids(frame, item), _place(frame, item)
        return self._over(ids, place)

    def listed(self, position: int, item: Mapping[str, Any]) -> int | None:
        """The number of an item at this position of the whole response; None if it came before."""
        ids = _ids({}, item)
        if self._of_id(ids) is None and position < len(self._ended):
            return None
        return self._over(ids, position)

    def has_ended(self, number: int) -> bool:
        """Whether this item is whole."""
        return number in self._ended

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


class Pieces:
    """The pieces of the items of one response, by their kind and the item's number."""

    def __init__(self) -> None:
        self.differs = False
        self._came: dict[tuple[str, int], list[str]] = {}
        self._ended: set[str] = set()  # the kinds whose whole text came
        self._adopted: set[tuple[str, str]] = set()

    def add(self, kind: str, number: int, piece: object) -> str:
        """The piece; "" for anything else."""
        if not isinstance(piece, str) or not piece:
            return ""
        self._came.setdefault((kind, number), []).append(piece)
        return piece

    def some(self, kind: str, number: int) -> bool:
        """Whether pieces of this kind came."""
        return (kind, number) in self._came

    def taken(self, kind: str, number: int) -> bool:
        """Whether pieces of this kind came, for an item that ends."""
        return self._came.pop((kind, number), None) is not None

    def astray(self, items: OutputItems) -> bool:
        """Whether there are pieces that were in no item at its end: their item ended without them,
        or other items with such pieces have ended and theirs has not.
        """
        return any(kind in self._ended or items.has_ended(it) for kind, it in self._came)

    def rest(self, kind: str, number: int, whole: str) -> str:
        """The part of an ending item's whole text that is still missing."""
        came = self._came.pop((kind, number), None)
        if whole:
            self._ended.add(kind)
        if came is None:
            return "" if self._under_another_id(kind, whole) else whole
        text = "".join(came)
        if whole.startswith(text):
            return whole[len(text) :]
        self.differs = self.differs or (bool(whole) and not _alike(text, whole))
        return ""

    def _under_another_id(self, kind: str, whole: str) -> bool:
        if (kind, whole) not in self._adopted:
            same = (key for key in self._came if key[0] == kind and self._text(key) == whole)
            if not whole or (key := next(same, None)) is None:
                return False
            del self._came[key]
            self._adopted.add((kind, whole))
        return True

    def _text(self, key: tuple[str, int]) -> str:
        return "".join(self._came[key])


def _alike(one: str, other: str) -> bool:
    """Whether two texts are the same but for spaces or the form of their JSON."""
    one, other = whole_characters(one).strip(), whole_characters(other).strip()
    try:
        return one == other or bool(value_of(one) == value_of(other))
    except ValueError:
        return False


def _ids(frame: Mapping[str, Any], item: Mapping[str, Any]) -> list[str]:
    found = frame.get("item_id"), item.get("id"), item.get("item_id"), item.get("call_id")
    return [it for it in found if it and isinstance(it, str)]


def _place(frame: Mapping[str, Any], item: Mapping[str, Any]) -> int | None:
    found = frame.get("output_index"), item.get("output_index")
    return next((it for it in found if isinstance(it, int)), None)

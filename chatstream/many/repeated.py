"""The ids that the lines of a batch give themselves, each with its first line.

They are in a hash table with linear probing, 12 bytes a place and at most two thirds full: 27 MB
for a million lines, where a `dict` takes 110. An id is known by 64 bits of its hash, as the key of
a request is.
"""

from __future__ import annotations

from array import array
from hashlib import sha256

_PLACES = 1024
_FULL = 2 / 3


class Ids:
    """The ids of a batch so far, each with the number of its first line."""

    def __init__(self) -> None:
        self._count = 0
        self._make(_PLACES)

    def first(self, name: str, number: int) -> int:
        """The first line that has this id; this one, with its number from 1, may be it."""
        digest = sha256(name.encode("utf-8", "surrogatepass")).digest()
        known = int.from_bytes(digest[: self._hashes.itemsize])
        at = self._place(known)
        if self._numbers[at]:
            return self._numbers[at]
        self._hashes[at], self._numbers[at] = known, number
        self._count += 1
        if self._count > _FULL * len(self._numbers):
            self._grow()
        return number

    def _place(self, known: int) -> int:
        """Where it is, or would be."""
        places = len(self._numbers)
        at = known % places
        while self._numbers[at] and self._hashes[at] != known:
            at = (at + 1) % places
        return at

    def _make(self, places: int) -> None:
        self._hashes = array("Q", [0]) * places
        self._numbers = array("I", [0]) * places  # 0 is a free place

    def _grow(self) -> None:
        hashes, numbers = self._hashes, self._numbers
        self._make(2 * len(numbers))
        for known, number in zip(hashes, numbers, strict=True):
            if number:
                at = self._place(known)
                self._hashes[at], self._numbers[at] = known, number

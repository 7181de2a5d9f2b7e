"""The numbers of a list's items: as they are written, unless the list repeats its first number.

1. A list whose second item repeats the number of the first counts up: 1. 1. 1. is 1. 2. 3., and
   3. 3. 3. is 3. 4. 5. From then on what is written does not matter, as in CommonMark.
2. Any other list shows what is written: 3. 7. 12., and also 1. 2. 2. 3.
3. A number depends on the items before it alone, so it never changes once it is shown. Leading
   zeros stay: 01. 01. is 01. 02.
"""

from __future__ import annotations

from typing import NamedTuple

from chatstream.sinks.scan import Marker


class Numbering(NamedTuple):
    """An item of a list: the kind of its marker, its number, and whether its list counts up."""

    kind: str
    number: int | None = None
    width: int = 0  # digits, with leading zeros
    counts: bool | None = None  # None: it is the first item

    @property
    def shown(self) -> str:
        """The marker that the item gets: "-", or "3." or "3)"."""
        return "-" if self.number is None else f"{self.number:0{self.width}d}{self.kind}"

    def next(self, marker: Marker) -> Numbering:
        """The item that this marker begins, right after this one or in a list of its own."""
        first = Numbering(marker.kind, marker.number, marker.length - 1)
        if self.kind != marker.kind or self.number is None or marker.number is None:
            return first
        counts = marker.number == self.number if self.counts is None else self.counts
        return first._replace(number=self.number + 1 if counts else marker.number, counts=counts)


NO_LIST = Numbering("")
"""Where there is no list."""

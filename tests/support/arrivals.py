"""Events as the pipeline hands them on."""

from __future__ import annotations

from collections.abc import Iterator

from chatstream.events import Event
from chatstream.flow import Arrival


def arrivals(*parts: Event | Arrival) -> Iterator[Arrival]:
    """Each event came with a read of its own; an `Arrival` is passed on as it is."""
    return (part if isinstance(part, Arrival) else Arrival([part]) for part in parts)

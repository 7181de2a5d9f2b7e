"""A sink that is made when it is first needed, so that what it imports delays no request."""

from __future__ import annotations

from collections.abc import Callable

from chatstream.flow import Arrival, Sink


class DeferredSink:
    """Holds what a run begins with until its request is on the wire, or is waited for."""

    def __init__(self, make: Callable[[], Sink]) -> None:
        self._make = make
        self._sink: Sink | None = None
        self._held: list[Arrival] = []

    def write(self, arrival: Arrival) -> None:
        """Pass the arrival on, or keep it."""
        if self._sink is None and arrival.events and not arrival.connected:
            self._held.append(arrival)
        else:
            self._made().write(arrival)

    def close(self) -> None:
        """Close the sink; what was held is shown first."""
        self._made().close()

    def _made(self) -> Sink:
        if self._sink is None:
            self._sink = self._make()
            for arrival in self._held:
                self._sink.write(arrival)
            self._held.clear()
        return self._sink

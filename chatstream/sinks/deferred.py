"""A sink that is made when the first arrival comes, so that what it imports delays no request."""

from __future__ import annotations

from collections.abc import Callable

from chatstream.flow import Arrival, Sink


class DeferredSink:
    """Makes its sink with the first `write`, which comes when the request is on its way."""

    def __init__(self, make: Callable[[], Sink]) -> None:
        self._make = make
        self._sink: Sink | None = None

    def write(self, arrival: Arrival) -> None:
        """Pass it on."""
        self._made().write(arrival)

    def close(self) -> None:
        """Close the sink."""
        self._made().close()

    def _made(self) -> Sink:
        self._sink = self._sink or self._make()
        return self._sink

"""A sink that is made when it is first needed, so that what it imports delays no request."""

from __future__ import annotations

from collections.abc import Callable

from chatstream.events import Event
from chatstream.flow import Sink


class DeferredSink:
    """Holds events until the first `flush`, which comes when the request is on its way."""

    def __init__(self, make: Callable[[], Sink]) -> None:
        self._make = make
        self._sink: Sink | None = None
        self._held: list[Event] = []

    def write(self, event: Event) -> None:
        """Pass the event on, or keep it."""
        if self._sink is None:
            self._held.append(event)
        else:
            self._sink.write(event)

    def flush(self) -> None:
        """Make the sink if that is still to be done, then let it show what it has."""
        self._made().flush()

    def close(self) -> None:
        """Close the sink; events that were held are shown first."""
        self._made().close()

    def _made(self) -> Sink:
        if self._sink is None:
            self._sink = self._make()
            for event in self._held:
                self._sink.write(event)
            self._held.clear()
        return self._sink

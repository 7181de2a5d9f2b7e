"""Several runs read as one: the verb under everything that asks several models at once.

1. Each source runs on a thread of its own in front of a bounded queue (`readahead`). So a slow
   consumer slows every server down, and a slow source does not hold up the others.
2. Events keep the order of their source, and interleave as they come. Each carries the label of
   its source in `stream`, pulses too: they say that nothing more of that stream is in hand.
3. A source ends by itself, and the others go on. One is stopped by the `CancelToken` of its run,
   and its events go on to the one that ends it. A run never raises. A source that does ends only
   its own stream; when all have ended, that failure is raised.
4. Closing the merged events stops everything: each source is closed on its own thread, which
   cancels its run, and that is waited for. Sources must pulse, or it has to wait for their next
   event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from chatstream.events import Event
from chatstream.flow import Burst, close
from chatstream.readahead import Consumer, ReadAhead

QUEUE_EVENTS = 256
"""Events of a queue; the contents of one read (`Burst`) are one event. With a token in each read
these are 50 KB and three seconds of a quick model. A queue of full bursts, 64 KiB of the wire each,
is bounded by `readahead.MOST_BYTES`."""


def merge(sources: Mapping[str, Iterator[Event]], limit: int = QUEUE_EVENTS) -> Iterator[Event]:
    """The events of all these sources, each with its label. `limit`, at least 1, is per source.

    When every source has ended, raises what one of them raised; of several failures the first in
    the order of the labels, with a note of each other one.
    """
    assert limit > 0
    consumer = Consumer()
    return consumer.take(
        [
            ReadAhead(_labelled(label, events), consumer, most_events=limit, name=label)
            for label, events in sources.items()
        ]
    )


def _labelled(label: str, events: Iterator[Event]) -> Iterator[Event]:
    """The events with a label. They are copies, as a run may have other watchers."""
    try:
        for event in events:
            if type(event) is Burst:
                contents = [replace(it, stream=label) for it in event.contents]
                yield replace(event, contents=contents, stream=label)
            else:
                yield replace(event, stream=label)
    finally:
        close(events)

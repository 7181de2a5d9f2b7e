"""Several runs read as one: the verb under everything that asks several models at once.

1. Each source runs on a thread of its own in front of a bounded queue (`readahead`). So a slow
   consumer slows every server down, and a slow source does not hold up the others.
2. Events keep the order of their source, and interleave as they come. An arrival is of one source;
   it and each of its events carry the label of that source in `stream`. A source whose arrivals
   have labels already (it runs several things in turn, see `many.run`) keeps them.
3. A source ends by itself, and the others go on. One is stopped by the `CancelToken` of its run,
   and its events go on to the one that ends it. A run never raises. A source that does ends only
   its own stream; when all have ended, that failure is raised.
4. Closing the merged arrivals stops everything: each source is closed on its own thread, which
   cancels its run, and that is waited for. Sources must send heartbeats, or it has to wait for
   their next event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from chatstream.flow import Arrival, close
from chatstream.readahead import Consumer, ReadAhead

QUEUE_EVENTS = 1024
"""Events of a queue: ten seconds of a quick model, 170 KB."""


def merge(
    sources: Mapping[str, Iterator[Arrival]], limit: int = QUEUE_EVENTS, *, frame: float = 0.0
) -> Iterator[Arrival]:
    """What comes from all these sources, each with its label. `limit`, at least 1, is per source.

    `frame`: a consumer that draws does so every so many seconds. What comes from a source within
    that time is read together, so it is late by no more than that, and so is its `t`; the first
    token of an answer is not. What comes from all of them within a quarter of it is taken together.

    When every source has ended, raises what one of them raised; of several failures the first in
    the order of the labels, with a note of each other one.
    """
    assert limit > 0
    consumer = Consumer(frame / 4)
    return consumer.take(
        [
            ReadAhead(
                labelled(label, arrivals), consumer, most_events=limit, name=label, rest=frame
            )
            for label, arrivals in sources.items()
        ]
    )


def labelled(label: str, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """The arrivals, with a label where they have none.

    Their events are copies, as a run may have other watchers.
    """
    try:
        for arrival in arrivals:
            if arrival.stream is None:
                arrival.events = [replace(event, stream=label) for event in arrival.events]
                arrival.stream = label
            yield arrival
    finally:
        close(arrivals)

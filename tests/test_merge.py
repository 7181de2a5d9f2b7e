"""Claimed: merged runs are each as they were, whatever becomes of the others and of the reader."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import cycle, islice
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.client import Client
from chatstream.errors import Cancelled
from chatstream.events import Content, Done, Error, Event, Stats, encode
from chatstream.flow import Arrival, drive, events_in
from chatstream.merge import merge
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import frames
from tests.support.arrivals import each, events_of
from tests.support.loopback import NDJSON, Reply, Script
from tests.support.readers import close_in_time, until

LABELS = ["a", "b", "c", "d"]


class Failure(Exception):
    """Of a source, on purpose."""


class Planned(NamedTuple):
    """What a source does: so many reads, of these sizes over and over, and then how it ends."""

    reads: int
    sizes: list[int]
    ends: str  # "whole", "fails", or "waits": until it is cancelled or closed


class Source:
    """A run as it is planned. `told` is every event that it has yielded, in order."""

    def __init__(self, plan: Planned) -> None:
        self.token = CancelToken()
        self.told: list[Event] = []
        self.threads: list[threading.Thread] = []
        self.closed = 0
        self.waits = plan.ends == "waits"
        self.failed = False
        self._plan = plan

    def arrivals(self) -> Iterator[Arrival]:
        self.threads.append(threading.current_thread())
        try:
            for arrival in self._made():
                self.told += arrival.events
                yield arrival
                if self.token.cancelled:
                    self.told.append(cut := Error("cancelled", "m", False, True))
                    yield Arrival([cut])
                    return
        finally:
            self.threads.append(threading.current_thread())
            self.closed += 1

    def _made(self) -> Iterator[Arrival]:
        number = 0
        for size in islice(cycle(self._plan.sizes), self._plan.reads):
            yield Arrival([Content(f"{number + n}") for n in range(size)])
            number += size
        if self._plan.ends == "fails":
            self.failed = True
            raise Failure
        while self.waits:
            self.token.sleep(0.001)
            yield Arrival()
        yield Arrival([Done(finish_reason="stop", stats=Stats(duration=0.0, chunks=0), attempts=1)])


def of_stream(label: str, events: list[Event]) -> list[Event]:
    return [event for event in events if event.stream == label]


def unlabelled(events: list[Event]) -> list[Event]:
    """The events of one stream as its source told them."""
    return [replace(event, stream=None) for event in events]


PLANS = st.lists(
    st.builds(
        Planned,
        st.integers(0, 60),
        st.lists(st.integers(0, 40), min_size=1, max_size=3),
        st.sampled_from(["whole", "whole", "fails", "waits"]),
    ),
    min_size=1,
    max_size=4,
)
CANCELS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), max_size=3)


@given(PLANS, CANCELS, st.none() | st.integers(0, 60), st.sampled_from([1, 16, 256]))
def test_every_stream_is_whole_and_in_order_whatever_becomes_of_the_others(
    plans: list[Planned], cancels: list[tuple[int, int]], closes_at: int | None, limit: int
) -> None:
    """Some are cancelled after so many events; the reader may leave. Who waits is stopped."""
    before = set(threading.enumerate())
    sources = {label: Source(plan) for label, plan in zip(LABELS, plans, strict=False)}
    runs = {label: it.arrivals() for label, it in sources.items()}  # kept: no refcount closes them
    arrivals = merge(runs, limit)
    taken: list[Event] = []

    def act() -> bool:
        """Cancel whose time has come. True: it is the reader's time to leave."""
        count = len(taken)
        due = [LABELS[which] for at, which in cancels if at == count]
        if all(it.closed or it.waits for it in sources.values()):
            due = LABELS  # nothing else comes any more
        for label, it in sources.items():
            if label in due:
                it.token.cancel()
        return closes_at == count

    failed, left = False, act()
    try:
        while not left and (arrival := next(arrivals, None)) is not None:
            for event in arrival.events:
                assert event.stream == arrival.stream
                taken.append(event)
                left = left or act()
    except Failure:
        failed = True
    close_in_time(arrivals)

    assert set(threading.enumerate()) == before
    for label, it in sources.items():
        got, told = unlabelled(of_stream(label, taken)), it.told
        assert got == (told if not left else told[: len(got)])
        assert it.closed == (1 if it.threads else 0)
        assert threading.current_thread() not in it.threads
        assert len(set(it.threads)) <= 1
    assert sum(len(of_stream(label, taken)) for label in sources) == len(taken)
    if not left:
        assert failed == any(it.failed for it in sources.values())


def test_a_label_is_put_on_copies() -> None:
    """A run may have other watchers, which know nothing of its label."""
    first, second = Content("a"), Content("b")
    taken = events_of(merge({"x": iter([Arrival([first, second])])}))
    assert taken == [Content("a", stream="x"), Content("b", stream="x")]
    assert (first, second) == (Content("a"), Content("b"))


def test_an_arrival_carries_the_label_of_its_source_and_so_does_a_heartbeat() -> None:
    sources = {"x": iter([Arrival([Content("a")], 1.0)]), "y": iter([Arrival(t=2.0, alive=True)])}
    taken = {(it.stream, len(it.events), it.t, it.alive) for it in merge(sources)}
    assert taken == {("x", 1, 1.0, False), ("y", 0, 2.0, True)}


def test_the_events_of_one_run_can_be_told_from_those_of_another_in_json() -> None:
    (event,) = events_of(merge({"qwen3:4b": each(Content("a", seq=1, t=0.5))}))
    assert encode(event) == b'{"type":"content","delta":"a","seq":1,"t":0.5,"stream":"qwen3:4b"}'


def test_merged_runs_can_be_driven_into_a_sink() -> None:
    class Lines:
        def __init__(self) -> None:
            self.text: dict[str | None, str] = {}
            self.is_closed = False

        def write(self, arrival: Arrival) -> None:
            for event in arrival.events:
                assert isinstance(event, Content)
                self.text[event.stream] = self.text.get(event.stream, "") + event.delta

        def close(self) -> None:
            self.is_closed = True

    sink = Lines()
    drive(merge({label: iter([Arrival([Content(label)] * 3)]) for label in "ab"}), sink)
    assert (sink.text, sink.is_closed) == ({"a": "aaa", "b": "bbb"}, True)


def test_a_cancelled_run_ends_with_its_own_event_and_the_others_are_whole() -> None:
    stopped, begun = Source(Planned(1, [1], "waits")), threading.Event()

    def other() -> Iterator[Arrival]:
        until(begun)
        yield from each(*(Content(str(n)) for n in range(1000)))

    taken: list[Event] = []
    for event in events_in(merge({"stopped": stopped.arrivals(), "other": other()})):
        taken.append(event)
        if event.stream == "stopped" and not stopped.token.cancelled:
            stopped.token.cancel(Cancelled("the user has stopped it"))
            begun.set()
    assert isinstance(of_stream("stopped", taken)[-1], Error)
    texts = unlabelled(of_stream("other", taken))
    assert texts == [Content(str(n)) for n in range(1000)]


def test_closing_cancels_every_run_and_closes_its_connection() -> None:
    body = frames("ollama", ["half of "])
    reply = Reply(body, headers=NDJSON, hold={len(body): threading.Event()})
    with (
        Script(reply) as server,
        Client(provider="ollama", base_url=server.url, model="m") as client,
    ):
        events = events_in(merge({label: client.run("hi").arrivals for label in LABELS}))
        begun: set[str | None] = set()
        for event in events:
            if isinstance(event, Content):
                begun.add(event.stream)
            if len(begun) == len(LABELS):
                break
        close_in_time(events)
        assert server.wait_closed()
        assert len(server.requests) == len(LABELS)
    assert not any(thread.name in LABELS for thread in threading.enumerate())
    records = [read(path) for path in journals(runs_folder())]
    assert [(it.outcome, it.message.content) for it in records] == [
        ("cancelled", "half of ")
    ] * len(LABELS)


def test_a_source_that_runs_several_things_keeps_their_labels() -> None:
    """Arrivals of two labels never join, however many wait; heartbeats have a label too."""

    def source() -> Iterator[Arrival]:
        for number in range(200):
            label = str(number % 2)
            yield Arrival([Content(f"{number} ", stream=label)], stream=label)
            yield Arrival(stream=label)

    found: dict[str, str] = {}
    for arrival in merge({"lane": source()}):
        assert arrival.stream in {"0", "1"}
        for event in arrival.events:
            assert isinstance(event, Content)
            assert event.stream == arrival.stream
            found[arrival.stream] = found.get(arrival.stream, "") + event.delta
    assert found == {
        label: "".join(f"{number} " for number in range(int(label), 200, 2)) for label in "01"
    }

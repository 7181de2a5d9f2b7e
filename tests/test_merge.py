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
from chatstream.flow import Burst, Pulse, drive, without_signals
from chatstream.merge import merge
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals, read
from tests.support.answers import frames
from tests.support.loopback import NDJSON, Reply, Script
from tests.support.readers import close_in_time, no_pulses, until

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

    def events(self) -> Iterator[Event]:
        self.threads.append(threading.current_thread())
        try:
            for event in self._made():
                self.told.append(event)
                yield event
                if self.token.cancelled and type(event) is Pulse:
                    self.told.append(cut := Error("cancelled", "m", False, True))
                    yield cut
                    return
        finally:
            self.threads.append(threading.current_thread())
            self.closed += 1

    def _made(self) -> Iterator[Event]:
        number = 0
        for size in islice(cycle(self._plan.sizes), self._plan.reads):
            pieces = [Content(f"{number + n}") for n in range(size)]
            number += size
            yield from pieces if size < 3 else [Burst(pieces)]
            yield Pulse()
        if self._plan.ends == "fails":
            self.failed = True
            raise Failure
        while self.waits:
            self.token.sleep(0.001)
            yield Pulse()
        yield Done(finish_reason="stop", stats=Stats(duration=0.0, chunks=0), attempts=1)


def of_stream(label: str, events: list[Event]) -> list[Event]:
    return [event for event in events if event.stream == label]


def unlabelled(events: list[Event]) -> list[Event]:
    """The events of one stream as its source told them: without pulses, each piece by itself."""
    return [replace(event, stream=None) for event in without_signals(iter(events))]


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
    each = {label: it.events() for label, it in sources.items()}  # kept: no refcount closes them
    events = merge(each, limit)
    taken: list[Event] = []

    def act() -> bool:
        """Cancel whose time has come. True: it is the reader's time to leave."""
        count = len(no_pulses(taken))
        due = [LABELS[which] for at, which in cancels if at == count]
        if all(it.closed or it.waits for it in sources.values()):
            due = LABELS  # nothing else comes any more
        for label, it in sources.items():
            if label in due:
                it.token.cancel()
        return closes_at == count

    failed, left = False, act()
    try:
        while not left and (event := next(events, None)) is not None:
            taken.append(event)
            left = act()
    except Failure:
        failed = True
    close_in_time(events)

    assert set(threading.enumerate()) == before
    for label, it in sources.items():
        got, told = unlabelled(of_stream(label, taken)), unlabelled(it.told)
        assert got == (told if not left else told[: len(got)])
        assert it.closed == (1 if it.threads else 0)
        assert threading.current_thread() not in it.threads
        assert len(set(it.threads)) <= 1
    assert sum(len(of_stream(label, taken)) for label in sources) == len(taken)
    if not left:
        assert failed == any(it.failed for it in sources.values())


def test_a_label_is_put_on_copies() -> None:
    """A run may have other watchers, which know nothing of its label."""
    content, burst = Content("a"), Burst([Content("b")])
    taken = list(merge({"x": iter([content, burst, Pulse()])}))
    labelled = [Content("a", stream="x"), Burst([Content("b", stream="x")], stream="x")]
    assert taken == [*labelled, Pulse(stream="x")]
    assert (content, burst) == (Content("a"), Burst([Content("b")]))


def test_the_events_of_one_run_can_be_told_from_those_of_another_in_json() -> None:
    (event,) = merge({"qwen3:4b": iter([Content("a", seq=1, t=0.5)])})
    assert encode(event) == b'{"type":"content","delta":"a","seq":1,"t":0.5,"stream":"qwen3:4b"}'


def test_merged_events_can_be_driven_into_a_sink() -> None:
    class Lines:
        def __init__(self) -> None:
            self.text: dict[str | None, str] = {}
            self.is_closed = False

        def write(self, event: Event) -> None:
            assert isinstance(event, Content)
            self.text[event.stream] = self.text.get(event.stream, "") + event.delta

        def flush(self) -> None:
            """Nothing is held."""

        def close(self) -> None:
            self.is_closed = True

    sink = Lines()
    drive(merge({label: iter([Burst([Content(label)] * 3)]) for label in "ab"}), sink)
    assert (sink.text, sink.is_closed) == ({"a": "aaa", "b": "bbb"}, True)


def test_a_cancelled_run_ends_with_its_own_event_and_the_others_are_whole() -> None:
    stopped, begun = Source(Planned(1, [1], "waits")), threading.Event()

    def other() -> Iterator[Event]:
        until(begun)
        yield from (Content(str(n)) for n in range(1000))

    taken: list[Event] = []
    for event in merge({"stopped": stopped.events(), "other": other()}):
        taken.append(event)
        if event.stream == "stopped" and not stopped.token.cancelled:
            stopped.token.cancel(Cancelled("the user has stopped it"))
            begun.set()
    assert isinstance(no_pulses(of_stream("stopped", taken))[-1], Error)
    texts = unlabelled(of_stream("other", taken))
    assert texts == [Content(str(n)) for n in range(1000)]


def test_closing_cancels_every_run_and_closes_its_connection() -> None:
    body = frames("ollama", ["half of "])
    reply = Reply(body, headers=NDJSON, hold={len(body): threading.Event()})
    with Script(reply) as server:
        client = Client(provider="ollama", base_url=server.url, model="m")
        events = without_signals(merge({label: client.run("hi").arrivals for label in LABELS}))
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

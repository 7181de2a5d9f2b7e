"""Claimed: a slow sink slows the reader or loses text that is counted, and nothing else happens."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.events import (
    Content,
    Event,
    Metadata,
    Reasoning,
    Retry,
    ToolCall,
    ToolCallDelta,
    Usage,
    Warn,
)
from chatstream.flow import Arrival, Stage, events_in
from chatstream.readahead import OVERHEAD_BYTES, Pressure
from chatstream.stages.buffer import Strategy, buffer
from tests.support.arrivals import each, events_of, heartbeats
from tests.support.readers import (
    DONE,
    GLIMPSE,
    PATIENCE,
    Closing,
    Step,
    Watched,
    close_in_time,
    numbered,
    source,
    until,
)

STRATEGIES: list[Strategy] = ["fixed", "dynamic", "sliding"]
LOSSLESS: list[Strategy] = ["fixed", "dynamic"]


def one_by_one(strategy: Strategy, pressure: Pressure | None = None) -> Stage:
    """A buffer of 16 events that hands over each of them by itself."""
    return buffer(strategy, pressure or Pressure(), most_events=16)


def after_a_stall(stage: Stage, *steps: Step, end: tuple[Step, ...] = ()) -> list[Arrival]:
    """What a sink gets that takes nothing until the steps have been read."""
    stalled, read = threading.Event(), threading.Event()
    begin: tuple[Step, ...] = (Content("begin"), lambda: until(stalled))
    arrivals = stage(source(*begin, *steps, read.set, *end))
    assert next(arrivals).events == [Content("begin")]
    stalled.set()
    until(read)
    return list(arrivals)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_is_read_before_the_first_arrival_is_asked_for(strategy: Strategy) -> None:
    read: list[bool] = []
    arrivals = buffer(strategy, Pressure())(source(lambda: read.append(True), Usage()))
    assert read == []
    assert next(arrivals).events == [Usage()]
    assert read == [True]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_thread_reads_that_ends_with_the_source(strategy: Strategy) -> None:
    readers: list[threading.Thread] = []
    arrivals = source(lambda: readers.append(threading.current_thread()), Content("a"), DONE)
    assert events_of(buffer(strategy, Pressure())(arrivals)) == [Content("a"), DONE]
    assert readers[0] is not threading.current_thread()
    assert not readers[0].is_alive()


TEXT = st.sampled_from(["", "a", "four", "twelve chars", "汉字", "x" * 200])
EVENT = st.one_of(
    st.builds(Content, TEXT),
    st.builds(Reasoning, TEXT),
    st.builds(ToolCallDelta, st.just("i"), st.just("n"), TEXT),
    st.builds(Usage, output_tokens=st.integers(0, 9)),
)
ARRIVALS = st.lists(st.lists(EVENT, max_size=40), max_size=12)


def slow_sink(stage: Stage, arrivals: Iterable[Arrival], pressure: Watched) -> list[Event]:
    """Takes an arrival only while the reader pauses, or has read everything."""

    def watched() -> Iterator[Arrival]:
        for arrival in arrivals:
            pressure.paused.clear()
            yield arrival
        pressure.paused.set()

    taken: list[Event] = []
    for arrival in stage(watched()):
        taken += arrival.events
        until(pressure.paused)
    return taken


@given(
    st.sampled_from(LOSSLESS),
    ARRIVALS,
    st.sampled_from([1, 16, 64, 4096]),
    st.sampled_from([1, 4096, 1024 * 1024]),
)
def test_a_slow_sink_gets_every_event_in_order(
    strategy: Strategy, arrivals: list[list[Event]], most_events: int, most_bytes: int
) -> None:
    pressure = Watched()
    stage = buffer(strategy, pressure, most_events=most_events, most_bytes=most_bytes)
    taken = slow_sink(stage, map(Arrival, arrivals), pressure)
    assert taken == [event for arrival in arrivals for event in arrival]
    assert pressure.dropped == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_two_quick_threads_lose_nothing_uncounted(strategy: Strategy, size: int) -> None:
    pressure = Pressure()
    events = numbered(10_000)
    arrivals = [Arrival(events[n : n + size]) for n in range(0, len(events), size)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        taken = events_of(buffer(strategy, pressure, most_events=64)(each(*arrivals, DONE)))
    finally:
        sys.setswitchinterval(before)
    texts = [event for event in taken if isinstance(event, Content)]
    assert taken[-1] is DONE
    assert 4 * len(texts) + pressure.dropped == 4 * len(events)
    assert [event.delta for event in texts] == sorted(event.delta for event in texts)


@pytest.mark.parametrize(
    "bounds",
    [(16, 1024 * 1024), (4096, 16 * (OVERHEAD_BYTES + 4))],
    ids=["events", "bytes"],
)
def test_the_reader_pauses_at_the_mark_and_goes_on_below_half(bounds: tuple[int, int]) -> None:
    """Both marks are sixteen events of four characters."""
    pressure, stalled, resumed = Watched(), threading.Event(), threading.Event()
    first, *held = numbered(17)
    steps: list[Step] = [first, lambda: until(stalled), *held, resumed.set, *numbered(3)]
    stage = buffer("fixed", pressure, most_events=bounds[0], most_bytes=bounds[1])
    arrivals = stage(source(*steps))
    taken = next(arrivals).events
    stalled.set()
    until(pressure.paused)
    for _ in range(8):  # half of the mark is not below half
        taken += next(arrivals).events
    # A reader that goes on too early has the time to be found out; one that does not passes.
    assert not resumed.wait(GLIMPSE)
    taken += next(arrivals).events
    until(resumed)
    assert [*taken, *events_of(arrivals)] == [*numbered(17), *numbered(3)]
    assert pressure.pauses == 1


def test_a_pause_is_counted_once_however_long_it_is() -> None:
    pressure = Watched()
    taken = slow_sink(one_by_one("fixed", pressure), each(*numbered(17)), pressure)
    assert (len(taken), pressure.pauses) == (17, 1)


def test_the_mark_is_one_of_bytes_too() -> None:
    pressure = Watched()
    events: list[Event] = [Content("x" * 1000) for _ in range(100)]
    most, arrival = 16 * 1024, OVERHEAD_BYTES + 1000
    taken = slow_sink(buffer("fixed", pressure, most_bytes=most), each(*events), pressure)
    assert taken == events
    assert pressure.pauses > 1
    assert most <= pressure.peak_bytes < most + arrival


@given(st.sampled_from(STRATEGIES), st.lists(st.lists(st.builds(Content, TEXT), max_size=40)))
def test_the_bounds_are_passed_by_one_arrival_at_most(
    strategy: Strategy, arrivals: list[list[Event]]
) -> None:
    pressure, most = Watched(), 4096
    stage = buffer(strategy, pressure, most_bytes=most)
    slow_sink(stage, map(Arrival, arrivals), pressure)
    part = (
        most // 16 + OVERHEAD_BYTES + 200
    )  # an arrival is cut behind the event that reaches a part
    assert pressure.peak_bytes < most + part


@pytest.mark.parametrize("strategy", LOSSLESS)
def test_an_event_that_is_larger_than_the_bounds_passes(strategy: Strategy) -> None:
    events: list[Event] = [Content("x" * 5000), Content("y" * 5000), DONE]
    assert events_of(buffer(strategy, Pressure(), most_bytes=100)(each(*events))) == events


def test_dynamic_begins_small_and_doubles_with_each_pause() -> None:
    pressure = Watched()
    taken = slow_sink(one_by_one("dynamic", pressure), each(*numbered(100)), pressure)
    assert taken == numbered(100)
    sizes = [peak // (OVERHEAD_BYTES + 4) for peak in pressure.peaks]
    assert sizes[:5] == [1, 2, 4, 8, 16]
    assert set(sizes[5:]) == {16}


def test_dynamic_shrinks_again_when_the_sink_keeps_up() -> None:
    """With one event at a time, the reader pauses only at a bound of one event."""
    pressure, grown, took = Watched(), threading.Event(), threading.Semaphore(0)

    def steps() -> Iterator[Arrival]:
        while pressure.pauses < 5:
            pressure.paused.clear()
            yield Arrival([Content("a")])
        grown.set()
        pressure.paused.set()
        for _ in range(10_000):
            if pressure.pauses > 5:
                return
            yield Arrival([Usage()])
            assert took.acquire(timeout=PATIENCE)

    for event in events_in(one_by_one("dynamic", pressure)(steps())):
        if type(event) is Usage:
            took.release()
        elif not grown.is_set():
            until(pressure.paused)
    assert [peak // OVERHEAD_BYTES for peak in pressure.peaks] == [1, 2, 4, 8, 16, 16]


def test_dynamic_does_not_shrink_while_the_sink_stalls_now_and_then() -> None:
    """The sink takes all that is there whenever the reader pauses, and waits for more."""
    pressure, drained = Watched(), threading.Semaphore(0)
    read_until_paused: list[int] = []

    def stalls() -> Iterator[Arrival]:
        for pauses in range(30):
            read = 0
            while pressure.pauses == pauses:
                read += 1
                yield Arrival([Content("a")])
            read_until_paused.append(read)
            yield Arrival([Usage()])
            assert drained.acquire(timeout=PATIENCE)

    for event in events_in(one_by_one("dynamic", pressure)(stalls())):
        if type(event) is Usage:
            pressure.paused.clear()
            drained.release()
        else:
            until(pressure.paused)
    assert len(read_until_paused) == 30
    assert min(read_until_paused[4:]) >= 16


def test_sliding_drops_the_oldest_text_and_counts_it() -> None:
    pressure = Watched()
    stage = one_by_one("sliding", pressure)
    warning, *texts, end = events_of(after_a_stall(stage, *numbered(100), end=(DONE,)))
    assert (end, pressure.pauses) == (DONE, 0)
    assert 8 <= len(texts) <= 16
    assert texts == numbered(100)[-len(texts) :]
    dropped = 4 * (100 - len(texts))
    told = f"{dropped} characters were not shown: the terminal is too slow"
    assert warning == Warn("dropped", told)
    assert (warning.seq, warning.t) == (-1, -1.0)
    assert pressure.dropped == dropped


OTHERS: list[Event] = [
    Metadata(restart=True),
    Retry(attempt=2, max=2, delay=0.0, cause="m", action="reset"),
    ToolCallDelta("i", "n", "{}"),
    ToolCall("i", "n", "{}"),
    Usage(),
    Warn("c", "m"),
]
MIXED = st.lists(
    st.one_of(
        st.builds(Content, st.text("ab", min_size=1)),
        st.builds(Reasoning, st.text("ab", min_size=1)),
        st.sampled_from(OTHERS),
    ),
    max_size=200,
)


@given(MIXED, st.sampled_from([1, 16, 64, 4096]))
def test_sliding_drops_text_only_and_tells_where(steps: list[Event], most_events: int) -> None:
    """Every event is in its place or, if it is text, part of a gap of just its length."""
    pressure, dropped = Pressure(), 0
    stage = buffer("sliding", pressure, most_events=most_events)
    taken = events_of(after_a_stall(stage, *steps, end=(DONE,)))
    came = iter(steps)
    for event in taken[:-1]:
        if not isinstance(event, Warn) or event.code != "dropped":
            assert event is next(came)
            continue
        gap = int(event.message.partition(" ")[0])
        dropped += gap
        while gap > 0:
            missing = next(came)
            assert isinstance(missing, Content | Reasoning)
            gap -= len(missing.delta)
        assert gap == 0
    assert (taken[-1], next(came, None)) == (DONE, None)
    assert pressure.dropped == dropped


def test_sliding_never_drops_what_came_last() -> None:
    """However large: an answer that comes whole is one event."""
    stage = buffer("sliding", Pressure(), most_bytes=100)
    answer = Content("x" * 5000)
    taken = events_of(after_a_stall(stage, answer, end=(DONE,)))
    assert taken == [answer, DONE]


def test_sliding_does_not_pause_for_what_it_must_not_drop() -> None:
    pressure = Pressure()
    calls: list[Event] = [ToolCallDelta("i", "n", f"{n}") for n in range(100)]
    taken = events_of(after_a_stall(one_by_one("sliding", pressure), *calls, end=(DONE,)))
    assert taken == [*calls, DONE]
    assert (pressure.pauses, pressure.dropped) == (0, 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_long_silence_becomes_one_heartbeat(strategy: Strategy) -> None:
    pressure = Pressure()
    silence = [Arrival(t=float(n), connected=n < 9, alive=n == 500) for n in range(1000)]
    taken = after_a_stall(buffer(strategy, pressure), *silence)
    said = [(it.events, it.t, it.connected, it.alive) for it in taken]
    assert said == [([], 999.0, True, True)]
    assert pressure.pauses == 0


def test_an_arrival_passes_as_it_is_when_nothing_waits_behind_it() -> None:
    seen = threading.Semaphore(0)

    def steps() -> Iterator[Arrival]:
        for n in range(50):
            yield Arrival([Content("a")], float(n), alive=n == 25)
            assert seen.acquire(timeout=PATIENCE)

    arrivals: list[tuple[float, bool]] = []
    for arrival in buffer("fixed", Pressure())(steps()):
        arrivals.append((arrival.t, arrival.alive))
        seen.release()
    assert arrivals == [(float(n), n == 25) for n in range(50)]


def test_a_heartbeat_that_something_waits_behind_joins_it() -> None:
    """However large that is: nothing more is in hand only after it."""
    large = Content("x" * 100_000)
    taken = after_a_stall(buffer("fixed", Pressure()), Arrival(alive=True), large, end=(DONE,))
    assert taken[0].events[:1] == [large]
    assert taken[0].alive
    assert heartbeats(taken) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_part_of_an_arrival_has_the_time_of_the_arrival(strategy: Strategy) -> None:
    stage = buffer(strategy, Pressure(), most_events=64)
    arrivals = [Arrival(numbered(10), 1.0), Arrival([*numbered(3), DONE], 2.0)]
    taken = list(stage(iter(arrivals)))
    times = [arrival.t for arrival in taken for _ in arrival.events]
    assert times[-4:] == [2.0] * 4
    assert set(times) <= {1.0, 2.0}
    assert all(arrival.connected for arrival in taken)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_arrivals_that_wait_are_taken_together(strategy: Strategy) -> None:
    taken = after_a_stall(buffer(strategy, Pressure()), *numbered(50))
    assert [arrival.events for arrival in taken] == [numbered(50)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("failure", [ValueError("m"), SystemExit("m")])
def test_a_failure_of_the_source_comes_after_what_was_read(
    strategy: Strategy, failure: BaseException
) -> None:
    events = buffer(strategy, Pressure())(
        source(Content("a"), Arrival([Content("b"), Content("c")]), failure)
    )
    taken: list[Event] = []
    with pytest.raises(type(failure), match="m"):
        taken.extend(events_in(events))
    assert taken == [Content("a"), Content("b"), Content("c")]


@pytest.mark.parametrize("strategy", LOSSLESS)
def test_closing_ends_a_reader_that_is_paused(strategy: Strategy) -> None:
    pressure, closing = Watched(), Closing(*numbered(100))
    events = one_by_one(strategy, pressure)(closing())
    next(events)
    until(pressure.paused)
    close_in_time(events)
    assert closing.read_on is not None
    assert closing.closed_on is closing.read_on
    assert not closing.read_on.is_alive()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_closing_waits_until_the_source_is_closed_by_its_reader(strategy: Strategy) -> None:
    closing = Closing(Content("a"))
    events = buffer(strategy, Pressure())(closing())
    assert next(events).events == [Content("a")]
    close_in_time(events)
    assert closing.read_on is not None
    assert closing.closed_on is closing.read_on
    assert closing.read_on is not threading.current_thread()
    assert not closing.read_on.is_alive()


def test_a_source_that_fails_when_it_is_closed_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing() -> Iterator[Arrival]:
        try:
            while True:
                yield Arrival([Content("a")])
        finally:
            raise ValueError("while it was closed")

    caplog.set_level("DEBUG")
    events = buffer("fixed", Pressure())(failing())
    next(events)
    close_in_time(events)
    assert "while it was closed" in caplog.text


STORM = """
import signal
from chatstream.cancel import CancelToken
from chatstream.events import Content, Error
from chatstream.flow import Arrival, events_in
from chatstream.readahead import Pressure
from chatstream.stages.buffer import buffer

token = CancelToken()
signal.signal(signal.SIGALRM, lambda *_: token.cancel())

def source(token):
    while not token.sleep(0.001):  # in the place of a socket: the cancel ends the wait
        yield Arrival([Content("a")])
    yield Arrival([Error(code="cancelled", message="m", recoverable=False, partial=True)])

for n in range(500):
    token = CancelToken()
    # One signal at any line or, in odd rounds, a new one before the last is dealt with.
    signal.setitimer(signal.ITIMER_REAL, 1e-6 + n % 100 * 2e-5, n % 2 * 1e-4)
    last = list(events_in(buffer("fixed", Pressure())(source(token))))[-1]
    assert type(last) is Error
    signal.setitimer(signal.ITIMER_REAL, 0)
print("survived")
"""


def test_a_signal_handler_that_cancels_reaches_a_sink_that_waits() -> None:
    """In a process of its own, so that a hang is a failure and not the end of the suite."""
    ended = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("survived\n", "")

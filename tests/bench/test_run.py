"""Claimed: each run is asked in its turn and at its time, none starves or blocks another, and
whatever happens, every source is closed and the garbage collector is as it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import pytest

from chatstream.bench.plan import Plan, intended
from chatstream.bench.result import Arm, Sample
from chatstream.bench.run import MAX_STARTS, TURN_EVENTS, Run
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.errors import ChatstreamError, ConnectError, RateLimited, Stalled, Truncated
from chatstream.events import Content, Event
from chatstream.flow import Arrival, Stage, pipe
from chatstream.messages import ChatRequest
from chatstream.timing import Trace

A = Arm(name="a", provider="p", model="a")
B = Arm(name="b", provider="p", model="b")
STEP = 0.001

Piece = tuple[float, Event | ChatstreamError]
"""What arrives, and when, in seconds since the request."""

Script = Callable[[int], list[Piece]]
"""The answer to the request of this number, from 1."""


def says(*times: float) -> list[Piece]:
    return [(at, Content("word ")) for at in times]


def quick(number: int) -> list[Piece]:
    """An answer of 10 ms."""
    return says(0.005, 0.010)


def of_length(seconds: float) -> Script:
    return lambda number: says(0.001, seconds)


class World:
    """The wires, and the time: it passes only in `wait`."""

    def __init__(self, script: Script = quick, *, blunt: bool = False, mute: bool = False) -> None:
        self.now = 100.0
        self.script = script
        self.blunt = blunt  # a failure comes from `open` itself, not from the events
        self.mute = mute  # no source ever says that it has news
        self.sources: list[Scripted] = []
        self.requests: list[ChatRequest] = []
        self.asked_at: list[float] = []
        self.open = self.most_open = self.waits = 0
        self.linger = 0.0  # seconds before a request on a used connection is sent
        self.when_open: tuple[int, Callable[[], None]] = (-1, lambda: None)
        self.collector_was_on: list[bool] = []

    def source(self, arm: Arm) -> Scripted:
        self.sources.append(Scripted(self, arm))
        return self.sources[-1]

    def wait(self) -> None:
        self.now += STEP
        if self.open == self.when_open[0]:
            self.when_open[1]()
        self.waits += 1
        assert self.waits < 100_000, "it goes on for ever"

    def clock(self) -> float:
        return self.now

    @property
    def left_open(self) -> int:
        return self.open + sum(not source.closed for source in self.sources)


class Scripted:
    """A source that tells what its script says, when it is time."""

    def __init__(self, world: World, arm: Arm) -> None:
        self.world = world
        self.arm = arm
        self.trace = Trace()
        self.closed = False
        self.answering = False
        self.asked = 0
        self._next: float | None = None  # when the next piece arrives

    @property
    def news(self) -> bool:
        return self._has_come and not self.world.mute

    @property
    def _has_come(self) -> bool:
        return self._next is not None and self.world.now >= self._next

    def open(
        self, request: ChatRequest, token: CancelToken, raw: Stage, answer: Stage
    ) -> Iterator[Arrival]:
        assert not self.closed
        assert not self.answering
        world = self.world
        world.requests.append(request)
        world.asked_at.append(world.now)
        pieces = world.script(len(world.requests))
        first = pieces[0][1] if pieces else None
        if world.blunt and isinstance(first, ChatstreamError):
            raise first
        return pipe(self._arrivals(pieces), raw, answer)

    def _arrivals(self, pieces: list[Piece]) -> Iterator[Arrival]:
        world = self.world
        world.open += 1
        self.answering = True
        world.most_open = max(world.most_open, world.open)
        try:
            self.asked += 1
            begun = world.now + (world.linger if self.asked > 1 else 0.0)
            while world.now < begun:
                yield Arrival(t=world.now)
            sent = world.now
            self.trace = Trace(reused=self.asked > 1, sent=sent, status=200, receipts=[])
            for at, event in pieces:
                self._next = sent + at
                while not self._has_come:
                    world.collector_was_on.append(gc.isenabled())
                    yield Arrival(t=world.now)
                if isinstance(event, ChatstreamError):
                    raise event
                event.t, self._next = sent + at, None
                yield Arrival([event], event.t)
        finally:
            self._next = None
            self.answering = False
            world.open -= 1

    def close(self) -> None:
        assert not self.answering, "the events are closed first"
        self.closed = True


def run_of(
    world: World,
    plan: Plan,
    arms: Sequence[Arm] = (A,),
    token: CancelToken | None = None,
    **given: Any,
) -> Run:
    return Run(world, arms, plan, token or CancelToken(), clock=world.clock, **given)


def measured(world: World, plan: Plan, arms: Sequence[Arm] = (A,), **given: Any) -> list[Sample]:
    samples = list(run_of(world, plan, arms, **given).samples())
    assert world.left_open == 0
    assert gc.isenabled()
    return samples


# ---- a closed loop of one stream


def test_the_cold_runs_come_first_then_the_arms_take_turns() -> None:
    samples = measured(World(), Plan(runs=4), (A, B))
    assert "".join(it.arm for it in samples) == "ab" + "abbaabba"
    assert [it.cold for it in samples] == [True] * 2 + [False] * 8
    assert [it.number for it in samples] == list(range(1, 11))


def test_each_arm_keeps_one_connection_that_its_cold_run_made() -> None:
    world = World()
    samples = measured(world, Plan(runs=4), (A, B))
    assert [source.arm.name for source in world.sources] == ["a", "b"]
    assert [it.reused for it in samples] == [False] * 2 + [True] * 8


def test_a_new_connection_for_each_run_and_the_old_one_closed_before() -> None:
    world = World()
    alive = []

    def script(number: int) -> list[Piece]:
        alive.append(sum(not source.closed for source in world.sources))
        return quick(number)

    world.script = script
    samples = measured(world, Plan(runs=4, reuse=False), (A, B))
    assert len(world.sources) == len(samples) == 10
    assert alive == [1] * 10
    assert not any(it.reused for it in samples)


def test_a_connection_is_not_used_again_after_a_failure() -> None:
    def script(number: int) -> list[Piece]:
        return [(0.005, Truncated("cut"))] if number == 3 else quick(number)

    world = World(script)
    samples = measured(world, Plan(runs=4))
    assert [it.status for it in samples] == ["ok", "ok", "truncated", "ok", "ok"]
    assert [it.reused for it in samples] == [False, True, True, False, True]


def test_the_sample_is_what_the_wire_did() -> None:
    sample = measured(World(lambda number: says(0.02, 0.03, 0.05)), Plan(runs=1))[1]
    assert sample.ttft == pytest.approx(0.02)
    assert sample.arrivals == pytest.approx([0.02, 0.03, 0.05])
    assert sample.started == pytest.approx(0.05, abs=3 * STEP)
    assert (sample.arm, sample.status, sample.late) == ("a", "ok", 0.0)


def test_the_request_is_what_the_caller_and_the_plan_say() -> None:
    world = World()
    waiting = Arm(name="b", provider="p", model="llama", cache="reuse", streamed=False)
    plan = Plan(runs=2, max_tokens=7, prompt="Why?")
    measured(world, plan, (A, waiting), temperature=0.5, options={"top_k": 1}, nonce="x")
    of_a = [it for it in world.requests if it.model == "a"]
    of_b = [it for it in world.requests if it.model == "llama"]
    assert [it.messages[0].content for it in of_a] == ["1-x Why?", "3-x Why?", "6-x Why?"]
    assert [it.messages[0].content for it in of_b] == ["Why?"] * 3
    assert {it.stream for it in of_a} == {True}
    assert {it.stream for it in of_b} == {False}
    for request in world.requests:
        assert (request.temperature, request.max_tokens) == (0.5, 7)
        assert request.options == {"top_k": 1}
        assert request.messages[0].role == "user"


def test_no_two_benchmarks_ask_the_same() -> None:
    worlds = [World(), World()]
    for world in worlds:
        measured(world, Plan(runs=2))
    prompts = {it.messages[0].content for world in worlds for it in world.requests}
    assert len(prompts) == 6


# ---- when it ends


def test_it_ends_when_the_median_is_known_well_enough() -> None:
    run = run_of(World(), Plan())
    assert len(list(run.samples())) == 7
    assert run.stopped_because == "precision"


def test_it_ends_with_the_most_runs() -> None:
    run = run_of(World(lambda number: says(0.001 + number % 2 / 10)), Plan())
    assert len(list(run.samples())) == 31
    assert run.stopped_because == "runs"


def test_it_ends_before_the_time_does() -> None:
    run = run_of(World(of_length(0.3)), Plan(timed=True, seconds=1.0))
    assert len(list(run.samples())) == 3
    assert run.stopped_because == "time"
    assert run.elapsed == pytest.approx(0.9, abs=10 * STEP)


def test_it_ends_when_everything_fails() -> None:
    def script(number: int) -> list[Piece]:
        return [(0.001, ConnectError("nobody listens"))]

    run = run_of(World(script), Plan(runs=20))
    assert [it.message for it in run.samples()] == ["nobody listens"] * 3
    assert run.stopped_because == "failures"


@pytest.mark.parametrize("blunt", [True, False])
@pytest.mark.parametrize("plan", [Plan(runs=4), Plan(runs=4, concurrency=3)])
def test_a_source_that_fails_at_once_is_a_failed_run(plan: Plan, blunt: bool) -> None:
    def script(number: int) -> list[Piece]:
        return [(0.0, RateLimited("slow down"))] if number % 2 == 0 else quick(number)

    world = World(script, blunt=blunt)
    samples = measured(world, plan)
    assert len(samples) == 5
    assert world.waits < POLL_SECONDS / STEP  # not only when somebody looks at the silent ones
    by_number = sorted(samples, key=lambda it: it.number)
    assert [it.status != "ok" for it in by_number] == [False, True, False, True, False]


def test_an_answer_that_ends_at_once_is_a_run() -> None:
    samples = measured(World(lambda number: []), Plan(runs=3))
    assert [it.status for it in samples] == ["ok"] * 4


# ---- many at once


@pytest.mark.parametrize("streams", [2, 5, 40])
def test_so_many_streams_are_open_at_once_and_never_more(streams: int) -> None:
    world = World(lambda number: says(0.01, 0.1 + number * 7 % 5 / 100))
    samples = measured(world, Plan(runs=3 * streams, concurrency=streams))
    assert world.most_open == len(world.sources) == streams
    assert len(samples) == 1 + 3 * streams
    assert sum(it.reused for it in samples) == 1 + 3 * streams - streams


def test_many_requests_are_sent_in_groups_so_that_no_answer_waits_for_all_of_them() -> None:
    world = World(of_length(0.1))
    measured(world, Plan(runs=40, concurrency=40))
    times = world.asked_at[1:]
    assert max(times.count(at) for at in times) == MAX_STARTS
    assert max(times) - min(times) == pytest.approx((40 / MAX_STARTS - 1) * STEP)


@pytest.mark.parametrize("plan", [Plan(runs=6, concurrency=6), Plan(runs=6, rate=1000.0)])
def test_a_cold_run_is_alone(plan: Plan) -> None:
    world = World()
    opened: list[int] = []

    def script(number: int) -> list[Piece]:
        opened.append(world.open)
        return quick(number)

    world.script = script
    measured(world, plan, (A, B))
    assert opened[:3] == [0, 0, 0]
    assert max(opened) >= 5


def test_many_at_once_take_turns_too() -> None:
    world = World(lambda number: says(0.01, 0.02 + number % 3 / 100))
    samples = measured(world, Plan(runs=8, concurrency=4), (A, B))
    assert "".join(it.model for it in world.requests) == "ab" + "abbaabbaabbaabba"
    assert sorted(it.arm for it in samples) == ["a"] * 9 + ["b"] * 9


def test_the_runs_that_are_open_when_it_is_enough_still_count() -> None:
    """Those that end first are the short ones: to leave out the others would be to choose."""
    world = World(lambda number: says(0.01, 0.5 if number == 20 else 0.05))
    run = run_of(world, Plan(concurrency=4))
    samples = list(run.samples())
    assert run.stopped_because == "precision"
    assert sorted(it.number for it in samples) == list(range(1, len(samples) + 1))
    assert samples[-1].status == "ok"
    assert len(samples) == len(world.requests)


def test_a_flood_in_one_stream_does_not_starve_another() -> None:
    def script(number: int) -> list[Piece]:
        return says(*[0.0] * 20_000) if number == 2 else says(0.005, 0.010)

    world = World(script)
    token = CancelToken()
    samples = run_of(world, Plan(runs=2, concurrency=2), token=token).samples()
    assert [it.number for it in islice(samples, 2)] == [1, 3]
    assert world.open == 1  # the flood goes on
    token.cancel()
    (flooded,) = samples
    assert (flooded.number, flooded.status) == (2, "cancelled")
    assert flooded.deltas < 100 * TURN_EVENTS
    assert world.left_open == 0


def test_what_is_in_hand_is_taken_although_nothing_new_has_come() -> None:
    world = World(lambda number: says(*[0.0] * (5 * TURN_EVENTS)), mute=True)
    samples = measured(world, Plan(runs=1))
    assert [it.deltas for it in samples] == [5 * TURN_EVENTS] * 2
    assert world.waits < 20


@pytest.mark.parametrize("streams", [1, 4])
def test_a_silent_stream_is_looked_at_so_that_its_limits_hold(streams: int) -> None:
    """The failure comes when the source is pulled, and nothing tells that it has to be."""
    world = World(lambda number: [(1.0, Stalled("silent"))], mute=True)
    run = run_of(world, Plan(runs=streams, concurrency=streams))
    for sample in run.samples():
        assert sample.status.startswith("timeout")
    assert run.elapsed <= 2 * (1.0 + POLL_SECONDS + 3 * STEP)


def test_a_silent_stream_is_left_alone_between_two_looks() -> None:
    world = World(of_length(1.0))
    measured(world, Plan(runs=1))
    looks = 2 * 1.0 / POLL_SECONDS
    assert len(world.collector_was_on) <= looks + 6  # one for each pull that found nothing


def test_what_came_with_several_reads_is_taken_in_one_turn() -> None:
    world = World(lambda number: says(*[0.0] * (TURN_EVENTS // 4)))
    measured(world, Plan(runs=1))
    assert world.waits <= 4


def test_an_end_behind_the_last_read_is_seen_at_once() -> None:
    world = World()
    run = run_of(world, Plan(runs=1))
    assert len(list(run.samples())) == 2
    assert run.elapsed <= 2 * (0.010 + 3 * STEP)


def test_a_failure_does_not_keep_its_run_in_memory() -> None:
    """Where it passed was noted in it: a circle that nothing collects while runs are open."""
    failure = Truncated("cut")
    measured(World(lambda number: [(0.001, failure)]), Plan(runs=1))
    assert failure.__traceback__ is None


def test_a_source_with_news_is_pulled_at_once() -> None:
    world = World(lambda number: [(0.005, Truncated("cut"))])
    run = run_of(world, Plan(runs=2))
    list(run.samples())
    assert run.elapsed <= 3 * (0.005 + 2 * STEP)


# ---- an open loop


def test_a_request_starts_at_its_time_whatever_the_others_do() -> None:
    """Answers of 0.5 s, ten a second: a closed loop would ask twice a second."""
    world = World(of_length(0.5))
    samples = measured(world, Plan(rate=10.0, runs=20, timed=False))
    starts = world.asked_at[1:]
    assert [at - starts[0] for at in starts] == pytest.approx(
        [n / 10 for n in range(20)], abs=2 * STEP
    )
    assert world.most_open == len(world.sources) == 5
    assert max(it.late for it in samples) <= 2 * STEP


def test_an_idle_connection_is_taken_before_a_new_one_is_made() -> None:
    world = World()
    samples = measured(world, Plan(rate=10.0, runs=20))
    assert len(world.sources) == 1
    assert sum(it.reused for it in samples) == 20


def test_the_time_of_an_open_loop_begins_after_the_cold_run() -> None:
    world = World(of_length(0.5))
    samples = measured(world, Plan(rate=10.0, runs=3))
    assert [it.late for it in samples] == pytest.approx([0.0] * 4, abs=2 * STEP)
    assert world.asked_at[1] - world.asked_at[0] >= 0.5


def test_what_is_late_is_told_and_asked_all_the_same() -> None:
    """The reader of the samples holds everything up for a second."""
    world = World()
    run = run_of(world, Plan(rate=10.0, runs=20))
    samples = []
    for sample in run.samples():
        samples.append(sample)
        if sample.number == 4:
            world.now += 1.0
    late = [it.late for it in samples]
    assert len(samples) == 21
    assert late[:4] == pytest.approx([0.0] * 4, abs=3 * STEP)
    assert late[4] == pytest.approx(0.91, abs=0.02)
    assert late[8] == pytest.approx(0.51, abs=0.02)
    assert late[-1] == pytest.approx(0.0, abs=3 * STEP)


def test_an_open_loop_ends_with_its_time() -> None:
    run = run_of(World(), Plan(rate=20.0, timed=True, seconds=2.0))
    assert len(list(run.samples())) == pytest.approx(41, abs=2)
    assert run.stopped_because == "time"


def test_an_open_loop_does_not_wait_for_a_time_that_lies_after_its_end() -> None:
    run = run_of(World(), Plan(rate=0.01, timed=True, seconds=2.0))
    assert len(list(run.samples())) == 2
    assert run.stopped_because == "time"
    assert run.elapsed <= 2.0 + POLL_SECONDS + 2 * STEP


def test_poisson_arrivals_start_when_the_plan_says() -> None:
    plan = Plan(rate=10.0, arrivals="poisson", runs=20, seed=5)
    world = World(of_length(0.2))
    samples = measured(world, plan)
    gaps = [at - world.asked_at[1] for at in world.asked_at[1:]]
    times = list(islice(intended(plan), 20))
    assert gaps == pytest.approx([at - times[0] for at in times], abs=3 * STEP)
    assert max(it.late for it in samples) <= 2 * STEP


# ---- cancelled, abandoned, broken


@pytest.mark.parametrize(
    ("plan", "left"),
    [
        (Plan(), 1),
        (Plan(concurrency=5), 5),
        (Plan(runs=5, concurrency=5), 5),
        (Plan(rate=100.0), 5),
    ],
    ids=["one", "many", "the last ones", "open loop"],
)
def test_cancelling_ends_all_open_runs_and_tells_them(plan: Plan, left: int) -> None:
    world = World(of_length(0.0501))
    token = CancelToken()
    run = run_of(world, plan, token=token)
    samples = run.samples()
    assert next(samples).status == "ok"
    world.script = lambda number: says(0.005, 9.0)
    cancelled_at: list[float] = []

    def cancel() -> None:
        token.cancel()
        cancelled_at.append(world.now)

    world.when_open = (left, cancel)
    rest = list(samples)
    assert world.now <= cancelled_at[0] + STEP
    assert [it.status for it in rest] == ["cancelled"] * left
    assert run.stopped_because == "cancelled"
    assert world.left_open == 0
    assert gc.isenabled()


def test_a_run_that_was_cancelled_before_it_was_sent_has_nothing_of_the_one_before() -> None:
    world = World()
    world.linger = 1.0
    token = CancelToken()
    samples = run_of(world, Plan(), token=token).samples()
    assert [it.status for it in islice(samples, 2)] == ["ok", "ok"]
    world.when_open = (1, token.cancel)
    (last,) = samples
    assert last == Sample(number=3, arm="a", status="cancelled", message="cancelled")


def test_a_cancelled_token_asks_nothing() -> None:
    world = World()
    token = CancelToken()
    token.cancel()
    run = run_of(world, Plan(), token=token)
    assert list(run.samples()) == []
    assert not world.requests
    assert run.stopped_because == "cancelled"


@pytest.mark.parametrize("plan", [Plan(), Plan(concurrency=4), Plan(rate=200.0)])
def test_cancelling_between_two_samples_asks_nothing_more(plan: Plan) -> None:
    world = World()
    token = CancelToken()
    samples = []
    asked = 0
    for sample in run_of(world, plan, token=token).samples():
        samples.append(sample)
        if len(samples) == 3:
            token.cancel()
            asked = len(world.requests)
    assert len(world.requests) == len(samples) == asked
    assert world.left_open == 0


def test_cancelling_an_open_loop_that_waits_for_its_next_time_ends_it() -> None:
    world = World()
    token = CancelToken()
    samples = run_of(world, Plan(rate=0.01), token=token).samples()
    assert [it.number for it in islice(samples, 2)] == [1, 2]
    token.cancel()
    waits = world.waits
    assert list(samples) == []
    assert world.waits - waits < (2 * POLL_SECONDS) / STEP


@pytest.mark.parametrize("plan", [Plan(), Plan(concurrency=4), Plan(rate=200.0)])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_whoever_stops_taking_samples_leaves_nothing_open(plan: Plan, taken: int) -> None:
    world = World()
    samples = run_of(world, plan).samples()
    assert len(list(islice(samples, taken))) == taken
    samples.close()
    assert world.left_open == 0
    assert gc.isenabled()


@pytest.mark.parametrize("plan", [Plan(), Plan(concurrency=4)])
def test_a_mistake_of_ours_leaves_nothing_open(plan: Plan) -> None:
    world = World()

    def script(number: int) -> list[Piece]:
        if number == 4:
            raise RuntimeError("a bug")
        return quick(number)

    world.script = script
    with pytest.raises(RuntimeError, match="a bug"):
        list(run_of(world, plan).samples())
    assert world.left_open == 0
    assert gc.isenabled()


# ---- the process itself


def test_the_collector_rests_while_a_run_is_open_and_works_between_two() -> None:
    world = World()
    for _ in run_of(world, Plan(runs=3)).samples():
        assert gc.isenabled()
    assert world.collector_was_on
    assert not any(world.collector_was_on)


@pytest.mark.parametrize("plan", [Plan(runs=8, concurrency=4), Plan(runs=8, rate=50.0)])
def test_the_collector_rests_while_any_run_is_open(plan: Plan) -> None:
    world = World(of_length(0.05))
    measured(world, plan)
    assert not any(world.collector_was_on)


def test_nothing_stays_frozen() -> None:
    before = gc.get_freeze_count()
    samples = run_of(World(), Plan(runs=3)).samples()
    next(samples)
    assert gc.get_freeze_count() > before
    samples.close()
    assert gc.get_freeze_count() <= before


def test_a_collector_that_was_off_stays_off_and_yet_no_garbage_grows() -> None:
    class Circle:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    try:
        samples = run_of(World(), Plan(runs=2)).samples()
        next(samples)
        garbage = weakref.ref(Circle())
        assert garbage() is not None
        list(samples)
        assert garbage() is None
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_share_of_the_processor_is_that_of_the_time_with_open_runs() -> None:
    world = World()

    def busy() -> float:
        return world.now / 4

    run = run_of(world, Plan(runs=5), cpu_clock=busy)
    assert run.cpu == 0.0
    for _ in run.samples():
        world.now += 5.0  # the reader draws; nothing is open
    assert run.cpu == pytest.approx(0.25)
    assert run.elapsed > 6 * 5.0


def test_the_share_of_the_processor_is_known_while_runs_are_open() -> None:
    world = World()
    run = run_of(world, Plan(runs=8, concurrency=4), cpu_clock=lambda: world.now / 4)
    assert [run.cpu for _ in run.samples()] == pytest.approx([0.25] * 9)

"""Claimed: the self-test plays its cases over the real core, and finds out every kind of lie."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatstream.bench import selftest as module
from chatstream.bench import truth as truth_module
from chatstream.bench.result import Arm, Sample, Stall
from chatstream.bench.selftest import ARM, CASES, Case, Row, SelfTest, judge, selftest
from chatstream.bench.source import Source, Wires
from chatstream.bench.truth import Log, Script, Truth
from chatstream.cancel import CancelToken
from chatstream.clock import Deadline
from chatstream.engine.measuring import Measuring
from chatstream.engine.settings import Settings
from chatstream.errors import Cancelled
from chatstream.events import Content, Event
from chatstream.flow import Arrival, Stage
from chatstream.messages import ChatRequest
from chatstream.timing import Trace
from chatstream.transport import meter
from tests.support.refused import refused_port

pytestmark = pytest.mark.serial

ONE = Case("one", Script(tokens=6, gap=0.005))
TWO = Case("two", Script(tokens=8, gap=0.005, bundle=2), streams=2)
USER = Case("user", Script(tokens=6, gap=0.005), kernel=False)


@pytest.fixture(autouse=True)
def nothing_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else this machine does."""
    monkeypatch.setattr(truth_module, "HELD_UP_SECONDS", 3600.0)


def measuring(url: str, kernel: bool) -> Measuring:
    return Measuring({ARM.name: Settings(provider="ollama", base_url=url)}, kernel=kernel)


def without_kernel(url: str, kernel: bool) -> Measuring:
    """As where the kernel has no receive times."""
    return measuring(url, False)


def test_every_case_is_compared_delta_by_delta() -> None:
    result = selftest(measuring, CancelToken(), cases=[ONE, TWO])
    assert [(row.name, row.deltas) for row in result.rows] == [("one", 6), ("two", 8)]
    for row in result.rows:
        assert row.p50 is not None
        assert row.p99 is not None
        assert row.max is not None
        assert 0 <= row.p50 <= row.p99 <= row.max
        assert row.tpot is not None
        assert row.gap_p99 is not None


def test_each_source_is_asked_once_before_it_counts() -> None:
    asked: list[tuple[int, str]] = []

    class Counting(Lying):
        def open(
            self, request: ChatRequest, token: CancelToken, raw: Stage, answer: Stage
        ) -> Iterator[Arrival]:
            asked.append((id(self), request.model))
            return super().open(request, token, raw, answer)

    @contextmanager
    def counting(url: str, kernel: bool) -> Iterator[Wires]:
        with measuring(url, kernel) as wires:
            yield Liars(wires, lambda events: events, Counting)

    row = selftest(counting, CancelToken(), cases=[TWO]).rows[0]
    assert [model for _, model in asked] == [module.COLD.model] * 2 + [TWO.script.model] * 2
    assert len({source for source, _ in asked}) == 2
    assert row.deltas == 8


def test_the_kernels_clock_is_used_where_there_is_one_and_the_users_where_asked() -> None:
    rows = selftest(measuring, CancelToken(), cases=[ONE, USER]).rows
    clocks = [row.clock for row in rows]
    assert clocks in (["kernel", "user"], ["user"])  # the latter has no kernel times


def test_the_users_clock_is_not_tried_twice() -> None:
    rows = selftest(without_kernel, CancelToken(), cases=[ONE, USER]).rows
    assert [(row.name, row.clock) for row in rows] == [("one", "user")]


def test_the_collector_rests_only_while_it_measures() -> None:
    seen: list[bool] = []

    @contextmanager
    def watched(url: str, kernel: bool) -> Iterator[Wires]:
        with measuring(url, kernel) as wires:
            yield Looking(wires)

    class Looking:
        def __init__(self, wires: Wires) -> None:
            self._wires = wires
            self.source = wires.source

        def wait(self) -> None:
            seen.append(gc.isenabled())
            self._wires.wait()

    assert gc.isenabled()
    selftest(watched, CancelToken(), cases=[ONE])
    assert set(seen) == {False}
    assert gc.isenabled()


def test_a_cancel_ends_it_and_everything_it_has_opened() -> None:
    token = CancelToken()

    @contextmanager
    def cancelling(url: str, kernel: bool) -> Iterator[Wires]:
        with measuring(url, kernel) as wires:
            yield wires
            pytest.fail("the cases went on")

    token.cancel()
    with pytest.raises(Cancelled):
        selftest(cancelling, token, cases=[Case("long", Script(tokens=10, gap=3600.0))])
    assert gc.isenabled()


# ---- liars


class Lying:
    """A real source whose events pass a stage of lies first."""

    def __init__(self, source: Source, lie: Stage) -> None:
        self._source = source
        self._lie = lie

    @property
    def trace(self) -> Trace:
        return self._source.trace

    @property
    def news(self) -> bool:
        return self._source.news

    def open(
        self, request: ChatRequest, token: CancelToken, raw: Stage, answer: Stage
    ) -> Iterator[Arrival]:
        return self._source.open(request, token, lambda arrivals: raw(self._lie(arrivals)), answer)

    def close(self) -> None:
        self._source.close()


class Liars:
    """Wires that only have lying sources."""

    def __init__(self, wires: Wires, lie: Stage, kind: type[Lying] = Lying) -> None:
        self._wires = wires
        self._lie = lie
        self._kind = kind
        self.wait = wires.wait

    def source(self, arm: Arm) -> Lying:
        return self._kind(self._wires.source(arm), self._lie)


def told(lie: Stage) -> SelfTest:
    """What the self-test says of wires that lie like this."""

    @contextmanager
    def wires_for(url: str, kernel: bool) -> Iterator[Wires]:
        with measuring(url, kernel) as wires:
            yield Liars(wires, lie)

    return selftest(wires_for, CancelToken(), cases=[ONE])


def late(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """Everything seems to come 5 ms later, alike."""
    for arrival in arrivals:
        if arrival.t >= 0:
            arrival.t += 0.005
        yield arrival


def early(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """The same, earlier than it was sent; a busy machine is no later than 10 s."""
    for arrival in arrivals:
        if arrival.t >= 0:
            arrival.t -= 10.0
        yield arrival


def dropping(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """The third delta is lost."""
    count = 0
    for arrival in arrivals:
        kept: list[Event] = []
        for event in arrival.events:
            count += isinstance(event, Content)
            if not (isinstance(event, Content) and count == 3):
                kept.append(event)
        arrival.events = kept
        yield arrival


def test_arrivals_that_are_told_too_late_are_found_out() -> None:
    result = told(late)
    assert result.exit_status == 5
    assert any("arrivals p50" in why for why in result.rows[0].missed)


def test_arrivals_that_are_told_too_early_are_found_out() -> None:
    result = told(early)
    assert not result.passed
    assert any("arrivals p50" in why for why in result.rows[0].missed)


def test_a_delta_that_is_lost_is_found_out() -> None:
    row = told(dropping).rows[0]
    assert row.missed == ["5 of 6 deltas arrived, ok"]
    assert row.p50 is None


def test_an_answer_that_was_cut_is_no_measurement() -> None:
    cut = Case("cut", Script(tokens=6, gap=0.001, end="truncated"))
    result = selftest(measuring, CancelToken(), cases=[cut])
    assert not result.passed
    assert result.rows[0].missed[0].startswith("6 of 6 deltas arrived, truncated: ")


def test_a_question_that_never_comes_is_no_measurement() -> None:
    def nowhere(url: str, kernel: bool) -> Measuring:
        port = refused_port()
        return measuring(f"http://127.0.0.1:{port}", kernel)

    result = selftest(nowhere, CancelToken(), cases=[ONE])
    assert result.exit_status == 5
    assert result.rows[0].missed[0].startswith("0 of 0 deltas arrived, connect: ")


# ---- arithmetic


def run(
    sends: list[float], arrivals: list[float], *, kernel: bool = True, stalls: int = 0
) -> tuple[Sample, Log]:
    """A run whose t0 was at 100.0, one delta an arrival; all times as seconds after that."""
    sample = Sample(
        number=1,
        arm=ARM.name,
        started=100.0,
        arrivals=arrivals,
        deltas_at=[1] * len(arrivals),
        deltas=len(arrivals),
        tokens=len(arrivals),
        tpot=(arrivals[-1] - arrivals[0]) / (len(arrivals) - 1),
        stalls=[Stall(0.0, 1.0)] * stalls,
        lags=[0.0002] * len(arrivals),
        kernel=kernel,
    )
    sent = [100.0 + at for at in sends]
    return sample, Log(prompt="", script=Script(tokens=len(sends)), asked=100.0, sends=sent)


STEADY = [0.01 * n for n in range(200)]


def shifted(times: list[float], by: float, *, only: int | None = None) -> list[float]:
    return [at + by if only in (None, n) else at for n, at in enumerate(times)]


def test_errors_are_those_of_each_delta_against_its_own_send() -> None:
    sample, log = run([0.1, 0.2, 0.3], [0.1001, 0.3002])
    sample.deltas_at, sample.deltas = [1, 2], 3
    assert module.arrival_errors(sample, log) == pytest.approx([0.0001, 0.1002, 0.0002])
    assert module.gap_errors(sample, log) == pytest.approx([0.0001])


@pytest.mark.parametrize(
    ("error", "kernel", "misses"),
    [
        (0.00004, True, []),
        (0.00006, True, ["arrivals p50 0.060 ms, limit 0.05 ms"]),
        (
            0.0006,
            True,
            [
                "arrivals p50 0.600 ms, limit 0.05 ms",
                "arrivals p99 0.600 ms, limit 0.5 ms",
            ],
        ),
        (0.00045, False, []),
        (0.0006, False, ["arrivals p50 0.600 ms, limit 0.5 ms"]),
        (-0.0006, False, ["arrivals p50 0.600 ms, limit 0.5 ms"]),
    ],
)
def test_each_clock_has_its_own_limits(error: float, kernel: bool, misses: list[str]) -> None:
    assert judge(ONE, [run(STEADY, shifted(STEADY, error), kernel=kernel)]).missed == misses


def test_gaps_have_a_limit_of_their_own_with_the_kernels_clock() -> None:
    wobbling = [at + 0.0004 * (n % 25 == 7) for n, at in enumerate(STEADY)]
    row = judge(ONE, [run(STEADY, wobbling)])
    assert row.missed == ["gaps p99 0.400 ms, limit 0.3 ms"]
    assert judge(ONE, [run(STEADY, wobbling, kernel=False)]).missed == []


def test_one_odd_delta_in_a_hundred_is_forgiven_and_shown() -> None:
    times = [0.01 * n for n in range(300)]  # one odd arrival is two odd gaps
    row = judge(ONE, [run(times, shifted(times, 0.009, only=50))])
    assert row.missed == []
    assert row.max == pytest.approx(0.009)


def test_many_streams_are_held_to_what_the_core_says_of_its_own_lag() -> None:
    for error, missed in ((0.00065, []), (0.00075, ["arrivals p99 0.750 ms, limit 0.7 ms"])):
        runs = [run(STEADY, shifted(STEADY, error)) for _ in range(2)]
        assert judge(TWO, runs).missed == missed


def test_the_worst_streams_pace_counts() -> None:
    slow = [at * 1.01 for at in STEADY]
    good, bad = run(STEADY, STEADY), run(STEADY, slow, kernel=False)
    row = judge(TWO, [good, bad])
    assert row.tpot == pytest.approx(0.01)
    assert "TPOT 1.00% off, limit 0.5%" in row.missed


def test_a_stall_that_is_not_found_and_one_that_was_none_are_told() -> None:
    halting = [0.0, 0.01, 0.02, 0.62, 0.63, 0.64]
    missing = judge(ONE, [run(halting, halting)])
    assert (missing.stalls, missing.stalls_found) == (1, 0)
    assert missing.missed == ["1 of 1 stalls were missed"]
    found = judge(ONE, [run(halting, halting, stalls=1)])
    assert (found.stalls_found, found.missed) == (1, [])
    invented = judge(ONE, [run(STEADY, STEADY, stalls=1)])
    assert invented.missed == ["1 stalls were reported that did not happen"]


def test_stalls_are_the_same_where_they_overlap() -> None:
    true = [Stall(1.0, 0.5), Stall(3.0, 0.5)]
    assert module.found(true, [Stall(1.4, 0.3), Stall(3.6, 0.5)]) == 1
    assert module.found([], true) == 0


# ---- the screen

GOOD = Row(
    name="one stream, 10 ms",
    clock="kernel",
    deltas=100,
    p50=0.000012,
    p99=0.00004,
    max=0.0001,
    gap_p99=0.00005,
    tpot=0.0001,
    stalls=1,
    stalls_found=1,
)


def test_the_screen_of_a_good_installation() -> None:
    user = Row(name="user clock", clock="user", p50=0.0001, p99=0.0009, max=0.0011, gap_p99=0.0012)
    assert SelfTest(rows=[GOOD, user], elapsed=5.04).lines() == [
        "Self-test: 100 deltas from a server that records its send times, in 5.0 s",
        "",
        "                                error of arrivals, ms   of gaps of TPOT",
        "                        clock      p50     p99     max  p99, ms       %",
        "one stream, 10 ms       kernel   0.012   0.040   0.100    0.050    0.01  ok",
        "user clock              user     0.100   0.900   1.100    1.200       -  ok",
        "",
        "PASSED. With the kernel's receive times, arrivals are accurate to 0.040 ms",
        "(p99). With chatstream's own clock, arrivals are accurate to 0.900 ms (p99).",
        "Stalls found: 1 of 1.",
    ]


def test_a_busy_machine_is_told_so_plainly() -> None:
    bad = Row(name="one stream, 10 ms", clock="user", missed=["3 of 6 deltas arrived, reset: " * 9])
    result = SelfTest(rows=[bad], elapsed=1.0)
    assert result.exit_status == 5
    text = " ".join(result.lines())
    assert "missed" in text
    assert "CLIENT-BOUND: this machine is too busy or too slow" in text
    assert "The kernel gives no receive times here." in text


def test_no_line_is_wider_than_the_screen_and_all_fit_it() -> None:
    rows = [
        Row(
            name=case.name,
            clock="kernel",
            deltas=100_000,
            p50=1234.5,
            p99=1234.5,
            max=0.9999,
            gap_p99=1234.5,
            tpot=99.0,
            missed=["arrivals p99 1234500.000 ms, limit 0.5 ms"],
        )
        for case in CASES
    ]
    for width in (80, 40):
        lines = SelfTest(rows=rows, elapsed=100.0).lines(width)
        assert max(map(len, lines)) <= width
        assert len(lines) <= 30


def test_the_cases_take_about_five_seconds_and_cover_what_is_claimed() -> None:
    seconds = 0.0
    for case in CASES:
        script, written = case.script, 0
        while written < script.tokens:
            seconds += script.delay(written)
            written += script.bundle
        seconds += script.gap
    assert seconds < 6.0
    assert {case.streams for case in CASES} == {1, 16}
    assert any(case.script.bundle > 1 for case in CASES)
    assert any(case.script.stalls for case in CASES)
    assert not all(case.kernel for case in CASES)


def test_a_source_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "LINGER_SECONDS", 10.0)  # the end of a body may be late here
    with Truth() as truth, measuring(truth.url, True) as wires:
        asked = [(wires.source(ARM), ONE.script)]
        for reused in (False, True):
            ((prompt, sample),) = module.play(wires, asked, CancelToken())
            assert (sample.status, sample.reused) == ("ok", reused)
            assert len(truth.log(prompt).sends) == sample.deltas == 6


@pytest.mark.parametrize("gap", [0.0, 0.01])
def test_the_end_is_taken_when_it_comes_and_not_at_the_next_look(
    monkeypatch: pytest.MonkeyPatch, gap: float
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 3600.0)
    deadline = Deadline(10.0)

    class Impatient:
        def __init__(self, wires: Wires) -> None:
            self._wires = wires
            self.source = wires.source

        def wait(self) -> None:
            assert not deadline.passed
            self._wires.wait()

    with Truth() as truth, measuring(truth.url, True) as wires:
        asked = [(wires.source(ARM), Script(tokens=3, gap=gap))]
        ((_, sample),) = module.play(Impatient(wires), asked, CancelToken())
    assert (sample.status, sample.deltas) == ("ok", 3)


def test_a_send_that_was_held_up_is_told_and_excuses_nothing() -> None:
    sample, log = run(STEADY, shifted(STEADY, 0.030, only=50))
    before = judge(ONE, [(sample, log)])
    log.held = [50]
    row = judge(ONE, [(sample, log)])
    assert before.missed
    assert (row.missed, row.p99, row.max) == (before.missed, before.p99, before.max)
    assert (row.held, row.deltas) == (1, len(STEADY))
    assert row.sure_p99 == pytest.approx(0.0)
    lines = " ".join(SelfTest(rows=[row], elapsed=1.0).lines())
    assert "This machine delayed 1 sends (0.000 ms without them)." in lines


def test_where_every_send_was_held_up_none_is_sure() -> None:
    sample, log = run(STEADY, STEADY)
    log.held = list(range(len(STEADY)))
    row = judge(ONE, [(sample, log)])
    assert row.p50 == pytest.approx(0.0)
    assert row.sure_p99 is None

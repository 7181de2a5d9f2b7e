"""`bench --self-test`: the measuring core against a server that logs every send.

Each case is one or more streams of a script. What the core says of every delta's arrival, of the
gaps, of the time per token and of stalls is compared with the log of the `Truth`. Server and
client share this process, so a machine that is too busy to measure is detected, too.

The limits are those that the project promises for an idle machine; what misses them is shown with
its figures, and the exit status is then 5, client-bound.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate, pairwise
from statistics import median
from typing import Literal

import msgspec

from chatstream.bench.measure import Taking, sample_of, stalls_of
from chatstream.bench.result import OK, Arm, Sample, Stall
from chatstream.bench.source import Source, Wires
from chatstream.bench.truth import Log, Script, Truth
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.collector import resting
from chatstream.errors import ChatstreamError
from chatstream.flow import close
from chatstream.messages import ChatRequest, Message

WiresFor = Callable[[str, bool], AbstractContextManager[Wires]]
"""Opens wires to the server at an address, with a source for `ARM`; and whether they are to ask
for the kernel's receive times."""

ARM = Arm(name="self-test", provider="ollama", model="truth")

CLIENT_BOUND_STATUS = 5
"""The exit status where a limit was missed."""

KERNEL_P50_SECONDS, KERNEL_P99_SECONDS = 0.00005, 0.0005
USER_P50_SECONDS, USER_P99_SECONDS = 0.0005, 0.003
GAP_P99_SECONDS = 0.0003
"""Seconds: arrival and gap errors of one stream. The last is for the kernel's receive times."""

SLACK_SECONDS = 0.0005
"""With many streams the error is at most the lag that the core itself reports, and this.
Loopback takes some of it, and the server between its log and the kernel."""

TPOT_ERROR_SHARE = 0.005
"""A share of the true time per output token."""

_ROW_COLUMNS = 80
"""Columns of a row with all its figures."""


class Case(msgspec.Struct, frozen=True):
    """Several streams of a script at once."""

    name: str
    script: Script
    streams: int = 1
    kernel: bool = True


CASES = (
    Case("one stream, 10 ms", Script(tokens=100, gap=0.010)),
    Case("one stream, 2 ms", Script(tokens=300, gap=0.002)),
    Case("4 tokens a delta, 10 ms", Script(tokens=160, gap=0.010, bundle=4)),
    Case("a stall of 400 ms", Script(tokens=40, gap=0.010, stalls={20: 0.4})),
    Case("16 streams, 20 ms", Script(tokens=40, gap=0.020, first=0.1), streams=16),
    Case("one stream, user clock", Script(tokens=100, gap=0.010), kernel=False),
)
"""About 5 seconds."""


COLD = Script(tokens=1, gap=0.0)
"""Comes first in each case and does not count, as the cold run of a benchmark: modules are
imported then, and the kernel begins to stamp."""


class Row(msgspec.Struct, kw_only=True):
    """What a case found; times in seconds, None where nothing was to be compared.

    Errors are absolute: of arrivals for every delta, of gaps for every two arrivals. `tpot` is
    the worst stream's, as a share. `lag` is what the core says of itself, at the 99th percentile.
    `held` are sends that this machine held up, so that nobody knows when they went. They count like
    all others; `sure_p99` is the error of arrivals without them, to show what a miss comes from.
    `missed` says in words which limits were not kept.
    """

    name: str
    clock: Literal["kernel", "user"]
    deltas: int = 0
    held: int = 0
    sure_p99: float | None = None
    p50: float | None = None
    p99: float | None = None
    max: float | None = None
    gap_p99: float | None = None
    tpot: float | None = None
    lag: float | None = None
    stalls: int = 0
    stalls_found: int = 0
    missed: list[str] = []


class SelfTest(msgspec.Struct, kw_only=True):
    """The accuracy of this installation, now. `elapsed` in seconds."""

    rows: list[Row]
    elapsed: float

    @property
    def passed(self) -> bool:
        """Whether every limit was kept."""
        return not any(row.missed for row in self.rows)

    @property
    def exit_status(self) -> int:
        """0, or `CLIENT_BOUND_STATUS`."""
        return 0 if self.passed else CLIENT_BOUND_STATUS

    def lines(self, width: int = 80) -> list[str]:
        """The result as a screen; below `_ROW_COLUMNS` columns with one figure per row."""
        deltas = sum(row.deltas for row in self.rows)
        about = f"Self-test: {deltas:,} deltas from a server that records its send times, "
        if width < _ROW_COLUMNS:
            head = [f"{'error, p99 in ms':>31}"]
        else:
            head = [
                f"{'':30} {'error of arrivals, ms':^23} {'of gaps':>8} {'of TPOT':>7}",
                f"{'':23} {'clock':6} {'p50':>7} {'p99':>7} {'max':>7} {'p99, ms':>8} {'%':>7}",
            ]
        return [
            *_wrapped(f"{about}in {self.elapsed:.1f} s", width),
            "",
            *head,
            *(line for row in self.rows for line in _row_lines(row, width)),
            "",
            *_wrapped(" ".join(_verdict(self)), width),
        ]


def selftest(
    wires_for: WiresFor,
    token: CancelToken,
    *,
    cases: Sequence[Case] = CASES,
    clock: Clock = monotonic,
) -> SelfTest:
    """Play all cases. Raises the token's reason, and what `wires_for` raises.

    Where the kernel gives no receive times, cases that only differ in not asking are left out.
    """
    began = clock()
    rows: list[Row] = []
    with Truth() as truth:
        for case in cases:
            if case.kernel or any(row.clock == "kernel" for row in rows):
                with wires_for(truth.url, case.kernel) as wires, resting():
                    sources = [wires.source(ARM) for _ in range(case.streams)]
                    play(wires, [(source, COLD) for source in sources], token)
                    samples = play(wires, [(source, case.script) for source in sources], token)
                rows.append(
                    judge(case, [(it, _log(truth, prompt, case)) for prompt, it in samples])
                )
    return SelfTest(rows=rows, elapsed=clock() - began)


def _log(truth: Truth, prompt: str, case: Case) -> Log:
    """What was sent for this prompt; nothing, where the question never came."""
    try:
        return truth.log(prompt)
    except LookupError:
        return Log(prompt=prompt, script=case.script, asked=0.0)


# ---- playing


class _Stream:
    """One question that is being answered."""

    def __init__(self, source: Source, script: Script, number: int, token: CancelToken) -> None:
        self.prompt = f"{number}: how late is it?"
        self.taking = Taking()
        self.failure: ChatstreamError | None = None
        self.open = True
        self._number = number
        self._source = source
        request = ChatRequest(script.model, (Message("user", self.prompt),))
        self._events = source.open(request, token, self.taking.raw, self.taking.answer)

    @property
    def news(self) -> bool:
        return self.open and self._source.news

    def pull(self) -> None:
        """Take what has come. Behind a read there may be the end of the answer."""
        silent = not self._source.news
        try:
            for arrival in self._events:
                if not arrival.events and silent and not self._source.news:
                    return
                silent = True
        except ChatstreamError as error:
            self.failure = error
        self.open = False

    def sample(self) -> Sample:
        """What was measured; `started` and so `arrivals` are on the monotonic clock."""
        return sample_of(
            self.taking,
            self._source.trace,
            number=self._number,
            arm=ARM.name,
            failure=self.failure,
        )

    def close(self) -> None:
        close(self._events)


def play(
    wires: Wires, asked: Sequence[tuple[Source, Script]], token: CancelToken
) -> list[tuple[str, Sample]]:
    """Ask all sources at once; the samples, each with the prompt that finds its log.

    `Sample.started` is the monotonic time of t0. Raises the token's reason.
    """
    running = [_Stream(*it, number, token) for number, it in enumerate(asked, 1)]
    try:
        for stream in running:
            stream.pull()
        looked = monotonic()
        while any(stream.open for stream in running):
            wires.wait()
            token.check()
            look = monotonic() - looked >= POLL_SECONDS
            if look:
                looked = monotonic()
            for stream in running:
                if stream.news or (look and stream.open):
                    stream.pull()
        token.check()
        return [(stream.prompt, stream.sample()) for stream in running]
    finally:
        for stream in running:
            stream.close()


# ---- judging


def arrival_errors(sample: Sample, log: Log) -> list[float]:
    """Seconds from the true send of each delta to its arrival."""
    many = zip(sample.arrivals, sample.deltas_at, strict=True)
    arrivals = [sample.started + at for at, deltas in many for _ in range(deltas)]
    return [at - sent for at, sent in zip(arrivals, log.sends, strict=True)]


def sure_errors(sample: Sample, log: Log) -> list[float]:
    """The same without the sends that were held up. They explain a miss and do not excuse it."""
    held = set(log.held)
    return [it for number, it in enumerate(arrival_errors(sample, log)) if number not in held]


def gap_errors(sample: Sample, log: Log) -> list[float]:
    """Seconds by which each gap between two arrivals differs from that of their true sends.

    An arrival of several deltas is that of the last of them.
    """
    sent = [log.sends[deltas - 1] for deltas in accumulate(sample.deltas_at)]
    true = [b - a for a, b in pairwise(sent)]
    return [abs(gap - it) for gap, it in zip(sample.gaps, true, strict=True)]


def true_stalls(sample: Sample, log: Log) -> list[Stall]:
    """The stalls between the sends, from the sample's t0."""
    return stalls_of([sent - sample.started for sent in log.sends])


def found(stalls: Sequence[Stall], among: Sequence[Stall]) -> int:
    """How many of the stalls overlap with one of the others."""
    return sum(
        any(it.at < other.at + other.seconds and other.at < it.at + it.seconds for other in among)
        for it in stalls
    )


def p99(values: Sequence[float]) -> float:
    """The nearest rank, however few values there are. Raises `IndexError` without any."""
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def judge(case: Case, runs: Sequence[tuple[Sample, Log]]) -> Row:
    """The errors of a case, and which limits it misses."""
    kernel = all(sample.kernel for sample, _ in runs)
    row = Row(name=case.name, clock="kernel" if kernel else "user", missed=[])
    for sample, log in runs:
        if sample.status != OK or sample.deltas != len(log.sends):
            why = f": {sample.message}" if sample.message else ""
            row.missed.append(
                f"{sample.deltas} of {len(log.sends)} deltas arrived, {sample.status}{why}"
            )
    if row.missed:
        return row
    errors = [abs(error) for sample, log in runs for error in arrival_errors(sample, log)]
    row.deltas, row.held = len(errors), sum(len(log.held) for _, log in runs)
    row.p50, row.p99, row.max = median(errors), p99(errors), max(errors)
    sure = [abs(error) for sample, log in runs for error in sure_errors(sample, log)]
    row.sure_p99 = p99(sure) if sure else None
    row.gap_p99 = p99([error for sample, log in runs for error in gap_errors(sample, log)] or [0.0])
    row.lag = p99([lag for sample, _ in runs for lag in sample.lags] or [0.0])
    row.tpot = max(abs((sample.tpot or 0.0) / log.tpot - 1) for sample, log in runs)
    for sample, log in runs:
        true = true_stalls(sample, log)
        row.stalls += len(true)
        row.stalls_found += found(true, sample.stalls)
        if false := len(sample.stalls) - found(sample.stalls, true):
            row.missed.append(f"{false} stalls were reported that did not happen")
    if row.stalls_found < row.stalls:
        row.missed.append(f"{row.stalls - row.stalls_found} of {row.stalls} stalls were missed")
    limits = {"arrivals p50": (row.p50, KERNEL_P50_SECONDS if kernel else USER_P50_SECONDS)}
    limits["arrivals p99"] = (row.p99, KERNEL_P99_SECONDS if kernel else USER_P99_SECONDS)
    if kernel:
        limits["gaps p99"] = (row.gap_p99, GAP_P99_SECONDS)
    if case.streams > 1:
        limits = {"arrivals p99": (row.p99, row.lag + SLACK_SECONDS)}
    for what, (error, limit) in limits.items():
        if error > limit:
            row.missed.append(f"{what} {error * 1e3:.3f} ms, limit {limit * 1e3:.3g} ms")
    if row.tpot > TPOT_ERROR_SHARE:
        row.missed.append(f"TPOT {row.tpot:.2%} off, limit {TPOT_ERROR_SHARE:.1%}")
    return row


# ---- in words


def _row_lines(row: Row, width: int) -> list[str]:
    """The row as a line, and a line for each limit that it misses."""
    missed = [line for why in row.missed for line in _wrapped(why, width, indent="  ")]
    verdict = "missed" if row.missed else "ok"
    if width < _ROW_COLUMNS:
        return [f"{row.name:23} {_ms(row.p99):>7} {verdict}", *missed]
    arrivals = " ".join(f"{_ms(it):>7}" for it in (row.p50, row.p99, row.max))
    tpot = "-" if row.tpot is None else f"{row.tpot * 100:.2f}"
    return [
        f"{row.name:23} {row.clock:6} {arrivals} {_ms(row.gap_p99):>8} {tpot:>7}  {verdict}",
        *missed,
    ]


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.3f}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def _verdict(result: SelfTest) -> Iterator[str]:
    """What it comes to, sentence by sentence."""
    if result.passed:
        yield "PASSED."
    else:
        yield "CLIENT-BOUND: this machine is too busy or too slow to measure this finely."
        yield "Close other programs and try again."
    for clock, name in (
        ("kernel", "the kernel's receive times"),
        ("user", "chatstream's own clock"),
    ):
        errors = [row.p99 for row in result.rows if row.clock == clock and row.p99 is not None]
        if errors:
            yield f"With {name}, arrivals are accurate to {_ms(max(errors))} ms (p99)."
        elif clock == "kernel":
            yield "The kernel gives no receive times here."
    if held := sum(row.held for row in result.rows):
        sure = [row.sure_p99 for row in result.rows if row.sure_p99 is not None]
        yield f"This machine delayed {held} sends"
        yield f"({_ms(max(sure))} ms without them)." if sure else "(all of them)."
    if stalls := sum(row.stalls for row in result.rows):
        yield f"Stalls found: {sum(row.stalls_found for row in result.rows)} of {stalls}."


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width - 1, initial_indent=indent, subsequent_indent=indent)

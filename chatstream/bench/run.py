"""The loop that measures: one thread, one run after another or many at once.

1. Nothing in it blocks but `Wires.wait`, about a millisecond at most. After each wait every source
   that has news is pulled, but only so far that no other one starves.
2. Every `POLL_SECONDS` the silent ones are pulled too, which checks their limits and cancels.
3. The garbage collector rests while a run is open; it could stop everything for many milliseconds.
4. A closed loop asks again when an answer has ended, so a slow server is asked less often. An open
   loop asks at the intended times, whatever the others do; what is late then counts against the
   server, not against nobody (Schroeder, Wierman & Harchol-Balter, NSDI 2006; Tene, "coordinated
   omission").
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice, repeat
from typing import Any, Literal

from chatstream.bench.measure import Taking, sample_of
from chatstream.bench.plan import Plan, Reason, enough, intended, order, prompt_for
from chatstream.bench.result import OK, Arm, Sample
from chatstream.bench.source import Source, Wires
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, monotonic
from chatstream.collector import resting
from chatstream.errors import ChatstreamError
from chatstream.flow import Arrival, close
from chatstream.messages import ChatRequest, Message
from chatstream.timing import Trace

TURN_EVENTS = 64
"""Events that are taken from one source before the others have their turn: well under 1 ms."""

MAX_STARTS = 8
"""Requests that are sent at most before the loop takes what has arrived meanwhile."""


class Run:
    """One benchmark: all runs of a plan.

    Afterwards, or between two samples, `elapsed` are the seconds since it began, `stopped_because`
    says why no further run starts, and `cpu` is the share of one core that this process used
    while runs were open.
    """

    def __init__(
        self,
        wires: Wires,
        arms: Sequence[Arm],
        plan: Plan,
        token: CancelToken,
        *,
        temperature: float | None = None,
        options: Mapping[str, Any] | None = None,
        nonce: str | None = None,
        clock: Clock = monotonic,
        cpu_clock: Clock = time.process_time,
    ) -> None:
        self._wires = wires
        self._arms = arms
        self._plan = plan
        self._token = token
        self._temperature = temperature
        self._options = dict(options or {})
        self._nonce = nonce or os.urandom(6).hex()
        self._clock = clock
        self._quiet = _Quiet(clock, cpu_clock)
        self._open: list[_OpenRun] = []
        self._idle: dict[str, list[Source]] = {arm.name: [] for arm in arms}
        self._samples: dict[str, list[Sample]] = {arm.name: [] for arm in arms}
        self._started = 0
        self._began = 0.0
        self._look = False  # when to look at the silent sources next
        self._look_at = 0.0
        self.elapsed = 0.0
        self.stopped_because: Reason | Literal["cancelled"] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether streams are open, so that work of milliseconds had better wait."""
        return bool(self._open)

    @property
    def cpu(self) -> float:
        """Seconds of processor time a second, while runs were open."""
        wall, cpu = self._quiet.spent()
        return cpu / wall if wall else 0.0

    def samples(self) -> Generator[Sample, None, None]:
        """Each run's sample when it has ended; numbered from 1 in the order of their starts.

        A failed run is a sample too. Cancelling the token ends all open runs as `cancelled`; then,
        too, the generator ends without raising. Other streams may be open when it yields, so
        the caller has to be quick: below 1 ms. All connections are closed at the end.
        """
        plan = self._plan
        self._began = self._clock()
        turns: Iterator[Arm] = (self._arms[index] for index in order(len(self._arms)))
        if plan.limit is not None:
            turns = islice(turns, plan.limit * len(self._arms))
        gc.freeze()  # a collection between two runs then looks at what is new, and is short
        try:
            yield from self._loop(iter(self._arms), cold=True)
            yield from self._loop(turns)
            if self._token.cancelled:
                self.stopped_because = "cancelled"
            elif self.stopped_because is None:
                self.stopped_because = "runs"
        finally:
            self._close()

    def _loop(self, arms: Iterator[Arm], cold: bool = False) -> Iterator[Sample]:
        """The runs of these arms, until it is enough; a cold one is always alone."""
        plan = self._plan
        slots = 1 if cold else plan.concurrency
        paced = plan.rate is not None and not cold
        if paced:
            self._quiet.begin()  # takes a while itself
        zero = self._clock()
        times = (zero + at for at in intended(plan)) if paced else repeat(None)
        starts = zip(arms, times, strict=False)
        following = next(starts, None)
        while self._open or (following and not self._token.cancelled):
            for _ in range(MAX_STARTS):
                if following is None or self._token.cancelled:
                    break
                arm, at = following
                due = len(self._open) < slots if at is None else at <= self._clock()
                if (due or (self._look and not self._open)) and self._is_enough():
                    following = None
                elif due:
                    self._quiet.begin()
                    self._start(arm, cold, at)
                    following = next(starts, None)
                else:
                    break
            ended = self._turn()
            if not self._open and not paced:
                self._quiet.end()
            yield from ended

    def _is_enough(self) -> bool:
        self.elapsed = self._clock() - self._began
        samples = list(self._samples.values())
        self.stopped_because = enough(self._plan, samples, self.elapsed)
        return self.stopped_because is not None

    def _start(self, arm: Arm, cold: bool, at: float | None) -> None:
        """Ask on an idle source, else on a new one."""
        self._started += 1
        idle = self._idle[arm.name]
        source = idle.pop() if idle else self._wires.source(arm)
        run = _OpenRun(source, arm, self._started, cold, at)
        self._open.append(run)
        request = ChatRequest(
            arm.model,
            (Message("user", prompt_for(self._plan, arm, run.number, self._nonce)),),
            stream=arm.streamed,
            temperature=self._temperature,
            max_tokens=self._plan.max_tokens,
            options=self._options,
        )
        run.ask(request, self._token)

    def _turn(self) -> list[Sample]:
        """Wait a moment and take what has come: the samples of the runs that have ended."""
        self._wires.wait()
        now = self._clock()
        self._look = now >= self._look_at
        if self._look:
            self._look_at = now + POLL_SECONDS
        every = self._look or self._token.cancelled
        ended = [run for run in self._open if (every or run.has_more) and run.pull(self._token)]
        return [self._end(run) for run in ended]

    def _end(self, run: _OpenRun) -> Sample:
        self._open.remove(run)
        close(run.events)
        sample = sample_of(
            run.taking,
            run.trace,
            number=run.number,
            arm=run.arm.name,
            cold=run.cold,
            began=self._began,
            intended=run.intended,
            failure=run.failure,
        )
        self._samples[run.arm.name].append(sample)
        self.elapsed = self._clock() - self._began
        if self._plan.reuse and sample.status == OK:  # else nobody knows what is left on it
            self._idle[run.arm.name].append(run.source)
        else:
            run.source.close()
        return sample

    def _close(self) -> None:
        self._quiet.end()
        gc.unfreeze()
        self.elapsed = self._clock() - self._began
        for run in self._open:
            close(run.events)
            run.source.close()
        for sources in self._idle.values():
            for source in sources:
                source.close()


class _OpenRun:
    """A request and what has come of its answer."""

    def __init__(
        self, source: Source, arm: Arm, number: int, cold: bool, intended: float | None
    ) -> None:
        self.source = source
        self.arm = arm
        self.number = number
        self.cold = cold
        self.intended = intended
        self.taking = Taking()
        self.failure: ChatstreamError | None = None
        self.events: Iterator[Arrival] = iter(())
        self._former = source.trace
        self._ended = False
        self._in_hand = False  # its turn was over before its events were

    @property
    def trace(self) -> Trace:
        """What the wire did for this request: nothing, while the source shows the one before."""
        return Trace() if self.source.trace is self._former else self.source.trace

    @property
    def has_more(self) -> bool:
        """Whether a pull would bring something, or its end."""
        return self._ended or self._in_hand or self.source.news

    def ask(self, request: ChatRequest, token: CancelToken) -> None:
        """Send it. `pull` reports a failure."""
        try:
            self.events = self.source.open(request, token, self.taking.raw, self.taking.answer)
        except ChatstreamError as failure:
            self._fail(failure)
        self.pull(token)

    def pull(self, token: CancelToken) -> bool:
        """Take what has come, a turn's worth at most. Whether the run has ended.

        Behind what a read brought there may be the end of the answer: only an empty arrival after
        it says that there is nothing.
        """
        if token.reason is not None and not self._ended:
            self._fail(token.reason)
        if self._ended:
            return True
        silent = not self.source.news
        try:
            for _ in range(TURN_EVENTS):
                empty = not next(self.events).events
                if empty and silent and not self.source.news:
                    self._in_hand = False
                    return False
                silent = True
        except StopIteration:
            self._ended = True
        except ChatstreamError as failure:
            self._fail(failure)
        self._in_hand = True
        return self._ended

    def _fail(self, failure: ChatstreamError) -> None:
        # Its frames refer to this run, and nothing collects such a circle now.
        self.failure, self._ended = failure.with_traceback(None), True


class _Quiet:
    """While a run is open: the garbage collector rests, the processor's time is counted."""

    def __init__(self, clock: Clock, cpu_clock: Clock) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._spent = 0.0, 0.0
        self._since: tuple[float, float] | None = None
        self._resting = ExitStack()

    def begin(self) -> None:
        """Idempotent, as `end` is."""
        if self._since is None:
            self._resting.enter_context(resting())
            self._since = self._clock(), self._cpu_clock()

    def end(self) -> None:
        """As it was before."""
        if self._since is not None:
            self._spent = self.spent()
            self._since = None
            self._resting.close()

    def spent(self) -> tuple[float, float]:
        """Seconds of time and of processor time until now."""
        wall, cpu = self._spent
        if self._since is not None:
            wall += self._clock() - self._since[0]
            cpu += self._cpu_clock() - self._since[1]
        return wall, cpu

"""Any callable, and how far it is, as events: `chatstream.progress`.

1. The work runs on a thread of its own, from the first event that is asked for. What it says
   becomes `Progress` events: one for every stage that begins, and otherwise four a second at most.
   While it says nothing, nothing comes.
2. Once the work has returned, a last event is at 100 %, and the value of the generator is what was
   returned. What the work raises is raised, after the events that came before.
3. A cancelled token, or closing the generator, asks the work to stop, and `progress` then raises
   inside of it. It is waited for `PATIENCE_SECONDS`; a thread that has not ended by then is left
   behind, as nothing can end it. Then the token's reason is raised, even if the work returned
   something: nobody knows whether that is all of it.

The meter and what is still to be told are touched only under the lock. The bell (an inbox) is rung
after each stage that begins and after the end, so the reader may sleep; it looks at the rest, and
at the token, when it wakes by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Generic, NoReturn, TypeVar

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Clock, Deadline, monotonic
from chatstream.errors import UsageError
from chatstream.events import Progress
from chatstream.inbox import Empty, Inbox
from chatstream.progressing import Meter
from chatstream.wording import excerpt

T = TypeVar("T")

UPDATE_SECONDS = 0.25
"""The least time between two events of one stage."""

PATIENCE_SECONDS = 2.0
"""How long a work that was asked to stop is waited for."""


class Working:
    """What the work says, and learns. It has the methods of a tool's `Context`. Thread-safe."""

    def __init__(
        self, stages: Iterable[tuple[str, float]], token: CancelToken, clock: Clock
    ) -> None:
        self.token = token
        self.bell: Inbox[None] = Inbox()
        self._lock = threading.Lock()
        self._meter = Meter(stages, clock)
        self._clock = clock
        self._untold: list[Progress] = []  # stages that have begun
        self._changed = False  # there is something to tell of the stage under way
        self._told_at = clock() - UPDATE_SECONDS
        self._number = 0
        if self._meter.stage:
            self._untold.append(self._meter.event())

    @property
    def stopped(self) -> bool:
        """Whether the work is to end."""
        return self.token.cancelled

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the work is: `done` of `total`, of the current stage if there are stages.

        Raises the reason once the work is to stop.
        """
        self.token.check()
        self._say(lambda: self._meter.report(done, total, message))

    def stages(self, weighted: Iterable[tuple[str, float]]) -> None:
        """Say which stages there will be, each with its share of the work. The first one begins."""
        planned = list(weighted)
        self._say(lambda: self._meter.plan(planned), begins=bool(planned))

    def next_stage(self) -> None:
        """Say that the current stage has ended, and the next one begins."""
        self._say(self._meter.next_stage)

    def news(self, *, all_of_it: bool = False) -> list[Progress]:
        """What there is to tell now; `all_of_it` also if something was told a moment ago."""
        with self._lock:
            news, self._untold = self._untold, []
            now = self._clock()
            if self._changed and (all_of_it or now - self._told_at >= UPDATE_SECONDS):
                self._changed = False
                self._told_at = now
                news.append(self._meter.event())
            for event in news:
                event.seq, event.t = self._number, event.elapsed or 0.0
                self._number += 1
            return news

    def finish(self) -> None:
        """The work is done."""
        with self._lock:
            self._meter.finish()
            self._changed = True

    def _say(self, what: Callable[[], None], *, begins: bool = False) -> None:
        with self._lock:
            before = self._meter.index
            what()
            self._changed = True
            begins = begins or self._meter.index != before
            if begins:
                self._changed = False
                self._untold.append(self._meter.event())
        if begins:
            self.bell.put(None)


def progress(
    work: Callable[[Working], T],
    stages: Iterable[tuple[str, float]] = (),
    *,
    token: CancelToken | None = None,
    clock: Clock = monotonic,
) -> Generator[Progress, None, T]:
    """Run `work(context)` and yield how far it is: stage, percentage, elapsed time and ETA.

        def index(context):
            for number, name in enumerate(names, 1):
                ...
                context.progress(number, len(names), name)

        for event in chatstream.progress(index, [("fetch", 1), ("index", 3)]):
            print(event.stage, event.percentage, event.eta)

    `stages` are the names of its stages, each with its share of the work; the work may also plan
    them itself (`context.stages`). What it returns is the value of `yield from`, and of the
    `StopIteration`.

    Raises what the work raises, or the reason for which `token` was cancelled; `UsageError`, before
    anything starts, for a work that cannot be called and for what is not a list of stages.
    """
    if not callable(work):
        raise UsageError(
            f"the work cannot be of type {type(work).__name__}",
            hint="give a function that takes a context, such as def work(context): ...",
        )
    stages = _checked(stages)
    own, untie = (token or CancelToken()).child()
    running = _Running(work, Working(stages, own, clock))
    try:
        yield from running.events()
    finally:
        untie()
        running.stop()
    return running.value()


def _checked(stages: object) -> list[tuple[str, float]]:
    """These stages. Raises `UsageError` unless each is a name and a number."""
    hint = 'give names with their shares of the work, such as [("fetch", 1), ("index", 3)]'
    if isinstance(stages, str | bytes | Mapping) or not isinstance(stages, Iterable):
        raise UsageError(f"stages cannot be of type {type(stages).__name__}", hint=hint)
    checked = []
    for stage in stages:
        match stage:
            case (str(name), int() | float() as weight):
                checked.append((name, weight))
            case _:
                raise UsageError(f"{excerpt(repr(stage), 60)} is not a stage", hint=hint)
    return checked


class _Running(Generic[T]):
    """The work on its thread."""

    def __init__(self, work: Callable[[Working], T], context: Working) -> None:
        self._work = work
        self._context = context
        self._value: Callable[[], T] | None = None  # once it has ended
        self._is_whole = False  # it has returned, and nobody had asked it to stop
        self._thread = threading.Thread(target=self._run, daemon=True, name="chatstream progress")

    def events(self) -> Generator[Progress, None, None]:
        """What the work says, until it has ended, or was asked to and has not for too long."""
        context = self._context
        self._thread.start()
        patience = Deadline(None)
        while self._value is None and not patience.passed:
            if context.stopped and patience.seconds is None:
                patience = Deadline(PATIENCE_SECONDS)
            yield from context.news()
            with suppress(Empty):
                context.bell.get(POLL_SECONDS)
        if self._is_whole:
            context.finish()
        yield from context.news(all_of_it=True)

    def stop(self) -> None:
        """Ask the work to stop, if it has not ended, and wait for that a while."""
        if self._value is None and not self._context.stopped:
            self._context.token.cancel()
            self._thread.join(PATIENCE_SECONDS)

    def value(self) -> T:
        """What it returned. Raises what it raised, or why it was stopped."""
        if not self._is_whole:
            self._context.token.check()
        assert self._value is not None
        return self._value()

    def _run(self) -> None:
        try:
            result = self._work(self._context)
        except BaseException as error:
            self._value = partial(_raise, error)
        else:
            self._is_whole = not self._context.stopped
            self._value = lambda: result
        self._context.bell.put(None)


def _raise(error: BaseException) -> NoReturn:
    raise error

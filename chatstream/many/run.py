"""Many runs side by side, read as one: what `batch`, `compare` and `compose` are made of.

    tasks = (Task(name, partial(ask, name)) for name in names)     # ask(name, token) -> Run
    for arrival in running(tasks, 3, token):
        ... arrival.stream is the label of the task, and so is the `stream` of each event ...

1. At most `most` runs are under way. There is a thread for each of them, a lane, which takes the
   next task when its run has ended. Tasks are taken lazily, one at a time, in their order: of a
   million nothing is in memory but those that run. They are taken on the lanes' threads. Where the
   next one is not there yet, tasks are to yield None several times a second; meanwhile there are
   heartbeats whose label is empty.
2. Each run is an ordinary one: `begin` makes it (with `Client.run_at`, `Client.run` or
   `pipeline.run`, all on one `Pool`) and is given a token of its own. Whoever wants to stop one
   run keeps that token. A `begin` that raises a `ChatstreamError` is a run that failed.
3. Every task that was taken ends with its one terminal event. A run that fails ends nothing else.
4. Cancelling `token` cancels all runs, and no further task is taken. To stop taking tasks while the
   runs under way go on, let `tasks` end.
5. What `merge` says of a slow consumer and of closing holds here. Tasks that raise end everything
   in the same way: what is under way is finished, and then it is raised.
6. The consumer is the main thread, which alone paints and takes keys and signals.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.engine.pipeline import failed
from chatstream.engine.run import Run
from chatstream.errors import ChatstreamError
from chatstream.flow import Arrival
from chatstream.merge import QUEUE_EVENTS, labelled, merge

Begin = Callable[[CancelToken], Run]
"""Makes a run that the token cancels. It is read, and ended, on the same thread."""


class Task(msgspec.Struct, frozen=True):
    """One run that is to be: its label, different from all others, and what begins it."""

    label: str
    begin: Begin


Through = Callable[[Task, Run], Iterator[Arrival]]
"""What is passed on of a run, on the thread of its lane; it must read the run to its end."""


def everything(_: Task, run: Run) -> Iterator[Arrival]:
    """All arrivals of a run."""
    return run.arrivals


def running(
    tasks: Iterable[Task | None],
    most: int,
    token: CancelToken,
    through: Through = everything,
    limit: int = QUEUE_EVENTS,
) -> Iterator[Arrival]:
    """The arrivals of all these runs as they come, `most` runs at a time. See the rules above.

    `limit` is the most events of a lane that wait for the consumer.
    """
    source = _Source(tasks, token)
    lanes = {f"lane {number}": _lane(source, token, through) for number in range(1, most + 1)}
    return merge(lanes, limit)


class _Source:
    """The tasks, for several threads that take one at a time."""

    def __init__(self, tasks: Iterable[Task | None], token: CancelToken) -> None:
        self._tasks = iter(tasks)
        self._token = token
        self._lock = threading.Lock()

    def take(self) -> Iterator[Task | None]:
        """None until the next task is there; nothing more after the last."""
        while True:
            if not self._lock.acquire(timeout=POLL_SECONDS):
                yield None
                continue
            try:
                if self._token.cancelled:
                    return
                task = next(self._tasks)
            except StopIteration:
                return
            finally:
                self._lock.release()
            yield task


def _lane(source: _Source, token: CancelToken, through: Through) -> Iterator[Arrival]:
    for task in source.take():
        if task is None:
            yield Arrival(stream="")
            continue
        child, untie = token.child()
        try:
            try:
                run = task.begin(child)
            except ChatstreamError as error:
                run = failed(error, child)
            with run:
                yield from labelled(task.label, through(task, run))
            yield Arrival(stream=task.label)  # what ended it goes out before the next is waited for
        finally:
            untie()

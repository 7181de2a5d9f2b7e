"""What a run that continues another takes over of its loop of tools.

1. What the earlier run has settled is sent again, and what it has started is not started again
   (`tools.settled`).
2. Nobody else can continue the same run at the same time, or undo what it has written: a lock on
   its journal is held until the runner is closed. While it is being undone, a resume waits for a
   moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatstream.cancel import CancelToken
from chatstream.clock import Deadline
from chatstream.errors import UsageError
from chatstream.events import Event
from chatstream.files import Lock
from chatstream.flow import Arrival
from chatstream.store.journal import is_running
from chatstream.store.place import runs_folder
from chatstream.store.reading import Record, events_at, find
from chatstream.store.unfinished import newest_attempt

if TYPE_CHECKING:
    from chatstream.tools.calls import Pending
    from chatstream.tools.loop import Begun, Runs
    from chatstream.tools.settled import Settled

PATIENCE_SECONDS = 2.0
"""How long a resume waits for an undo of the same run, and an undo for another one."""


class Carried(NamedTuple):
    """The loop of the earlier run: who runs its calls now, where it stood, and its events."""

    runner: Runs
    begun: Begun
    replayed: Sequence[Event]


def carried_on(runner: Runs, record: Record) -> Carried:
    """What the run that continues this one begins with. Its calls are run by `runner`.

    Raises `UsageError` if another process continues it, or undoes what it has written.
    """
    path = find(runs_folder(), record.run)
    lock = _locked(path, record.run)
    if newest_attempt(path.parent, record.run) != record.run:
        lock.close()
        raise UsageError(f"another process continues run {record.run}")
    loop = loop_of(record)
    return Carried(_Alone(runner, lock), loop.begun, loop.replayed)


def _locked(path: Path, run: str) -> Lock:
    """The lock on the journal of this run. Raises `UsageError`.

    Who continues the run holds the lock alone. Who undoes it, or only looks whether it is over,
    shares it, and is waited for.
    """
    lock = Lock(os.open(path, os.O_RDONLY))
    if lock.take(alone=True):
        return lock
    if not is_running(path) and lock.wait(Deadline(PATIENCE_SECONDS), alone=True):
        return lock
    lock.close()
    if is_running(path):
        raise UsageError(f"another process continues run {run}")
    raise UsageError(
        f"what run {run} has written is being undone", hint="try again once that has ended"
    )


class _Alone:
    """A runner that keeps a lock until it is closed."""

    def __init__(self, runner: Runs, lock: Lock) -> None:
        self._runner = runner
        self._lock = lock
        self.dry_run = runner.dry_run

    def run(self, calls: Sequence[Pending], token: CancelToken) -> Iterator[Arrival]:
        return self._runner.run(calls, token)

    def close(self) -> None:
        try:
            self._runner.close()
        finally:
            self._lock.close()


def loop_of(record: Record) -> Settled:
    """What the loop of this run has settled. Raises `JournalError`."""
    from chatstream.tools.settled import settled

    return settled(events_at(find(runs_folder(), record.run)))

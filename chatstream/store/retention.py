"""How long journals are kept. The history keeps what they said; only `resume` misses them.

1. The journals of a conversation are kept together, with the outputs of its tools. They are
   deleted when its newest run is older than complete answers are kept and, if it has any other
   runs, than those are kept; when all its runs are over, and the history has taken in every one of
   them. 0 days means for ever.
2. `sweep` does this by the way, after an answer: at most once an hour, for a fraction of a second.
   Whatever goes wrong with it does not concern the answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chatstream.clock import Deadline
from chatstream.errors import ChatstreamError

if TYPE_CHECKING:
    from chatstream.store.history import History

log = logging.getLogger(__name__)

STAMP = "swept"
EXPIRING = "deleting journals"
"""What `expire` does, for a person."""

_EVERY = 3600.0  # seconds
_BUDGET = 0.25  # seconds
_DAY = 86400.0


def before(days: float, now: float) -> str:
    """The time that was so many days before `now` (seconds since 1970), as journals write it."""
    moment = datetime.fromtimestamp(max(0.0, now - days * _DAY), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def expire(
    history: History,
    keep_complete: float,
    keep_incomplete: float,
    now: float,
    deadline: Deadline | None = None,
) -> int:
    """Delete the journals that were kept long enough, in days; how many. Raises `JournalError`."""
    from chatstream.store.outputs import remove_outputs

    complete, others = (before(it, now) if it else "" for it in (keep_complete, keep_incomplete))
    deleted = 0
    paths = history.taken_in(complete, others)
    for done, path in enumerate(paths):
        if deadline is not None and deadline.passed:
            break
        history.progress(EXPIRING, done, len(paths))
        with contextlib.suppress(OSError):  # removed by another process, or not ours to remove
            path.unlink()
            deleted += 1
            remove_outputs(path.parent.parent, path.stem)
    history.progress(EXPIRING, len(paths), len(paths))
    return deleted


def sweep(folder: Path, keep_complete: float, keep_incomplete: float, now: float) -> None:
    """Take in and expire journals, if it is time to. Never raises, never takes long."""
    stamp = folder / STAMP
    try:
        try:
            due = not 0 <= now - stamp.stat().st_mtime < _EVERY
        except FileNotFoundError:  # the very first time; there is nothing to do yet
            stamp.touch(mode=0o600)
            due = False
            os.utime(stamp, (now, now))
        if not due:
            return
        os.utime(stamp, (now, now))
        from chatstream.store.composed import expire as expire_composed
        from chatstream.store.history import History  # SQLite, for one run in an hour

        deadline = Deadline(_BUDGET)
        with History(folder, tell=log.debug, deadline=deadline) as history:
            history.sync()
            expire(history, keep_complete, keep_incomplete, now, deadline)
        if keep_incomplete:
            expire_composed(folder, now - keep_incomplete * _DAY)
    except (OSError, ChatstreamError):
        log.debug("old journals could not be deleted", exc_info=True)

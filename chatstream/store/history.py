"""The history: what was asked and answered, found again. An index over the journals.

1. A run writes its journal and nothing else. `sync` takes in every journal that is new or has
   changed and whose run is over, in the order of time.
2. A journal is read and entered in one transaction, so many processes may take in the same ones,
   and what `remove` deletes does not come back.
3. A damaged database is rebuilt from the journals. Conversations whose journals are gone are
   taken over from the damaged one, as far as it can be read. The operation is then repeated.
4. The words of a search are only words, whatever they are; `*` at the end of one stands for any
   ending. The newest messages come first, which keeps a search for a common word fast.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from chatstream.clock import Deadline
from chatstream.errors import JournalError, UsageError
from chatstream.store import entries
from chatstream.store.database import FAILURES, Database, failure, is_damage
from chatstream.store.entries import Conversation, Found, Run
from chatstream.store.journal import SUFFIX, is_journal, is_running
from chatstream.store.place import state_folder
from chatstream.store.reading import read

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

FOREVER = Deadline(None)
_BATCH = 1024 * 1024  # bytes of journals in one transaction, for which other processes wait
_LEAST = 16 * 1024  # bytes that a journal counts for, however small it is
_GLOB = re.compile(r"[*?\[]")


def _mended(
    method: Callable[Concatenate[History, P], T],
) -> Callable[Concatenate[History, P], T]:
    """Once more, when the first attempt found the database damaged. Raises `JournalError`."""

    @wraps(method)
    def operation(history: History, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            try:
                history.refill()
                return method(history, *args, **kwargs)
            except FAILURES as error:
                if not is_damage(error):
                    raise
                log.debug("the database is damaged", exc_info=True)
                history.mend()
                history.refill()
                return method(history, *args, **kwargs)
        except FAILURES as error:
            raise failure(error) from error

    return operation


class History:
    """The history of a state folder, open until it is closed. Its methods raise `JournalError`.

    `tell` takes what a person should know, a line each; `progress` how many journals are taken
    in, and how many there are to take. `deadline` is the time that all of it may take, more or
    less.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tell: Callable[[str], None] = log.warning,
        progress: Callable[[int, int], None] = lambda _taken, _all: None,
        deadline: Deadline = FOREVER,
    ) -> None:
        self._folder = folder / "runs"
        self._tell_person = tell
        self._told: set[str] = set()
        self._progress = progress
        self._deadline = deadline
        self._database = Database(folder, deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. Idempotent."""
        self._database.close()

    def _tell(self, line: str) -> None:
        """Each line once, however often it is found."""
        if line not in self._told:
            self._told.add(line)
            self._tell_person(line)

    @_mended
    def sync(self) -> None:
        """Take in what the journals have and the history has not."""
        self._sync()

    @_mended
    def runs(self, limit: int | None = None) -> list[Run]:
        """The runs, the newest first."""
        return self._runs("ORDER BY id DESC LIMIT ?", -1 if limit is None else limit)

    @_mended
    def run(self, run: str | None = None) -> Run:
        """The run of this id, or of an id that begins so; else the newest. Raises `UsageError`."""
        if run is None:
            if newest := self._runs("ORDER BY id DESC LIMIT 1"):
                return newest[0]
            raise UsageError("there are no runs yet", hint="`chatstream ask` starts one")
        begin = entries.storable(run)
        found = self._runs("WHERE id = ?", begin)
        if begin and not found:
            found = self._runs("WHERE id GLOB ?", _GLOB.sub(r"[\g<0>]", begin) + "*")
        if len(found) == 1:
            return found[0]
        if found:
            what = f"{run!r} matches {len(found)} runs"
            raise UsageError(what, hint="give more characters of the id")
        if any(begin and it.startswith(begin) for it in self._journals()):
            raise UsageError(f"run {run!r} is still going, or its journal cannot be read")
        raise UsageError(f"there is no run {run!r}", hint="`chatstream history` lists them")

    @_mended
    def conversation(self, run: Run) -> Conversation:
        """The whole conversation that a run belongs to."""
        return entries.conversation(self._database.db, self._number(run))

    @_mended
    def search(self, text: str, limit: int) -> list[Found]:
        """The newest messages that have all these words."""
        return entries.search(self._database.db, text, limit)

    @_mended
    def remove(self, run: Run) -> None:
        """Delete its whole conversation, with the journals of all its runs."""
        self._remove([self._number(run)])

    @_mended
    def prune(self, before: str) -> int:
        """Delete the conversations whose newest run began before that time; how many."""
        old = "SELECT conversation FROM runs GROUP BY conversation HAVING max(started_at) < ?"
        conversations = [number for (number,) in self._database.db.execute(old, (before,))]
        self._remove(conversations)
        return len(conversations)

    @_mended
    def taken_in(self, complete_before: str, others_before: str) -> list[Path]:
        """The journals, taken in and safe, of runs that began before these times."""
        sizes = self._journals()
        entered = self._entered(sizes)
        # Synchronous NORMAL leaves the newest commits in the write-ahead log, unsynced: a power
        # cut could take runs whose journals were deleted. A whole checkpoint has synced them.
        checkpoint = self._database.db.execute("PRAGMA wal_checkpoint")
        _, frames, moved = checkpoint.fetchone()
        if moved < frames:  # another process is reading; a later time will do
            return []
        safe = []
        for run, size in sizes.items():
            known, outcome, started_at = entered.get(run, (-1, "", ""))
            before = complete_before if outcome == "complete" else others_before
            if known == size and started_at < before:
                safe.append(self._path(run))
        return safe

    def mend(self) -> None:
        """Put a new database in the place of a damaged one."""
        self._database.mend()

    def refill(self) -> None:
        """Fill a database that took the place of a damaged one."""
        aside, self._database.aside = self._database.aside, None
        if aside is None:  # another process was faster
            return
        self._tell(
            "the history database was damaged; it is rebuilt from the journals, "
            f"and the damaged file is kept as {aside}"
        )
        self._sync()
        with contextlib.closing(sqlite3.connect(aside)) as old:
            for number in entries.readable(old):
                with contextlib.suppress(*FAILURES), self._database.transaction() as db:
                    entries.copy(old, db, number)

    def _sync(self) -> None:
        sizes = self._journals()
        entered = self._entered(sizes)
        waiting = {
            run: size
            for run, size in sizes.items()
            if size and (run not in entered or entered[run][0] != size)
        }
        if waiting and self._database.read_only:
            self._tell("the history cannot be written, so the newest runs are not in it")
            return
        taken = 0
        for batch in _batches(waiting):
            if self._deadline.passed:
                return
            self._progress(taken, len(waiting))
            with self._database.transaction() as db:
                for run in batch:
                    self._take_in(db, run)
            taken += len(batch)

    def _take_in(self, db: sqlite3.Connection, run: str) -> None:
        path = self._path(run)
        entered = "SELECT 1 FROM runs WHERE id = ? AND journal_size = ?"
        try:
            if is_running(path):
                return
            size = path.stat().st_size
            if db.execute(entered, (run, size)).fetchone():  # another process was faster
                return
            record = read(path)
        except (OSError, JournalError) as error:
            if path.exists():  # and was not removed a moment ago
                self._tell(str(error))
            return
        entries.enter(db, run, size, record)

    def _remove(self, conversations: list[int]) -> None:
        for number in conversations:
            for run in self._runs("WHERE conversation = ?", number):
                path = self._path(run.id)
                try:
                    path.unlink(missing_ok=True)  # first: what has no journal is not taken in
                except OSError as error:
                    raise JournalError(f"{path} cannot be removed: {error.strerror}") from error
        with self._database.transaction() as db:
            deleted = "DELETE FROM conversations WHERE id = ?"
            db.executemany(deleted, ((number,) for number in conversations))

    def _number(self, run: Run) -> int:
        """The conversation of a run now: a rebuilt database has other numbers."""
        return self.run(run.id).conversation

    def _runs(self, which: str, *values: object) -> list[Run]:
        return entries.runs(self._database.db, which, *values)

    def _path(self, run: str) -> Path:
        return self._folder / (run + SUFFIX)

    def _journals(self) -> dict[str, int]:
        """The sizes of the journals there by their runs, the oldest first."""
        sizes = {}
        try:
            with os.scandir(self._folder) as files:
                for file in files:
                    if is_journal(file.name):
                        with contextlib.suppress(OSError):  # gone, or a link that leads nowhere
                            sizes[file.name.removesuffix(SUFFIX)] = file.stat().st_size
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise JournalError(f"{self._folder} cannot be read: {error.strerror}") from error
        return dict(sorted(sizes.items()))

    def _entered(self, sizes: dict[str, int]) -> dict[str, tuple[int, str, str]]:
        """What is known of these runs: the size of the journal, the outcome, the start."""
        since = "SELECT id, journal_size, outcome, started_at FROM runs WHERE id >= ?"
        rows = self._database.db.execute(since, (min(sizes),)) if sizes else ()
        return {run: (size, outcome, started_at) for run, size, outcome, started_at in rows}


def _batches(sizes: dict[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    filled = 0
    for run, size in sizes.items():
        batch.append(run)
        filled += max(size, _LEAST)
        if filled >= _BATCH:
            yield batch
            batch, filled = [], 0
    if batch:
        yield batch


def history(folder: str | Path | None = None) -> History:
    """The history, brought up to date; close it, or use it in a `with`.

    `folder` is the state folder to read; None is the one that runs are kept in. Raises
    `JournalError`, and `ConfigError` where there is no home folder to look in.
    """
    opened = History(Path(folder) if folder else state_folder())
    try:
        opened.sync()
    except BaseException:
        opened.close()
        raise
    return opened

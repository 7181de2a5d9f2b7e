"""The history: what was asked and answered, found again. An index over the journals.

1. A run writes its journal and nothing else. `sync` takes in every journal that is new or has
   changed and whose run is over, in the order of time.
2. A journal is read and entered in one transaction, so many processes may take in the same ones,
   and what `remove` deletes does not come back.
3. A damaged database is rebuilt from the journals. Conversations whose journals are gone are
   taken over from the damaged one, as far as it can be read. The operation is then repeated.
4. The words of a search are only words, whatever they are; `*` at the end of one stands for any
   ending. The newest messages come first, which keeps a search for a common word fast.
5. Threads may share a history: its operations take turns, over one connection.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from threading import RLock
from typing import Concatenate, ParamSpec, Self, TypeVar

from chatstream.clock import Deadline
from chatstream.errors import JournalError, UsageError
from chatstream.messages import Message
from chatstream.store import branches, entries, figures, rescue, tree
from chatstream.store.batches import batches
from chatstream.store.branches import Tree
from chatstream.store.database import FAILURES, Database, failure, is_damage
from chatstream.store.drafts import remove_drafts
from chatstream.store.entries import Conversation, Found, Link, Run
from chatstream.store.figures import Figures
from chatstream.store.heads import Heads
from chatstream.store.journal import SUFFIX, is_run, is_running
from chatstream.store.outputs import remove_outputs
from chatstream.store.place import state_folder
from chatstream.store.reading import Record, read, sizes_in
from chatstream.store.reading import runs as runs_in

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

UPDATING, IMPORTING = "updating the history", "importing runs"
MEASURING = "reading figures"
REBUILDING, DELETING = "rebuilding the history", "deleting conversations"
"""The stages of long work, for a person."""

FOREVER = Deadline(None)
_GLOB = re.compile(r"[*?\[]")


def _mended(
    method: Callable[Concatenate[History, P], T],
) -> Callable[Concatenate[History, P], T]:
    """Once more, when the first attempt found the database damaged. Raises `JournalError`."""

    @wraps(method)
    def operation(history: History, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with history.lock:
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

    `tell` takes what a person should know, a line each. `progress` takes how far long work is: the
    stage, how much of it is done, and how much there is. `deadline` is the time that all of it may
    take, more or less.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tell: Callable[[str], None] = log.warning,
        progress: Callable[[str, int, int], None] = lambda _stage, _done, _all: None,
        deadline: Deadline = FOREVER,
    ) -> None:
        self.lock = RLock()  # of whoever works with the database
        self._folder = folder / "runs"
        self._heads = Heads(folder)
        self._tell_person = tell
        self._told: set[str] = set()
        self.progress = progress
        self._deadline = deadline
        self._database = Database(folder, deadline, partial(progress, UPDATING))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, after the operation under way. Idempotent."""
        with self.lock:
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
    def ids(self, limit: int) -> list[str]:
        """The ids of the newest runs, the newest first."""
        newest = "SELECT id FROM runs ORDER BY id DESC LIMIT ?"
        return [run for (run,) in self._database.db.execute(newest, (limit,))]

    @_mended
    def questions(self, limit: int) -> list[str]:
        """The texts of the newest questions, newest first."""
        newest = "SELECT content FROM messages WHERE role = 'user' ORDER BY id DESC LIMIT ?"
        return [text for (text,) in self._database.db.execute(newest, (limit,))]

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
        if any(begin and it.startswith(begin) for it in sizes_in(self._folder)):
            raise UsageError(f"run {run!r} is still going, or its journal cannot be read")
        raise UsageError(f"there is no run {run!r}", hint="`chatstream history` lists them")

    @_mended
    def conversation(self, run: Run) -> Conversation:
        """The conversation that a run belongs to, from its root to the answer of this run."""
        own = self.run(run.id).id  # it may have been removed
        return entries.conversation(self._database.db, own)

    @_mended
    def branches(self, run: Run) -> list[Conversation]:
        """The whole conversation that a run belongs to: one path for each of its last answers.

        They come in the order of their newest runs. Ends without an answer are left out, unless
        there is no other.
        """
        ends = entries.ends(self._database.db, self.run(run.id).conversation)
        return [entries.conversation(self._database.db, end) for end in ends]

    @_mended
    def tree(self, run: Run | None = None) -> Tree:
        """All turns of the conversation that a run belongs to; of the newest run's, without one."""
        return branches.tree(self._database.db, self.run(run.id if run else None).conversation)

    @_mended
    def links(self, run: str) -> dict[str, Link]:
        """What each run of the conversation of this one follows; nothing where it is unknown."""
        return entries.links(self._database.db, entries.storable(run))

    @_mended
    def asked(self, run: str) -> list[Message]:
        """The messages that a run added to its conversation, without its answer."""
        return entries.asked(self._database.db, self.run(run).id)

    @_mended
    def path(self, run: str) -> list[Message]:
        """Every message up to the answer of this run, or of the nearest before it with one."""
        last = entries.answered(self._database.db, self.run(run).id)
        found = tree.path(self._database.db, last) if last is not None else []
        return [message for _, message in found]

    @_mended
    def search(self, text: str, limit: int) -> list[Found]:
        """The newest messages that have all these words."""
        return entries.search(self._database.db, text, limit)

    @_mended
    def figures(self, since: str = "") -> list[Figures]:
        """The figures of the runs that began then or later, and of journals that say nothing.

        `since` is a time as journals write it. A `sync` comes before.
        """
        journals = runs_in(self._folder)
        self._fill_figures(journals)
        db = self._database.db
        found = {it.id: it for it in figures.since(db, since)}
        if not self._database.read_only:  # there the newest are not entered
            silent = figures.silent(db, self._folder, journals, since)
            found |= {it.id: it for it in silent}
        return list(found.values())

    @_mended
    def remove(self, run: Run) -> None:
        """Delete its whole conversation, with the journals of all its runs."""
        self._remove(self.run(run.id).conversation)  # a rebuilt database has other numbers

    @_mended
    def prune(self, before: str) -> int:
        """Delete the conversations whose newest run began before that time; how many."""
        old = "SELECT conversation FROM runs GROUP BY conversation HAVING max(started_at) < ?"
        conversations = [number for (number,) in self._database.db.execute(old, (before,))]
        for done, number in enumerate(conversations, 1):
            self._remove(number)
            self.progress(DELETING, done, len(conversations))
        return len(conversations)

    @_mended
    def taken_in(self, complete_before: str, others_before: str) -> list[Path]:
        """The journals of conversations whose newest run began before the time for their outcomes.

        All of these journals are taken in and safe. Those of one conversation come all or none.
        """
        sizes = sizes_in(self._folder)
        # Synchronous NORMAL leaves the newest commits in the write-ahead log, unsynced: a power
        # cut could take runs whose journals were deleted. A whole checkpoint has synced them.
        checkpoint = self._database.db.execute("PRAGMA wal_checkpoint")
        _, frames, moved = checkpoint.fetchone()
        if moved < frames:  # another process is reading; a later time will do
            return []
        rows = self._database.db.execute(
            "SELECT conversation, id, journal_size, outcome, started_at FROM runs"
        )
        kept: set[int] = set()
        newest: dict[int, str] = {}
        limits: dict[int, str] = {}
        paths: dict[int, list[Path]] = {}
        for number, run, size, outcome, started_at in rows:
            limit = complete_before if outcome == "complete" else others_before
            newest[number] = max(started_at, newest.get(number, ""))
            limits[number] = min(limit, limits.get(number, limit))
            if run in sizes:
                paths.setdefault(number, []).append(self._path(run))
                if sizes[run] != size:
                    kept.add(number)
        safe = [it for it in paths if it not in kept and newest[it] < limits[it]]
        return [path for number in safe for path in paths[number]]

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
            readable = rescue.readable(old)
            for done, number in enumerate(readable):
                self.progress(REBUILDING, done, len(readable))
                with contextlib.suppress(*FAILURES), self._database.transaction() as db:
                    rescue.copy(old, db, number)
            self.progress(REBUILDING, len(readable), len(readable))

    def _sync(self) -> None:
        sizes = sizes_in(self._folder)
        entered = self._entered(sizes)
        waiting = {
            run: size
            for run, size in sizes.items()
            if size and (run not in entered or entered[run][0] != size)
        }
        if waiting and self._database.read_only:
            self._tell("the history cannot be written, so the newest runs are not in it")
            return
        if self._in_batches(IMPORTING, waiting, self._take_in):
            self._take_heads()

    def _fill_figures(self, journals: list[str]) -> None:
        """Read the figures of the runs that an earlier version entered without them."""
        unfilled = set(figures.unfilled(self._database.db)).intersection(journals)
        sizes = sizes_in(self._folder) if unfilled else {}
        waiting = {run: sizes[run] for run in sizes if run in unfilled}
        if waiting and self._database.read_only:
            self._tell("the history cannot be written, so some figures of older runs are unknown")
            return
        self._in_batches(MEASURING, waiting, self._enter_figures)

    def _in_batches(
        self, stage: str, sizes: dict[str, int], take: Callable[[sqlite3.Connection, str], None]
    ) -> bool:
        """Take in these journals; a batch is one transaction. False when the time was over."""
        taken = 0
        for batch in batches(sizes):
            if self._deadline.passed:
                return False
            self.progress(stage, taken, len(sizes))
            with self._database.transaction() as db:
                for run in batch:
                    take(db, run)
            taken += len(batch)
        if sizes:
            self.progress(stage, taken, len(sizes))
        return True

    def _enter_figures(self, db: sqlite3.Connection, run: str) -> None:
        path = self._path(run)
        try:
            entries.enter_figures(db, run, path.stat().st_size, read(path))
        except (OSError, JournalError) as error:
            if path.exists():  # and was not removed a moment ago
                self._tell(str(error))

    def _take_in(self, db: sqlite3.Connection, run: str) -> None:
        """Take in a journal, after those of the runs that it follows and continues."""
        waiting: list[tuple[str, int, Record]] = []
        following, seen = [run], {run}
        while following:
            found = self._read(db, following.pop())
            if found is None:
                continue
            waiting.append(found)
            for before in filter(None, (found[2].parent, found[2].continues)):
                if before in seen or self._is_entered(db, before):
                    continue
                if is_run(before) and is_running(self._path(before)):  # this one comes after it
                    return
                seen.add(before)
                following.append(before)
        for it, size, record in reversed(waiting):
            entries.enter(db, it, size, record)

    def _read(self, db: sqlite3.Connection, run: str) -> tuple[str, int, Record] | None:
        """What is in a journal, unless it is taken in, cannot be, or is still being written."""
        path = self._path(run)
        entered = "SELECT 1 FROM runs WHERE id = ? AND journal_size = ?"
        try:
            if not is_run(run) or is_running(path):
                return None
            size = path.stat().st_size
            if db.execute(entered, (run, size)).fetchone():  # another process was faster
                return None
            return run, size, read(path)
        except (OSError, JournalError) as error:
            if path.exists():  # and was not removed a moment ago
                self._tell(str(error))
            return None

    def _is_entered(self, db: sqlite3.Connection, run: str) -> bool:
        return db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is not None

    def _take_heads(self) -> None:
        """Take in which conversations were continued or named since the last time."""
        known = """
            SELECT conversations.id, file_size FROM runs
            JOIN conversations ON conversations.id = conversation WHERE runs.id = ?
        """
        files: dict[int, list[tuple[str, int]]] = {}  # of a conversation that has become one: more
        sizes: dict[int, int | None] = {}
        for root, size in sorted(self._heads.sizes().items()):
            if row := self._database.db.execute(known, (root,)).fetchone():
                files.setdefault(row[0], []).append((root, size))
                sizes[row[0]] = row[1]
        changed = []
        for number, found in files.items():
            size = sum(it for _, it in found)
            if size != sizes[number]:
                states = [self._heads.of(root) for root, _ in found]
                head = max((it.head for it in states if it.head), default=None)
                name = next((it.name for it in reversed(states) if it.name), None)
                changed.append((head, name, size, number))
        if changed and not self._database.read_only:
            change = "UPDATE conversations SET head = ?, name = ?, file_size = ? WHERE id = ?"
            with self._database.transaction() as db:
                db.executemany(change, changed)

    def _remove(self, conversation: int) -> None:
        runs = self._runs("WHERE conversation = ?", conversation)
        for run in runs:
            path = self._path(run.id)
            try:
                path.unlink(missing_ok=True)  # first: what has no journal is not taken in
            except OSError as error:
                raise JournalError(f"{path} cannot be removed: {error.strerror}") from error
            self._heads.remove(run.id)
            remove_outputs(self._folder.parent, run.id)
        remove_drafts(self._folder.parent, {run.id for run in runs})
        with self._database.transaction() as db:
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))

    def _runs(self, which: str, *values: object) -> list[Run]:
        return entries.runs(self._database.db, which, *values)

    def _path(self, run: str) -> Path:
        return self._folder / (run + SUFFIX)

    def _entered(self, sizes: dict[str, int]) -> dict[str, tuple[int, str, str]]:
        """What is known of these runs: the size of the journal, the outcome, the start."""
        since = "SELECT id, journal_size, outcome, started_at FROM runs WHERE id >= ?"
        rows = self._database.db.execute(since, (min(sizes),)) if sizes else ()
        return {run: (size, outcome, started_at) for run, size, outcome, started_at in rows}


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

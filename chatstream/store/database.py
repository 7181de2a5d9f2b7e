"""The file under the history: made, brought to the newest form, shared, moved aside when damaged.

1. Who uses the database holds the lock of `history.lock` together with others, for as long as it
   is open. Who makes it, migrates it or moves it aside holds the lock alone. So no file is ever
   moved under the feet of SQLite, and `database is locked`, which can be raised by the switch to
   the write-ahead log without any waiting, is not.
2. Its form is the newest of `migrations`. A database of a newer chatstream is refused and not
   touched.
3. A damaged database is never repaired and never deleted: it is moved aside, and rebuilt.
4. Where the folder cannot be written, a database that is there is opened for reading only.
5. Any thread may use the connection, one at a time: whoever holds the database sees to that.
6. Files 0600; SQLite gives `-wal` and `-shm` the mode of the database.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from chatstream.clock import Deadline
from chatstream.errors import JournalError
from chatstream.files import LOCK_POLL_SECONDS, PRIVATE_FILE, Lock, make_private
from chatstream.store.migrations import MIGRATIONS, migrate, teach, version
from chatstream.store.place import HISTORY

NAME = HISTORY
LOCK = "history.lock"
PATIENCE = 30.0  # seconds to wait for other processes, each of which needs milliseconds
FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the latter when its message quotes a damaged name."""
_COMPANIONS = ("", "-wal", "-shm")
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# A migration that does not fit, or a header that SQLite does not understand.
_DAMAGED_AT_START = _DAMAGED | {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY}


def is_damage(error: Exception, codes: set[int] = _DAMAGED) -> bool:
    """Whether one of `FAILURES` tells of bytes that SQLite, or we, did not write."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return False
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in codes  # none where a value cannot be decoded


def failure(error: Exception) -> JournalError:
    """The error to report for it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return _busy()
    hint = "nothing is lost: the journals keep every run that the history lacks"
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return JournalError(f"the history cannot be written: {error}; is the disk full?", hint=hint)
    return JournalError(f"the history cannot be used: {error}", hint=hint)


def _busy() -> JournalError:
    return JournalError("the history is in use by other processes", hint="try again in a while")


@contextlib.contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise failure(error) from error
    except OSError as error:
        where = error.filename or path
        raise JournalError(f"{where} cannot be used: {error.strerror}") from error


class Database:
    """The open database of a folder. Its making raises `JournalError`.

    `aside` is where a damaged one was moved, if one was. `deadline` limits the waits for others.
    `progress` is called with how many migrations are done, and how many there are.
    """

    def __init__(
        self,
        folder: Path,
        deadline: Deadline,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        self.path = folder / NAME
        self.aside: Path | None = None
        self._deadline = deadline
        self._progress = progress
        with _failures(folder):
            make_private(folder)
            self.read_only = not os.access(folder, os.W_OK)
            self._lock = Lock(_opened(folder / LOCK))
            try:
                self._open()
            except BaseException:
                self._lock.close()
                raise

    def _open(self) -> None:
        self.db = self._open_for_reading() if self.read_only else self._open_shared()
        self._identity = self.path.stat().st_ino

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes: others wait for it; an exception takes it back."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    def mend(self) -> None:
        """Move the damaged database aside, unless another process has, and open its successor."""
        if self.read_only:
            raise JournalError(f"{self.path} is damaged, and its folder cannot be written")
        self._close()
        deadline = self._patience()
        while not self._lock.take(alone=True):
            _wait(deadline)
        with _failures(self.path):
            if self.path.stat().st_ino == self._identity:
                self._move_aside()
            self._open()

    def close(self) -> None:
        """Close it, and let go of the lock. Idempotent."""
        self._close()
        self._lock.close()

    def _close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # of a damaged one; what was committed stays
            self.db.close()

    def _open_shared(self) -> sqlite3.Connection:
        deadline = self._patience()
        while True:
            if self._lock.take(alone=False):
                if (db := self._ready()) is not None:
                    return db
                if self._lock.take(alone=True):
                    self._make()
                    continue
            _wait(deadline)

    def _ready(self) -> sqlite3.Connection | None:
        """The database as it is, if it has the newest form. Raises `JournalError` for a newer."""
        db = self._connect()
        try:
            found = version(db)
            teach(db)
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = NORMAL")
        except FAILURES as error:
            db.close()
            if is_damage(error, _DAMAGED_AT_START):
                return None
            raise
        if found == len(MIGRATIONS):
            return db
        db.close()
        self._refuse_newer(found)
        return None

    def _make(self) -> None:
        """Make or migrate it, and move a damaged one aside; the lock is held alone."""
        try:
            self._migrate()
        except FAILURES as error:
            if not is_damage(error, _DAMAGED_AT_START):
                raise
            self._move_aside()
            self._migrate()

    def _migrate(self) -> None:
        with contextlib.closing(self._connect()) as db:
            db.execute("PRAGMA journal_mode = WAL")
            migrate(db, progress=self._progress)

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
        left = self._deadline.left()
        patience = PATIENCE if left is None else left
        return sqlite3.connect(
            self.path, timeout=patience, isolation_level=None, check_same_thread=False
        )

    def _open_for_reading(self) -> sqlite3.Connection:
        """Without the files beside it; what waits in a write-ahead log is read where it can be."""
        if not self.path.exists():
            raise JournalError(f"{self.path.parent} has no history yet, and cannot be written")
        for mode in ("mode=ro", "immutable=1"):
            db = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?{mode}", uri=True, check_same_thread=False
            )
            try:
                found = version(db)
            except sqlite3.OperationalError:
                db.close()
                continue
            self._refuse_newer(found)
            if found == len(MIGRATIONS):
                return db
        raise JournalError(f"{self.path} cannot be read because its folder is not writable")

    def _refuse_newer(self, found: int) -> None:
        if not 0 <= found <= len(MIGRATIONS):
            raise JournalError(
                f"{self.path} was written by a newer chatstream (version {found} of its form, "
                f"this one knows {len(MIGRATIONS)})",
                hint="update chatstream",
            )

    def _move_aside(self) -> None:
        aside = self.path.with_name(f"{NAME}.damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
        for companion in _COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{companion}").rename(f"{aside}{companion}")
        self.aside = aside

    def _patience(self) -> Deadline:
        return Deadline(PATIENCE) if self._deadline.left() is None else self._deadline


def _wait(deadline: Deadline) -> None:
    if deadline.passed:
        raise _busy()
    time.sleep(LOCK_POLL_SECONDS)


def _opened(path: Path) -> int | None:
    """The file of the lock; None where it cannot be made: in a read-only folder."""
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    return None

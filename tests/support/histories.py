"""Databases of the history for tests: an empty one, and a journal entered into one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from chatstream.store import entries
from chatstream.store.migrations import migrate
from chatstream.store.reading import read


@contextmanager
def empty() -> Iterator[sqlite3.Connection]:
    """An empty database of the newest form."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        yield db


def enter(db: sqlite3.Connection, path: Path) -> None:
    """Enter the record of a journal."""
    entries.enter(db, path.stem, path.stat().st_size, read(path))

"""The figures of runs: how each ended, its times and tokens, its cost, and what it recovered from.

1. They stand in the row of the run, so that ten thousand runs are read without their journals.
   `FIELDS` are entered with the run, from its journal.
2. A run of an earlier version has no `FIELDS`, until they are filled from its journal. Where that
   is gone they stay unknown: None.
3. A journal from which nothing can be entered, or filled, is a run whose outcome is `UNREADABLE`,
   or `RUNNING` while it is still being written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from chatstream.errors import JournalError
from chatstream.events import Counts, Done, Usage
from chatstream.store.journal import SUFFIX, is_running
from chatstream.store.reading import Record, read
from chatstream.store.retention import before

FIELDS = ("retries", "fallbacks", "tokens_per_second", "dollars", "estimated")
"""The columns that only statistics need. None in the first: they are not filled yet."""

RUNNING, UNREADABLE = "running", "unreadable"


class Figures(msgspec.Struct, frozen=True, gc=False):
    """One run. `outcome` is as in `Record`, or `UNREADABLE`; None is what is not known.

    `dollars` is the cost of the run, and `estimated` says that it follows from the price of the
    tokens. `continues` is the run whose answer it has resumed.
    """

    id: str
    started_at: str
    outcome: str
    provider: str | None = None
    model: str | None = None
    project: str | None = None
    agent: str | None = None
    continues: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    ttft: float | None = None
    duration: float | None = None
    retries: int | None = None
    fallbacks: int | None = None
    tokens_per_second: float | None = None
    dollars: float | None = None
    estimated: int | None = None


def fields_of(record: Record, counts: Usage | Counts) -> dict[str, Any]:
    """The values of `FIELDS` for a run with these counts."""
    terminal = record.terminal
    cost = terminal.cost if isinstance(terminal, Done) else None
    stats = terminal.stats if terminal else None
    return {
        "retries": record.retries,
        "fallbacks": record.fallbacks,
        "tokens_per_second": stats.tokens_per_second if stats else None,
        "dollars": cost.run if cost else counts.cost,
        "estimated": cost is not None and cost.estimated,
    }


def since(db: sqlite3.Connection, started_at: str) -> list[Figures]:
    """The figures of the runs that began then or later, in the order of their ids."""
    names = Figures.__struct_fields__
    select = f"SELECT {', '.join(names)} FROM runs WHERE started_at >= ? ORDER BY id"
    return [Figures(*row) for row in db.execute(select, (started_at,))]


def unfilled(db: sqlite3.Connection) -> list[str]:
    """The runs without `FIELDS`."""
    return [run for (run,) in db.execute("SELECT id FROM runs WHERE retries IS NULL ORDER BY id")]


def silent(
    db: sqlite3.Connection, folder: Path, journals: Iterable[str], started_at: str
) -> Iterator[Figures]:
    """The journals in a folder that say nothing, or nothing yet, written then or later."""
    filled = {run for (run,) in db.execute("SELECT id FROM runs WHERE retries IS NOT NULL")}
    for run in sorted(set(journals) - filled):
        path = folder / (run + SUFFIX)
        try:
            status = path.stat()
            at = before(0, status.st_mtime)
            if at < started_at:
                continue
            if is_running(path):
                yield Figures(id=run, started_at=at, outcome=RUNNING)
            elif status.st_size:
                read(path)
        except OSError:  # gone
            continue
        except JournalError:
            yield Figures(id=run, started_at=at, outcome=UNREADABLE)

"""What a damaged database may still have: conversations whose journals are gone.

The damaged file is only read. It may be of an earlier form, in which the messages of a conversation
stood at positions.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import msgspec

from chatstream.messages import Message, ToolCall
from chatstream.store import entries, tree
from chatstream.store.database import FAILURES

_calls = msgspec.json.Decoder(list[ToolCall])


def readable(damaged: sqlite3.Connection) -> list[int]:
    """The conversations that a damaged database may still have."""
    numbers: dict[int, None] = {}
    for column in ("id FROM conversations", "conversation FROM messages"):
        with contextlib.suppress(*FAILURES):
            for (number,) in damaged.execute(f"SELECT {column}"):
                numbers[number] = None
    return list(numbers)


def copy(old: sqlite3.Connection, db: sqlite3.Connection, number: int) -> None:
    """A conversation of a damaged database, unless all of its runs are known.

    Raises one of `FAILURES` where the damage is.
    """
    there = {name for _, name, *_ in old.execute("PRAGMA table_info(runs)")}
    columns = [name for name in entries.ENTRY if name in there]
    own = f"SELECT {', '.join(columns)} FROM runs WHERE conversation = ? ORDER BY id"
    found: list[dict[str, Any]] = [
        dict.fromkeys(entries.ENTRY) | dict(zip(columns, row, strict=True))
        for row in old.execute(own, (number,))
    ]
    known = [it["id"] for it in found if _is_known(db, it["id"])]
    if len(known) == len(found):
        return
    for run in known:  # taken in from its journal alone, without what it follows
        db.execute("DELETE FROM runs WHERE id = ?", (run,))
    db.execute("DELETE FROM conversations WHERE id NOT IN (SELECT conversation FROM runs)")
    for entry in found:
        if "parent" in there:
            messages = [message for _, message in tree.path(old, entry["message"])]
        else:
            messages = _by_position(old, number)
        if messages:
            entries.place(db, entry, messages, None)


def _by_position(old: sqlite3.Connection, number: int) -> list[Message]:
    rows = old.execute(
        "SELECT role, content, reasoning, tool_calls, complete FROM messages "
        "WHERE conversation = ? ORDER BY position",
        (number,),
    )
    try:
        return [
            Message.plain(role, content, reasoning, _calls.decode(calls), bool(complete))
            for role, content, reasoning, calls, complete in rows
        ]
    except ValueError as error:
        raise sqlite3.DatabaseError(f"not the tool calls that were written: {error}") from error


def _is_known(db: sqlite3.Connection, run: str) -> bool:
    return db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is not None

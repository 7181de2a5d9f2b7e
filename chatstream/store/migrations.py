"""The forms of the history's database: what brings it from each one to the next.

1. The form is numbered by `user_version`. Each migration is one transaction, and it is a script or
   a function.
2. Migrations are only ever added to. One that is released never changes, and neither does what it
   calls: `searchable`, `digest`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from chatstream.store.searching import TOKENIZER, searchable
from chatstream.store.tree import digest

Migration = str | Callable[[sqlite3.Connection], None]

_INDEX = """
    CREATE VIEW searchable_messages AS SELECT id, searchable(content) AS content FROM messages;
    CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
        INSERT INTO words (rowid, content) VALUES (new.id, searchable(new.content));
    END;
    CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
        INSERT INTO words (words, rowid, content)
        VALUES ('delete', old.id, searchable(old.content));
    END;
    CREATE TRIGGER message_changed AFTER UPDATE OF content ON messages BEGIN
        INSERT INTO words (words, rowid, content)
        VALUES ('delete', old.id, searchable(old.content));
        INSERT INTO words (rowid, content) VALUES (new.id, searchable(new.content));
    END;
"""
"""What keeps the index of words. `searchable` is a function of ours, known to our connections."""


def _tree(db: sqlite3.Connection) -> None:
    """Messages follow each other instead of standing at a position: a tree, each message once.

    Callers that sent a whole conversation each time made a conversation of every turn; these become
    one again.
    """
    for statement in (
        """
        CREATE TABLE tree (
            id INTEGER PRIMARY KEY,
            conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
            parent INTEGER,
            hash BLOB NOT NULL,
            role TEXT NOT NULL,
            content TEXT NOT NULL,
            parts TEXT,
            complete INTEGER NOT NULL,
            UNIQUE (hash, conversation)
        )
        """,
        "ALTER TABLE runs ADD COLUMN parent TEXT",
        "ALTER TABLE runs ADD COLUMN question INTEGER",
        "ALTER TABLE conversations ADD COLUMN head TEXT",
        "ALTER TABLE conversations ADD COLUMN name TEXT",
        "ALTER TABLE conversations ADD COLUMN file_size INTEGER",
    ):
        db.execute(statement)
    rows = db.execute(
        "SELECT conversation, id, role, content, reasoning, tool_calls, complete "
        "FROM messages ORDER BY conversation, position"
    )
    for number, messages in groupby(rows, itemgetter(0)):
        _grow(db, number, [row[1:] for row in messages])
    db.execute("DELETE FROM conversations WHERE id NOT IN (SELECT conversation FROM runs)")
    # The triggers take what was stored more than once out of the index.
    db.execute("DELETE FROM messages WHERE id NOT IN (SELECT id FROM tree)")
    for statement in (
        "DROP VIEW searchable_messages",
        "DROP TABLE messages",
        "ALTER TABLE tree RENAME TO messages",
        "CREATE INDEX messages_of_conversation ON messages (conversation)",
        *_statements(_INDEX),
    ):
        db.execute(statement)


def _grow(db: sqlite3.Connection, number: int, messages: Sequence[Sequence[Any]]) -> None:
    """Put the messages of a conversation into the tree, and its runs to where they belong."""
    home = (number, None)
    hashes: list[bytes] = []
    for _, role, content, _, tool_calls, _ in messages:
        calls = [(it["id"], it["name"], it["arguments"]) for it in msgspec.json.decode(tool_calls)]
        hashes.append(digest(hashes[-1] if hashes else None, (role, content, calls, [], [])))
    for its, (_, role, *_) in zip(hashes[:-1], messages, strict=False):
        if role == "assistant":
            known = "SELECT conversation, id FROM tree WHERE hash = ? ORDER BY id DESC LIMIT 1"
            row = db.execute(known, (its,)).fetchone()
            if row is None:
                break
            home = row
    conversation, shared = home
    parent = question = None
    for its, (own, role, content, reasoning, tool_calls, complete) in zip(
        hashes, messages, strict=True
    ):
        parts = _parts(content, reasoning, tool_calls)
        known = "SELECT id, parts FROM tree WHERE hash = ? AND conversation = ?"
        row = db.execute(known, (its, conversation)).fetchone()
        if row is not None and row[1] != parts and reasoning:
            its = digest(its, (parts,))
            row = db.execute(known, (its, conversation)).fetchone()
        if row is None:
            insert = "INSERT INTO tree VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            db.execute(insert, (own, conversation, parent, its, role, content, parts, complete))
        parent = row[0] if row else own
        question = parent if role == "user" else question
    moved = """
        UPDATE runs SET conversation = ?, message = ?, question = ?,
            parent = (SELECT max(id) FROM runs AS before WHERE before.message = ?)
        WHERE conversation = ?
    """
    db.execute(moved, (conversation, parent, question, shared, number))


def _parts(content: str, reasoning: str, tool_calls: bytes) -> str | None:
    calls = msgspec.json.decode(tool_calls)
    if not (reasoning or calls):
        return None
    parts = [{"type": "reasoning", "text": reasoning}] if reasoning else []
    parts += [{"type": "text", "text": content}] if content else []
    parts += [{"type": "tool_call", **call} for call in calls]
    return msgspec.json.encode(parts).decode()


def _statements(script: str) -> list[str]:
    found: list[str] = []
    text = ""
    for piece in script.split(";"):
        text += piece + ";"
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found


MIGRATIONS: tuple[Migration, ...] = (
    # Of prefixes only the short ones need an index: among 100,000 messages a search for `e*` takes
    # 100 ms without, for `the*` 10.
    """
    CREATE TABLE conversations (id INTEGER PRIMARY KEY, started_at TEXT NOT NULL);
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
        position INTEGER NOT NULL,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        reasoning TEXT NOT NULL,
        tool_calls BLOB NOT NULL,
        complete INTEGER NOT NULL,
        UNIQUE (conversation, position)
    );
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
        message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
        continues TEXT,
        provider TEXT,
        model TEXT,
        started_at TEXT NOT NULL,
        outcome TEXT NOT NULL,
        error TEXT,
        finish_reason TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        reasoning_tokens INTEGER,
        cached_tokens INTEGER,
        cost REAL,
        ttft REAL,
        duration REAL NOT NULL,
        journal_size INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX runs_of_conversation ON runs (conversation);
    CREATE INDEX runs_of_message ON runs (message);
    CREATE VIRTUAL TABLE words USING fts5 (
        content, content = 'messages', content_rowid = 'id',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2'
    );
    CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
        INSERT INTO words (rowid, content) VALUES (new.id, new.content);
    END;
    CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
        INSERT INTO words (words, rowid, content) VALUES ('delete', old.id, old.content);
    END;
    CREATE TRIGGER message_changed AFTER UPDATE OF content ON messages BEGIN
        INSERT INTO words (words, rowid, content) VALUES ('delete', old.id, old.content);
        INSERT INTO words (rowid, content) VALUES (new.id, new.content);
    END;
    """,
    # Words of scripts without spaces. `searchable` is a function of ours, known to our connections.
    f"""
    DROP TRIGGER message_added;
    DROP TRIGGER message_removed;
    DROP TRIGGER message_changed;
    DROP TABLE words;
    CREATE VIRTUAL TABLE words USING fts5 (
        content, content = 'searchable_messages', content_rowid = 'id',
        tokenize = '{TOKENIZER}', prefix = '1 2'
    );
    {_INDEX}
    INSERT INTO words (words) VALUES ('rebuild');
    """,
    _tree,
    # The labels of a run.
    """
    ALTER TABLE runs ADD COLUMN project TEXT;
    ALTER TABLE runs ADD COLUMN agent TEXT;
    """,
    # Where a run was asked: what follows it goes to the same server.
    """
    ALTER TABLE runs ADD COLUMN base_url TEXT;
    ALTER TABLE runs ADD COLUMN profile TEXT;
    """,
    # Figures for statistics. Those of the runs that are there are filled when they are asked for.
    """
    ALTER TABLE runs ADD COLUMN retries INTEGER;
    ALTER TABLE runs ADD COLUMN fallbacks INTEGER;
    ALTER TABLE runs ADD COLUMN tokens_per_second REAL;
    ALTER TABLE runs ADD COLUMN dollars REAL;
    ALTER TABLE runs ADD COLUMN estimated INTEGER;
    """,
)
"""What brings a database from each form to the next. Only ever added to."""


def migrate(
    db: sqlite3.Connection,
    migrations: Sequence[Migration] = MIGRATIONS,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Bring it to the newest form. Raises `sqlite3.Error`; then it is as it was.

    `progress` is called before each migration, and at the end, with how many are done of how many.
    """
    teach(db)
    first = version(db)
    for number in range(first, len(migrations)):
        progress(number - first, len(migrations) - first)
        migration = migrations[number]
        try:
            if isinstance(migration, str):
                db.executescript(f"BEGIN IMMEDIATE; {migration}")
            else:
                db.execute("BEGIN IMMEDIATE")
                migration(db)
            db.execute(f"PRAGMA user_version = {number + 1}")
            db.commit()
        finally:
            if db.in_transaction:
                db.rollback()
    if first < len(migrations):
        progress(len(migrations) - first, len(migrations) - first)


def teach(db: sqlite3.Connection) -> None:
    """Let its triggers call `searchable`."""
    db.create_function("searchable", 1, searchable, deterministic=True)
    db.execute("PRAGMA trusted_schema = ON")  # some builds of SQLite have it off


def version(db: sqlite3.Connection) -> int:
    """The form that a database has; 0 is an empty one."""
    (number,) = db.execute("PRAGMA user_version").fetchone()
    return int(number)

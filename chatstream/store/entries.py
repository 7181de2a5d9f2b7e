"""What the history has in its tables: runs, the messages that they made, their conversations.

1. A conversation has the messages that were asked with and, last, the answer.
2. A run that continues another one belongs to its message, whose text it makes whole.
3. The last run of a message tells what it is; but no run takes text away: an attempt that came to
   less leaves the message as it was. Entering a record again changes nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from chatstream.events import Counts, Done, Error
from chatstream.messages import Message, ToolCall
from chatstream.redact import redact
from chatstream.store.database import FAILURES
from chatstream.store.reading import Record
from chatstream.store.searching import expression, snippet

QUESTION = 500  # characters of a question that tell which one it was
_GREATEST = 2**63 - 1  # the greatest integer that a table takes


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `outcome` is as in `Record`, `question` the beginning of what was asked."""

    id: str
    conversation: int
    continues: str | None
    provider: str | None
    model: str | None
    started_at: str
    outcome: str
    error: str | None
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cached_tokens: int | None
    cost: float | None
    ttft: float | None
    duration: float
    question: str


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Its messages in order, and the runs that made the answer, the oldest first."""

    started_at: str
    messages: list[Message]
    runs: list[Run]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has the words of a search, and the newest run of its conversation.

    `snippet` is the text around the first of the words, on one line.
    """

    run: str
    started_at: str
    role: str
    snippet: str


_RUN = [name for name in Run.__struct_fields__ if name != "question"]
_ENTRY = [*_RUN, "message", "journal_size"]
_MESSAGE = ["role", "content", "reasoning", "tool_calls", "complete"]
_calls = msgspec.json.Decoder(list[ToolCall])


def _insert(table: str, columns: list[str]) -> str:
    values = ", ".join("?" * len(columns))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({values})"


_INSERT_RUN = _insert("runs", _ENTRY)
_INSERT_MESSAGE = _insert("messages", ["conversation", "position", *_MESSAGE])
_SELECT_MESSAGES = (
    f"SELECT {', '.join(_MESSAGE)} FROM messages WHERE conversation = ? ORDER BY position"
)
_SELECT_RUNS = f"""
    SELECT {", ".join(f"runs.{name}" for name in _RUN)}, ifnull((
        SELECT substr(content, 1, {QUESTION}) FROM messages
        WHERE messages.conversation = runs.conversation AND role = 'user'
        ORDER BY position DESC LIMIT 1
    ), '') FROM runs
"""
_SEARCH = """
    SELECT (SELECT max(runs.id) FROM runs WHERE runs.conversation = messages.conversation),
        conversations.started_at, role, messages.content
    FROM words JOIN messages ON messages.id = words.rowid
    JOIN conversations ON conversations.id = messages.conversation
    WHERE words MATCH ? ORDER BY words.rowid DESC LIMIT ?
"""


def runs(db: sqlite3.Connection, which: str, *values: object) -> list[Run]:
    """The runs that these clauses select."""
    rows = db.execute(_SELECT_RUNS + which, values)
    found = [dict(zip(Run.__struct_fields__, row, strict=True)) for row in rows]
    return [Run(**{**it, "error": redact(it["error"]) if it["error"] else None}) for it in found]


def conversation(db: sqlite3.Connection, number: int) -> Conversation:
    """A whole conversation."""
    begin = "SELECT started_at FROM conversations WHERE id = ?"
    (started_at,) = _row_of(db, begin, number)
    return Conversation(
        started_at=started_at,
        messages=_messages(db, number),
        runs=runs(db, "WHERE runs.conversation = ? ORDER BY runs.id", number),
    )


def _messages(db: sqlite3.Connection, number: int) -> list[Message]:
    return [
        Message.plain(role, content, reasoning, _decoded(calls), bool(complete))
        for role, content, reasoning, calls, complete in db.execute(_SELECT_MESSAGES, (number,))
    ]


def search(db: sqlite3.Connection, text: str, limit: int) -> list[Found]:
    """The newest messages that have all these words."""
    words = storable(text)
    rows = db.execute(_SEARCH, (expression(words), limit))
    return [
        Found(run=run, started_at=started_at, role=role, snippet=snippet(content, words))
        for run, started_at, role, content in rows
    ]


def storable(text: str) -> str:
    """Without the surrogates that stand for undecodable bytes of a command line."""
    return text.encode("utf-8", "replace").decode()


def enter(db: sqlite3.Connection, run: str, size: int, record: Record) -> None:
    """Enter what a run came to, its journal being of this size. Idempotent."""
    own_or_continued = """
        SELECT conversation, message FROM runs WHERE id IN (?, ?) ORDER BY id = ? DESC LIMIT 1
    """
    known = db.execute(own_or_continued, (run, record.continues, run)).fetchone()
    if known is None:
        asked = record.asked.messages if record.asked else ()
        rows = map(_row, (*asked, record.message))
        number, answer = _begin(db, record.started_at, rows)
    else:
        number, answer = known
        _go_on(db, answer, run, record.message)
    terminal = record.terminal
    counts = (terminal.usage if isinstance(terminal, Done) else None) or Counts()
    stats = terminal.stats if terminal else None
    entry = {
        **{name: getattr(counts, name) for name in Counts.__struct_fields__},
        "id": run,
        "conversation": number,
        "continues": record.continues,
        "provider": record.provider,
        "model": record.model,
        "started_at": record.started_at,
        "outcome": record.outcome,
        "error": record.damage or (terminal.message if isinstance(terminal, Error) else None),
        "finish_reason": terminal.finish_reason if isinstance(terminal, Done) else None,
        "ttft": stats.ttft if stats else None,
        "duration": stats.duration if stats else record.duration,
        "message": answer,
        "journal_size": size,
    }
    db.execute(_INSERT_RUN, [_fitting(entry[name]) for name in _ENTRY])


def readable(damaged: sqlite3.Connection) -> list[int]:
    """The conversations that a damaged database may still have."""
    numbers: dict[int, None] = {}
    for column in ("id FROM conversations", "conversation FROM messages"):
        with contextlib.suppress(*FAILURES):
            for (number,) in damaged.execute(f"SELECT {column}"):
                numbers[number] = None
    return list(numbers)


def copy(old: sqlite3.Connection, db: sqlite3.Connection, number: int) -> None:
    """A conversation of another database, unless one of its runs is known. Raises when damaged."""
    columns = ", ".join(_ENTRY)
    entries = [
        dict(zip(_ENTRY, row, strict=True))
        for row in old.execute(f"SELECT {columns} FROM runs WHERE conversation = ?", (number,))
    ]
    messages = _messages(old, number)
    if (
        not entries
        or not messages
        or any(
            db.execute("SELECT 1 FROM runs WHERE id = ?", (it["id"],)).fetchone() for it in entries
        )
    ):
        return
    began = min(it["started_at"] for it in entries)
    copied, answer = _begin(db, began, map(_row, messages))
    for it in entries:
        it["conversation"], it["message"] = copied, answer
        db.execute(_INSERT_RUN, [it[name] for name in _ENTRY])


def _begin(
    db: sqlite3.Connection, started_at: str, rows: Iterable[tuple[Any, ...]]
) -> tuple[int, int]:
    """A new conversation of these messages; its number, and that of the last message."""
    begin = "INSERT INTO conversations (started_at) VALUES (?)"
    number = db.execute(begin, (started_at,)).lastrowid
    answer = None
    for position, row in enumerate(rows):
        answer = db.execute(_INSERT_MESSAGE, (number, position, *row)).lastrowid
    assert number is not None
    assert answer is not None, "a conversation has an answer, if an empty one"
    return number, answer


def _go_on(db: sqlite3.Connection, answer: int, run: str, message: Message) -> None:
    """The message as this run leaves it."""
    now = "SELECT content, (SELECT max(id) FROM runs WHERE message = messages.id) FROM messages"
    content, last = _row_of(db, f"{now} WHERE id = ?", answer)
    if last > run or (not message.complete and len(message.content) < len(content)):
        return
    changes = ", ".join(f"{name} = ?" for name in _MESSAGE)
    db.execute(f"UPDATE messages SET {changes} WHERE id = ?", (*_row(message), answer))


def _row(message: Message) -> tuple[Any, ...]:
    calls = msgspec.json.encode(message.tool_calls)
    return message.role, message.content, message.reasoning, calls, message.complete


def _row_of(db: sqlite3.Connection, sql: str, number: int) -> tuple[Any, ...]:
    """A row that another one refers to."""
    row: tuple[Any, ...] | None = db.execute(sql, (number,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"row {number} is missing")
    return row


def _decoded(calls: bytes) -> list[ToolCall]:
    try:
        return _calls.decode(calls)
    except ValueError as error:
        raise sqlite3.DatabaseError(f"not the tool calls that were written: {error}") from error


def _fitting(value: object) -> object:
    """None for a number that no table takes; the figures are the server's."""
    return None if isinstance(value, int) and abs(value) > _GREATEST else value

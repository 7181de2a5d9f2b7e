"""Messages in their table: each follows another, and together they are trees.

1. A message is stored once in its conversation: its hash, which is made of the hash of the message
   before it, its role and what it says, finds it again. So turns share what they have in common,
   also where a caller sends the whole conversation each time.
2. A caller sends back what was said, but not always what belongs to it (reasoning, what a provider
   gave). This is no part of the hash; two answers that differ in nothing else are two messages.
3. All parts are kept. `content` is for searching: the text, or the results of tools. `parts` is
   NULL where the text is all.

There is no foreign key on `parent`, which would need an index: messages go with their conversation.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from chatstream.messages import Image, Message, Part, Text, ToolResult

HASH_BYTES = 16
_DEEPEST = 100_000  # messages of a path; a damaged database may have circles

_parts = msgspec.json.Decoder(tuple[Part, ...])


class Node(NamedTuple):
    """A message that is stored: its row and its hash."""

    id: int
    hash: bytes


def digest(parent: bytes | None, said: Sequence[Any]) -> bytes:
    """The hash of a message: `said` is what `_said` gives. The database relies on its result."""
    return sha256((parent or b"") + msgspec.json.encode(said)).digest()[:HASH_BYTES]


def add(db: sqlite3.Connection, conversation: int, parent: Node | None, message: Message) -> Node:
    """A message behind another one, or as the first; the one that is there, if it is the same."""
    row = _row(message)
    hashes = _hashes(parent, message, row)
    for node, parts in _known(db, conversation, hashes):
        if parts == row["parts"] or not _has_more(message):
            return node
    taken = {node.hash for node, _ in _known(db, conversation, hashes)}
    own = next(it for it in hashes if it not in taken)
    insert = """
        INSERT INTO messages (conversation, parent, hash, role, content, parts, complete)
        VALUES (:conversation, :parent, :hash, :role, :content, :parts, :complete)
    """
    values = {**row, "conversation": conversation, "parent": parent and parent.id, "hash": own}
    number = db.execute(insert, values).lastrowid
    assert number is not None
    return Node(number, own)


def replace(
    db: sqlite3.Connection, conversation: int, old: int, parent: Node | None, message: Message
) -> int:
    """Put a message in the place of one that nothing follows; its row."""
    row = _row(message)
    hashes = _hashes(parent, message, row)
    for node, parts in _known(db, conversation, hashes):
        if node.id != old and parts == row["parts"]:
            db.execute("UPDATE runs SET message = ? WHERE message = ?", (node.id, old))
            db.execute("DELETE FROM messages WHERE id = ?", (old,))
            finish(db, node.id, message)
            return node.id
    taken = {node.hash for node, _ in _known(db, conversation, hashes) if node.id != old}
    own = next(it for it in hashes if it not in taken)
    values = {**row, "id": old, "parent": parent and parent.id, "hash": own}
    same = " AND ".join(f"{name} IS :{name}" for name in values)
    if db.execute(f"SELECT 1 FROM messages WHERE {same}", values).fetchone() is None:
        changes = ", ".join(f"{name} = :{name}" for name in values if name != "id")
        db.execute(f"UPDATE messages SET {changes} WHERE id = :id", values)
    return old


def finish(db: sqlite3.Connection, number: int, message: Message) -> None:
    """Note that an answer is whole, if it is, where the same text was stored as a cut one."""
    if message.complete:
        whole = "UPDATE messages SET complete = 1 WHERE id = ? AND NOT complete"
        db.execute(whole, (number,))


def home(db: sqlite3.Connection, messages: Iterable[Message]) -> tuple[int, int] | None:
    """The conversation that these messages continue, and the message of the last answer they share.

    A question alone continues nothing, however often it was asked before.
    """
    found, last = None, None
    for message in messages:
        last = digest(last, _said(message))
        if message.role == "assistant":
            known = "SELECT conversation, id FROM messages WHERE hash = ? ORDER BY id DESC LIMIT 1"
            row = db.execute(known, (last,)).fetchone()
            if row is None:
                break
            found = row
    return found


def node(db: sqlite3.Connection, number: int) -> Node:
    """The message of a row. Raises `sqlite3.DatabaseError` where it is missing."""
    row = db.execute("SELECT id, hash FROM messages WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"message {number} is missing")
    return Node(*row)


def is_followed(db: sqlite3.Connection, number: int) -> bool:
    """Whether another message comes after this one."""
    after = """
        SELECT 1 FROM messages AS own JOIN messages AS next ON next.conversation = own.conversation
        WHERE own.id = ? AND next.parent = own.id
    """
    return db.execute(after, (number,)).fetchone() is not None


def path(db: sqlite3.Connection, last: int) -> list[tuple[int, Message]]:
    """The messages from the first to this one, each with its row."""
    up = f"""
        WITH RECURSIVE up (id, parent, steps) AS (
            SELECT id, parent, 0 FROM messages WHERE id = ?
            UNION ALL
            SELECT messages.id, messages.parent, steps + 1 FROM up
            JOIN messages ON messages.id = up.parent WHERE steps < {_DEEPEST}
        )
        SELECT id, role, content, parts, complete FROM up JOIN messages USING (id)
        ORDER BY steps DESC
    """
    found = [(number, _message(*rest)) for number, *rest in db.execute(up, (last,))]
    if not found:
        raise sqlite3.DatabaseError(f"message {last} is missing")
    return found


def _said(message: Message) -> Sequence[Any]:
    """What of a message its hash is made of."""
    return (
        message.role,
        message.content,
        [(it.id, it.name, it.arguments) for it in message.tool_calls],
        [it.sha256 or it.url for it in message.parts if isinstance(it, Image)],
        [(it.id, it.content, it.is_error) for it in message.parts if isinstance(it, ToolResult)],
    )


def _has_more(message: Message) -> bool:
    """Whether a message has anything that its hash does not know."""
    return bool(message.reasoning) or any(
        getattr(it, "provider_data", None) is not None or getattr(it, "foreign", False)
        for it in message.parts
    )


def _hashes(parent: Node | None, message: Message, row: dict[str, Any]) -> tuple[bytes, bytes]:
    """The hash of a message, and the one that it has beside another with the same words."""
    own = digest(parent and parent.hash, _said(message))
    return own, digest(own, (row["parts"],))


def _known(
    db: sqlite3.Connection, conversation: int, hashes: Sequence[bytes]
) -> list[tuple[Node, str | None]]:
    known = "SELECT id, hash, parts FROM messages WHERE hash IN (?, ?) AND conversation = ?"
    found = db.execute(known, (*hashes, conversation))
    rows = sorted(found, key=lambda it: hashes.index(it[1]))
    return [(Node(number, its), parts) for number, its, parts in rows]


def _row(message: Message) -> dict[str, Any]:
    plain = not message.parts or message.parts == (Text(message.content),)
    results = (it.content for it in message.parts if isinstance(it, ToolResult))
    return {
        "role": message.role,
        "content": message.content or "\n".join(results),
        "parts": None if plain else msgspec.json.encode(message.parts).decode(),
        "complete": message.complete,
    }


def _message(role: Any, content: str, parts: str | None, complete: int) -> Message:
    if parts is None:
        return Message(role, content, bool(complete))
    try:
        return Message(role, _parts.decode(parts), bool(complete))
    except ValueError as error:
        raise sqlite3.DatabaseError(f"not the parts that were written: {error}") from error

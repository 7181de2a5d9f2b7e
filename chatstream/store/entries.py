"""What the history has in its tables: runs, the messages that they made, their conversations.

1. A run has the message that is its answer, and the messages before that one in the tree.
2. A run belongs to the conversation of the run that it follows or continues; a run that was sent
   with the whole conversation, to the one that has these messages already.
3. A run that continues another one belongs to its message, whose text it makes whole. The last run
   of a message says what it is; but no run takes text away: an attempt that came to less leaves the
   message as it was. A message that others follow stays, and what continues it is another.
4. Entering a record again changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from chatstream.events import Counts, Done, Error, Labels
from chatstream.messages import Message
from chatstream.redact import redact
from chatstream.store import figures, tree
from chatstream.store.reading import Record
from chatstream.store.searching import expression, snippet

QUESTION = 500  # characters of a question that tell which one it was
_GREATEST = 2**63 - 1  # the greatest integer that a table takes


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `outcome` is as in `Record`, `question` the beginning of what was asked."""

    id: str
    conversation: int
    continues: str | None
    parent: str | None
    project: str | None
    agent: str | None
    provider: str | None
    model: str | None
    base_url: str | None
    profile: str | None
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
    """One path through a conversation: its messages, and the runs that made them, both in order.

    The last run is the newest of those that made the last answer.
    """

    started_at: str
    name: str | None = None
    messages: list[Message]
    runs: list[Run]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has the words of a search, and the newest run that made or asked it.

    `snippet` is the text around the first of the words, on one line.
    """

    run: str
    started_at: str
    role: str
    snippet: str


class _Known(NamedTuple):
    """Where a run that is entered stands."""

    conversation: int
    message: int


_RUN = [name for name in Run.__struct_fields__ if name != "question"]
ENTRY = [*_RUN, *figures.FIELDS, "message", "journal_size"]
"""What a run has in its table, but for its question."""
_HAS_CALLS = """complete AND ifnull(instr(parts, '"type":"tool_call"'), 0)"""
"""Whether calls make an answer of a message (`Message.is_answer`)."""
_INSERT_RUN = f"""
    INSERT OR REPLACE INTO runs ({", ".join(ENTRY)}, question)
    VALUES ({", ".join(f":{name}" for name in ENTRY)}, :question)
"""
_SELECT_RUNS = f"""
    SELECT {", ".join(f"runs.{name}" for name in _RUN)}, ifnull((
        SELECT substr(content, 1, {QUESTION}) FROM messages WHERE messages.id = runs.question
    ), '') FROM runs
"""
_SEARCH = """
    SELECT ifnull(
        (SELECT max(id) FROM runs WHERE runs.message = messages.id),
        (SELECT max(id) FROM runs WHERE runs.conversation = messages.conversation
            AND runs.question = messages.id)
    ), messages.conversation, role, messages.content
    FROM words JOIN messages ON messages.id = words.rowid
    WHERE words MATCH ? ORDER BY words.rowid DESC LIMIT ?
"""


def runs(db: sqlite3.Connection, which: str, *values: object) -> list[Run]:
    """The runs that these clauses select."""
    rows = db.execute(_SELECT_RUNS + which, values)
    found = [dict(zip(Run.__struct_fields__, row, strict=True)) for row in rows]
    return [Run(**{**it, "error": redact(it["error"]) if it["error"] else None}) for it in found]


def conversation(db: sqlite3.Connection, run: str) -> Conversation:
    """The path from the root of a conversation to the answer of this run."""
    begin = """
        SELECT runs.message, conversations.id, conversations.started_at, name
        FROM runs JOIN conversations ON conversations.id = conversation WHERE runs.id = ?
    """
    message, number, started_at, name = _row_of(db, begin, run)
    path = tree.path(db, message)
    places = {row: place for place, (row, _) in enumerate(path)}
    own = "SELECT id, message FROM runs WHERE conversation = ? ORDER BY id"
    made = {it: places[row] for it, row in db.execute(own, (number,)) if row in places}
    in_order = "WHERE runs.conversation = ? ORDER BY runs.id"
    found = [it for it in runs(db, in_order, number) if it.id in made]
    return Conversation(
        started_at=started_at,
        name=name,
        messages=[message for _, message in path],
        runs=sorted(found, key=lambda it: made[it.id]),
    )


def asked(db: sqlite3.Connection, run: str) -> list[Message]:
    """The messages that a run added to its conversation, without its answer."""
    own = "SELECT message, parent FROM runs WHERE id = ?"
    message, parent = _row_of(db, own, run)
    before = answered(db, parent)
    path = tree.path(db, message)[:-1]
    rows = [row for row, _ in path]
    begin = rows.index(before) + 1 if before in rows else 0
    return _asked([it for _, it in path[begin:]])


def _asked(added: list[Message]) -> list[Message]:
    """What was asked, of the messages before an answer: the rest are rounds of tools.

    The caller's last message is one of the user, or has the results of earlier calls.
    """
    users = [at for at, it in enumerate(added, 1) if it.role == "user"]
    results = takewhile(lambda it: it.role == "tool", added)
    return added[: users[-1] if users else len(list(results)) or None]


def search(db: sqlite3.Connection, text: str, limit: int) -> list[Found]:
    """The newest messages that have all these words."""
    words = storable(text)
    found = []
    for run, number, role, content in db.execute(_SEARCH, (expression(words), limit)):
        which = ("id = ?", run) if run else ("conversation = ? ORDER BY id DESC LIMIT 1", number)
        own = f"SELECT id, started_at FROM runs WHERE {which[0]}"
        run, started_at = _row_of(db, own, which[1])
        line = snippet(content, words)
        found.append(Found(run=run, started_at=started_at, role=role, snippet=line))
    return found


def storable(text: str) -> str:
    """Without the surrogates that stand for undecodable bytes of a command line."""
    return text.encode("utf-8", "replace").decode()


def enter(db: sqlite3.Connection, run: str, size: int, record: Record) -> None:
    """Enter what a run came to, its journal being of this size. Idempotent."""
    entry = {"continues": record.continues, "parent": record.parent, **_own(run, size, record)}
    asked = record.asked.messages if record.asked else ()
    place(db, entry, [*asked, *record.messages], answered(db, record.parent))


def enter_figures(db: sqlite3.Connection, run: str, size: int, record: Record) -> None:
    """Enter the figures of a run that is entered without them, and where it stands unchanged."""
    entry = _own(run, size, record)
    change = ", ".join(f"{name} = :{name}" for name in entry)
    db.execute(f"UPDATE runs SET {change} WHERE id = :id", _fitting(entry))


def _own(run: str, size: int, record: Record) -> dict[str, Any]:
    """What a run has in its table whatever other runs there are."""
    terminal = record.terminal
    counts = (terminal.usage if isinstance(terminal, Done) else None) or record.spent or Counts()
    stats = terminal.stats if terminal else None
    return {
        **{name: getattr(counts, name) for name in Counts.__struct_fields__},
        **figures.fields_of(record, counts),
        "id": run,
        **{name: getattr(record.labels, name, None) for name in Labels.__struct_fields__},
        "provider": record.provider,
        "model": record.model,
        "base_url": record.base_url,
        "profile": record.asked.profile if record.asked else None,
        "started_at": record.started_at,
        "outcome": record.outcome,
        "error": record.damage or (terminal.message if isinstance(terminal, Error) else None),
        "finish_reason": terminal.finish_reason if isinstance(terminal, Done) else None,
        "ttft": stats.ttft if stats else None,
        "duration": stats.duration if stats else record.duration,
        "journal_size": size,
    }


def place(
    db: sqlite3.Connection, entry: dict[str, Any], messages: Sequence[Message], before: int | None
) -> None:
    """Enter a run with its messages, of which the last is its answer, after the message `before`.

    `entry` has the values of `ENTRY`, but for those that follow from its place.
    """
    own, followed, continued = (
        _known(db, run) for run in (entry["id"], entry["parent"], entry["continues"])
    )
    if known := followed or own or continued:
        number = known.conversation
    elif home := tree.home(db, messages[:-1]):
        number, shared = home
        newest = "SELECT max(id) FROM runs WHERE message = ?"
        (entry["parent"],) = db.execute(newest, (shared,)).fetchone()
    else:
        begin = "INSERT INTO conversations (started_at) VALUES (?)"
        created = db.execute(begin, (entry["started_at"],)).lastrowid
        assert created is not None
        number = created
    at = tree.node(db, before) if before is not None else None
    question = None
    for message in messages[:-1]:
        at = tree.add(db, number, at, message)
        if message.tool_calls:  # of a run that was cut, and whose calls another has seen to
            tree.finish(db, at.id, message)
        question = at.id if message.role == "user" else question
    slot = own or continued
    if slot and slot.conversation != number:
        slot = None
    answer = _answer(db, number, at, messages[-1], entry, slot.message if slot else None)
    entry |= {"conversation": number, "message": answer, "question": question}
    db.execute(_INSERT_RUN, _fitting(entry))


def _answer(
    db: sqlite3.Connection,
    number: int,
    at: tree.Node | None,
    message: Message,
    entry: dict[str, Any],
    slot: int | None,
) -> int:
    """The row of an answer; `slot` is that of the earlier attempts at it."""
    if slot is not None:
        content, last = _row_of(
            db,
            "SELECT content, (SELECT max(id) FROM runs WHERE message = messages.id) "
            "FROM messages WHERE id = ?",
            slot,
        )
        if not message.complete and len(message.content) < len(content):
            return slot
        if not tree.is_followed(db, slot) and _is_own(db, slot, entry):
            if last is not None and last > entry["id"]:
                return slot
            return tree.replace(db, number, slot, at, message)
    added = tree.add(db, number, at, message)
    tree.finish(db, added.id, message)
    return added.id


def _is_own(db: sqlite3.Connection, message: int, entry: dict[str, Any]) -> bool:
    """Whether all runs that have this answer are attempts at the same one."""
    links = dict(db.execute("SELECT id, continues FROM runs WHERE message = ?", (message,)))
    links[entry["id"]] = entry["continues"]
    own = {entry["id"]}
    for _ in links:
        own |= {links[it] for it in own if links.get(it)}
        own |= {it for it, continued in links.items() if continued in own}
    return links.keys() <= own


def answered(db: sqlite3.Connection, run: str | None) -> int | None:
    """The answer of this run, or of the nearest before it that has one; None where none has."""
    own = f"""
        SELECT runs.continues, runs.parent, messages.id, content, {_HAS_CALLS}
        FROM runs JOIN messages ON messages.id = runs.message WHERE runs.id = ?
    """
    seen: set[str] = set()
    while run is not None and run not in seen:
        seen.add(run)
        row = db.execute(own, (run,)).fetchone()
        if row is None:
            return None
        continues, parent, message, content, has_calls = row
        if content.strip() or has_calls:
            return int(message)
        run = continues or parent
    return None


def ends(db: sqlite3.Connection, number: int) -> list[str]:
    """The newest run of each answer after which no other comes; of any, where there is no answer.

    In the order of these runs.
    """
    messages = "SELECT id, parent FROM messages WHERE conversation = ?"
    parents = dict(db.execute(messages, (number,)))
    made = f"""
        SELECT message, max(runs.id), content, {_HAS_CALLS}
        FROM runs JOIN messages ON messages.id = message
        WHERE runs.conversation = ? GROUP BY message ORDER BY max(runs.id)
    """
    rows = db.execute(made, (number,)).fetchall()
    answered = {
        message: run for message, run, content, has_calls in rows if content.strip() or has_calls
    }
    inner: set[int] = set()
    for message in answered:
        before = parents.get(message)
        while before is not None and before not in inner:
            inner.add(before)
            before = parents.get(before)
    last = [run for message, run in answered.items() if message not in inner]
    return last or [run for _, run, *_ in rows[-1:]]


class Link(msgspec.Struct, frozen=True):
    """What a run follows or continues, and whether something can follow its answer."""

    parent: str | None
    continues: str | None
    answered: bool


def links(db: sqlite3.Connection, run: str) -> dict[str, Link]:
    """All runs of the conversation that this one belongs to; none if it is unknown."""
    rows = db.execute(
        f"""
        SELECT runs.id, runs.parent, continues, content, {_HAS_CALLS} FROM runs
        JOIN messages ON messages.id = message
        WHERE runs.conversation = (SELECT conversation FROM runs WHERE id = ?)
        """,
        (run,),
    )
    return {
        it: Link(parent, continues, bool(content.strip() or has_calls))
        for it, parent, continues, content, has_calls in rows
    }


def newest_below(db: sqlite3.Connection, run: str) -> str:
    """The newest run that follows or continues this one, over any number of turns; or itself."""
    links = """
        SELECT id, parent, continues FROM runs WHERE id > ?1
        AND conversation = (SELECT conversation FROM runs WHERE id = ?1) ORDER BY id
    """
    below, newest = {run}, run
    for it, parent, continues in db.execute(links, (run,)):
        if below & {parent, continues}:
            below.add(it)
            newest = it
    return newest


def _known(db: sqlite3.Connection, run: str | None) -> _Known | None:
    """Where a run stands, if it is entered."""
    row = db.execute("SELECT conversation, message FROM runs WHERE id = ?", (run,)).fetchone()
    return _Known(*row) if row else None


def _row_of(db: sqlite3.Connection, sql: str, key: int | str) -> tuple[Any, ...]:
    """A row that another one refers to."""
    row: tuple[Any, ...] | None = db.execute(sql, (key,)).fetchone()
    if row is None:
        raise sqlite3.DatabaseError(f"row {key} is missing")
    return row


def _fitting(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry, without numbers that no table takes; the figures are the server's."""
    return {
        name: None if isinstance(it, int) and abs(it) > _GREATEST else it
        for name, it in entry.items()
    }

"""The turns of a conversation as a tree, in the order in which it is drawn."""

from __future__ import annotations

import sqlite3

import msgspec

from chatstream.store import entries
from chatstream.store.entries import Run


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A question and the attempts at its answer, the oldest first.

    `follows` is the newest attempt of the turn before; None for a first one. `branch` counts the
    turns on the way from the root at which this one is not the last to follow; `answer` is the
    beginning of the answer.
    """

    runs: list[Run]
    follows: str | None
    branch: int
    answer: str


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation. Each turn comes after the one that it follows; the newest branch comes last.

    `head` is the run that the conversation continues from.
    """

    name: str | None
    head: str
    turns: list[Turn]


def tree(db: sqlite3.Connection, number: int) -> Tree:
    """The tree of a conversation."""
    rows = entries.runs(db, "WHERE runs.conversation = ? ORDER BY runs.id", number)
    first: dict[str, str] = {}  # the first attempt of each run's turn
    attempts: dict[str, list[Run]] = {}
    for run in rows:
        first[run.id] = first.get(run.continues or "", run.id)
        attempts.setdefault(first[run.id], []).append(run)
    after: dict[str | None, list[str]] = {}
    for its, runs in attempts.items():
        after.setdefault(first.get(runs[0].parent or ""), []).append(its)
    answers = dict(
        db.execute(
            f"SELECT runs.id, substr(content, 1, {entries.QUESTION}) FROM runs "
            "JOIN messages ON messages.id = message WHERE runs.conversation = ?",
            (number,),
        )
    )
    turns: list[Turn] = []
    waiting: list[tuple[str, str | None, int]] = []

    def follow(turn: str | None, newest: str | None, branch: int) -> None:
        following = after.get(turn, [])
        for it in reversed(following):
            waiting.append((it, newest, branch + (it != following[-1])))

    follow(None, None, 0)
    while waiting:
        its, before, branch = waiting.pop()
        runs = attempts[its]
        newest = runs[-1].id
        turns.append(Turn(runs=runs, follows=before, branch=branch, answer=answers[newest]))
        follow(its, newest, branch)
    state = db.execute("SELECT head, name FROM conversations WHERE id = ?", (number,)).fetchone()
    head, name = state or (None, None)
    begin = head if head in first else rows[0].id
    return Tree(name=name, head=entries.newest_below(db, begin), turns=turns)

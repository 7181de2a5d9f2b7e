"""Conversations of a damaged database: taken over whole, behind what the journals still say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.store import entries, rescue
from tests.support.histories import empty, enter
from tests.support.runs import run_id, write_run


@pytest.fixture
def old() -> Iterator[sqlite3.Connection]:
    """The damaged one."""
    with empty() as db:
        yield db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """The one that takes its place."""
    with empty() as db:
        yield db


def said(db: sqlite3.Connection, number: int) -> list[str]:
    """What was said up to the answer of a run."""
    return [it.content for it in entries.conversation(db, run_id(number)).messages]


def rescued(old: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """Take over what can be."""
    for number in rescue.readable(old):
        rescue.copy(old, db, number)


def test_a_copy_has_new_numbers_and_skips_what_is_known(
    old: sqlite3.Connection, db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(db, write_run(tmp_path, run_id(9), "its own"))
    for number in (1, 2):
        enter(old, write_run(tmp_path, run_id(number), f"answer {number}"))
    enter(db, tmp_path / "runs" / f"{run_id(2)}.jsonl")
    rescued(old, db)
    assert [said(db, number)[-1] for number in (9, 2, 1)] == ["its own", "answer 2", "answer 1"]
    copied = entries.runs(db, "WHERE id = ?", run_id(1))
    original = entries.runs(old, "WHERE id = ?", run_id(1))
    assert copied[0].conversation == 3
    assert [(it.id, it.ttft, it.outcome) for it in copied] == [
        (it.id, it.ttft, it.outcome) for it in original
    ]
    assert [it.run for it in entries.search(db, "answer", 9)] == [run_id(1), run_id(2)]


def test_a_turn_whose_journal_is_there_stands_behind_those_whose_journals_are_gone(
    old: sqlite3.Connection, db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(old, write_run(tmp_path, run_id(1), "a1", question="q1"))
    enter(old, write_run(tmp_path, run_id(2), "a2", question="q2", parent=run_id(1)))
    last = write_run(tmp_path, run_id(3), "a3", question="q3", parent=run_id(2))
    enter(old, last)
    enter(db, last)
    assert said(db, 3) == ["q3", "a3"]
    rescued(old, db)
    assert said(db, 3) == said(old, 3) == ["q1", "a1", "q2", "a2", "q3", "a3"]
    assert db.execute("SELECT count(*) FROM conversations").fetchone() == (1,)
    before = [*db.iterdump()]
    rescued(old, db)
    assert [*db.iterdump()] == before

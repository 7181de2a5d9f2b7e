"""Records in tables: one message for a run and those that continue it, and nothing lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.messages import Message
from chatstream.store import entries
from tests.support.histories import empty, enter
from tests.support.runs import done, failed, run_id, write_run


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """The database that most tests need."""
    with empty() as db:
        yield db


def rows(db: sqlite3.Connection) -> list[object]:
    """All that is entered."""
    tables = ("conversations", "messages", "runs")
    return [row for table in tables for row in db.execute(f"SELECT * FROM {table}")]


def answers(db: sqlite3.Connection) -> list[Message]:
    """The last message of each conversation."""
    last = "SELECT max(id) FROM runs GROUP BY conversation ORDER BY conversation"
    return [entries.conversation(db, run).messages[-1] for (run,) in db.execute(last)]


def test_entering_again_changes_nothing(db: sqlite3.Connection, tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, run_id(1), "one ", killed=True),
        write_run(tmp_path, run_id(2), "one two", continues=run_id(1)),
    ]
    for path in paths:
        enter(db, path)
    before = rows(db)
    for path in paths:
        enter(db, path)
    assert rows(db) == before
    assert [it.content for it in answers(db)] == ["one two"]


def test_an_attempt_that_came_to_less_takes_no_text_away(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(db, write_run(tmp_path, run_id(1), "one two", end=failed()))
    enter(db, write_run(tmp_path, run_id(2), "", end=failed("connect"), continues=run_id(1)))
    assert [(it.content, it.complete) for it in answers(db)] == [("one two", False)]


def test_a_whole_answer_holds_if_it_is_shorter(db: sqlite3.Connection, tmp_path: Path) -> None:
    enter(db, write_run(tmp_path, run_id(1), "a long beginning", end=failed()))
    enter(db, write_run(tmp_path, run_id(2), "anew", continues=run_id(1)))
    assert [(it.content, it.complete) for it in answers(db)] == [("anew", True)]


def path(db: sqlite3.Connection, number: int) -> list[str]:
    """What was said up to the answer of a run."""
    return [it.content for it in entries.conversation(db, run_id(number)).messages]


def test_a_cut_answer_that_was_followed_stays_and_its_resume_is_a_branch(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(db, write_run(tmp_path, run_id(1), "half", killed=True))
    enter(db, write_run(tmp_path, run_id(2), "a2", question="q2", parent=run_id(1)))
    enter(db, write_run(tmp_path, run_id(3), "half, whole", continues=run_id(1)))
    assert path(db, 2) == ["why?", "half", "q2", "a2"]
    assert path(db, 3) == ["why?", "half, whole"]
    assert path(db, 1) == ["why?", "half"]
    assert entries.ends(db, 1) == [run_id(2), run_id(3)]


def test_an_answer_that_another_run_shares_is_not_changed_by_a_resume(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(db, write_run(tmp_path, run_id(1), "a1"))
    for number in (2, 3):
        enter(db, write_run(tmp_path, run_id(number), "half", killed=True, parent=run_id(1)))
    assert db.execute("SELECT count(*) FROM messages").fetchone() == (4,)
    whole = write_run(tmp_path, run_id(4), "half, whole", parent=run_id(1), continues=run_id(2))
    enter(db, whole)
    assert path(db, 3) == ["why?", "a1", "why?", "half"]
    assert path(db, 4) == ["why?", "a1", "why?", "half, whole"]


def test_what_follows_a_run_without_an_answer_follows_the_answer_before_it(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(db, write_run(tmp_path, run_id(1), "", end=failed("connect"), question="q1"))
    enter(db, write_run(tmp_path, run_id(2), "a2", question="q2", parent=run_id(1)))
    enter(db, write_run(tmp_path, run_id(3), " ", question="q3", parent=run_id(2)))
    enter(db, write_run(tmp_path, run_id(4), "a4", question="q4", parent=run_id(3)))
    assert path(db, 4) == ["q2", "a2", "q4", "a4"]
    assert path(db, 3) == ["q2", "a2", "q3", " "]
    assert path(db, 1) == ["q1", ""]
    assert db.execute("SELECT count(*) FROM conversations").fetchone() == (1,)


def test_what_continues_an_unknown_run_begins_a_conversation(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    enter(db, write_run(tmp_path, run_id(2), "one two", continues=run_id(1)))
    (run,) = entries.runs(db, "")
    assert (run.continues, run.question) == (run_id(1), "why?")
    assert [it.content for it in answers(db)] == ["one two"]


def test_a_question_is_the_last_of_the_user_and_not_too_long(
    db: sqlite3.Connection, tmp_path: Path
) -> None:
    asked = [Message("user", "first"), Message("assistant", "yes"), Message("user", "x" * 10_000)]
    enter(db, write_run(tmp_path, run_id(1), "text", asked=asked))
    (run,) = entries.runs(db, "")
    assert run.question == "x" * entries.QUESTION


def test_a_figure_that_no_table_takes_is_left_out(db: sqlite3.Connection, tmp_path: Path) -> None:
    enter(db, write_run(tmp_path, run_id(1), "text", end=done(output_tokens=2**70)))
    (run,) = entries.runs(db, "")
    assert (run.input_tokens, run.output_tokens) == (5, None)


def test_a_removed_conversation_leaves_nothing(db: sqlite3.Connection, tmp_path: Path) -> None:
    enter(db, write_run(tmp_path, run_id(1), pieces=[ev.Content("text")]))
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("DELETE FROM conversations")
    assert entries.runs(db, "") == []
    assert db.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    assert entries.search(db, "text", 9) == []

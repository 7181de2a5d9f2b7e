"""A database of every earlier form becomes one of the newest, and nothing in it is lost."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from chatstream.messages import ToolCall
from chatstream.store.database import NAME
from chatstream.store.history import History
from chatstream.store.migrations import MIGRATIONS, migrate, version
from tests.support.runs import run_id

WRITTEN = Path(__file__).parent / "written"
"""What the version before the tree of messages wrote: its databases of both forms, its journals."""


def test_migrations_run_in_order_and_only_once(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as db:
        steps = ("CREATE TABLE a (x)", "INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)")
        migrate(db, steps[:1])
        assert version(db) == 1
        migrate(db, steps)
        migrate(db, steps)
        assert (version(db), db.execute("SELECT x FROM a").fetchall()) == (2, [(1,), (2,)])
    db.close()


def test_how_far_the_migrations_are_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with sqlite3.connect(tmp_path / "db") as db:
        steps = ("CREATE TABLE a (x)", "CREATE TABLE b (x)", "CREATE TABLE c (x)")
        migrate(db, steps[:1])
        migrate(db, steps, lambda *it: told.append(it))
        migrate(db, steps, lambda *it: told.append(it))
    db.close()
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as db:
        steps = ("CREATE TABLE a (x)", "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)")
        with pytest.raises(sqlite3.OperationalError, match="no such table: b"):
            migrate(db, steps)
        assert (version(db), db.execute("SELECT x FROM a").fetchall()) == (1, [])
    db.close()


def state(folder: Path, form: int, *, journals: bool = False) -> Path:
    """A state folder as an earlier version left it."""
    data = gzip.decompress((WRITTEN / f"history-{form}.db.gz").read_bytes())
    (folder / NAME).write_bytes(data)
    if journals:
        shutil.copytree(WRITTEN / "runs", folder / "runs")
    return folder


def told(history: History) -> list[object]:
    """All that a history has to say, but for the numbers of its rows."""
    runs = history.runs()
    return [(replace(run, conversation=0), history.conversation(run).messages) for run in runs]


def check_index(folder: Path) -> None:
    """The index of words has exactly what the messages say."""
    with closing(sqlite3.connect(folder / NAME)) as db:
        migrate(db)  # lets the check call our function
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


@pytest.mark.parametrize("form", [1, 2])
def test_a_database_that_an_earlier_version_wrote_keeps_everything(
    tmp_path: Path, form: int
) -> None:
    with History(state(tmp_path, form)) as history:
        runs = {run.id: run for run in history.runs()}
        assert len(runs) == 9
        talk = history.conversation(runs[run_id(3)])
        assert [it.content for it in talk.messages] == [
            *("be brief", "Why is the sky blue?", "Rayleigh scattering.", "And at sunset?"),
            *("A longer way through the air.", "今天讨论了部署方案", "好的 zebra"),
        ]
        assert [run.id for run in talk.runs] == [run_id(1), run_id(2), run_id(3)]
        assert runs[run_id(3)].parent == run_id(2)
        assert runs[run_id(2)].question == "And at sunset?"
        assert talk.messages[2].reasoning == "scattering"
        for word, hits in (("rayleigh", 1), ("部署", 1), ("zebra", 1), ("because", 2), ("half", 1)):
            assert len(history.search(word, 9)) == hits, word
        looked = history.conversation(runs[run_id(20)]).messages[-1]
        assert looked.content == "I look."
        assert looked.tool_calls == [ToolCall("c1", "look", '{"at": "sky"}')]
        resumed = history.conversation(runs[run_id(10)])
        assert [it.content for it in resumed.messages] == ["cut?", "half and whole"]
        assert runs[run_id(22)].conversation != runs[run_id(23)].conversation
        assert runs[run_id(21)].error == "the stream ended early"
        check_index(tmp_path)
        for run in runs.values():
            if run.id in {it.id for it in history.runs()}:
                history.remove(run)
        assert history.search("e*", 99) == []
    check_index(tmp_path)
    assert not list(tmp_path.glob("*damaged*"))


def test_two_answers_with_the_same_words_keep_their_reasoning(tmp_path: Path) -> None:
    """A caller sent the same conversation twice."""
    asked = [("user", "q1", ""), ("assistant", "a1", "because"), ("user", "q2", "")]
    talks = [asked[:2], *([*asked, ("assistant", "yes", why)] for why in ("one", "two"))]
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        migrate(db, MIGRATIONS[:2])
        for number, talk in enumerate(talks, 1):
            db.execute("INSERT INTO conversations VALUES (?, '')", (number,))
            for position, said in enumerate(talk):
                row = (number, position, *said, b"[]", True)
                last = db.execute(
                    "INSERT INTO messages (conversation, position, role, content, reasoning, "
                    "tool_calls, complete) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                ).lastrowid
            db.execute(
                "INSERT INTO runs (id, conversation, message, started_at, outcome, duration, "
                "journal_size) VALUES (?, ?, ?, '', 'complete', 1.0, 0)",
                (run_id(number), number, last),
            )
        db.commit()
    with History(tmp_path) as history:
        paths = history.branches(history.run())
        assert [path.messages[-1].reasoning for path in paths] == ["one", "two"]
        assert [run.parent for run in history.runs()] == [run_id(1), run_id(1), None]
        assert len(history.search("a1", 9)) == 1


@pytest.mark.parametrize("form", [1, 2])
def test_journals_of_an_earlier_version_give_what_its_database_has(
    tmp_path: Path, form: int
) -> None:
    for folder in ("migrated", "rebuilt"):
        (tmp_path / folder).mkdir()
    shutil.copytree(WRITTEN / "runs", tmp_path / "rebuilt" / "runs")
    with (
        History(state(tmp_path / "migrated", form, journals=True), tell=pytest.fail) as migrated,
        History(tmp_path / "rebuilt", tell=pytest.fail) as rebuilt,
    ):
        before = told(migrated)
        migrated.sync()
        rebuilt.sync()
        assert told(migrated) == before == told(rebuilt)


@pytest.mark.parametrize("form", [1, 2])
def test_an_earlier_database_that_is_damaged_is_saved(tmp_path: Path, form: int) -> None:
    for folder in ("good", "bad"):
        (tmp_path / folder).mkdir()
    with History(state(tmp_path / "good", form)) as history:
        expected = told(history)
    with closing(sqlite3.connect(state(tmp_path / "bad", form) / NAME)) as db:
        db.execute("UPDATE words_data SET block = x'00000000ffffffff'")
        db.commit()
    with History(tmp_path / "bad", tell=lambda _line: None) as history:
        assert told(history) == expected
        assert len(history.search("rayleigh", 9)) == 1
    assert list(tmp_path.glob("bad/*damaged*"))

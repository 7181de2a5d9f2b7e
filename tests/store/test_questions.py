"""What was asked before comes back, the newest first, from wherever it is kept."""

from __future__ import annotations

from pathlib import Path

from chatstream.store.history import History
from chatstream.store.questions import questions
from tests.support.runs import run_id, write_run


def test_the_newest_question_comes_first_and_each_once(tmp_path: Path) -> None:
    for number, question in enumerate(["one?", "two?", "one?", "three\nlines\n?"]):
        write_run(tmp_path, run_id(number), "answer", question=question)
    assert list(questions(tmp_path)) == ["three\nlines\n?", "one?", "two?"]


def test_those_whose_journals_have_expired_are_in_the_history(tmp_path: Path) -> None:
    for number, question in enumerate(["one?", "two?"]):
        write_run(tmp_path, run_id(number), "answer", question=question)
    with History(tmp_path) as history:
        history.sync()
    for path in (tmp_path / "runs").iterdir():
        path.unlink()
    write_run(tmp_path, run_id(9), "answer", question="three?")
    assert list(questions(tmp_path)) == ["three?", "two?", "one?"]


def test_where_nothing_was_asked_there_is_nothing(tmp_path: Path) -> None:
    assert list(questions(tmp_path)) == []
    assert not (tmp_path / "history.db").exists()


def test_a_damaged_history_is_no_reason_to_say_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "answer", question="one?")
    (tmp_path / "history.db").mkdir()
    assert list(questions(tmp_path)) == ["one?"]

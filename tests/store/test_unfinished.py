"""The run that `resume` means: the newest that broke off and that nothing has continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.events import Content, Error
from chatstream.store.unfinished import last_unfinished, newest_attempt
from tests.support.runs import failed, run_id, running, write_run


def test_the_last_unfinished_run_is_the_newest_that_ended_without_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    write_run(tmp_path, run_id(1), "half", killed=True)
    killed = write_run(tmp_path, run_id(2), "half", killed=True)
    assert last_unfinished(folder) == killed
    broken = write_run(tmp_path, run_id(3), "half", end=failed())
    assert last_unfinished(folder) == broken


def test_complete_running_and_continued_runs_are_not_unfinished(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    oldest = write_run(tmp_path, run_id(1), "half", killed=True)
    write_run(tmp_path, run_id(2), "half", killed=True)
    write_run(tmp_path, run_id(3), "half and whole", continues=run_id(2))
    write_run(tmp_path, run_id(5), "whole")
    (folder / "6.jsonl").write_bytes(b"no run")
    (folder / "7.jsonl").touch()
    (folder / "8.jsonl").mkdir()
    with running(tmp_path, run_id(4), "half"):
        assert last_unfinished(folder) == oldest


def test_a_continuation_that_broke_off_too_is_the_one_to_continue(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "half", killed=True)
    second = write_run(tmp_path, run_id(2), "half", killed=True, continues=run_id(1))
    assert last_unfinished(tmp_path / "runs") == second


def test_with_every_run_finished_there_is_none(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "whole")
    with pytest.raises(UsageError, match="no unfinished run"):
        last_unfinished(tmp_path / "runs")


def test_the_last_line_is_found_in_a_file_of_any_size(tmp_path: Path) -> None:
    long = "x" * 200_000
    unfinished = write_run(tmp_path, run_id(1), pieces=[Content(long)], killed=True)
    write_run(tmp_path, run_id(2), pieces=[Content(long)])
    assert last_unfinished(tmp_path / "runs") == unfinished


def test_a_run_that_was_refused_and_has_no_text_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    unfinished = write_run(tmp_path, run_id(1), "half", killed=True)
    refused = Error("auth", "no key", recoverable=False, partial=False)
    write_run(tmp_path, run_id(2), pieces=[], end=refused)
    assert last_unfinished(folder) == unfinished
    stopped = Error("cancelled", "stopped", recoverable=False, partial=False)
    asked_again = write_run(tmp_path, run_id(3), pieces=[], end=stopped)
    assert last_unfinished(folder) == asked_again


def test_the_newest_attempt_continues_a_run_over_any_number_of_runs(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for number, before in ((1, None), (2, 1), (3, None), (4, 2)):
        continues = run_id(before) if before else None
        write_run(tmp_path, run_id(number), "half", killed=True, continues=continues)
    assert newest_attempt(folder, run_id(1)) == run_id(4)
    assert newest_attempt(folder, run_id(3)) == run_id(3)

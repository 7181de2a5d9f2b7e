"""Journals expire, each kind in its time, and only after the history has them."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from chatstream.clock import Deadline
from chatstream.store.composed import Composed
from chatstream.store.history import History
from chatstream.store.retention import EXPIRING, STAMP, before, expire, sweep
from tests.support.runs import failed, run_id, running, started_at, write_run

DAY = 86400.0
LATER = "20260109-000000-000000-abcd"  # eight days after the others
FIRST = datetime.fromisoformat(started_at(run_id(0))).timestamp()


def kept(folder: Path) -> set[str]:
    """The runs whose journals are there."""
    return {path.stem for path in (folder / "runs").iterdir()}


def expired(folder: Path, complete: float, incomplete: float, now: float) -> int:
    """Expire the journals of a history that is up to date."""
    with History(folder) as history:
        history.sync()
        return expire(history, complete, incomplete, now)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with a complete run, a failed one and a killed one."""
    folder = tmp_path / "state"
    write_run(folder, run_id(1), "complete")
    write_run(folder, run_id(2), "failed", end=failed())
    write_run(folder, run_id(3), "killed", killed=True)
    return folder


@pytest.mark.parametrize(
    ("complete", "incomplete", "days", "left"),
    [
        (7, 30, 6, {1, 2, 3}),
        (7, 30, 8, {2, 3}),
        (7, 30, 31, set()),
        (0, 30, 31, {1}),
        (7, 0, 99999, {2, 3}),
        (0, 0, 99999, {1, 2, 3}),
        (1e12, 1e12, 31, {1, 2, 3}),
    ],
)
def test_each_kind_is_kept_for_its_time(
    folder: Path, complete: float, incomplete: float, days: float, left: set[int]
) -> None:
    assert expired(folder, complete, incomplete, FIRST + days * DAY) == 3 - len(left)
    assert kept(folder) == {run_id(number) for number in left}
    with History(folder) as history:
        assert len(history.runs()) == 3


def test_a_conversation_keeps_its_journals_from_its_newest_run_on(folder: Path) -> None:
    write_run(folder, run_id(4), "another")
    write_run(folder, LATER, "more", parent=run_id(1))
    now = FIRST + (8 + 6) * DAY
    assert expired(folder, 7, 30, now) == 1
    assert kept(folder) == {run_id(1), run_id(2), run_id(3), LATER}
    assert expired(folder, 7, 30, now + 2 * DAY) == 2
    assert kept(folder) == {run_id(2), run_id(3)}


def test_a_conversation_with_a_cut_answer_is_kept_as_long_as_that(folder: Path) -> None:
    write_run(folder, run_id(4), "half", killed=True, parent=run_id(1))
    write_run(folder, run_id(5), "half, whole", parent=run_id(1), continues=run_id(4))
    expired(folder, 7, 30, FIRST + 29 * DAY)
    assert {run_id(1), run_id(4), run_id(5)} <= kept(folder)
    expired(folder, 7, 30, FIRST + 31 * DAY)
    assert kept(folder) == set()


def test_one_journal_that_has_to_stay_keeps_those_of_its_conversation(folder: Path) -> None:
    changed = write_run(folder, run_id(4), "more", parent=run_id(1))
    with History(folder) as history:
        history.sync()
        changed.write_bytes(changed.read_bytes() + b"\n")
        expire(history, 7, 30, FIRST + 99 * DAY)
    assert kept(folder) == {run_id(1), run_id(4)}


def test_a_run_that_goes_on_keeps_its_journal(folder: Path) -> None:
    with running(folder, run_id(4), "text"):
        expired(folder, 7, 30, FIRST + 99 * DAY)
        assert kept(folder) == {run_id(4)}


def test_what_the_history_has_not_taken_in_is_kept(folder: Path) -> None:
    (folder / "runs" / f"{run_id(4)}.jsonl").write_bytes(b"hello\n")
    with History(folder, tell=lambda _line: None) as history:
        history.sync()
        write_run(folder, run_id(5), "later")
        changed = folder / "runs" / f"{run_id(1)}.jsonl"
        changed.write_bytes(changed.read_bytes() + b"\n")
        assert expire(history, 7, 30, FIRST + 99 * DAY) == 2
    assert kept(folder) == {run_id(1), run_id(4), run_id(5)}


def test_expiry_ends_at_its_deadline(folder: Path) -> None:
    with History(folder) as history:
        history.sync()
        assert expire(history, 7, 30, FIRST + 99 * DAY, Deadline(0.0)) == 0


def test_days_before_are_written_as_journals_write_them() -> None:
    assert before(1, FIRST) == "2025-12-31T00:00:00.000Z"
    assert before(1e12, FIRST) == "1970-01-01T00:00:00.000Z"


def test_the_first_sweep_only_notes_its_time(folder: Path) -> None:
    sweep(folder, 7, 30, FIRST + 99 * DAY)
    assert len(kept(folder)) == 3
    assert (folder / STAMP).stat().st_mtime == FIRST + 99 * DAY


@pytest.mark.parametrize(
    ("seconds", "swept"), [(3599, False), (3601, True), (-10, True)], ids=["soon", "late", "clock"]
)
def test_a_sweep_is_due_after_an_hour(folder: Path, seconds: float, swept: bool) -> None:
    last = FIRST + 99 * DAY
    sweep(folder, 7, 30, last)
    sweep(folder, 7, 30, last + seconds)
    assert kept(folder) == (set() if swept else {run_id(1), run_id(2), run_id(3)})
    assert (folder / STAMP).stat().st_mtime == (last + seconds if swept else last)
    assert (folder / "history.db").exists() == swept


def test_a_sweep_never_fails(folder: Path) -> None:
    now = FIRST + 99 * DAY
    sweep(folder / "not there", 7, 30, now)
    sweep(folder / STAMP / "below a file", 7, 30, now)
    sweep(folder, 7, 30, now)
    os.utime(folder / STAMP, (0, 0))
    (folder / "history.db").mkdir()
    sweep(folder, 7, 30, now)
    assert len(kept(folder)) == 3


def test_how_far_it_is_is_told(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with History(folder) as history:
        history.sync()
        history.progress = lambda *it: told.append(it)
        expire(history, 7, 7, FIRST + 99 * DAY)
    assert told == [(EXPIRING, done, 3) for done in range(4)]


def test_a_sweep_deletes_old_records_of_documents(folder: Path) -> None:
    last = FIRST + 99 * DAY
    for key, age in (("old", 31 * DAY), ("new", 29 * DAY)):
        Composed(folder, key).close()
        os.utime(folder / "composed" / f"{key}.jsonl", (last - age, last - age))
    sweep(folder, 7, 0, last - 2 * 3601)
    sweep(folder, 7, 0, last - 3601)
    assert {it.stem for it in (folder / "composed").iterdir()} == {"old", "new"}
    sweep(folder, 7, 30, last)
    assert {it.stem for it in (folder / "composed").iterdir()} == {"new"}

"""The figures of runs: read from their journals once, and known for all of them afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from chatstream import events as ev
from chatstream.store import entries, figures, rescue
from chatstream.store.database import NAME
from chatstream.store.figures import FIELDS, RUNNING, UNREADABLE, Figures
from chatstream.store.history import IMPORTING, MEASURING, History
from chatstream.store.place import state_folder
from chatstream.store.reading import read
from tests.store.test_previous import CUT, PREVIOUS, RUNS, copy_previous
from tests.support.histories import empty, enter
from tests.support.runs import STATS, failed, run_id, running, started_at, write_run

FAST = replace(STATS, tokens_per_second=48.5)
COST = ev.Cost(0.25, estimated=True)
WHOLE = ev.Done(
    finish_reason="stop",
    usage=ev.Counts(input_tokens=5, output_tokens=3, cost=0.125),
    stats=FAST,
    attempts=3,
    cost=COST,
)
RETRY = ev.Retry(attempt=2, max=5, delay=1.0, cause="connect", action="reset")
TROUBLE: list[ev.Event] = [
    RETRY,
    replace(RETRY, attempt=3),
    ev.Fallback("a", "b", "overloaded"),
    ev.Content("an answer"),
]


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty() as opened:
        yield opened


def of(folder: Path, since: str = "", told: list[str] | None = None) -> dict[str, Figures]:
    """The figures of the runs in a folder, after a sync."""
    with History(folder, tell=pytest.fail if told is None else told.append) as history:
        history.sync()
        return {it.id: it for it in history.figures(since)}


def test_a_run_has_what_its_journal_tells(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), pieces=TROUBLE, end=WHOLE)
    write_run(tmp_path, run_id(2), "half", end=failed("stalled"), continues=run_id(1))
    found = of(tmp_path)
    assert found[run_id(1)] == Figures(
        id=run_id(1),
        started_at=started_at(run_id(1)),
        outcome="complete",
        provider="demo",
        model="m",
        finish_reason="stop",
        input_tokens=5,
        output_tokens=3,
        ttft=0.25,
        duration=2.5,
        retries=2,
        fallbacks=1,
        tokens_per_second=48.5,
        dollars=0.25,
        estimated=1,
    )
    cut = found[run_id(2)]
    assert (cut.outcome, cut.continues, cut.retries, cut.dollars) == ("stalled", run_id(1), 0, None)


def test_a_cost_that_only_the_server_tells_is_exact(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "text", end=replace(WHOLE, cost=None))
    told = [ev.Content("half"), ev.Usage(input_tokens=7, output_tokens=2, cost=0.5)]
    write_run(tmp_path, run_id(2), pieces=told, end=failed())
    found = of(tmp_path)
    assert [(it.dollars, it.estimated) for it in found.values()] == [(0.125, 0), (0.5, 0)]
    assert (found[run_id(2)].input_tokens, found[run_id(2)].output_tokens) == (7, 2)


def test_what_an_earlier_run_did_is_not_counted_again(tmp_path: Path) -> None:
    earlier = ev.ToolComplete("1", "look", "blue", 0.1, replayed=True)
    write_run(tmp_path, run_id(1), pieces=[earlier, ev.Usage(output_tokens=4)], end=failed())
    assert of(tmp_path)[run_id(1)].output_tokens == 4


def test_only_runs_since_then_are_told(tmp_path: Path) -> None:
    for number in range(4):
        write_run(tmp_path, run_id(number), "text")
    assert list(of(tmp_path, started_at(run_id(2)))) == [run_id(2), run_id(3)]
    assert of(tmp_path, "2027-01-01T00:00:00.000Z") == {}


def test_a_run_that_is_still_going_has_no_figures_but_its_outcome(tmp_path: Path) -> None:
    with running(tmp_path, run_id(1), "text"):
        found = of(tmp_path)[run_id(1)]
        assert found == Figures(id=run_id(1), started_at=found.started_at, outcome=RUNNING)
        assert of(tmp_path, "2999") == {}
    assert of(tmp_path)[run_id(1)].outcome == "interrupted"


@pytest.mark.parametrize(
    ("after", "outcome"), [(b'{"type":"done"', "damaged"), (b'{"type":"metadata"', UNREADABLE)]
)
def test_a_journal_that_is_damaged_is_no_success_even_if_it_was_one(
    tmp_path: Path, after: bytes, outcome: str
) -> None:
    path = write_previous(tmp_path)
    assert of(tmp_path)[path.stem].outcome == "complete"
    data = path.read_bytes()
    at = data.index(after) + len(after) + 4
    path.write_bytes(data[:at] + b"\0" + data[at + 1 :])
    assert of(tmp_path)[path.stem].outcome == "complete"  # as it was entered
    forget(tmp_path)
    told: list[str] = []
    assert of(tmp_path, told=told)[path.stem].outcome == outcome
    (tmp_path / NAME).unlink()
    assert of(tmp_path, told=told)[path.stem].outcome == outcome


def write_previous(folder: Path) -> Path:
    """A journal of several batches."""
    (folder / "runs").mkdir()
    return Path(shutil.copy(PREVIOUS / "runs" / f"{RUNS[0]}.jsonl", folder / "runs"))


@pytest.mark.parametrize("data", [b"\0" * 100, b"{}\n", b'{"type":"metadata","version":99}\n'])
def test_a_journal_that_is_no_runs_counts_as_unreadable(tmp_path: Path, data: bytes) -> None:
    write_run(tmp_path, run_id(1), "text")
    path = tmp_path / "runs" / f"{run_id(2)}.jsonl"
    path.write_bytes(data)
    told: list[str] = []
    found = of(tmp_path, told=told)
    assert [it.outcome for it in found.values()] == ["complete", UNREADABLE]
    assert len(told) == 1
    assert of(tmp_path, "2999", told) == {}
    path.write_bytes(b"")  # its run was killed before it had begun
    assert list(of(tmp_path)) == [run_id(1)]


def forget(folder: Path, *runs: str) -> None:
    """Make the database as an earlier version had left it; all runs, or these."""
    with closing(sqlite3.connect(folder / NAME)) as db:
        unknown = ", ".join(f"{name} = NULL" for name in FIELDS)
        which = " OR ".join(["id = ?"] * len(runs)) or "1"
        db.execute(f"UPDATE runs SET {unknown} WHERE {which}", runs)
        db.commit()


def test_runs_of_an_earlier_version_are_filled_once_and_it_is_shown(tmp_path: Path) -> None:
    for number in range(100):
        write_run(tmp_path, run_id(number), pieces=list(TROUBLE), end=replace(WHOLE))
    expected = of(tmp_path)
    forget(tmp_path)
    shown: list[tuple[str, int, int]] = []
    with History(tmp_path, tell=pytest.fail, progress=lambda *it: shown.append(it)) as history:
        history.sync()
        assert shown == []
        assert {it.id: it for it in history.figures()} == expected
        assert shown == [(MEASURING, 0, 100), (MEASURING, 64, 100), (MEASURING, 100, 100)]
        history.figures()
    assert len(shown) == 3
    assert IMPORTING not in dict.fromkeys(stage for stage, _, _ in shown)


def test_what_was_filled_before_an_interruption_is_kept(tmp_path: Path) -> None:
    for number in range(100):
        write_run(tmp_path, run_id(number), pieces=list(TROUBLE), end=replace(WHOLE))
    expected = of(tmp_path)
    forget(tmp_path)

    def interrupt(_stage: str, done: int, _all: int) -> None:
        if done:
            raise KeyboardInterrupt

    with History(tmp_path, progress=interrupt) as history, pytest.raises(KeyboardInterrupt):
        history.figures()
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        assert len(figures.unfilled(db)) == 36
    assert of(tmp_path) == expected


def test_without_a_journal_the_figures_of_an_earlier_version_stay_unknown(tmp_path: Path) -> None:
    path = write_run(tmp_path, run_id(1), pieces=TROUBLE, end=WHOLE)
    of(tmp_path)
    forget(tmp_path)
    path.unlink()
    found = of(tmp_path)[run_id(1)]
    assert [getattr(found, name) for name in FIELDS] == [None] * len(FIELDS)
    assert (found.ttft, found.output_tokens, found.outcome) == (0.25, 3, "complete")


@pytest.mark.parametrize("kept", ["journals", "database", "both"])
def test_a_history_of_the_previous_version_is_told_whole(kept: str) -> None:
    copy_previous(kept)
    found = of(state_folder())
    assert list(found) == RUNS
    assert found[CUT].outcome == "truncated"
    assert found[RUNS[0]].retries == (None if kept == "database" else 0)


def test_figures_come_along_from_a_damaged_database(db: sqlite3.Connection, tmp_path: Path) -> None:
    with empty() as old:
        enter(old, write_run(tmp_path, run_id(1), pieces=TROUBLE, end=WHOLE))
        before = figures.since(old, "")
        for number in rescue.readable(old):
            rescue.copy(old, db, number)
    assert figures.since(db, "") == before


def test_a_count_that_no_table_takes_is_left_out(db: sqlite3.Connection, tmp_path: Path) -> None:
    huge = replace(WHOLE, usage=ev.Counts(input_tokens=2**64, output_tokens=3))
    path = write_run(tmp_path, run_id(1), "text", end=huge)
    enter(db, path)
    entries.enter_figures(db, run_id(1), path.stat().st_size, read(path))
    (found,) = figures.since(db, "")
    assert (found.input_tokens, found.output_tokens) == (None, 3)

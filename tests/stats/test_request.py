"""`stats` as a user types it: on a terminal, in a pipe and as JSON, whatever is in the history."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.events import Progress
from chatstream.store.database import NAME
from chatstream.store.history import MEASURING, History
from chatstream.store.place import runs_folder, state_folder
from chatstream.terminal.history import LongWork
from tests.stats.test_reckoning import OUTCOMES
from tests.store.test_figures import FAST, RETRY, forget
from tests.support.client import COMMAND, Running, run_here
from tests.support.processes import waits_in
from tests.support.runs import done, failed, run_id, running, write_run
from tests.support.terminal import on_terminal
from tests.support.waiting import until_true


def fill(number: int = 6, model: str = "m") -> None:
    """A history of so many runs, one of which is a failure."""
    for it in range(number):
        write_run(
            state_folder(), run_id(it), "text", model=model, end=failed() if it == 1 else None
        )


def counted(*arguments: str) -> list[dict[str, Any]]:
    found = run_here(["stats", "--json", *arguments])
    assert (found.status, found.stderr) == (0, "")
    return [json.loads(line) for line in found.stdout.splitlines()]


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--by", "day"]])
def test_an_empty_history_is_one_friendly_line_and_no_failure(arguments: list[str]) -> None:
    found = run_here(["stats", *arguments])
    assert (found.status, found.stdout) == (0, b"")
    assert found.stderr == "there are no runs yet; `chatstream ask` starts one\n"


def test_no_runs_since_then_is_no_failure_either() -> None:
    fill()
    found = run_here(["stats", "--since", "2026-03-01"])
    assert (found.status, found.stdout) == (0, b"")
    assert "no runs since 2026-03-01" in found.stderr


def test_runs_that_are_still_going_are_mentioned_and_not_counted() -> None:
    with running(state_folder(), run_id(7), "text"):
        alone = run_here(["stats"])
        assert (alone.status, alone.stdout) == (0, b"")
        assert alone.stderr == "1 run is still going and not counted yet\n"
        fill()
        with running(state_folder(), run_id(8), "text"):
            found = run_here(["stats", "--json"])
    assert found.stderr == "2 runs are still going and not counted yet\n"
    whole, group = map(json.loads, found.stdout.splitlines())
    assert whole["runs"] == group["runs"] == 6
    assert whole["failed"] == 1


def test_json_has_an_object_a_line_the_total_first() -> None:
    fill(3)
    fill_other = ["other", "other", "other"]
    for at, model in enumerate(fill_other, 10):
        write_run(state_folder(), run_id(at), "text", model=model)
    whole, *groups = counted()
    assert (whole["by"], whole["name"], whole["runs"], whole["failed"]) == (None, None, 6, 1)
    assert whole["outcomes"] == {"complete": 5, "truncated": 1}
    assert whole["ttft"] == {"n": 6, "p50": 0.25, "p90": None, "p95": None, "p99": None}
    assert whole["cost"] is None
    assert [(it["by"], it["name"], it["runs"]) for it in groups] == [
        ("model", "m@demo", 3),
        ("model", "other@demo", 3),
    ]


def test_runs_are_grouped_and_chosen_as_asked() -> None:
    fill()
    days = counted("--by", "day", "--since", "2025-12-30")
    assert [(it["name"], it["runs"]) for it in days] == [(None, 6), ("2026-01-01", 6)]
    late = counted("--since", "2026-01-01T00:00:04+00:00")
    assert late[0]["runs"] == 2


def test_a_pipe_gets_a_plain_table() -> None:
    fill(model="evil\x1b[2J\t\nmodel")
    found = run_here(["stats"])
    lines = [line.split("\t") for line in found.stdout.decode().splitlines()]
    assert (found.status, found.stderr) == (0, "")
    assert [line[0] for line in lines] == ["name", "all", "evil␛[2J model@demo"]
    assert len({len(line) for line in lines}) == 1
    assert "\x1b" not in found.stdout.decode()


@pytest.mark.parametrize("columns", [40, 80])
def test_a_terminal_gets_a_screen_that_fits(columns: int) -> None:
    fill(40, model="evil\x1b[2J\x07model日本")
    status, screen, written = on_terminal(["stats"], columns=columns)
    text = screen.text()
    assert status == 0
    assert b"\x1b[2J" not in written
    assert any("TTFT: " in line or "TTFT p50" in line for line in text)
    assert all(len(line) <= columns for line in text)


@pytest.mark.usefixtures("usual_colours")
def test_colours_are_for_terminals_that_want_them() -> None:
    fill()
    assert b"\x1b[" in on_terminal(["stats"])[2]
    assert b"\x1b[" not in on_terminal(["stats"], NO_COLOR="1")[2].replace(b"\x1b[K", b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "--since takes an age or a date, not 'soon'"),
        (["--since", "9999-01-01"], "in the future"),
        (["--by", "colour"], "colour"),
        (["--since"], "requires an argument"),
        (["--since", "1d", "--since", "2d"], "only once"),
    ],
)
def test_a_mistake_is_one_line_and_2(arguments: list[str], message: str) -> None:
    found = run_here(["stats", *arguments])
    assert (found.status, found.stdout) == (2, b"")
    assert message in found.stderr
    assert not state_folder().exists()


def test_after_json_a_mistake_is_an_event() -> None:
    found = run_here(["stats", "--json", "--since", "soon"])
    assert found.status == 2
    error = found.terminal
    assert isinstance(error, ev.Error)
    assert error.code == "usage"


def test_a_damaged_journal_is_told_and_counted_as_a_failure() -> None:
    fill(2)
    (runs_folder() / f"{run_id(5)}.jsonl").write_bytes(b"\0" * 100)
    found = run_here(["stats", "--json"])
    whole = json.loads(found.stdout.splitlines()[0])
    assert found.status == 0
    assert (whole["runs"], whole["whole"], whole["outcomes"]["unreadable"]) == (3, 1, 1)
    assert run_id(5) in found.stderr


def test_every_outcome_is_counted_under_its_name() -> None:
    codes = [it for it in OUTCOMES if it not in ("complete", "interrupted", "damaged")]
    for number, code in enumerate(codes):
        write_run(state_folder(), run_id(number), "half", end=failed(code))
    write_run(state_folder(), run_id(9), "half", killed=True)
    assert counted()[0]["outcomes"] == dict.fromkeys([*codes, "interrupted"], 1)


def test_recoveries_and_pace_come_from_the_journals_of_an_earlier_version() -> None:
    end = done()
    end.stats = FAST
    write_run(state_folder(), run_id(1), pieces=[RETRY, ev.Content("text")], end=end)
    assert run_here(["history"]).status == 0
    forget(state_folder())
    whole = counted()[0]
    assert (whole["retries"], whole["recovered"]) == (1, 1)
    assert whole["tokens_per_second"]["p50"] == 48.5


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    fill(3)
    for arguments in (["stats"], ["stats", "--json"]):
        command = " ".join([*COMMAND, *arguments])
        found = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} | head -1"],
            capture_output=True,
            check=False,
        )
        assert (found.returncode, found.stderr, found.stdout.count(b"\n")) == (0, b"", 1)


def test_a_full_disk_is_a_failure() -> None:
    fill(2)
    found = run_here(["stats"], stdout=Path("/dev/full"))
    assert found.status == 1
    assert "No space left" in found.stderr


@pytest.mark.parametrize("indexed", [False, True])
def test_ctrl_c_while_journals_are_read_is_130_and_the_next_time_does_it(indexed: bool) -> None:
    fill(20)
    assert run_here(["history"]).status == 0
    if indexed:
        forget(state_folder())
    else:
        write_run(state_folder(), run_id(20), "text")
    with closing(sqlite3.connect(state_folder() / NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Running(["stats"]) as client:
            until_true(lambda: b"nanosleep" in waits_in(client.process.pid))
            client.process.send_signal(signal.SIGINT)
            stopped = client.finish()
    assert (stopped.status, stopped.stdout) == (130, b"")
    assert counted()[0]["runs"] == 20 + (not indexed)


def test_long_work_is_shown_on_a_terminal_and_gone_at_the_end() -> None:
    fill(3)
    assert run_here(["history"]).status == 0
    forget(state_folder())
    drawn: list[Progress | None] = []
    work = LongWork(drawn.append, [(MEASURING, 4.0)], clock=iter(range(99)).__next__)
    with History(state_folder(), progress=work) as history:
        history.figures()
    assert drawn[0] is not None
    assert (drawn[0].stage, drawn[0].percentage) == (MEASURING, 0.0)
    assert drawn[-1] is None

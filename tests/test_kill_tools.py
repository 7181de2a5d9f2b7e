"""Claimed: `kill -9` at any moment, and no tool that changes something runs twice, nor is one lost.

A loop of two rounds counts in files. It is killed, and continued: a call whose start was not yet
written down has run exactly once in the end. Of one that had started and had not ended the model
is told that its outcome is unknown, and it is never started again. The answer is made from the
results, and every request is one that a strict server takes.

`support.sampling` says at how many moments it kills, and at which; all of the boundaries between
events are tried where all is to be run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.messages import Message, ToolResult
from chatstream.store.reading import events_at, journals, read
from tests.support.answers import ALL_DIALECTS
from tests.support.client import COMMAND, LIMIT
from tests.support.figures import Figures
from tests.support.sampling import by_size, chosen, sampled, seeded
from tests.support.strict import check
from tests.support.summing import Call, Summing, messages_in, results_in, sum_of

pytestmark = pytest.mark.serial

ROUNDS = [
    [Call("count", {"name": "a"}), Call("look", {"name": "b"})],
    [Call("count", {"name": "c"})],
]
COUNTERS = ("a", "c")  # whose tool changes something
MOMENTS = by_size(5, 100)
AT_ONCE = 3
KEYS = {"OPENAI_API_KEY": "test-key", "ANTHROPIC_API_KEY": "test-key"}
UNKNOWN = "outcome unknown"

TOOLS_FILE = '''
import os
import time
from pathlib import Path

import chatstream


@chatstream.tool
def count(name: str) -> str:
    """Add one to the counter of this name."""
    time.sleep(0.01)
    result = look(name)
    time.sleep(0.01)
    return result


@chatstream.tool(effect="read")
def look(name: str) -> str:
    """Look at the counter of this name."""
    with (Path(os.environ["COUNTERS"]) / name).open("ab", buffering=0) as file:
        file.write(b"x")
        return f"{name} is {file.tell()}"
'''


@dataclass
class Desk:
    """A folder with counters, and with the journals of the runs that counted there."""

    folder: Path
    server: Summing
    dialect: str

    @property
    def environ(self) -> dict[str, str]:
        state, config = str(self.folder / "state"), str(self.folder / "config")
        mine = {"XDG_STATE_HOME": state, "XDG_CONFIG_HOME": config}
        return {**os.environ, **KEYS, **mine, "COUNTERS": str(self.folder)}

    @property
    def runs(self) -> list[Path]:
        """The journals, the oldest first."""
        return journals(self.folder / "state" / "chatstream" / "runs")[::-1]

    def program(self, **given: Any) -> subprocess.Popen[bytes]:
        """A program that uses the library."""
        told = {"url": self.server.url, "dialect": self.dialect, "folder": str(self.folder)}
        arguments = ["-m", "tests.support.counted", json.dumps({**told, **given})]
        return self._started([sys.executable, *arguments])

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command, with the tools in a file."""
        return self._started([*COMMAND, *arguments])

    def count(self, name: str) -> int:
        """How often a tool has counted."""
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0

    def _started(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
        )


def ended(process: subprocess.Popen[bytes], status: int) -> list[ev.AnyEvent]:
    """What a program has put out, once it has ended in this way."""
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == status, (out, err.decode())
    return [ev.decode(line) for line in out.splitlines()]


def started(events: Iterable[ev.Event]) -> Counter[str]:
    """How often each counter's call was started here, and not in an earlier run."""
    starts = (it for it in events if isinstance(it, ev.ToolStart) and not it.replayed)
    return Counter(str(it.parameters["name"]) for it in starts)


def lost(events: Sequence[ev.Event]) -> set[str]:
    """The counters whose call was started here, and whose end is not known."""
    over = {it.id for it in events if isinstance(it, ev.ToolComplete | ev.ToolError)}
    starts = (it for it in events if isinstance(it, ev.ToolStart) and not it.replayed)
    return {str(it.parameters["name"]) for it in starts if it.id not in over}


def assert_counted(desk: Desk, told: Sequence[ev.Event]) -> str:
    """Nothing ran twice and nothing was lost. What had become of the calls when it was killed."""
    grammar.check(told)
    assert isinstance(told[-1], ev.Done), told[-1]
    *before, last = [list(events_at(path)) for path in desk.runs]
    assert [it for it in last if isinstance(it, ev.Fate)] == [
        it for it in told if isinstance(it, ev.Fate)
    ]
    starts = sum(map(started, (*before, last)), Counter[str]())
    unknown = set[str]().union(*map(lost, before)) & set(COUNTERS)
    check(desk.dialect, desk.server.exchanges)
    results = results_in(messages_in(desk.server.requests[-1].json))
    assert len(results) == len(COUNTERS) + 1
    for name, result in zip(COUNTERS, (results[0], results[2]), strict=True):
        assert starts[name] <= 1, f"{name} was started {starts[name]} times"
        if name in unknown:
            assert desk.count(name) in (0, 1)
            assert UNKNOWN in result
        else:
            assert (desk.count(name), result) == (1, f"{name} is 1")
    assert desk.count("b") >= 1
    text = "".join(it.delta for it in told if isinstance(it, ev.Content))
    assert text == sum_of(results)
    record = read(desk.runs[-1])
    made = [part for it in record.messages for part in it.parts if isinstance(part, ToolResult)]
    assert (record.outcome, record.message) == ("complete", Message("assistant", text))
    assert [it.content for it in made] == results
    return "unknown" if unknown else "known"


def run_of(path: Path) -> str:
    return path.name.removesuffix(".jsonl")


def desk_in(folder: Path, server: Summing, dialect: str) -> Desk:
    folder.mkdir(parents=True)
    return Desk(folder, server, dialect)


def all_of(attempt: Callable[[Any], str], moments: Sequence[Any]) -> Counter[str]:
    """What came of each moment; the test fails with all that failed."""
    outcomes: Counter[str] = Counter()
    failed: list[str] = []

    def tried(moment: Any) -> None:
        try:
            outcomes[attempt(moment)] += 1
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed.append(f"{moment}: {error}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(tried, moments))
    assert not failed, "\n\n".join(failed)
    return outcomes


def told_of(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_killed_after_any_event_a_loop_goes_on(
    dialect: str, tmp_path: Path, figures: Figures
) -> None:
    with Summing(ROUNDS) as server:
        whole = desk_in(tmp_path / "whole", server, dialect)
        number = len(ended(whole.program(), 0))
    places = sampled(range(1, number), 3, "events", dialect)

    def attempt(place: int) -> str:
        with Summing(ROUNDS) as server:
            desk = desk_in(tmp_path / str(place), server, dialect)
            events = ended(desk.program(die_after=place), -signal.SIGKILL)
            assert len(events) == place
            (first,) = desk.runs
            return assert_counted(desk, ended(desk.program(run=run_of(first)), 0))

    outcomes = all_of(attempt, places)
    told = f"{len(places)} of {number} events; {told_of(outcomes)}"
    figures.line(f"kill -9 of a loop, {dialect}: {told}")


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", COUNTERS)
def test_killed_inside_of_a_tool_the_outcome_is_unknown_and_the_tool_not_started_again(
    place: str, name: str, tmp_path: Path
) -> None:
    with Summing(ROUNDS) as server:
        desk = desk_in(tmp_path / "desk", server, "anthropic")
        ended(desk.program(die_in=[place, name]), -signal.SIGKILL)
        assert desk.count(name) == (place == "after")
        told = ended(desk.program(run=run_of(desk.runs[0])), 0)
        assert assert_counted(desk, told) == "unknown"
        assert desk.count(name) == (place == "after")


def test_killed_inside_of_a_tool_that_only_reads_it_runs_again(tmp_path: Path) -> None:
    with Summing(ROUNDS) as server:
        desk = desk_in(tmp_path / "desk", server, "ollama")
        ended(desk.program(die_in=["before", "b"]), -signal.SIGKILL)
        told = ended(desk.program(run=run_of(desk.runs[0])), 0)
        assert assert_counted(desk, told) == "known"
    assert [it.code for it in told if isinstance(it, ev.Warn)] == ["tool_repeated"]


PAIRS = [(first, second) for first in range(1, 25) for second in range(1, 25)]


def test_a_run_that_continues_another_is_killed_too(tmp_path: Path, figures: Figures) -> None:
    """Who repeats the command that was printed first continues the newest of them."""
    pairs = chosen(PAIRS, by_size(3, 60), "pairs")

    def attempt(places: tuple[int, int]) -> str:
        with Summing(ROUNDS) as server:
            desk = desk_in(tmp_path / "-".join(map(str, places)), server, "openai")
            ended(desk.program(die_after=places[0]), -signal.SIGKILL)
            run = run_of(desk.runs[0])
            second = desk.program(run=run, die_after=places[1])
            second.communicate(timeout=LIMIT)
            if read(desk.runs[-1]).finished:
                return "whole"
            assert_counted(desk, ended(desk.program(run=run), 0))
            opening = next(events_at(desk.runs[-1]))
            assert isinstance(opening, ev.Metadata)
            assert opening.continues == run_of(desk.runs[1])
            return "killed twice"

    outcomes = all_of(attempt, pairs)
    figures.line(f"kill -9 of a loop and of its resume: {told_of(outcomes)}")
    assert outcomes["killed twice"]


def test_killed_at_any_moment_a_command_goes_on(tmp_path: Path, figures: Figures) -> None:
    file = tmp_path / "tools.py"
    file.write_text(TOOLS_FILE)

    def asked(desk: Desk) -> list[str]:
        where = ["-p", desk.dialect, "--base-url", desk.server.url, "-m", "m"]
        tools = ["--tools-file", str(file), "--allow", "count,look"]
        return ["ask", "--json", "--retries", "0", *where, *tools, "count"]

    def attempt(number: int) -> str:
        dialect = ALL_DIALECTS[number % len(ALL_DIALECTS)]
        later = seeded("moment", number).uniform(0.0, 0.35)
        with Summing(ROUNDS, pace=0.01) as server:
            desk = desk_in(tmp_path / str(number), server, dialect)
            process = desk.command(*asked(desk))
            assert process.stdout is not None
            process.stdout.readline()  # the run has begun
            try:
                process.wait(later)
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate(timeout=LIMIT)
            if read(desk.runs[-1]).finished:
                return "whole"
            told = ended(desk.command("resume", "--json", "--allow", "count,look"), 0)
            return assert_counted(desk, told)

    outcomes = all_of(attempt, range(MOMENTS))
    figures.line(f"kill -9 of a loop: {MOMENTS} moments; {told_of(outcomes)}")
    assert sum(outcomes.values()) == MOMENTS  # which of them each is depends on the machine


def test_a_loop_that_is_whole_is_not_continued(tmp_path: Path) -> None:
    with Summing(ROUNDS) as server:
        desk = desk_in(tmp_path / "desk", server, "ollama")
        ended(desk.program(die_after=9), -signal.SIGKILL)
        first = run_of(desk.runs[0])
        ended(desk.program(run=first), 0)
        again = ended(desk.program(run=first), 0)[-1]
        counts = [desk.count(it) for it in "abc"]
    assert isinstance(again, ev.Error)
    second = run_of(desk.runs[1])
    assert again.message == (
        f"run {first} was continued by run {second}, which is complete: "
        "there is nothing to continue"
    )
    assert counts == [desk.count(it) for it in "abc"]
    last = desk.command("resume", "--plain")
    assert (last.wait(LIMIT), last.communicate()[0]) == (2, b"")


# ---- a round that waits for an approval

STOPPING = {"ask": ["count"], "on_ask": "stop"}
ALLOWING = {"allow": ["count"]}


def goes_on_to_its_end(desk: Desk, run: str) -> list[ev.AnyEvent]:
    """Approve whatever the run waits for, as often as it waits."""
    for _ in range(len(ROUNDS) + 1):
        told = ended_somehow(desk.program(run=run, options=ALLOWING))
        if isinstance(told[-1], ev.Done):
            break
        assert isinstance(told[-1], ev.Error)
        assert told[-1].code == "approval_needed"
        assert told[-1].resume == f"chatstream resume {run_of(desk.runs[-1])} --allow count"
    return told


def ended_somehow(process: subprocess.Popen[bytes]) -> list[ev.AnyEvent]:
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err.decode()
    return [ev.decode(line) for line in out.splitlines()]


def test_a_round_that_waits_for_an_approval_has_run_nothing_and_then_runs_once(
    tmp_path: Path,
) -> None:
    with Summing(ROUNDS) as server:
        desk = desk_in(tmp_path / "desk", server, "anthropic")
        first = ended_somehow(desk.program(options=STOPPING))
        grammar.check(first)
        assert isinstance(first[-1], ev.Error)
        assert [desk.count(it) for it in "abc"] == [0, 0, 0], "not even what only reads"
        second = ended_somehow(desk.program(run=run_of(desk.runs[0]), options=ALLOWING))
        assert isinstance(second[-1], ev.Error), "the next round asks again"
        assert [desk.count(it) for it in "abc"] == [1, 1, 0]
        told = goes_on_to_its_end(desk, run_of(desk.runs[0]))
        assert assert_counted(desk, told) == "known"
        assert [len(it.json["messages"]) for it in server.requests] == [1, 3, 5], (
            "a round that waited was not asked for again"
        )


def test_what_was_not_allowed_keeps_waiting(tmp_path: Path) -> None:
    with Summing(ROUNDS) as server:
        desk = desk_in(tmp_path / "desk", server, "openai")
        ended_somehow(desk.program(options=STOPPING))
        for options in ({}, {"allow": ["look"]}):
            told = ended_somehow(desk.program(run=run_of(desk.runs[0]), options=options))
            assert isinstance(told[-1], ev.Error)
            assert told[-1].code == "approval_needed"
            assert [desk.count(it) for it in "abc"] == [0, 0, 0]
        assert assert_counted(desk, goes_on_to_its_end(desk, run_of(desk.runs[0]))) == "known"


APPROVALS = [(first, second) for first in range(1, 13) for second in range(1, 20)]


def test_killed_around_an_approval_nothing_runs_twice(tmp_path: Path, figures: Figures) -> None:
    """The run that waits is killed, and so is the one that was allowed to go on."""
    pairs = chosen(APPROVALS, by_size(3, 60), "approvals")

    def attempt(places: tuple[int, int]) -> str:
        with Summing(ROUNDS) as server:
            desk = desk_in(tmp_path / "-".join(map(str, places)), server, "openai")
            desk.program(options=STOPPING, die_after=places[0]).communicate(timeout=LIMIT)
            run = run_of(desk.runs[0])
            second = desk.program(run=run, options={**STOPPING, **ALLOWING}, die_after=places[1])
            second.communicate(timeout=LIMIT)
            return assert_counted(desk, goes_on_to_its_end(desk, run))

    outcomes = all_of(attempt, pairs)
    figures.line(f"kill -9 around an approval: {told_of(outcomes)}")

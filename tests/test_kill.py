"""Claimed: `kill -9` loses nothing. Whatever had reached standard output is in the journal, in
order and once, and `chatstream resume` makes the answer whole.

`support.sampling` says at how many moments it kills, and at which.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chatstream.store.reading import Record, events_of, journals, read
from tests.support.client import COMMAND, LIMIT, Finished, Running
from tests.support.continuing import Continuing, long_text
from tests.support.figures import Figures
from tests.support.loopback import Reply, Request
from tests.support.sampling import by_size, seeded

pytestmark = pytest.mark.serial

MOMENTS = by_size(8, 200)
AT_ONCE = 5  # clients that run at the same time
TOKENS = 2000
PER_WRITE = 5
PACE = 0.002  # seconds a write: the answer takes about a second
TEXT = long_text(TOKENS)
WHOLE = TEXT.encode()
DIALECTS = {"ollama": "m", "vllm": "m", "anthropic": "claude-haiku-4-5"}


@dataclass(frozen=True)
class Moment:
    """When one client is killed: `later` seconds after the server has made so many writes.

    Without a number it is so long after the process was started.
    """

    number: int
    provider: str
    form: str  # of the output
    writes: int | None
    later: float

    def __str__(self) -> str:
        after = "the start" if self.writes is None else f"write {self.writes}"
        return (
            f"{self.number}: {self.provider} {self.form}, {self.later * 1000:.1f} ms after {after}"
        )


def moments() -> list[Moment]:
    """Most of them while the answer comes; one in eight around the start of the process."""
    chance = seeded("moments")
    found = []
    for number in range(MOMENTS):
        provider = list(DIALECTS)[number % len(DIALECTS)]
        form = "--json" if number % 5 == 4 else "--plain"
        if number % 8 == 7:
            found.append(Moment(number, provider, form, None, chance.uniform(0.0, 0.4)))
        else:
            # The last ones are so near the end that the answer may be whole by then.
            writes = chance.randrange(0, TOKENS // PER_WRITE + 3)
            found.append(Moment(number, provider, form, writes, chance.uniform(0.0, 0.004)))
    return found


class Paced(Continuing):
    """Tells, for the first request, when so many writes have been made; later ones are quick."""

    def __init__(self, writes: int | None) -> None:
        super().__init__(TEXT, per_write=PER_WRITE, pace=PACE)
        self.reached = threading.Event()
        self._writes = writes

    def take(self, request: Request) -> Reply:
        reply = super().take(request)
        if len(self.asked) > 1:
            return Reply(reply.body, headers=reply.headers)
        if self._writes == 0:
            self.reached.set()
        return Reply(self._watched(reply), headers=reply.headers, pace=PACE)

    def _watched(self, reply: Reply) -> Iterator[bytes]:
        for number, write in enumerate(reply.writes(), 1):
            yield write
            if number == self._writes:
                self.reached.set()
        self.reached.set()


def kill_at(moment: Moment, folder: Path) -> str:
    """Kill one client, look at what is left, resume. Returns what had come of the answer."""
    environ = {"XDG_STATE_HOME": str(folder / "state")}
    with Paced(moment.writes) as server:
        flags = ["-p", moment.provider, "--base-url", server.url, "-m", DIALECTS[moment.provider]]
        shown = killed(moment, ["ask", moment.form, *flags, "hi"], folder / "out", server, environ)
        runs = journals(folder / "state" / "chatstream" / "runs")
        record = read(runs[0]) if runs and runs[0].stat().st_size else None
        kept = record.message.content.encode() if record else b""
        if moment.form == "--json":
            events = list(events_of([shown]))
            journalled = list(events_of([runs[0].read_bytes()])) if record else []
            assert events == journalled[: len(events)], "the journal says otherwise"
        else:
            assert kept.startswith(shown), "the journal does not hold what was shown"
        assert WHOLE.startswith(kept), "the journal does not hold what was sent"
        resumed = client(["resume", "--plain"], environ)
        assert_resumed(resumed, record, folder)
        assert server.strays == []
    if record is None:
        return "no journal"
    return "whole" if record.finished else "text" if kept else "no text"


def killed(
    moment: Moment,
    arguments: list[str],
    output: Path,
    server: Paced,
    environ: Mapping[str, str],
) -> bytes:
    """What a client has put out until it is killed."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environ},
        )
        if moment.writes is not None:
            assert server.reached.wait(LIMIT)
        try:
            process.wait(moment.later)  # it lives longer than that, as a rule
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait(LIMIT)
    return output.read_bytes()


def client(arguments: list[str], environ: Mapping[str, str]) -> Finished:
    with Running(arguments, XDG_STATE_HOME=environ["XDG_STATE_HOME"]) as running:
        return running.finish()


def assert_resumed(done: Finished, record: Record | None, folder: Path) -> None:
    """The answer is whole, and the journal names the run that it goes on with."""
    if record is None or record.finished:
        assert (done.status, done.stdout) == (2, b""), done.stderr
        assert "there is no unfinished run" in done.stderr
        return
    assert done.status == 0, done.stderr
    assert done.stdout == WHOLE
    newest, first = (read(path) for path in journals(folder / "state" / "chatstream" / "runs"))
    assert (newest.continues, first.run) == (record.run, record.run)
    assert (newest.outcome, newest.message.content) == ("complete", TEXT)
    assert first.outcome == "interrupted"


def test_a_killed_client_has_lost_nothing_and_its_answer_can_be_made_whole(
    tmp_path: Path, figures: Figures
) -> None:
    outcomes: Counter[str] = Counter()
    failed: list[str] = []

    def attempt(moment: Moment) -> None:
        folder = tmp_path / str(moment.number)
        folder.mkdir()
        try:
            outcomes[kill_at(moment, folder)] += 1
        except AssertionError as error:
            failed.append(f"{moment}: {error}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(attempt, moments()))
    told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    figures.line(f"kill -9: {MOMENTS} moments, {len(failed)} failed; what was left: {told}")
    assert not failed, "\n".join(failed)
    assert outcomes["text"] > MOMENTS // 2


def test_a_client_that_is_killed_while_it_resumes_can_be_resumed_again(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    with Paced(100) as server:
        flags = ["-p", "ollama", "--base-url", server.url, "-m", "m"]
        first = killed(
            Moment(0, "ollama", "--plain", 100, 0.001),
            ["ask", "--plain", *flags, "hi"],
            tmp_path / "first",
            server,
            environ,
        )
    with Paced(100) as second:
        arguments = ["resume", "--plain", "--base-url", second.url]
        moment = Moment(1, "ollama", "--plain", 100, 0.001)
        further = killed(moment, arguments, tmp_path / "second", second, environ)
        assert further.startswith(first)
        assert WHOLE.startswith(further)
        done = client(["resume", "--plain"], environ)
    assert (done.status, done.stdout) == (0, WHOLE)
    runs = [read(path) for path in journals(tmp_path / "state" / "chatstream" / "runs")]
    assert [run.outcome for run in runs] == ["complete", "interrupted", "interrupted"]
    assert [run.continues for run in runs] == [runs[1].run, runs[2].run, None]


def test_a_client_that_is_killed_before_it_began_leaves_nothing_to_resume(tmp_path: Path) -> None:
    done = client(["resume", "--plain"], {"XDG_STATE_HOME": str(tmp_path)})
    assert (done.status, done.stdout) == (2, b"")
    assert "there is no unfinished run" in done.stderr


class Silent(Continuing):
    """Says nothing to the first request, not even a response head."""

    def take(self, request: Request) -> Reply:
        reply = super().take(request)
        silent = len(self.asked) == 1
        return replace(reply, hold={"before_head": threading.Event()}) if silent else reply


def test_a_client_that_is_killed_before_the_first_token_asks_anew(tmp_path: Path) -> None:
    runs = tmp_path / "chatstream" / "runs"
    with Silent(TEXT) as server:
        arguments = ["ask", "-p", "ollama", "--base-url", server.url, "-m", "m", "hi"]
        with Running([*arguments], XDG_STATE_HOME=str(tmp_path)) as running:
            assert server.wait_requests()
            deadline = time.monotonic() + LIMIT
            while not (journals(runs) and journals(runs)[0].stat().st_size):
                assert time.monotonic() < deadline, "the run was never written down"
                select.select([], [], [], 0.01)
            running.process.kill()
            running.process.wait(LIMIT)
        assert read(journals(runs)[0]).message.content == ""
        done = client(["resume", "--plain"], {"XDG_STATE_HOME": str(tmp_path)})
    assert (done.status, done.stdout) == (0, WHOLE)
    assert [asked.there for asked in server.asked] == ["", ""]
    newest, first = (read(path) for path in journals(runs))
    assert (newest.continues, first.outcome) == (first.run, "interrupted")

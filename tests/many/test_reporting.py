"""Claimed: how far a batch is, is told in a bar or in a few lines, and its end always."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled
from chatstream.events import Progress
from chatstream.many import reporting
from chatstream.many.batch import Batch, Tally
from chatstream.many.files import Failure, Result
from chatstream.many.gate import Gates
from chatstream.many.reporting import DRAW_SECONDS, LINE_SECONDS, MOST_TOLD, Reporter

OUT = Path("out.jsonl")


class Time:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Situation:
    """A batch that has come so far, and its reporter."""

    def __init__(self, total: int | None = 100) -> None:
        self.time, self.token = Time(), CancelToken()
        self.gates = Gates(clock=self.time)

        def ask(*_: object) -> None:
            raise AssertionError("nothing is asked here")

        self.batch = Batch(ask, self.gates, self.token, most=3)  # type: ignore[arg-type]
        self.reporter = Reporter(
            self.batch, self.gates, total, waits="queued", quiet=False, clock=self.time
        )

    def pass_(self, seconds: float) -> None:
        self.time.now += seconds
        self.reporter.look(None, 0)


def test_without_a_terminal_there_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    situation = Situation()
    situation.batch.tally = Tally(answered=48, failed=2, tokens=9600, cost=0.25)
    for _ in range(100):
        situation.pass_(LINE_SECONDS / 50)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "batch: 50/100 · 4.8 answers/s · 960 tokens/s · $0.25 · 2 failed · 10 s left",
        "batch: 50/100 · 2.4 answers/s · 480 tokens/s · $0.25 · 2 failed · 10 s left",
    ]


def test_of_a_pipe_nobody_knows_how_much_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    situation = Situation(total=None)
    situation.batch.tally = Tally(answered=50)
    situation.pass_(LINE_SECONDS)
    assert capsys.readouterr().err == "batch: 50 · 5.0 answers/s\n"


def test_on_a_terminal_the_bar_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "can_draw", lambda: True)
    situation = Situation()
    drawn: list[Progress | None] = []
    situation.reporter._draw = drawn.append
    situation.batch.tally = Tally(answered=50)
    for _ in range(8):
        situation.pass_(DRAW_SECONDS * 0.625)
    events = [it for it in drawn if it is not None]
    assert len(events) == len(drawn) == 4
    assert (events[-1].stage, events[-1].percentage) == ("batch", 50.0)
    assert events[-1].message == "50/100 · 50 answers/s"


def test_who_waits_at_the_server_is_told_and_for_how_long_it_wants_all_to_wait(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    situation = Situation()
    monkeypatch.setattr(Batch, "under_way", (8, 1))
    situation.pass_(LINE_SECONDS)
    monkeypatch.setattr(Gates, "wait", lambda _: 42.0)
    situation.pass_(LINE_SECONDS)
    assert capsys.readouterr().err.splitlines() == [
        "batch: 0/100 · 7 queued",
        "batch: 0/100 · the server asks for a wait of 42 s",
    ]


def test_only_the_first_failures_are_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    situation = Situation()
    for number in range(2 * MOST_TOLD):
        error = Failure("bad_request", f"reason {number}\x1b[2J")
        situation.reporter.look(Result(id=f"id{number}", index=number, error=error), 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "failed: id0: reason 0␛[2J"
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == "failed: see the output for the other failures"


def test_the_end_says_what_there_is_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    situation = Situation()
    situation.time.now += 10.0
    situation.batch.tally = Tally(answered=1000, failed=3, tokens=5000)
    situation.reporter.conclude(OUT, 20, 3, situation.token)
    situation.reporter.conclude(None, 0, 0, situation.token)
    situation.batch.stopped = Failure("quota", "the quota is used up", hint="pay")
    situation.reporter.conclude(OUT, 0, 0, situation.token)
    situation.batch.stopped = None
    situation.token.cancel(Cancelled("stopped"))
    situation.reporter.conclude(OUT, 0, 0, situation.token)
    figures = "100 answers/s, 500 tokens/s in 10 s"
    assert capsys.readouterr().err.splitlines() == [
        f"batch: 1,000 answered, 3 failed, 20 already in the output, {figures}",
        "--retry-failed asks the 3 failed lines again",
        f"batch: 1,000 answered, {figures}",
        f"batch: 1,000 answered, {figures}",
        "error: stopped: the quota is used up; pay",
        "run it again to continue",
        f"batch: 1,000 answered, {figures}",
        "run it again to continue",
    ]


def test_a_warning_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    situation = Situation()
    for warning in (None, "careful", "careful", None):
        situation.reporter.warn(warning)
    assert capsys.readouterr().err == "warning: careful\n"

"""Claimed: a run is shown where its reader is, and however that ends the journal tells its end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.cli.config import Settings
from chatstream.cli.output import choose_sink, is_resettable, is_screen, show
from chatstream.errors import HungUp
from chatstream.flow import Pulse
from chatstream.sinks.deferred import DeferredSink
from chatstream.sinks.jsonl import JsonlSink
from chatstream.sinks.plain import PlainSink
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import read
from chatstream.store.retention import STAMP
from tests.support.answers import frames, headers
from tests.support.client import Running, run, server_flags
from tests.support.loopback import Reply, Script
from tests.support.runs import run_id, write_run

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)
FAILED = ev.Error("truncated", "cut", recoverable=True, partial=True)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 1)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is none."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_a_screen_unless_something_else_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_screen(as_json=False, plain=False)
    assert not is_screen(as_json=True, plain=False)
    assert not is_screen(as_json=False, plain=True)
    assert is_resettable(as_json=False)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_screen(as_json=False, plain=False)


@pytest.mark.usefixtures("pipe")
def test_a_pipe_is_no_screen_and_only_events_can_be_taken_back_there() -> None:
    assert not is_screen(as_json=False, plain=False)
    assert not is_resettable(as_json=False)
    assert is_resettable(as_json=True)


@pytest.mark.usefixtures("terminal")
def test_each_reader_has_its_sink_on_a_terminal() -> None:
    assert isinstance(choose_sink(Settings(), as_json=False, plain=False), DeferredSink)
    assert isinstance(choose_sink(Settings(), as_json=False, plain=True), PlainSink)
    assert isinstance(choose_sink(Settings(), as_json=True, plain=False), JsonlSink)


@pytest.mark.usefixtures("pipe")
def test_each_reader_has_its_sink_on_a_pipe() -> None:
    assert isinstance(choose_sink(Settings(), as_json=False, plain=False), PlainSink)
    assert isinstance(choose_sink(Settings(), as_json=True, plain=False), JsonlSink)


class Sink:
    """Keeps what it gets; `fails` with its second event."""

    def __init__(self, fails: OSError | None = None) -> None:
        self.written: list[ev.Event] = []
        self.flushed = 0
        self.closed = 0
        self._fails = fails

    def write(self, event: ev.Event) -> None:
        if self._fails is not None and self.written:
            raise self._fails
        self.written.append(event)

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.closed += 1


def source(closed: list[bool], *events: ev.Event) -> Iterator[ev.Event]:
    try:
        yield from events
    finally:
        closed.append(True)


@pytest.mark.parametrize(("last", "status"), [(DONE, 0), (FAILED, 5)])
def test_the_status_is_that_of_the_terminal_event(last: ev.Event, status: int) -> None:
    sink, closed = Sink(), [False]
    events = [ev.Content("a"), Pulse(), last]
    assert show(source(closed, *events), sink, CancelToken()) == status
    assert (sink.written, sink.flushed, sink.closed) == ([events[0], last], 1, 1)
    assert closed == [False, True]


def test_a_reader_that_went_away_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    closed: list[bool] = []
    sink = Sink(BrokenPipeError())
    assert show(source(closed, ev.Content("a"), ev.Content("b"), DONE), sink, CancelToken()) == 0
    assert (closed, sink.closed, capsys.readouterr().err) == ([True], 1, "")


def test_an_output_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink(OSError(28, "No space left on device"))
    assert show(source([], ev.Content("a"), ev.Content("b"), DONE), sink, CancelToken()) == 1
    assert capsys.readouterr().err == (
        "error: the output cannot be written: No space left on device\n"
    )


def test_a_terminal_that_was_closed_is_a_hang_up(capsys: pytest.CaptureFixture[str]) -> None:
    token = CancelToken()
    token.cancel(HungUp("the terminal was closed"))
    sink = Sink(OSError(5, "Input/output error"))
    assert show(source([], ev.Content("a"), ev.Content("b"), FAILED), sink, token) == 129
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("more", [[], ["--json"], ["--buffer", "fixed"], ["--coalesce"]])
def test_a_reader_that_has_seen_enough_leaves_a_whole_journal(more: list[str]) -> None:
    """`chatstream ask … | head -1`"""
    endless = itertools.chain(frames("ollama"), itertools.repeat(frames("ollama", ["more\n"])[0]))
    with Script(Reply(endless, headers=headers("ollama"))) as server:
        with Running(["ask", *more, *server_flags("ollama", server.url), "hi"]) as client:
            line = client.read_line()
            assert client.process.stdout is not None
            client.process.stdout.close()
            assert client.process.wait(10) == 0
        assert server.wait_closed()
    (path,) = runs_folder().iterdir()
    record = read(path)
    assert (record.damage, record.outcome) == (None, "cancelled")
    assert isinstance(record.terminal, ev.Error)
    assert record.terminal.message == "nobody reads any more"
    if not more:
        assert record.message.content.startswith(line.decode())


def test_a_full_disk_is_told_and_ends_the_run(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    import subprocess

    from tests.support.client import COMMAND

    endless = itertools.repeat(frames("ollama", ["more\n"])[0])
    with Script(Reply(endless, headers=headers("ollama"))) as server, full.open("wb") as out:
        done = subprocess.run(
            [*COMMAND, "ask", *server_flags("ollama", server.url), "hi"],
            stdout=out,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        assert server.wait_closed()
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: the output cannot be written")


@pytest.mark.parametrize(("flags", "left"), [([], False), (["--no-journal"], True)])
def test_after_an_answer_old_journals_go_and_the_history_keeps_what_they_told(
    flags: list[str], left: bool
) -> None:
    old = write_run(state_folder(), run_id(1), "what was said")
    stamp = state_folder() / STAMP
    stamp.touch()
    os.utime(stamp, (0, 0))
    assert run(["ask", "-p", "demo", "-m", "demo-fast", *flags, "hi"]).status == 0
    assert old.exists() is left
    assert run(["history", "show", old.stem, "--text"]).stdout == b"what was said"

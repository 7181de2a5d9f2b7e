"""Claimed: a run is shown where its reader is, and however that ends the journal tells its end."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.engine.settings import Settings
from chatstream.errors import Cancelled, HungUp
from chatstream.flow import Arrival
from chatstream.sinks.accessible import AccessibleSink
from chatstream.sinks.jsonl import JsonlSink
from chatstream.sinks.plain import PlainSink
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import read
from chatstream.store.retention import STAMP
from chatstream.terminal.copying import Copying
from chatstream.terminal.look import has_colours, is_screen
from chatstream.terminal.present import choose_sink, present, show
from tests.support.answers import ending, frames, headers
from tests.support.arrivals import each
from tests.support.client import COMMAND, LIMIT, Running, run, server_flags
from tests.support.loopback import Reply, Script
from tests.support.runs import run_id, write_run
from tests.support.terminal import on_terminal

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)
FAILED = ev.Error("truncated", "cut", recoverable=True, partial=True)


@pytest.mark.usefixtures("terminal")
def test_each_reader_has_its_sink_on_a_terminal() -> None:
    assert is_screen(Settings(), as_json=False, plain=False)
    assert isinstance(choose_sink(Settings(), as_json=False, plain=True), PlainSink)
    assert isinstance(choose_sink(Settings(), as_json=True, plain=False), JsonlSink)
    spoken = Settings(accessible=True)
    assert isinstance(choose_sink(spoken, as_json=False, plain=False), AccessibleSink)
    assert isinstance(choose_sink(spoken, as_json=False, plain=True), PlainSink)
    assert isinstance(choose_sink(spoken, as_json=True, plain=False), JsonlSink)


@pytest.mark.usefixtures("pipe")
def test_each_reader_has_its_sink_on_a_pipe() -> None:
    assert isinstance(choose_sink(Settings(), as_json=False, plain=False), PlainSink)
    assert isinstance(choose_sink(Settings(), as_json=True, plain=False), JsonlSink)
    spoken = Settings(accessible=True)
    assert isinstance(choose_sink(spoken, as_json=False, plain=False), AccessibleSink)


COLOURS = [
    ({}, True, False),
    ({"NO_COLOR": "1"}, False, False),
    ({"NO_COLOR": ""}, True, False),
    ({"FORCE_COLOR": "1"}, True, True),
    ({"FORCE_COLOR": "0"}, True, False),
    ({"CLICOLOR_FORCE": "1"}, True, True),
    ({"CLICOLOR_FORCE": "0"}, True, False),
    ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
    ({"FORCE_COLOR": ""}, True, False),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ({"TERM": "dumb"}, False, False),
    ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
]


@pytest.mark.usefixtures("usual_colours")
@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("environ", "there", "elsewhere"), COLOURS)
def test_notes_have_colours_on_a_terminal_or_by_force(
    environ: dict[str, str], there: bool, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert (has_colours(1), has_colours(2)) == (there, elsewhere)


class Sink:
    """Keeps what it gets; `fails` with its second arrival."""

    def __init__(self, fails: OSError | None = None) -> None:
        self.written: list[list[ev.Event]] = []
        self.closed = 0
        self._fails = fails

    def write(self, arrival: Arrival) -> None:
        if self._fails is not None and self.written:
            raise self._fails
        self.written.append(arrival.events)

    def close(self) -> None:
        self.closed += 1


def source(closed: list[bool], *parts: ev.Event | Arrival) -> Iterator[Arrival]:
    try:
        yield from each(*parts)
    finally:
        closed.append(True)


@pytest.mark.parametrize(("last", "status"), [(DONE, 0), (FAILED, 5)])
def test_the_status_is_that_of_the_terminal_event(last: ev.Event, status: int) -> None:
    sink, closed = Sink(), [False]
    a, b = ev.Content("a"), ev.Content("b")
    run = source(closed, a, Arrival(), Arrival([b, last]))
    assert show(run, sink, CancelToken()) == status
    assert (sink.written, sink.closed) == ([[a], [], [b, last]], 1)
    assert closed == [False, True]


def test_a_reader_that_went_away_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    closed: list[bool] = []
    sink = Sink(BrokenPipeError())
    assert show(source(closed, ev.Content("a"), ev.Content("b"), DONE), sink, CancelToken()) == 0
    assert (closed, sink.closed, capsys.readouterr().err) == ([True], 1, "")


def test_an_output_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink(OSError(28, "No space left on device"))
    assert show(source([], ev.Content("a"), ev.Content("b"), DONE), sink, CancelToken()) == 1
    assert capsys.readouterr().err == ("error: cannot write the output: No space left on device\n")


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
    assert record.terminal.message == "the reader has gone"
    if not more:
        assert record.message.content.startswith(line.decode())


def test_a_full_disk_is_told_and_ends_the_run(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
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
    assert done.stderr.decode().startswith("error: cannot write the output")


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


class Copy(Copying):
    """Tells what was done, and in which order; fails where it is told to."""

    def __init__(self, done: list[str], *, ok: bool = True) -> None:
        super().__init__(copy=True)
        self._done, self._ok = done, ok

    def stage(self, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        yield from arrivals
        self._done.append("shown")

    def finish(self, out: Callable[[str], None]) -> bool:
        out("copied \x1b[2J")
        self._done.append("copied")
        return self._ok


@pytest.mark.usefixtures("pipe")
@pytest.mark.parametrize(
    ("last", "ok", "status"), [(DONE, True, 0), (DONE, False, 1), (FAILED, False, 5)]
)
def test_a_copy_that_failed_is_a_failure_of_a_run_that_was_none(
    last: ev.Event, ok: bool, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    got = present(
        each(ev.Content("text"), last),
        Settings(),
        CancelToken(),
        as_json=False,
        plain=False,
        copying=Copy(done, ok=ok),
    )
    out, err = capfd.readouterr()
    assert (got, done, out) == (status, ["shown", "copied"], "text")
    assert err.endswith("copied ␛[2J\n")


@pytest.mark.usefixtures("terminal")
def test_who_stopped_an_answer_is_not_called(capfd: pytest.CaptureFixture[str]) -> None:
    for cancelled in (False, True):
        token = CancelToken()
        if cancelled:
            token.cancel(Cancelled("stopped"))
        settings = Settings(notify="bell")
        present(each(DONE), settings, token, as_json=False, plain=True, copying=None)
        assert capfd.readouterr().out == ("" if cancelled else "\a")


# ---- real processes

START = """
import atexit, gc, http.client, sys
from chatstream.__main__ import run
usual, told, file = gc.get_threshold(), [], sys.argv.pop()
send = http.client.HTTPConnection.send
def noted(self, data):
    told[:] = told or ["chatstream.sinks.live" in sys.modules, gc.get_threshold() == usual]
    send(self, data)
http.client.HTTPConnection.send = noted
atexit.register(lambda: open(file, "w").write(f"{told} {gc.get_threshold() == usual}"))
run()
"""


def test_the_screen_is_made_and_the_collector_back_once_the_request_is_sent(
    tmp_path: Path,
) -> None:
    with Script(served("text")) as server:
        arguments = ["ask", *server_flags("ollama", server.url), "hi", str(tmp_path / "told")]
        status, screen, _ = on_terminal(arguments, command=[sys.executable, "-c", START])
    assert (status, screen.text()[0]) == (0, "text")
    assert (tmp_path / "told").read_text() == "[False, False] True"


LOUD = {"FORCE_COLOR": "1", "COLUMNS": "20", "CI": "true", "GITHUB_ACTIONS": "true"}
LONG = "# A *heading*\n\n" + "word " * 40 + "\n\n```py\nx = 1\n```\n\x1b[31m"


def served(text: str, *, end: bool = True) -> Reply:
    body = [*frames("ollama", [text]), *(ending("ollama") if end else [])]
    return Reply(body, headers=headers("ollama"))


@pytest.mark.parametrize(
    "environ",
    [LOUD, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"ACCESSIBLE": "1"}, {"TTY_COMPATIBLE": "1"}],
    ids=lambda environ: next(iter(environ)),
)
def test_a_pipe_gets_the_bytes_of_the_answer_whatever_the_environment_says(
    environ: dict[str, Any],
) -> None:
    with Script(served(LONG)) as server:
        done = run(["ask", *server_flags("ollama", server.url), "hi"], **environ)
    assert (done.status, done.stdout) == (0, LONG.encode())


@pytest.mark.usefixtures("usual_colours")
@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_notes_on_a_pipe_have_colours_by_force_only(
    environ: dict[str, Any], coloured: bool
) -> None:
    with Script(served("half", end=False)) as server:
        flags = ["--retries", "0", *server_flags("ollama", server.url)]
        done = run(["ask", *flags, "hi"], **environ)
    assert (done.status, done.stdout) == (5, b"half")
    assert ("\x1b[1;91merror: " in done.stderr) is coloured
    assert ("\x1b" in done.stderr) is coloured


@pytest.mark.usefixtures("usual_colours")
def test_both_outputs_in_one_pipe_hold_plain_text_only() -> None:
    """`chatstream ask … 2>&1 | cat`"""
    with Script(served("half", end=False)) as server:
        flags = ["--retries", "0", "--stats", *server_flags("ollama", server.url)]
        done = subprocess.run(
            [*COMMAND, "ask", *flags, "hi"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
    assert done.stdout.startswith(b"halferror: ")
    assert b"\x1b" not in done.stdout


@pytest.mark.usefixtures("usual_colours")
@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_without_escapes_gets_the_text_as_it_comes(term: str) -> None:
    with Script(served("# One\n\ntwo")) as server:
        flags = ["--stats", *server_flags("ollama", server.url)]
        status, screen, written = on_terminal(["ask", *flags, "hi"], TERM=term)
    assert (status, screen.text()[:3]) == (0, ["# One", "", "two"])
    assert b"\x1b" not in written


@pytest.mark.usefixtures("usual_colours")
def test_notes_on_a_terminal_have_colours_and_the_answer_has_none() -> None:
    with Script(served("# One\n")) as server:
        arguments = ["ask", "--plain", "--stats", *server_flags("ollama", server.url), "hi"]
        *_, written = on_terminal(arguments)
    assert written.startswith(b"# One\r\n\x1b[32m")
    assert written.endswith(b"\x1b[0m\r\n")


@pytest.mark.parametrize(
    ("flags", "environ"), [(["--accessible"], {}), ([], {"ACCESSIBLE": "1", "FORCE_COLOR": "1"})]
)
def test_a_screen_reader_gets_sentences_and_no_escapes(
    flags: list[str], environ: dict[str, Any]
) -> None:
    with Script(served("One. Two.\n\n```py\nx\n```\n")) as server:
        arguments = ["ask", *flags, *server_flags("ollama", server.url), "hi"]
        status, screen, written = on_terminal(arguments, **environ)
    *lines, last = screen.text()
    assert status == 0
    assert lines == [
        "Connected, waiting for the first token.",
        "One. Two.",
        "",
        "Code, py:",
        "x",
        "End of code.",
    ]
    assert last.startswith("Done. 5 tokens in ")
    assert b"\x1b" not in written


def test_a_screen_reader_hears_of_a_configuration_that_cannot_be_used() -> None:
    status, screen, written = on_terminal(["ask", "hi"], ACCESSIBLE="1", CHATSTREAM_RETRIES="x")
    assert status == 2
    assert screen.text()[0].startswith("Error: CHATSTREAM_RETRIES takes ")
    assert b"\x1b" not in written


def test_a_screen_reader_hears_that_the_answer_was_stopped() -> None:
    endless = itertools.repeat(frames("ollama", ["more. "])[0])

    def stop(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if b"more. more." in written and not stopped:
            stopped.append(True)
            client.send_signal(signal.SIGINT)

    stopped: list[bool] = []
    with Script(Reply(endless, headers=headers("ollama"), pace=0.01)) as server:
        arguments = ["ask", "--accessible", *server_flags("ollama", server.url), "hi"]
        status, screen, written = on_terminal(arguments, columns=200, seen=stop)
    assert status == 130
    assert screen.text()[-2] == "Stopped."
    assert screen.text()[-1].startswith("To continue it, run: chatstream resume ")
    assert b"\x1b" not in written


def test_a_recorded_terminal_session_is_a_terminal() -> None:
    """`script -qc 'chatstream ask …'`"""
    script = shutil.which("script")
    if script is None:
        pytest.skip("there is no script here")
    with Script(served("One.\n")) as server:
        line = shlex.join([*COMMAND, "ask", *server_flags("ollama", server.url), "hi"])
        done = subprocess.run(
            [script, "-qec", line, os.devnull],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT,
            env={**os.environ, "ACCESSIBLE": "1"},
            check=False,
        )
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == b"One."


@pytest.mark.usefixtures("usual_colours")
@pytest.mark.parametrize("command", [["ask", "-p", "demo", "hi"], ["resume"], ["replay", "-"]])
def test_an_unknown_theme_is_told_before_anything_is_done(command: list[str]) -> None:
    write_run(state_folder(), run_id(1), "half", killed=True)
    done = run([*command, "--theme", "pink"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr == 'error: --theme takes auto, dark or light, not "pink"\n'


@pytest.mark.parametrize("command", ["ask", "resume", "replay"])
def test_an_unknown_code_theme_is_told_before_anything_is_asked(command: str) -> None:
    write_run(state_folder(), run_id(1), "half", killed=True)
    with Script(served("never asked")) as server:
        flags = {
            "ask": ["hi", *server_flags("ollama", server.url)],
            "resume": [run_id(1), *server_flags("ollama", server.url)],
            "replay": [run_id(1)],
        }
        arguments = [command, *flags[command], "--code-theme", "monokay"]
        status, screen, _ = on_terminal(arguments, columns=100)
        assert server.requests == []
    assert status == 2
    assert "unknown code theme 'monokay'" in screen.text()[0]
    assert "did you mean 'monokai'?" in screen.text()[1]


RENDER = ["ask", "-p", "demo", "-m", "demo-fast", "--render", "hello"]


@pytest.mark.usefixtures("usual_colours")
def test_render_draws_in_a_pipe_and_color_decides_on_the_colours() -> None:
    drawn = run(RENDER, COLUMNS="50").stdout
    assert b"\x1b" not in drawn
    assert "Feature │ Shown here" in drawn.decode()
    coloured = run([*RENDER, "--color", "always"], COLUMNS="50", NO_COLOR="1").stdout
    assert b"\x1b[" in coloured
    assert run([*RENDER, "--color", "never"], CLICOLOR_FORCE="1", COLUMNS="50").stdout == drawn
    assert b"\x1b[" in run(RENDER, CLICOLOR_FORCE="1").stdout


def test_without_render_a_pipe_gets_the_bytes_whatever_the_colours() -> None:
    plain = [it for it in RENDER if it != "--render"]
    answer = run(plain).stdout
    assert b"over a **real**" in answer
    assert run([*plain, "--color", "always"], CLICOLOR_FORCE="1").stdout == answer


@pytest.mark.parametrize("other", ["--json", "--plain"])
def test_render_and_what_excludes_it_are_a_mistake(other: str) -> None:
    done = run([*RENDER, other])
    assert done.status == 2
    assert f"--render and {other} exclude each other" in done.stderr + done.stdout.decode()


# ---- questions of tools

ASKING = """
import sys, time
from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.settings import Settings
from chatstream.flow import Arrival
from chatstream.terminal.present import present

def run():
    yield Arrival([ev.Content("First. ")])
    question = ev.Approval("1", "write", "ask", "default", {"path": "a.txt"})
    control.ask(question)
    yield Arrival([question])
    for poll in range(400):
        if poll == 10:  # from now on a key counts
            yield Arrival([ev.Warn("ready", "ready")])
        if (answer := control.take_answer()) is not None:
            break
        yield Arrival()
        time.sleep(0.05)
    yield Arrival([ev.Approval("1", "write", "deny" if answer == "no" else "allow", "user")])
    yield Arrival([ev.Content(f"The answer was {answer}.")])
    yield Arrival([ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)])

control, look = Control(), sys.argv[1]
sys.exit(present(
    run(), Settings(accessible=look == "accessible"), CancelToken(), as_json=look == "json",
    plain=look == "plain", copying=None, control=control,
))
"""


@pytest.mark.screen
@pytest.mark.parametrize("look", ["live", "plain", "accessible", "json"])
@pytest.mark.parametrize("key", ["y", "a", "n"])
def test_a_question_is_asked_and_answered_where_the_user_looks(look: str, key: str) -> None:
    keys = [key.encode()]

    def typed(written: bytes) -> bytes:
        return keys.pop() if keys and b"ready" in written else b""

    command = [sys.executable, "-c", ASKING]
    status, screen, written = on_terminal([look], command=command, typed=typed)
    text = " ".join(screen.text())
    assert status == 0, text
    assert text.count("The model wants to run write:") == 1
    assert text.count('  path: "a.txt"') == 1
    assert b"Run it? y yes" in written
    answers = {"y": "once", "a": "always", "n": "no"}
    assert f"The answer was {answers[key]}." in text


@pytest.mark.screen
def test_a_question_never_goes_into_a_pipe_that_the_answer_goes_to(tmp_path: Path) -> None:
    keys = [b"y"]

    def typed(written: bytes) -> bytes:
        return keys.pop() if keys and b"ready" in written else b""

    answer = tmp_path / "answer"
    program = shlex.join([sys.executable, "-c", ASKING, "plain"])
    command = ["sh", "-c", f"{program} | cat >{shlex.quote(str(answer))}"]
    status, screen, _ = on_terminal([], command=command, typed=typed)
    assert (status, answer.read_text()) == (0, "First. The answer was once.")
    assert "Run it? y yes" in " ".join(screen.text())

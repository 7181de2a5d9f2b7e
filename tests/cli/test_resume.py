"""Claimed: `resume` gives the whole answer after any end of a run, or one clear line why not."""

from __future__ import annotations

import itertools
import signal
import threading
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.providers.demo import ANSWER
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import read
from chatstream.transcript import Transcript
from tests.cli.test_ask import check
from tests.support.answers import frames, headers
from tests.support.client import Finished, Running, run, run_here, server_flags
from tests.support.continuing import Continuing, Fault, RequestRecord, half, long_text
from tests.support.loopback import Reply
from tests.support.runs import failed, run_id, running, write_run
from tests.support.terminal import on_terminal

LONG = long_text(300)


def ask(url: str, *more: str) -> Finished:
    return run_here(["ask", *server_flags("ollama", url), *more, "hi"])


def resume(*arguments: str) -> Finished:
    return run_here(["resume", *arguments])


def text_of(done: Finished) -> str:
    whole = Transcript()
    for event in done.events:
        whole.add(event)
    return whole.message.content


def only_run() -> str:
    (path,) = runs_folder().iterdir()
    return path.stem


def holds(after: int) -> Fault:
    """So many tokens, and then nothing for ever."""

    def fault(server: Continuing, asked: RequestRecord) -> Reply:
        body = frames(asked.dialect, server.words(len(asked.there)))[:after]
        return Reply(body, headers=headers(asked.dialect), hold={after: threading.Event()})

    return fault


@pytest.mark.usefixtures("usual_colours")
def test_a_run_that_was_cut_is_shown_whole_and_gone_on_with() -> None:
    with Continuing(LONG, faults=[half(3000)]) as server:
        first = ask(server.url, "--on-drop", "stop")
        command = next(line for line in first.stderr.splitlines() if "chatstream resume" in line)
        done = resume(command.split()[-1])
    assert first.status == 5
    assert LONG.encode().startswith(first.stdout)
    assert (done.status, done.stdout, done.stderr) == (0, LONG.encode(), "")
    assert server.strays == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_a_signal_ended_is_gone_on_with(number: signal.Signals) -> None:
    with Continuing(LONG, faults=[holds(60)]) as server:
        with Running(["ask", "--json", *server_flags("ollama", server.url), "hi"]) as client:
            client.read_until(b'"content"')
            assert server.wait_holding()
            client.process.send_signal(number)
            client.finish(5)
        record = read(next(runs_folder().iterdir()))
        expected = "interrupted" if number == signal.SIGKILL else "cancelled"
        assert (record.outcome, record.damage) == (expected, None)
        assert record.message.content
        done = resume("--json")
    terminal = check(done)
    assert isinstance(terminal, ev.Done)
    assert (done.status, text_of(done)) == (0, LONG)
    assert server.asked[-1].there == record.message.content


def test_the_events_tell_which_run_is_gone_on_with() -> None:
    write_run(state_folder(), run_id(1), ANSWER[:300], end=failed(), model="demo-fast")
    done = resume("--json", run_id(1)[:15])
    assert isinstance(check(done), ev.Done)
    opening, text, *_ = done.events
    assert isinstance(opening, ev.Metadata)
    assert (opening.continues, opening.model) == (run_id(1), "demo-fast")
    assert isinstance(text, ev.Content)
    assert text.delta == ANSWER[:300]
    assert text_of(done) == ANSWER


@pytest.mark.usefixtures("usual_colours")
def test_without_a_name_the_last_unfinished_run_is_meant_and_each_only_once() -> None:
    for number, begun in ((1, 100), (2, 200)):
        write_run(state_folder(), run_id(number), ANSWER[:begun], end=failed(), model="demo-fast")
    continued = []
    for _ in range(2):
        done = resume("--json")
        assert isinstance(done.events[0], ev.Metadata)
        continued.append(done.events[0].continues)
    assert continued == [run_id(2), run_id(1)]
    done = resume()
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: there is no unfinished run\n")


def test_a_resume_that_fails_can_be_resumed() -> None:
    with Continuing(LONG, faults=[half(3000), half(3000)]) as server:
        ask(server.url, "--on-drop", "stop")
        second = resume("--json", "--on-drop", "stop")
        terminal = check(second)
        assert isinstance(terminal, ev.Error)
        assert (second.status, terminal.partial) == (5, True)
        assert terminal.resume is not None
        third = run(terminal.resume.split()[1:])
    assert (third.status, third.stdout) == (0, LONG.encode())
    assert len(list(runs_folder().iterdir())) == 3


@pytest.mark.usefixtures("usual_colours")
def test_what_cannot_be_gone_on_with_is_one_clear_line() -> None:
    folder = state_folder()
    write_run(folder, run_id(1), "whole")
    calls = [ev.Content("I will look."), ev.ToolCall("i", "n", "{}")]
    write_run(folder, run_id(2), end=failed(), pieces=calls)
    newer = write_run(folder, run_id(3), "text", end=failed())
    newer.write_bytes(newer.read_bytes().replace(b'"version":1', b'"version":9', 1))
    (folder / "runs" / (run_id(4) + ".jsonl")).write_bytes(b"no journal at all\n")
    write_run(folder, run_id(5), "a", end=failed())
    write_run(folder, run_id(6), "b", end=failed())
    expected = {
        run_id(1): (2, "is complete"),
        run_id(2): (2, "contains tool calls"),
        run_id(3): (1, ""),
        run_id(4): (1, "not the journal of a run"),
        "20260101-00000": (2, "matches 6 runs"),
        "2025": (2, "there is no run"),
        "../../etc/passwd": (2, "there is no run"),
        "9" * 400: (2, "there is no run"),
    }
    with running(folder, run_id(7), "text"):
        for name, (status, said) in {**expected, run_id(7): (2, "has not ended yet")}.items():
            name = "20260101-0000" if name == "20260101-00000" else name
            said = "matches 7 runs" if "6 runs" in said else said
            done = resume(name)
            assert (done.status, done.stdout) == (status, b""), name
            assert done.stderr.startswith("error: "), name
            assert said in done.stderr.splitlines()[0], name
            assert "Traceback" not in done.stderr


def test_a_mistake_is_one_error_event_with_json() -> None:
    done = resume("--json", "nope")
    terminal = check(done)
    assert isinstance(terminal, ev.Error)
    assert (done.status, terminal.code) == (2, "usage")


def test_ctrl_c_in_a_resume_leaves_a_run_to_resume() -> None:
    with Continuing(LONG, faults=[half(3000), holds(20)]) as server:
        first = ask(server.url, "--on-drop", "stop")
        with Running(["resume", "--json"]) as client:
            client.read_until(b'"content"')  # what was there,
            client.read_until(b'"content"')  # and something new
            client.process.send_signal(signal.SIGINT)
            stopped = client.finish(5)
        terminal = check(stopped)
        assert isinstance(terminal, ev.Error)
        assert (stopped.status, terminal.code, terminal.partial) == (130, "cancelled", True)
        assert len(text_of(stopped).encode()) > len(first.stdout)
        done = resume()
    assert (done.status, done.stdout) == (0, LONG.encode())


def test_a_reader_that_has_seen_enough_of_a_resume_leaves_a_run_to_resume() -> None:
    def endless(server: Continuing, asked: RequestRecord) -> Reply:
        line = frames("ollama", ["more\n"])[0]
        return Reply(itertools.repeat(line), headers=headers("ollama"))

    with Continuing(LONG, faults=[half(3000), endless]) as server:
        ask(server.url, "--on-drop", "stop")
        with Running(["resume"]) as client:
            client.read_line()
            assert client.process.stdout is not None
            client.process.stdout.close()
            assert client.process.wait(10) == 0
    newest = max(runs_folder().iterdir())
    record = read(newest)
    assert (record.outcome, record.damage) == ("cancelled", None)
    assert record.continues is not None


def test_on_a_terminal_the_whole_answer_is_there_once() -> None:
    write_run(state_folder(), run_id(1), "# Title\n\nHalf an ans", end=failed(), model="m")
    path = runs_folder() / (run_id(1) + ".jsonl")
    assert path.exists()
    with Continuing("# Title\n\nHalf an answer is none.") as server:
        status, screen, _ = on_terminal(
            ["resume", "-p", "ollama", "--base-url", server.url, "-m", "m", "--no-stats"]
        )
    lines = [line.strip() for line in screen.text()]
    assert status == 0
    assert sum("Title" in line for line in lines) == 1
    assert [line for line in lines if "Half" in line] == ["Half an answer is none."]


def test_flags_choose_another_server(tmp_path: Path) -> None:
    write_run(state_folder(), run_id(1), LONG[:500], end=failed(), model="demo-fast")
    with Continuing(LONG) as server:
        done = resume("--json", "-p", "openai", "--base-url", server.url, "-m", "other")
    assert isinstance(check(done), ev.Done)
    assert text_of(done) == LONG
    assert (server.asked[0].dialect, server.asked[0].in_words) == ("openai", True)
    assert server.requests[0].json["model"] == "other"


def test_without_a_journal_a_resume_leaves_none() -> None:
    write_run(state_folder(), run_id(1), ANSWER[:300], end=failed(), model="demo-fast")
    assert resume("--no-journal").stdout == ANSWER.encode()
    assert only_run() == run_id(1)


def test_the_whole_answer_is_copied_and_told_to_a_screen_reader(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with Continuing(LONG, faults=[half(3000)]) as server:
        assert ask(server.url, "--on-drop", "stop").status == 5
        flags = ["--accessible", "--copy", "--copy-to", str(copy)]
        status, screen, written = on_terminal(["resume", *flags], columns=200)
    assert status == 0
    assert copy.read_text() == LONG
    assert any(line.startswith("Done. ") for line in screen.text())
    assert b"\x1b" not in written

"""`chatstream undo`: a run with tools has written files, and they are what they were again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.client import Running, run, run_here
from tests.support.summing import Call, Summing

PLAN = [
    [
        Call("write_file", {"path": "new/b.txt", "content": "made\n"}),
        Call("edit_file", {"path": "a.txt", "old_text": "two", "new_text": "2"}),
    ],
    [Call("read_file", {"path": "a.txt"})],
]
OLD = b"one\r\ntwo\r\nthree"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which a run has written two files."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a.txt").write_bytes(OLD)
    monkeypatch.chdir(folder)
    return folder


def ask(*options: str) -> list[ev.AnyEvent]:
    with Summing(PLAN) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m"]
        tools = ["--tool", "read_file,write_file,edit_file", *options]
        done = run_here(["ask", "--json", *where, *tools, "hi"])
    assert done.status == 0, done.stderr
    return done.events


def tree(here: Path) -> set[str]:
    return {str(it.relative_to(here)) for it in here.rglob("*")}


def test_what_a_run_has_written_is_taken_back(here: Path) -> None:
    ask("--allow", "write_file,edit_file")
    assert (here / "a.txt").read_bytes() == b"one\r\n2\r\nthree"
    assert (here / "new" / "b.txt").read_bytes() == b"made\n"
    done = run_here(["undo"])
    assert done.status == 0
    assert done.stdout.decode() == (
        f"restored    {here / 'a.txt'}\nremoved     {here / 'new' / 'b.txt'}\n"
    )
    assert done.stderr == ""
    assert tree(here) == {"a.txt"}
    assert (here / "a.txt").read_bytes() == OLD


def test_what_is_not_allowed_is_not_written_and_there_is_nothing_to_undo(here: Path) -> None:
    ask()
    assert tree(here) == {"a.txt"}
    done = run_here(["undo"])
    assert done.status == 2
    assert done.stderr == "error: no run has written any files that could be restored\n"


def test_a_file_that_was_changed_is_left_alone_and_the_status_says_so(here: Path) -> None:
    ask("--allow", "*_file")
    (here / "a.txt").write_bytes(b"mine")
    done = run_here(["undo", "--json"])
    assert done.status == 1
    (name,) = [it.stem for it in journals(runs_folder())]
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first == {
        "run": name,
        "path": str(here / "a.txt"),
        "action": "refused",
        "why": "it was changed after the run had written it",
    }
    assert (second["action"], second["path"]) == ("removed", str(here / "new" / "b.txt"))
    assert "--force" in done.stderr
    done = run_here(["undo", name[:-2], "--force"])
    assert (done.status, done.stdout.decode()) == (0, f"restored    {here / 'a.txt'}\n")
    assert (here / "a.txt").read_bytes() == OLD


def test_a_run_without_a_journal_keeps_nothing(here: Path) -> None:
    ask("--allow", "*_file", "--no-journal")
    assert run_here(["undo"]).status == 2
    assert tree(here) == {"a.txt", "new", "new/b.txt"}


def test_a_mistake_is_told_as_an_event_after_json(here: Path) -> None:
    done = run_here(["undo", "--json", "nosuchrun"])
    assert done.status == 2
    assert isinstance(done.terminal, ev.Error)
    assert done.terminal.message == "there is no run 'nosuchrun'"


def test_a_path_cannot_speak_to_the_terminal(here: Path) -> None:
    name = "a\x1b]0;title\x07\u202e.txt"
    with Summing([[Call("write_file", {"path": name, "content": "x"})]]) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m", "--allow", "write_file"]
        run_here(["ask", "--json", *where, "--tool", "write_file", "hi"])
    assert (here / name).exists()
    done = run(["undo"])
    assert b"\x1b" not in done.stdout
    assert "\u202e" not in done.stdout.decode()
    assert tree(here) == {"a.txt"}


def test_a_run_that_was_killed_and_resumed_is_undone_with_all_its_parts(here: Path) -> None:
    rounds = [*PLAN, [Call("edit_file", {"path": "a.txt", "old_text": "three", "new_text": "3"})]]
    with Summing(rounds) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m", "--allow", "*_file"]
        with Running(["ask", "--json", *where, "--tool", "write_file,edit_file", "hi"]) as client:
            client.read_until(b'"tool_complete"')
            client.process.kill()
        killed = journals(runs_folder())[0].stem
        assert run_here(["resume", "--json", *where]).status == 0
    changed = (here / "a.txt").read_bytes()  # the call that it was killed in is not run again
    assert changed in {b"one\r\n2\r\n3", b"one\r\ntwo\r\n3"}
    done = run_here(["undo", killed])
    assert done.status == 0, done.stdout
    assert tree(here) == {"a.txt"}
    assert (here / "a.txt").read_bytes() == OLD


def test_a_write_that_a_run_has_stopped_for_is_shown_done_once_and_undone(here: Path) -> None:
    with Summing(PLAN) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m"]
        tools = ["--tool", "read_file,write_file,edit_file", "--on-ask", "stop"]
        done = run_here(["ask", "--json", *where, *tools, "hi"])
        assert done.status == 6
        assert tree(here) == {"a.txt"}
        (question,) = [it for it in done.events if isinstance(it, ev.Approval) and it.preview][1:]
        assert question.preview is not None
        assert {"-two", "+2"} <= set(question.preview.split("\n"))
        done = run_here(["resume", "--json", *where, "--allow", "write_file,edit_file"])
    assert done.status == 0, done.stderr
    started = [it.name for it in done.events if isinstance(it, ev.ToolStart)]
    assert started == ["write_file", "edit_file", "read_file"]
    assert (here / "a.txt").read_bytes() == b"one\r\n2\r\nthree"
    assert run_here(["undo"]).status == 0
    assert tree(here) == {"a.txt"}
    assert (here / "a.txt").read_bytes() == OLD

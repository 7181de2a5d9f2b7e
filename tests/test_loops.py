"""Claimed: what a loop of tools did is there for what follows: a resume, a question, a replay.

All of it goes through the command line, against a server on loopback, with tools in a file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import chatstream
from chatstream import events as ev
from chatstream import grammar
from chatstream.errors import ChatstreamError, JournalError
from chatstream.store.journal import Journal
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import events_at, find, journals
from tests.support.client import Finished, run_here, server_flags
from tests.support.loopback import Reply, Request
from tests.support.runs import run_id, write_run
from tests.support.strict import check
from tests.support.summing import Call, Summing, results_in, sum_of

ROUNDS = [
    [Call("count", {"name": "a"}), Call("look", {"name": "b"})],
    [Call("count", {"name": "c"})],
]
TOOLS_FILE = '''
import os
from pathlib import Path

import chatstream


@chatstream.tool
def count(name: str) -> str:
    """Add one to the counter of this name."""
    with (Path(__file__).parent / name).open("ab", buffering=0) as file:
        file.write(b"x")
        return f"{name} is {file.tell()}"


@chatstream.tool(effect="read")
def look(name: str) -> str:
    """Look at the counter of this name."""
    return f"{name} is there"
'''
ALLOWED = ["--allow", "count,look"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of tools, beside which they count."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "counting.py").write_text(TOOLS_FILE)
    return folder / "counting.py"


def counted(file: Path, name: str) -> int:
    path = file.parent / name
    return path.stat().st_size if path.exists() else 0


def ask(server: Summing, *more: str, question: str = "count") -> Finished:
    flags = [*server_flags("ollama", server.url), "--retries", "0", "--json", *more]
    return whole(run_here(["ask", *flags, question]))


def resume(*more: str) -> Finished:
    return run_here(["resume", "--retries", "0", "--json", *more])


def whole(done: Finished) -> Finished:
    assert done.status == 0, done.stderr
    grammar.check(done.events)
    return done


def text_of(done: Finished) -> str:
    return "".join(it.delta for it in done.events if isinstance(it, ev.Content))


def newest() -> str:
    return journals(runs_folder())[0].stem


def killed_at(kind: type[ev.Event], file: Path) -> str:
    """The run of a loop that was killed after the first event of this kind."""
    with Summing(ROUNDS) as server:
        done = ask(server, "--tools-file", str(file), *ALLOWED)
    path = journals(runs_folder())[0]
    lines = path.read_bytes().splitlines(keepends=True)
    cut = next(at for at, it in enumerate(done.events, 1) if isinstance(it, kind))
    path.write_bytes(b"".join(lines[:cut]))
    for name in "abc":
        (file.parent / name).unlink(missing_ok=True)
    return path.stem


# ---- what follows


def test_the_next_question_is_sent_with_all_rounds_and_the_same_tools(file: Path) -> None:
    with Summing(ROUNDS) as server:
        ask(server, "--tools-file", str(file), *ALLOWED)
        before = server.requests[-1].json["messages"]
        whole(run_here(["ask", "-c", "--json", "--retries", "0", "and now?"]))
        sent = server.requests[-1].json
    check("ollama", server.exchanges)
    assert [it["role"] for it in sent["messages"]] == [
        *("user", "assistant", "tool", "tool", "assistant", "tool", "assistant", "user")
    ]
    assert sent["messages"][: len(before)] == before
    assert [it["function"]["name"] for it in sent["tools"]] == ["count", "look"]


def test_a_question_at_an_earlier_run_is_a_branch_with_its_rounds(file: Path) -> None:
    with Summing(ROUNDS) as server:
        ask(server, "--tools-file", str(file), *ALLOWED)
        first = newest()
        for question in ("one?", "two?"):
            whole(run_here(["ask", "--at", first, "--json", "--retries", "0", question]))
        sent = server.requests[-1].json["messages"]
    assert len(sent) == 8
    assert sent[-1]["content"] == "two?"


def test_what_is_allowed_is_said_again_for_the_next_question(file: Path) -> None:
    with Summing(ROUNDS) as server:
        ask(server, "--tools-file", str(file), *ALLOWED)
    with Summing([*ROUNDS, [Call("count", {"name": "d"})]]) as server:
        flags = [*server_flags("ollama", server.url), "--retries", "0", "--json"]
        done = whole(run_here(["ask", "-c", *flags, "and d?"]))
    (error,) = (it for it in done.events if isinstance(it, ev.ToolError))
    assert (error.code, counted(file, "d")) == ("denied", 0)


def test_a_conversation_passes_over_a_loop_that_failed_before_its_answer() -> None:
    calls = []

    def count(name: str) -> str:
        """Count."""
        calls.append(name)
        return f"{name} is {len(calls)}"

    class Failing(Summing):
        def take(self, request: Request) -> Reply:
            reply = super().take(request)
            return Reply.json({"error": "no"}, 400) if len(self.requests) == 2 else reply

    with (
        Failing([[Call("count", {"name": "a"})]]) as server,
        chatstream.Client(
            provider="ollama", base_url=server.url, model="m", retries=0, tools=[count]
        ) as client,
    ):
        conversation = client.conversation()
        with pytest.raises(ChatstreamError):
            conversation.ask("one?")
        assert conversation.ask("two?").content == "the results: a is 2."
        assert [it["role"] for it in server.requests[2].json["messages"]] == ["user"]
    assert [it.role for it in conversation.messages] == ["user", "assistant", "tool", "assistant"]
    assert [it.role for it in client.conversation(last=True).messages] == [
        *("user", "assistant", "tool", "assistant")
    ]


# ---- a resume


@pytest.mark.parametrize(
    ("flags", "counts", "told"),
    [
        ([], 0, "outcome unknown"),
        (["--interrupted", "tell"], 0, "outcome unknown"),
        (["--interrupted", "run"], 1, "a is 1"),
    ],
)
def test_a_call_that_was_interrupted(flags: list[str], counts: int, told: str, file: Path) -> None:
    killed_at(ev.ToolStart, file)
    with Summing(ROUNDS) as server:
        done = whole(resume("--base-url", server.url, *ALLOWED, *flags))
        results = results_in(server.requests[-1].json["messages"])
    assert counted(file, "a") == counts
    assert results[0].startswith(told)
    assert text_of(done) == sum_of(results)


def test_a_run_with_an_interrupted_call_can_be_stopped_and_goes_on_later(file: Path) -> None:
    killed_at(ev.ToolStart, file)
    with Summing(ROUNDS) as server:
        stopped = resume("--base-url", server.url, "--interrupted", "stop")
        assert stopped.status == 1
        assert server.requests == []
        error = stopped.terminal
        assert isinstance(error, ev.Error)
        assert (error.code, error.resume) == ("interrupted", f"chatstream resume {newest()}")
        done = whole(resume("--base-url", server.url, *ALLOWED, "--interrupted", "run"))
    assert counted(file, "a") == 1
    assert "a is 1" in text_of(done)


def test_a_tool_whose_start_cannot_be_written_down_runs_once_it_can(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(journal: Journal, events: Sequence[ev.Event]) -> None:
        if any(isinstance(it, ev.ToolStart) for it in events):
            raise JournalError("the disk is full")
        written(journal, events)

    written = Journal.write
    with Summing(ROUNDS) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "write", write)
            flags = [*server_flags("ollama", server.url), "--tools-file", str(file), *ALLOWED]
            done = run_here(["ask", "--json", *flags, "count"])
            assert done.status == 1
        assert counted(file, "a") == 0
        error = done.terminal
        assert isinstance(error, ev.Error)
        assert (error.code, error.recoverable) == ("journal", False)
        whole(resume(*ALLOWED))
    assert counted(file, "a") == counted(file, "c") == 1


def test_what_was_allowed_is_not_remembered(file: Path) -> None:
    killed_at(ev.Approval, file)
    with Summing(ROUNDS) as server:
        done = whole(resume("--base-url", server.url))
    denied = [it.name for it in done.events if isinstance(it, ev.ToolError)]
    assert denied == ["count", "look", "count"]
    assert counted(file, "a") == counted(file, "c") == 0


def test_the_file_may_have_moved(file: Path) -> None:
    killed_at(ev.Approval, file)
    moved = file.with_name("moved.py")
    file.rename(moved)
    with Summing(ROUNDS) as server:
        gone = resume("--base-url", server.url, *ALLOWED)
        assert gone.status == 2
        assert server.requests == []
        done = whole(resume("--base-url", server.url, *ALLOWED, "--tools-file", str(moved)))
    assert counted(file, "a") == counted(file, "c") == 1
    assert "a is 1; b is there; c is 1" in text_of(done)


def test_the_tools_are_those_that_the_run_began_with(file: Path) -> None:
    killed_at(ev.Approval, file)
    with Summing(ROUNDS) as server:
        file.write_text(TOOLS_FILE.replace("Add one", "Add exactly one") + "\n")
        whole(resume("--base-url", server.url, *ALLOWED))
        sent = server.requests[-1].json["tools"]
    assert sent[0]["function"]["description"] == "Add one to the counter of this name."


def test_an_option_of_tools_means_nothing_without_tools() -> None:
    write_run(state_folder(), run_id(1), "half", killed=True)
    done = run_here(["resume", "--interrupted", "run"])
    assert done.status == 2
    assert "--interrupted needs tools, and this run has none" in done.stderr


# ---- a replay


def same(events: list[ev.AnyEvent]) -> list[Any]:
    """The events without what differs from run to run: times, and the name of the run."""
    plain = [replace(it, t=0.0) for it in events]
    plain[0] = replace(plain[0], run="", started_at="")
    last = plain[-1]
    assert isinstance(last, ev.Done)
    return [*plain[:-1], (last.finish_reason, last.usage, last.stats.chunks)]


def test_results_from_an_earlier_run_twice_are_the_same_events_and_start_nothing(
    file: Path,
) -> None:
    with Summing(ROUNDS) as server:
        first = ask(server, "--tools-file", str(file), *ALLOWED)
        run = newest()
        file.unlink()
        again = [ask(server, "--tools-from", run) for _ in range(2)]
    assert same(again[0].events) == same(again[1].events)
    assert [text_of(it) for it in again] == [text_of(first)] * 2
    assert [counted(file, it) for it in "ac"] == [1, 1]
    fates = [it for it in again[0].events if isinstance(it, ev.Fate)]
    assert fates
    assert all(it.replayed for it in fates)
    journal = list(events_at(find(runs_folder(), newest())))
    assert json.loads(again[1].stdout.splitlines()[-1]) == json.loads(ev.encode(journal[-1]))


def test_a_call_that_is_not_recorded_is_told_to_the_model(file: Path) -> None:
    with Summing(ROUNDS) as server:
        ask(server, "--tools-file", str(file), *ALLOWED)
    with Summing([*ROUNDS, [Call("count", {"name": "d"})]]) as server:
        done = ask(server, "--tools-from", newest())
        results = results_in(server.requests[-1].json["messages"])
    (error,) = (it for it in done.events if isinstance(it, ev.ToolError))
    assert error.code == "not_recorded"
    assert results[:3] == ["a is 1", "b is there", "c is 1"]
    assert results[3] == error.error
    assert counted(file, "d") == 0

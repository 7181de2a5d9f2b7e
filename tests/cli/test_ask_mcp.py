"""`ask` with MCP servers, as a whole program: their calls, their end, and ours."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream import grammar
from tests.support.client import Finished, Running, run, run_here
from tests.support.mcpserver import SELF, command
from tests.support.toolcalls import LIMIT

DEMO = ["ask", "-p", "demo", "-m", "demo-fast", "--json"]


def server(*arguments: str) -> list[str]:
    return ["--mcp", shlex.join(command(*arguments))]


def ends(done: Finished) -> list[ev.ToolComplete | ev.ToolError]:
    return [it for it in done.events if isinstance(it, ev.ToolComplete | ev.ToolError)]


def left(mark: str) -> list[int]:
    """The processes that have this word in their command line, zombies not counted."""
    found = []
    for it in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = it.joinpath("cmdline").read_bytes().split(b"\0")
            if mark.encode() in words and str(SELF).encode() in words:
                found.append(int(it.name))
    return found


def gone(mark: str) -> bool:
    """Whether there are none, or will be none in a while."""
    wait = threading.Event()
    for _ in range(int(LIMIT / 0.05)):
        if not left(mark):
            return True
        wait.wait(0.05)
    return False


def mark() -> str:
    """A word that is in the command line of one server only."""
    return f"mark{os.urandom(6).hex()}"


@pytest.mark.parametrize("era", ["old", "new"])
def test_the_tools_of_a_server_are_called(era: str) -> None:
    word = mark()
    done = run_here([*DEMO, *server(era, word), "--allow", "mcpserver_*", "hi"])
    assert done.status == 0, done.stderr
    grammar.check(done.events)
    assert {it.name for it in ends(done)} <= {"mcpserver_echo", "mcpserver_fail"}
    assert any(isinstance(it, ev.ToolComplete) for it in ends(done))
    assert left(word) == []


def test_nobody_is_asked_and_nothing_runs() -> None:
    done = run_here([*DEMO, *server("new", "only:echo"), "hi"])
    (end,) = ends(done)
    assert isinstance(end, ev.ToolError)
    assert end.outcome == "denied"


def test_a_server_that_dies_in_a_call_ends_the_call_and_not_the_run() -> None:
    done = run_here([*DEMO, *server("old", "only:die"), "--allow", "*", "hi"])
    assert done.status == 0, done.stderr
    (end,) = ends(done)
    assert isinstance(end, ev.ToolError)
    assert (end.outcome, end.code) == ("unknown", "server_ended")
    assert "a last word" in end.error


def test_a_server_that_cannot_be_used_is_the_end_of_the_run() -> None:
    done = run_here([*DEMO, *server("future"), "--mcp", "false", "hi"])
    assert done.status == 1
    last = done.terminal
    assert isinstance(last, ev.Error)
    assert last.code == "mcp"


def test_a_run_is_resumed_with_its_servers() -> None:
    word = mark()
    with Running([*DEMO, *server("old", "only:slow", word), "--allow", "*", "hi"]) as client:
        client.read_until(b'"working"')
        client.process.send_signal(signal.SIGKILL)
        client.finish()
    assert gone(word)
    done = run(["resume", "--json", "--allow", "*"])
    assert done.status == 0, done.stderr
    (end,) = [it for it in ends(done) if not it.replayed]
    assert isinstance(end, ev.ToolError)
    assert end.outcome == "unknown"  # it had started: it is not started again
    assert left(word) == []


@pytest.mark.serial
@pytest.mark.parametrize("odd", ["mute", "stubborn"])
def test_ctrl_c_while_a_server_starts_or_works_leaves_nothing(odd: str) -> None:
    word = mark()
    arguments = [*DEMO, *server("old", odd, "only:slow", word), "--allow", "*", "hi"]
    with Running(arguments) as client:
        if odd == "mute":
            wait = threading.Event()
            while not left(word):
                wait.wait(0.02)
        else:
            client.read_until(b'"working"')
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert done.status == 130
    assert left(word) == []
    last = done.terminal
    assert isinstance(last, ev.Error)
    assert last.code == "cancelled"


@pytest.mark.serial
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_signal_leaves_a_server(number: signal.Signals) -> None:
    word = mark()
    arguments = [*DEMO, *server("new", "stubborn", "child", "only:slow", word), "--allow", "*"]
    with Running([*arguments, "hi"]) as client:
        client.read_until(b'"working"')
        client.process.send_signal(number)
        client.finish()
    assert gone(word)


def test_a_configuration_and_a_file_of_other_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, *args = command("new", "only:echo")
    (tmp_path / "config.toml").write_text(
        f"[mcp.mine]\ncommand = {json.dumps(program)}\nargs = {json.dumps(args)}\n"
    )
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(tmp_path / "config.toml"))
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"theirs": {"command": program, "args": args}}}))
    options = ["--mcp", "mine", "--mcp-config", str(file), "--allow", "mine_*,theirs_*"]
    done = run_here([*DEMO, *options, "hi"])
    assert done.status == 0, done.stderr
    assert {it.name for it in ends(done)} == {"mine_echo", "theirs_echo"}


def test_the_log_does_not_show_what_a_server_is_given(tmp_path: Path) -> None:
    program, *args = command("new", "only:env")
    file = tmp_path / "mcp.json"
    entry = {"command": program, "args": args, "env": {"TOKEN": "hush-hush-hush"}}
    file.write_text(json.dumps({"mcpServers": {"a": entry}}))
    done = run([*DEMO, "--mcp-config", str(file), "--log", "debug", "hi"])  # sets up logging
    assert done.status == 0
    assert not re.search("hush-hush", done.stderr)

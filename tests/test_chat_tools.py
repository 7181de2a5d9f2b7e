"""Claimed: in a chat the processes of tools live as long as the chat, and what a person allows for
good is allowed until its end. Nothing is left behind, however the chat or a turn ends.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatstream.chat.loop import chat
from chatstream.chat.session import Session
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.answers import headers
from tests.support.chats import Typed, holds, says, sent, session_at, stop_when_holding
from tests.support.client import COMMAND, server_flags
from tests.support.loopback import LIMIT, Reply, Script
from tests.support.mcpserver import command
from tests.support.processes import alive, seconds_until_gone
from tests.support.tmux import tmux
from tests.support.unavailable import require
from tests.support.waiting import signal_once

pytestmark = pytest.mark.screen

TOOLS = '''
import os

def pid() -> int:
    """Tell which process this is."""
    return os.getpid()

def die() -> None:
    """End the process."""
    os._exit(1)
'''


def calls(name: str, **arguments: Any) -> Reply:
    """An answer that calls a tool."""
    function = {"name": name, "arguments": arguments}
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    done = {"model": "m", "done": True, "done_reason": "stop"}
    body = [
        {"model": "m", "message": message, "done": False},
        {**done, "message": {"role": "assistant", "content": ""}},
    ]
    import json

    return Reply([json.dumps(it).encode() + b"\n" for it in body], headers=headers("ollama"))


def results(server: Script) -> list[str]:
    """What the calls have returned, in their order."""
    *_, last = (it.json for it in server.requests if it.path == "/api/chat")
    return [it["content"] for it in last["messages"] if it["role"] == "tool"]


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is in the command line of the server `s`, which the configuration names and trusts."""
    return configured(tmp_path, monkeypatch)


def configured(folder: Path, monkeypatch: pytest.MonkeyPatch, *odd: str) -> str:
    mark = f"only-{os.getpid()}-{folder.name}"
    words = command("old", mark, *odd)
    config = folder / "config.toml"
    config.write_text(f"[mcp.s]\ncommand = '''{shlex.join(words)}'''\ntrusted = true\n")
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(config))
    return mark


def with_server(server: Script, **more: Any) -> Session:
    return session_at(server, mcp_servers=["s"], allow=["s_*"], **more)


def test_a_server_lives_as_long_as_the_chat(mark: str) -> None:
    with Script(calls("s_pid"), says("one"), calls("s_pid"), says("two")) as server:

        def looking(_session: Session) -> str:
            assert len(alive(mark)) == 1  # at the prompt
            return "2?"

        chat(with_server(server), Typed("1?", looking))
        first, second = results(server)
    assert first == second
    assert alive(mark) == []


@pytest.mark.parametrize("named", [False, True])
def test_a_server_is_told_the_folders_that_were_named_and_no_others(
    named: bool, mark: str, tmp_path: Path
) -> None:
    tools: dict[str, Any] = {"tools": ["time"], "allow": ["s_*"]}
    with Script(says("one"), calls("s_ask"), says("two")) as server:
        session = session_at(server, **tools, root=[str(tmp_path)] if named else None)
        chat(session, Typed("1?", "/set mcp_servers s", "2?"))
        (told,) = results(server)
    assert alive(mark) == []
    assert (str(tmp_path) in told, str(Path.cwd()) in told) == (named, False)


def test_a_server_that_died_is_started_again(mark: str) -> None:
    replies = [calls("s_die"), says("one"), calls("s_pid"), says("two")]
    with Script(calls("s_pid"), says("zero"), *replies) as server:
        chat(with_server(server), Typed("0?", "1?", "2?"))
        before, died, after = results(server)
    assert "may have taken effect" in died
    assert before.isdigit()
    assert after.isdigit()
    assert before != after
    assert alive(mark) == []


def test_a_server_that_died_at_the_prompt_is_started_before_it_is_called(mark: str) -> None:
    with Script(calls("s_pid"), says("one"), calls("s_pid"), says("two")) as server:

        def killing(_session: Session) -> str:
            os.kill(int(results(server)[0]), signal.SIGKILL)
            seconds_until_gone(mark)
            return "2?"

        chat(with_server(server), Typed("1?", killing))
        before, after = results(server)
    assert after.isdigit()
    assert before != after
    assert alive(mark) == []


def test_the_process_of_a_tools_file_lives_until_it_dies_or_the_file_is_changed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "own.py"
    file.write_text(TOOLS)

    def changing(_session: Session) -> str:
        file.write_text(f"{TOOLS}# changed\n")
        return "4?"

    replies = [calls("pid"), calls("pid"), calls("die"), calls("pid"), calls("pid")]
    with Script(*(it for call in replies for it in (call, says("x")))) as server:
        session = session_at(server, tools_file=str(file), allow=["pid", "die"])
        chat(session, Typed("0?", "1?", "2?", "3?", changing))
        first, second, _, third, fourth = results(server)
    assert first == second
    assert len({first, third, fourth}) == 3


def stopping(server: Script, mark: str) -> Callable[[Session], str]:
    """Types a line whose answer is stopped once its call has reached the server."""

    def works() -> bool:
        return any(b'"working"' in it.read_bytes() for it in journals(runs_folder()))

    def typed(_session: Session) -> str:
        signal_once(works)
        return "slow?"

    return typed


def test_a_turn_that_was_stopped_stops_no_tool_of_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(TOOLS)
    with Script(calls("pid"), holds("The "), calls("pid"), says("two")) as server:

        def stopped(_session: Session) -> str:
            stop_when_holding(server, "The ")
            return "1?"

        session = session_at(server, tools_file=str(file), allow=["pid"])
        chat(session, Typed(stopped, "2?"))
        first, second = results(server)
    assert first == second
    assert first.isdigit()


@pytest.mark.parametrize("odd", [(), ("deaf",)], ids=["ends", "works on"])
def test_a_call_that_is_stopped_leaves_nothing_that_works_on(
    odd: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = configured(tmp_path, monkeypatch, *odd)
    seen: list[int] = []

    def looking(_session: Session) -> str:
        seen.append(len(alive(mark)))
        return "2?"

    with Script(calls("s_slow"), calls("s_pid"), says("two")) as server:
        chat(with_server(server), Typed(stopping(server, mark), looking))
        assert results(server)[-1].isdigit()
    assert seen == [0 if odd else 1]
    assert alive(mark) == []


def test_a_stop_while_a_server_starts_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = configured(tmp_path, monkeypatch, "mute")
    seen: list[int] = []

    def typed(_session: Session) -> str:
        signal_once(lambda: alive(mark))
        return "1?"

    def looking(_session: Session) -> str:
        seen.append(len(alive(mark)))
        return "/exit"

    with Script() as server:
        assert chat(with_server(server), Typed(typed, looking)) == 0
        assert server.requests == []
    assert seen == [0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_chat_that_is_ended_at_its_prompt_leaves_none(number: int, mark: str) -> None:
    with Script(calls("s_pid"), says("one")) as server:
        flags = [*server_flags("ollama", server.url), "--mcp", "s", "--allow", "s_*"]
        process = subprocess.Popen(
            [*COMMAND, "chat", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"1?\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"one\n"
            assert len(alive(mark)) == 1
            process.send_signal(number)
            process.wait(LIMIT)
    seconds_until_gone(mark)


def test_what_is_allowed_for_good_is_allowed_in_the_next_turn(tmp_path: Path) -> None:
    call = calls("shell", command=f"echo x >> {tmp_path}/counted")
    replies = [call, says("one"), call, says("two"), call, says("three")]
    with require(tmux(100, 30)) as pane, Script(*replies) as server:
        flags = [*server_flags("ollama", server.url), "--tool", "shell", "--sandbox", "off"]
        pane.run([*COMMAND, "chat", *flags], PYTHONPATH=str(Path.cwd()))

        def ask(line: str) -> None:
            pane.until(lambda: pane.lines()[-1:] != [] and pane.lines()[-1].startswith("›"))
            pane.send("C-u")  # a key that came too early for an answer
            pane.type(line)
            pane.send("Enter")

        ask("1?")
        pane.until_shown("Run it?")
        pane.press("a", "one")
        ask("2?")
        pane.until_shown("two")
        ask("/set ask shell")
        pane.until_shown("ask = shell")
        ask("3?")
        pane.until_shown("Run it?")
        pane.press("n", "three")
    assert (tmp_path / "counted").read_text() == "x\nx\n"


def test_lines_that_are_typed_before_a_question_are_not_lost_without_an_editor() -> None:
    comes = threading.Event()
    call = replace(calls("shell", command="true"), hold={"after_head": comes})
    replies = [call, says("one"), says("two")]
    with require(tmux(100, 30)) as pane, Script(*replies) as server:
        flags = [*server_flags("ollama", server.url), "--tool", "shell", "--sandbox", "off"]
        pane.run([*COMMAND, "chat", *flags], PYTHONPATH=str(Path.cwd()), TERM="dumb")
        pane.until_shown(">")
        pane.type("1?")
        pane.send("Enter")
        assert server.wait_holding()
        pane.type("later?")
        pane.send("Enter")
        pane.until_shown("later?")
        comes.set()
        pane.until_shown("Run it?")
        pane.press("n", "one")
        pane.until_shown("> later? two")
        assert sent(server)[-1][-1] == ("user", "later?")

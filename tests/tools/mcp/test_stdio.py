"""Claimed: a server's process gets nothing of ours but what it may, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.tools.mcp.channel import Lost
from chatstream.tools.mcp.messages import Notification, Request, Response, answer
from chatstream.tools.mcp.stdio import Stdio
from tests.support.mcpserver import command
from tests.support.toolcalls import LIMIT

LIST = Request(1, "tools/list", {})


def ask(server: Stdio, request: Request) -> Response:
    return ended(server.exchange(request, lambda _: None))


def ended(waiting: Generator[None, None, Response]) -> Response:
    while True:
        try:
            next(waiting)
        except StopIteration as end:
            found: Response = end.value
            return found


def call(name: str) -> Request:
    return Request(name, "tools/call", {"name": name, "_meta": {"progressToken": name}})


def reply(request: Request) -> Response:
    return answer(request, [])


def is_alive(number: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return b") Z" not in Path(f"/proc/{number}/stat").read_bytes()
    except OSError:
        return False


def group(server: Stdio) -> int:
    return server._process.pid


def members(number: int) -> list[int]:
    """The processes of a group, zombies not counted."""
    found = []
    for it in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            words = it.joinpath("stat").read_text().rpartition(")")[2].split()
            if int(words[2]) == number and words[0] != "Z":
                found.append(int(it.name))
    return found


def is_gone(number: int) -> bool:
    """Whether a group has no members, or loses them in a while: a kill takes its time."""
    wait = threading.Event()
    for _ in range(int(LIMIT / 0.02)):
        if not members(number):
            return True
        wait.wait(0.02)
    return False


@pytest.fixture
def made() -> Iterator[list[Stdio]]:
    """Servers that are closed after the test."""
    servers: list[Stdio] = []
    yield servers
    for it in servers:
        it.close()


# ---- its start


def test_of_our_environment_it_gets_what_may_be_known_and_what_is_named(
    made: list[Stdio], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    made.append(Stdio(command("old"), reply, {"NAMED": "yes", "TERM": "own"}))
    text = ask(made[0], call("env")).result["content"][0]["text"]
    found = json.loads(text)
    assert found["NAMED"] == "yes"
    assert found["LANG"] == "C.UTF-8"
    assert found["XDG_CACHE_HOME"] == "/cache"
    assert found["TERM"] == "own"
    assert "sk-secret" not in text
    assert "OPENAI_API_KEY" not in found


@pytest.mark.parametrize("program", ["/nowhere/to/be/found", "\0", "/"])
def test_a_program_that_cannot_be_started_is_said_so(program: str) -> None:
    with pytest.raises(UsageError, match="cannot be started"):
        Stdio([program], reply)


def test_it_is_out_of_reach_of_the_terminal(made: list[Stdio]) -> None:
    made.append(Stdio(command("old"), reply))
    assert os.getsid(group(made[0])) == group(made[0])


# ---- what it says


def test_lines_that_are_no_messages_are_skipped(made: list[Stdio]) -> None:
    made.append(Stdio(command("old", "junk"), reply))
    assert "tools" in ask(made[0], LIST).result


def test_responses_find_their_requests_whatever_their_order(made: list[Stdio]) -> None:
    made.append(Stdio(command("old"), reply))
    server, begun = made[0], threading.Event()
    slow = server.exchange(call("slow"), lambda _: begun.set())
    next(slow)
    assert begun.wait(LIMIT)
    assert ask(server, call("echo")).result == {"content": [{"type": "text", "text": ""}]}
    server.tell(Notification("notifications/cancelled", {"requestId": "slow"}))
    failure = ended(slow).failure
    assert failure is not None
    assert failure.message == "Request cancelled"


# ---- its end


def test_its_death_in_the_middle_of_a_call_is_told_with_its_last_words(made: list[Stdio]) -> None:
    made.append(Stdio(command("old"), reply))
    with pytest.raises(Lost, match=r"it was killed by SIGKILL \(a last word\)") as lost:
        ask(made[0], call("die"))
    assert lost.value.sent
    assert made[0].lost
    with pytest.raises(Lost) as later:
        ask(made[0], LIST)
    assert not later.value.sent


def test_an_end_by_itself_is_told_with_its_status(made: list[Stdio]) -> None:
    made.append(Stdio([sys.executable, "-c", "import sys; input(); sys.exit('no licence')"], reply))
    with pytest.raises(Lost, match=r"it ended with status 1 \(no licence\)"):
        ask(made[0], LIST)


def test_a_server_that_closes_its_output_is_lost_and_ended(made: list[Stdio]) -> None:
    code = "import os, time; os.close(1); time.sleep(600)"
    made.append(Stdio([sys.executable, "-c", code], reply))
    with pytest.raises(Lost, match="it closed its output"):
        ask(made[0], LIST)
    made[0].close()
    assert is_gone(group(made[0]))


def test_a_line_without_end_is_the_end(made: list[Stdio]) -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    made.append(Stdio([sys.executable, "-c", code], reply))
    with pytest.raises(Lost, match="line"):
        ask(made[0], LIST)


def test_one_that_asks_and_reads_no_answers_is_ended(made: list[Stdio]) -> None:
    code = 'while True: print(\'{"id": 1, "method": "ping"}\')'
    made.append(Stdio([sys.executable, "-c", code], reply))
    with pytest.raises(Lost, match="reads no answers"):
        ask(made[0], LIST)


@pytest.mark.parametrize("odd", [(), ("child",), ("stubborn",)], ids=str)
def test_nothing_of_it_is_left_when_it_was_closed(odd: tuple[str, ...]) -> None:
    server = Stdio(command("old", *odd), reply)
    assert "tools" in ask(server, LIST).result
    server.close()
    assert is_gone(group(server))
    assert not is_alive(server._guard.pid)
    server.close()


def test_nothing_of_it_is_left_when_it_has_died_and_a_child_has_not(made: list[Stdio]) -> None:
    made.append(Stdio(command("old", "child"), reply))
    with pytest.raises(Lost):
        ask(made[0], call("die"))
    made[0].close()
    assert is_gone(group(made[0]))


@pytest.mark.parametrize("odd", ["", "child", "stubborn"])
def test_nothing_of_it_is_left_when_this_program_is_killed(odd: str) -> None:
    code = (
        "import sys, time\n"
        "from chatstream.tools.mcp.stdio import Stdio\n"
        "server = Stdio(sys.argv[1:], None)\n"
        "print(server._process.pid, server._guard.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    arguments = [sys.executable, "-c", code, *command("old", *filter(None, [odd]))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number, guard = map(int, process.stdout.readline().split())
        process.send_signal(signal.SIGKILL)
    assert is_gone(number)
    waited = threading.Event()
    while is_alive(guard):
        waited.wait(0.02)

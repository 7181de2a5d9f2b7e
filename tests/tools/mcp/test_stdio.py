"""Claimed: a server's process gets nothing of ours but what it may, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.tools.mcp.channel import Lost
from chatstream.tools.mcp.messages import Notification, Request, Response, answer
from chatstream.tools.mcp.stdio import Stdio
from tests.support.mcpserver import command
from tests.support.processes import alive, new_mark, seconds_until_gone, write_rooted
from tests.support.stdio import keeper, stdio
from tests.support.toolcalls import LIMIT

pytestmark = pytest.mark.usefixtures("ends_keeper")

Rooted = Callable[..., tuple[list[str], str]]

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


def pid_of(server: Stdio) -> int:
    return int(ask(server, call("pid")).result["content"][0]["text"])


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
    made.append(stdio(command("old"), reply, {"NAMED": "yes", "TERM": "own"}))
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
        stdio([program], reply)


def test_it_is_out_of_reach_of_the_terminal(made: list[Stdio]) -> None:
    made.append(stdio(command("old"), reply))
    assert os.getsid(number := pid_of(made[0])) == number


# ---- what it says


def test_lines_that_are_not_messages_are_skipped(made: list[Stdio]) -> None:
    made.append(stdio(command("old", "junk"), reply))
    assert "tools" in ask(made[0], LIST).result


def test_responses_find_their_requests_whatever_their_order(made: list[Stdio]) -> None:
    made.append(stdio(command("old"), reply))
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
    made.append(stdio(command("old"), reply))
    with pytest.raises(Lost, match=r"it was killed by SIGKILL \(a last word\)") as lost:
        ask(made[0], call("die"))
    assert lost.value.sent
    assert made[0].lost
    with pytest.raises(Lost) as later:
        ask(made[0], LIST)
    assert not later.value.sent


def test_an_end_by_itself_is_told_with_its_status(made: list[Stdio]) -> None:
    made.append(stdio([sys.executable, "-c", "import sys; input(); sys.exit('no licence')"], reply))
    with pytest.raises(Lost, match=r"it ended with status 1 \(no licence\)"):
        ask(made[0], LIST)


def test_a_server_that_closes_its_output_is_lost_and_ended(made: list[Stdio]) -> None:
    code = "import os, time; os.close(1); time.sleep(600)"
    made.append(stdio([sys.executable, "-c", code], reply))
    with pytest.raises(Lost, match="it closed its output"):
        ask(made[0], LIST)
    made[0].close()


def test_a_line_without_end_is_the_end(made: list[Stdio]) -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    made.append(stdio([sys.executable, "-c", code], reply))
    with pytest.raises(Lost, match="line"):
        ask(made[0], LIST)


def test_one_that_asks_and_reads_no_answers_is_ended(made: list[Stdio]) -> None:
    code = 'while True: print(\'{"id": 1, "method": "ping"}\')'
    made.append(stdio([sys.executable, "-c", code], reply))
    with pytest.raises(Lost, match="does not read the answers"):
        ask(made[0], LIST)


# ---- what is left


@pytest.fixture
def rooted(tmp_path: Path) -> Rooted:
    """Makes the command of a server that has children everywhere, and the mark of all of them."""

    def make(*odd: str) -> tuple[list[str], str]:
        mark = new_mark()
        return [str(write_rooted(tmp_path, mark)), *command("old", *odd, mark)], mark

    return make


@pytest.mark.parametrize("odd", [(), ("child",), ("stubborn",)], ids=str)
def test_nothing_of_it_is_left_when_it_was_closed(rooted: Rooted, odd: tuple[str, ...]) -> None:
    line, mark = rooted(*odd)
    server = stdio(line, reply)
    assert "tools" in ask(server, LIST).result
    assert len(alive(mark)) > 5
    server.close()
    assert alive(mark) == []
    server.close()


def test_the_end_of_its_input_comes_first_and_a_polite_server_needs_no_more(tmp_path: Path) -> None:
    code = "import sys; sys.stdin.read(); open(sys.argv[1], 'w').write('asked')"
    path = tmp_path / "end"
    line = [sys.executable, "-c", code, str(path)]
    Stdio(keeper(), line, reply, steps=[(LIMIT, signal.SIGKILL)]).close()
    assert path.read_text() == "asked"


def test_nothing_of_it_is_left_when_it_has_died(rooted: Rooted, made: list[Stdio]) -> None:
    line, mark = rooted("child")
    made.append(stdio(line, reply))
    with pytest.raises(Lost, match="SIGKILL"):
        ask(made[0], call("die"))
    assert alive(mark) == []


OWNER = """
import sys, threading
from chatstream.tools.mcp.stdio import Stdio
from chatstream.tools.spawning import Keeper
server = Stdio(Keeper(), sys.argv[1:], None)
print("started", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("odd", ["", "child", "stubborn"])
def test_nothing_of_it_is_left_when_this_program_is_killed(rooted: Rooted, odd: str) -> None:
    line, mark = rooted(odd)
    arguments = [sys.executable, "-c", OWNER, *line]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        while len(alive(mark)) <= 5:
            threading.Event().wait(0.02)
        process.send_signal(signal.SIGKILL)
    seconds_until_gone(mark)

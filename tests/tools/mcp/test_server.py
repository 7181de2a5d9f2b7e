"""Claimed: a server is started again where it has to be, and what is said of a call is true."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, ChatstreamError
from chatstream.tools.mcp.channel import Answer, Channel
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.session import Limits, ServerFailed
from chatstream.tools.tool import ToolFailure
from tests.support.mcpserver import TOOLS, command
from tests.support.stdio import stdio
from tests.support.toolcalls import LIMIT, Said

pytestmark = pytest.mark.usefixtures("ends_keeper")

Make = Callable[..., Server]
PATIENT = Limits(stop=LIMIT)
SHORT = Limits(start=0.5, discover=0.3, stop=0.3)


@pytest.fixture
def made() -> Iterator[Make]:
    """Makes a server of the hand-written kind, which is closed after the test."""
    servers: list[Server] = []

    def make(*arguments: str, limits: Limits = PATIENT) -> Server:
        servers.append(Server("s", opening(*arguments), hint="a hint", limits=limits))
        return servers[-1]

    yield make
    for it in servers:
        it.close()


def opening(*arguments: str) -> Callable[[Answer], Channel]:
    return lambda answer: stdio(command(*arguments), answer)


def begun(server: Server) -> list[str]:
    return [it.name for it in server.begin(CancelToken())]


def failure(server: Server) -> str:
    with pytest.raises(ServerFailed) as caught:
        server.begin(CancelToken())
    assert caught.value.hint == "a hint"
    return caught.value.message


# ---- its start


def test_a_server_that_never_answers_is_given_up_with_a_clear_message(made: Make) -> None:
    assert failure(made("old", "mute", limits=SHORT)) == (
        "the MCP server s did not answer within 0.5 s"
    )


def test_one_that_dies_of_a_method_it_does_not_know_is_greeted_as_of_old(made: Make) -> None:
    assert len(begun(made("old", "touchy"))) == len(TOOLS)


def test_one_that_ends_at_once_says_why(made: Make) -> None:
    server = Server("s", lambda answer: stdio(["sh", "-c", "echo no key >&2; exit 3"], answer))
    with pytest.raises(ServerFailed, match=r"cannot be used: it ended with status 3 \(no key\)"):
        server.begin(CancelToken())


def test_a_cancel_ends_the_start_at_once(made: Make) -> None:
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(Cancelled):
        made("old", "mute", limits=Limits(start=LIMIT)).begin(token)


# ---- a call that is stopped


def stopped(server: Server) -> ToolFailure:
    """How a call ends that is stopped once it works."""
    server.begin(CancelToken())
    said, ended = Said(), []

    def run() -> None:
        try:
            server.call("slow", {}, said.context)
        except ToolFailure as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert said.spoken.wait(LIMIT)
    said.token.cancel()
    thread.join(LIMIT)
    (error,) = ended
    return error


@pytest.mark.parametrize("era", ["old", "new"])
def test_a_server_that_ends_a_stopped_call_says_so_itself(made: Make, era: str) -> None:
    error = stopped(made(era))
    assert error.outcome == "failed"
    assert "Request cancelled" in error.message


def test_if_it_does_not_stop_the_outcome_is_unknown(made: Make) -> None:
    error = stopped(made("new", "deaf", limits=Limits(stop=0.2)))
    assert error.outcome == "unknown"
    assert error.code == "not_stopped"
    assert error.message == "the server s was asked to stop, and may still be working"


# ---- a server that dies


def test_a_call_that_dies_with_its_server_has_an_unknown_outcome(made: Make) -> None:
    server = made("old")
    server.begin(CancelToken())
    with pytest.raises(ToolFailure, match="may have taken effect") as caught:
        server.call("die", {}, Said().context)
    assert (caught.value.outcome, caught.value.code) == ("unknown", "server_ended")
    assert "killed by SIGKILL (a last word)" in caught.value.message


@pytest.mark.parametrize("era", ["old", "new"])
def test_the_next_call_starts_it_again(made: Make, era: str) -> None:
    server = made(era)
    server.begin(CancelToken())
    with pytest.raises(ToolFailure):
        server.call("die", {}, Said().context)
    assert server.call("echo", {"text": "back"}, Said().context) == "back"


def test_one_that_comes_back_with_other_tools_is_not_called() -> None:
    arguments = [["new"], ["new", "changed"]]
    server = Server("s", lambda answer: stdio(command(*arguments.pop(0)), answer))
    server.begin(CancelToken())
    with pytest.raises(ToolFailure):
        server.call("die", {}, Said().context)
    assert not server.changed
    with pytest.raises(ToolFailure, match="has changed its tools"):
        server.call("echo", {"text": "x"}, Said().context)
    assert server.changed
    server.close()


def test_one_that_does_not_come_back_fails_the_call_and_no_more() -> None:
    programs = [command("new"), ["false"], ["false"]]
    server = Server("s", lambda answer: stdio(programs.pop(0), answer))
    server.begin(CancelToken())
    with pytest.raises(ToolFailure):
        server.call("die", {}, Said().context)
    with pytest.raises(ToolFailure, match="ended with status 1") as caught:
        server.call("echo", {}, Said().context)
    assert caught.value.outcome == "failed"


def test_a_closed_server_is_not_started_again(made: Make) -> None:
    server = made("new")
    server.begin(CancelToken())
    server.close()
    server.close()
    with pytest.raises(ToolFailure, match="is closed"):
        server.call("echo", {}, Said().context)


def test_one_that_was_never_begun_is_closed_without_ado() -> None:
    def never(_answer: Answer) -> Any:
        raise ChatstreamError("it is opened")

    Server("s", never).close()

"""Claimed: no server is believed about its tools, and all servers begin and end together."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.errors import Cancelled, ChatstreamError
from chatstream.events import ToolCall
from chatstream.flow import events_in
from chatstream.tools.approval import Policy, Rules
from chatstream.tools.calls import Pending
from chatstream.tools.mcp.approved import Approved
from chatstream.tools.mcp.channel import Channel
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.session import Limits
from chatstream.tools.mcp.tool import CHANGED, Fleet
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import Runner
from chatstream.tools.tool import Tool
from tests.support.mcpserver import command
from tests.support.stdio import stdio
from tests.support.toolcalls import LIMIT

pytestmark = pytest.mark.usefixtures("ends_keeper")

IMPATIENT = Limits(stop=0.2)


def server(name: str, *arguments: str, limits: Limits = IMPATIENT) -> tuple[Server, str]:
    return Server(name, lambda answer: stdio(command(*arguments), answer), limits=limits), name


def tools(
    *servers: tuple[Server, str], approved: Approved | None = None, trusted: Sequence[str] = ()
) -> tuple[Fleet, dict[str, Tool]]:
    fleet = Fleet(servers, approved or Approved(None), CancelToken(), trusted=trusted)
    return fleet, {it.name: it for it in fleet.tools()}


def events(
    tool: Tool, arguments: str = "{}", *, allow: Sequence[str] = (), **options: Any
) -> list[ev.Event]:
    """What becomes of one call, where these rules hold."""
    runner = Runner(Toolset([tool]), Policy(Rules(allow=allow)).decide, **options)
    pending = Pending(ToolCall("call1", tool.name, arguments))
    return list(events_in(runner.run([pending], CancelToken())))


def test_names_have_the_server_before_them() -> None:
    fleet, made = tools(server("a", "old"), server("b", "new"))
    assert list(made)[:2] == ["a_echo", "a_fail"]
    assert "b_echo" in made
    assert "$schema" not in made["a_echo"].definition.parameters
    fleet.close()


def test_a_tool_that_says_that_it_only_reads_is_asked_about() -> None:
    fleet, made = tools(server("a", "new"))
    tool = made["a_echo"]
    assert (tool.effect, tool.confined, tool.origin) == ("net", False, "mcp")
    error = events(tool, '{"text": "x"}')[-1]
    assert isinstance(error, ev.ToolError)
    assert error.outcome == "denied"
    fleet.close()


def test_others_write_what_a_server_returns_unless_it_is_trusted() -> None:
    fleet, made = tools(server("a", "new"), server("b", "new"), trusted=["b"])
    assert {name: it.foreign for name, it in made.items() if "echo" in name} == {
        "a_echo": True,
        "b_echo": False,
    }
    denied = events(made["b_echo"], '{"text": "x"}')[-1]  # it has no other right
    assert isinstance(denied, ev.ToolError)
    assert denied.outcome == "denied"
    fleet.close()


def test_a_rule_allows_it_until_its_description_changes(tmp_path: Path) -> None:
    path = tmp_path / "approved.json"
    fleet, made = tools(server("a", "new"), approved=Approved(path))
    done = events(made["a_echo"], '{"text": "x"}', allow=["a_*"])[-1]
    assert isinstance(done, ev.ToolComplete)
    assert done.result == "x"
    fleet.close()

    fleet, made = tools(server("a", "new", "changed"), approved=Approved(path))
    assert made["a_echo"].caution == CHANGED
    assert made["a_env"].caution is None  # nobody has ever approved it
    *before, error = events(made["a_echo"], '{"text": "x"}', allow=["a_*"])
    assert isinstance(error, ev.ToolError)
    assert error.error == f"not run: {CHANGED}, and there is nobody to ask"
    assert any(isinstance(it, ev.Warn) and CHANGED in it.message for it in before)

    asked = events(made["a_echo"], '{"text": "x"}', allow=["a_*"], approve=lambda _: True)
    assert isinstance(asked[-1], ev.ToolComplete)
    fleet.close()

    fleet, made = tools(server("a", "new", "changed"), approved=Approved(path))
    assert made["a_echo"].caution is None
    fleet.close()


def test_a_stopped_call_whose_server_goes_on_has_an_unknown_outcome() -> None:
    fleet, made = tools(server("a", "new", "deaf"))
    control = Control()
    runner = Runner(Toolset([made["a_slow"]]), Policy(Rules(allow=["*"])).decide, control=control)
    found: list[ev.Event] = []
    for event in events_in(runner.run([Pending(ToolCall("1", "a_slow", "{}"))], CancelToken())):
        found.append(event)
        if isinstance(event, ev.ToolProgress) and event.message == "working":
            control.stop_tools()
    error = found[-1]
    assert isinstance(error, ev.ToolError)
    assert (error.outcome, error.code) == ("unknown", "not_stopped")
    assert error.error.endswith("the server a was asked to stop, and may still be working")
    fleet.close()


def test_a_stopped_call_that_its_server_has_ended_is_stopped() -> None:
    fleet, made = tools(server("a", "old", limits=Limits(stop=LIMIT)))
    control = Control()
    runner = Runner(Toolset([made["a_slow"]]), Policy(Rules(allow=["*"])).decide, control=control)
    last: ev.Event | None = None
    for last in events_in(runner.run([Pending(ToolCall("1", "a_slow", "{}"))], CancelToken())):
        if isinstance(last, ev.ToolProgress) and last.message == "working":
            control.stop_tools()
    assert isinstance(last, ev.ToolError)
    assert last.outcome == "stopped"
    fleet.close()


# ---- together


def test_to_close_one_tool_closes_all_servers() -> None:
    fleet, made = tools(server("a", "old"), server("b", "new"))
    made["a_echo"].close()
    for name in ("a_echo", "b_echo"):
        error = events(made[name], allow=["*"])[-1]
        assert isinstance(error, ev.ToolError)
        assert "is closed" in error.error
    fleet.close()


def test_servers_begin_at_the_same_time() -> None:
    """Each waits until both have begun to start."""
    both = threading.Barrier(2, timeout=LIMIT)

    def opening(answer: Any) -> Channel:
        both.wait()
        return stdio(command("new"), answer)

    fleet, made = tools((Server("a", opening), "a"), (Server("b", opening), "b"))
    assert {"a_echo", "b_echo"} <= set(made)
    fleet.close()


def test_servers_end_at_the_same_time() -> None:
    """Each waits until both have begun to end."""
    both = threading.Barrier(2, timeout=LIMIT)

    class Ending(Server):
        def close(self) -> None:
            both.wait()
            super().close()

    def opening(answer: Any) -> Channel:
        return stdio(command("new"), answer)

    fleet, _ = tools((Ending("a", opening), "a"), (Ending("b", opening), "b"))
    fleet.close()
    assert not both.broken
    fleet.close()


def test_who_waits_is_told_for_which_servers_until_there_are_none() -> None:
    go, told = threading.Event(), list[Sequence[str]]()

    def opening(answer: Any) -> Channel:
        assert go.wait(LIMIT)
        return stdio(command("new"), answer)

    def starting(names: Sequence[str]) -> None:
        told.append(names)
        if names == ["b"]:
            go.set()

    fleet = Fleet([server("a", "old"), (Server("b", opening), "b")], Approved(None), CancelToken())
    fleet.tools(starting)
    assert told[0] in (["a", "b"], ["b"])
    assert ["b"] in told
    assert told[-1] == []
    fleet.close()


def test_the_failure_of_one_does_not_wait_for_another() -> None:
    """The other one would take so long that the test would fail."""
    slow = server("slow", "old", "mute", limits=Limits(start=10 * LIMIT, discover=10 * LIMIT))
    fleet = Fleet([slow, server("bad", "new", "future")], Approved(None), CancelToken())
    with pytest.raises(ChatstreamError, match="server bad"):
        fleet.tools()


def test_one_that_fails_ends_all_of_them() -> None:
    good = server("good", "old")
    bad = server("bad", "old", "mute", limits=Limits(start=0.2, discover=0.1))
    fleet = Fleet([good, bad], Approved(None), CancelToken())
    with pytest.raises(ChatstreamError, match="bad did not answer"):
        fleet.tools()
    session = good[0]._session
    assert session is not None
    assert session.channel.lost


def test_a_cancel_ends_the_start() -> None:
    token = CancelToken()
    fleet = Fleet([server("a", "old", "mute")], Approved(None), token)
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Cancelled):
        fleet.tools()


def test_servers_without_tools_are_not_kept() -> None:
    code = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    it = json.loads(line)\n"
        "    if 'id' in it:\n"
        "        print(json.dumps({'id': it['id'], 'result': {'protocolVersion': '2025-11-25'}}))\n"
        "        sys.stdout.flush()\n"
    )
    empty = Server("a", lambda answer: stdio([sys.executable, "-c", code], answer))
    fleet, made = tools((empty, "a"))
    assert made == {}
    session = empty._session
    assert session is not None
    assert session.channel.lost
    fleet.close()

"""Claimed: over either wire, and in either era, a server offers and does the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.mcp_servers import HttpExchange
from chatstream.engine.settings import Settings
from chatstream.tools.mcp.http import Http
from chatstream.tools.mcp.server import Server
from chatstream.tools.tool import ToolFailure
from tests.support.mcpserver import TOOLS, HttpServer, command
from tests.support.stdio import stdio
from tests.support.toolcalls import Said

pytestmark = pytest.mark.usefixtures("ends_keeper")

ROOTS = [{"uri": "file:///here", "name": "here"}]


@pytest.fixture(params=["stdio", "http"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["old", "new"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(wire: str, era: str, no_proxies: None) -> Iterator[Server]:
    if wire == "stdio":
        made = Server("s", lambda answer: stdio(command(era), answer), roots=ROOTS)
        try:
            yield made
        finally:
            made.close()
        return
    with HttpServer(era) as there:
        made = Server(
            "s", lambda answer: Http(there.url, answer, HttpExchange(Settings())), roots=ROOTS
        )
        yield made
        made.close()


def test_it_offers_its_tools_in_their_order(server: Server) -> None:
    offered = server.begin(CancelToken())
    assert [it.name for it in offered] == [it["name"] for it in TOOLS]
    assert offered[0].description == "Say it again."
    assert offered[0].parameters["properties"]["text"]["type"] == "string"


def test_a_call_gives_its_text(server: Server) -> None:
    server.begin(CancelToken())
    text = "an ünicode\nline \u2028 and “quotes”"
    assert server.call("echo", {"text": text}, Said().context) == text


def test_progress_is_told_and_what_makes_no_sense_is_not(server: Server) -> None:
    server.begin(CancelToken())
    said = Said()
    assert server.call("steps", {}, said.context) == "done"
    assert said.progress == [(1.0, 2.0, "step"), (2.0, 2.0, "step")]


def test_a_short_error_is_the_failure(server: Server) -> None:
    server.begin(CancelToken())
    with pytest.raises(ToolFailure, match=r"^no such file$"):
        server.call("fail", {"text": "no such file"}, Said().context)


def test_a_long_error_is_given_whole_and_the_call_fails(server: Server) -> None:
    server.begin(CancelToken())
    said, text = Said(), "first line\nsecond line"
    with pytest.raises(ToolFailure, match="says above"):
        server.call("fail", {"text": text}, said.context)
    assert said.text == text


def test_a_refused_call_says_why(server: Server) -> None:
    server.begin(CancelToken())
    with pytest.raises(ToolFailure, match=r"there is no tool nothing \(-32602\)"):
        server.call("nothing", {}, Said().context)


def test_what_it_asks_for_is_answered(server: Server, era: str) -> None:
    server.begin(CancelToken())
    answers = json.loads(server.call("ask", {}, Said().context))
    roots, declined = {"roots": ROOTS}, {"action": "decline"}
    if era == "new":
        assert answers == [{"r": roots, "e": declined}, "s"]
    else:
        assert [it.get("result") for it in answers] == [roots, declined, None, {}]
        assert answers[2]["error"]["code"] == -32601

"""Claimed: over HTTP each era is spoken as it has to be, and no request is sent twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.mcp_servers import HttpExchange
from chatstream.engine.settings import Settings
from chatstream.errors import ChatstreamError
from chatstream.tools.mcp.http import Http
from chatstream.tools.mcp.messages import MODERN
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.session import Limits
from chatstream.tools.tool import ToolFailure
from tests.support.mcpserver import OLD, TOOLS, HttpServer
from tests.support.toolcalls import LIMIT, Said

pytestmark = pytest.mark.usefixtures("no_proxies")


def client(there: HttpServer, headers: dict[str, str] | None = None, stop: float = LIMIT) -> Server:
    return Server(
        "s",
        lambda answer: Http(there.url, answer, HttpExchange(Settings()), headers),
        limits=Limits(stop=stop),
    )


@contextmanager
def asked(era: str, *odd: str) -> Iterator[tuple[HttpServer, Server]]:
    """A server that was begun, and its client."""
    with HttpServer(era, *odd) as there:
        server = client(there)
        server.begin(CancelToken())
        yield there, server
        server.close()


def test_the_newer_era_has_no_session_and_says_in_its_headers_what_it_asks() -> None:
    with asked("new") as (there, server):
        server.call("echo", {"text": "x"}, Said().context)
        server.close()
        assert there.methods() == ["server/discover", "tools/list", "tools/call"]
        for _, headers, message in there.requests:
            assert headers["mcp-protocol-version"] == MODERN
            assert headers["mcp-method"] == message["method"]
            assert "mcp-session-id" not in headers
        assert there.requests[-1][1]["mcp-name"] == "echo"
        assert there.requests[-1][1]["mcp-param-text"] == "x"


def test_the_older_era_begins_names_its_session_and_ends_it() -> None:
    with asked("old") as (there, server):
        server.call("echo", {"text": "x"}, Said().context)
        server.close()
        assert there.methods() == [
            *("server/discover", "initialize", "notifications/initialized"),
            *("tools/list", "tools/call", "DELETE"),
        ]
        for _, headers, _ in there.requests[2:]:
            assert headers["mcp-session-id"] == "s1"
            assert headers["mcp-protocol-version"] == OLD
        assert "mcp-protocol-version" not in there.requests[1][1]


def test_a_server_that_refuses_the_first_question_without_words_is_of_the_older_era() -> None:
    with asked("old", "plain") as (there, server):
        assert server.call("echo", {"text": "x"}, Said().context) == "x"
        assert there.methods()[1] == "initialize"


def test_headers_of_the_user_are_sent_and_cannot_replace_those_of_the_protocol() -> None:
    with HttpServer("new", "locked") as there:
        server = client(there, {"Authorization": "Bearer k", "MCP-METHOD": "no"})
        assert len(server.begin(CancelToken())) == len(TOOLS)
        server.close()
        assert all(it["authorization"] == "Bearer k" for _, it, _ in there.requests)


def test_a_server_that_requires_a_key_is_not_taken_for_an_old_one() -> None:
    with HttpServer("new", "locked") as there:
        with pytest.raises(ChatstreamError, match=r"refuses access \(401\)") as caught:
            client(there).begin(CancelToken())
        assert "headers" in str(caught.value.hint)
        assert there.methods() == ["server/discover"]


@pytest.mark.parametrize("era", ["old", "new"])
def test_a_stream_that_breaks_off_loses_the_call_which_is_not_sent_again(era: str) -> None:
    with asked(era, "cut") as (there, server):
        with pytest.raises(ToolFailure, match="may have taken effect") as caught:
            server.call("echo", {"text": "x"}, Said().context)
        assert caught.value.outcome == "unknown"
        assert there.methods().count("tools/call") == 1


def test_the_rest_of_a_numbered_stream_is_asked_for() -> None:
    with asked("old", "resumable") as (there, server):
        assert server.call("echo", {"text": "the rest"}, Said().context) == "the rest"
        assert there.methods().count("tools/call") == 1
        how, headers, _ = there.requests[-1]
        assert (how, headers["last-event-id"]) == ("GET", "7")


def test_a_session_that_the_server_has_forgotten_is_begun_once_more() -> None:
    with asked("old", "forgetful") as (there, server):
        assert server.call("echo", {"text": "x"}, Said().context) == "x"
        assert there.methods().count("initialize") == 2


def test_a_server_that_is_not_reached_has_done_nothing() -> None:
    with asked("new") as (there, server):
        there.stop()
        with pytest.raises(ToolFailure, match="refused") as caught:
            server.call("echo", {"text": "x"}, Said().context)
        assert caught.value.outcome == "failed"


def test_a_server_that_fails_has_perhaps_done_it() -> None:
    with asked("new", "broken") as (_, server):
        with pytest.raises(ToolFailure, match="HTTP 500") as caught:
            server.call("echo", {"text": "x"}, Said().context)
        assert caught.value.outcome == "unknown"


@pytest.mark.parametrize("era", ["old", "new"])
def test_a_stop_is_told_in_the_way_of_its_era(era: str) -> None:
    with HttpServer(era) as there:
        server = client(there, stop=0.3 if era == "new" else LIMIT)
        server.begin(CancelToken())
        said = Said()
        failures: list[ToolFailure] = []

        def run() -> None:
            try:
                server.call("slow", {}, said.context)
            except ToolFailure as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert said.spoken.wait(LIMIT)
        said.token.cancel()
        thread.join(LIMIT)
        (failure,) = failures
        if era == "new":
            assert there.gone.wait(LIMIT)
            assert failure.outcome == "unknown"
        else:
            assert "Request cancelled" in failure.message
        assert ("notifications/cancelled" in there.methods()) is (era == "old")
        with there.brain.changed:
            there.brain.cancelled.update(it["id"] for _, _, it in there.requests if "id" in it)
            there.brain.changed.notify_all()
        server.close()


def test_nobody_there_is_said_with_the_address() -> None:
    with HttpServer("new") as there:
        server = client(there)
    with pytest.raises(ChatstreamError, match=there.url):
        server.begin(CancelToken())

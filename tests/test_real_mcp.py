"""Claimed: the servers that everybody has work: those of the newer era, and those of the older.

What `Real` can do to every one of them is done to every one. Only server-everything has calls that
take their time, and speaks HTTP.
"""

from __future__ import annotations

import itertools
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.mcp_servers import HttpExchange
from chatstream.engine.settings import Settings
from chatstream.events import ToolCall
from chatstream.flow import events_in
from chatstream.tools.approval import Policy, Rules
from chatstream.tools.calls import Pending
from chatstream.tools.mcp.approved import Approved
from chatstream.tools.mcp.http import Http
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.session import Limits, ServerFailed
from chatstream.tools.mcp.tool import Fleet
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import Runner
from chatstream.tools.tool import ToolFailure
from tests.support.figures import Figures
from tests.support.mcpserver import command
from tests.support.real import servers
from tests.support.real.servers import mcp_over_http
from tests.support.realmcp import NAMES, SLOW, Real, Work
from tests.support.stdio import stdio
from tests.support.toolcalls import LIMIT, Said
from tests.support.unavailable import require, skip_unavailable

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_proxies", "ends_keeper")]

OWN_MS = 5.0
"""What a call may take beside the server's own time."""

IMPATIENT = Limits(stop=0.1)
FROZEN = 'kill -STOP $$; exec "$@"'


@pytest.fixture(params=NAMES)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Real:
    """Each of the servers."""
    with skip_unavailable():
        return Real(request.param, tmp_path)


class Calling(threading.Thread):
    """A call on a thread of its own."""

    def __init__(self, server: Server, tool: str, arguments: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.said = Said()
        self._args = server, tool, arguments
        self._failure: ToolFailure | None = None
        self.start()

    def run(self) -> None:
        server, tool, arguments = self._args
        try:
            server.call(tool, arguments, self.said.context)
        except ToolFailure as error:
            self._failure = error

    def failure(self) -> ToolFailure:
        """How it has failed, once it has."""
        self.join(LIMIT)
        assert self._failure is not None
        return self._failure


def done(server: Server, work: Work) -> str:
    """What a call gives."""
    return server.call(work.tool, work.arguments, Said().context)


def hurried() -> Any:
    """A clock on which five seconds pass from one look to the next."""
    return itertools.count(step=5.0).__next__


# ---- every server


def test_its_tools_are_listed_and_called_and_an_error_is_told_in_its_words(real: Real) -> None:
    with closing(real.server()) as server:
        offered = {it.name for it in server.begin(CancelToken())}
        assert {real.works.tool, real.fails.tool} <= offered
        session = server._session
        assert session is not None
        assert session.version in real.versions
        assert real.works.words in server.call(
            real.works.tool, real.works.arguments, Said().context
        )
        for work in (real.fails, real.works._replace(tool="nope", words="nope")):
            with pytest.raises(ToolFailure) as caught:
                done(server, work)
            assert work.words in caught.value.message
            assert (caught.value.code, caught.value.outcome) == ("mcp", "failed")


def test_a_call_that_hangs_is_cancelled_and_may_go_on(real: Real) -> None:
    with closing(real.server(limits=IMPATIENT)) as server:
        server.begin(CancelToken())
        real.signal(signal.SIGSTOP)
        calling = Calling(server, real.works.tool, real.works.arguments)
        real.until_heard('"tools/call"')
        calling.said.token.cancel()
        error = calling.failure()
        assert (
            error.message == f"the server {real.name} was asked to stop, and may still be working"
        )
        assert (error.code, error.outcome) == ("not_stopped", "unknown")
        real.until_heard('"notifications/cancelled"')
        real.signal(signal.SIGCONT)
        assert real.works.words in server.call(
            real.works.tool, real.works.arguments, Said().context
        )


def test_its_death_in_a_call_ends_the_call_and_the_next_one_starts_it_again(real: Real) -> None:
    with closing(real.server()) as server:
        server.begin(CancelToken())
        real.signal(signal.SIGSTOP)
        calling = Calling(server, real.works.tool, real.works.arguments)
        real.until_heard('"tools/call"')
        real.signal(signal.SIGKILL)
        error = calling.failure()
        assert "it was killed by SIGKILL" in error.message
        assert "the call may have taken effect" in error.message
        assert (error.code, error.outcome) == ("server_ended", "unknown")
        assert real.works.words in server.call(
            real.works.tool, real.works.arguments, Said().context
        )


def test_one_that_hangs_at_its_start_is_given_up(real: Real) -> None:
    frozen = ["sh", "-c", FROZEN, "sh", *real.line]
    with (
        closing(real.server(frozen, clock=hurried())) as server,
        pytest.raises(ServerFailed, match=f"server {real.name} did not answer within 30 s"),
    ):
        server.begin(CancelToken())


# ---- server-everything, over both transports


@contextmanager
def over_stdio(folder: Path) -> Iterator[tuple[Server, Any]]:
    """The server, and what sends it a signal."""
    with skip_unavailable():
        real = Real("everything", folder)
    with closing(real.server(limits=IMPATIENT)) as server:
        yield server, real.signal


@contextmanager
def over_http(_: Path) -> Iterator[tuple[Server, Any]]:
    with require(mcp_over_http()) as there, closing(reached(there)) as server:
        yield server, lambda _: there.crash()


def reached(there: servers.Server, **options: Any) -> Server:
    """The server that runs there."""
    given: dict[str, Any] = {"limits": IMPATIENT, **options}
    return Server(
        "everything",
        lambda answer: Http(f"{there.url}/mcp", answer, HttpExchange(Settings())),
        **given,
    )


WAYS = pytest.mark.parametrize("way", [over_stdio, over_http])


@WAYS
def test_progress_is_told(way: Any, tmp_path: Path) -> None:
    with way(tmp_path) as (server, _):
        server.begin(CancelToken())
        said = Said()
        assert "completed" in server.call(SLOW, {"duration": 0.2, "steps": 4}, said.context)
        assert said.progress == [(float(it), 4.0, None) for it in range(1, 5)]


@WAYS
def test_a_long_call_is_cancelled_and_the_server_still_answers(way: Any, tmp_path: Path) -> None:
    with way(tmp_path) as (server, _):
        server.begin(CancelToken())
        calling = Calling(server, SLOW, {"duration": 60, "steps": 600})
        assert calling.said.spoken.wait(LIMIT)
        calling.said.token.cancel()
        error = calling.failure()
        assert error.outcome == "unknown"  # it works on to the end, and says nothing
        assert error.message == "the server everything was asked to stop, and may still be working"
        assert server.call("echo", {"message": "hi"}, Said().context) == "Echo: hi"


@WAYS
def test_its_death_in_a_long_call_leaves_the_outcome_unknown(way: Any, tmp_path: Path) -> None:
    with way(tmp_path) as (server, send):
        server.begin(CancelToken())
        calling = Calling(server, SLOW, {"duration": 60, "steps": 600})
        assert calling.said.spoken.wait(LIMIT)
        send(signal.SIGKILL)
        error = calling.failure()
        assert (error.code, error.outcome) == ("server_ended", "unknown")
        assert "the MCP server everything was lost" in error.message


@WAYS
def test_more_than_text_is_named(way: Any, tmp_path: Path) -> None:
    with way(tmp_path) as (server, _):
        server.begin(CancelToken())
        assert "[image: image/png, " in server.call("get-tiny-image", {}, Said().context)
        links = server.call("get-resource-links", {"count": 1}, Said().context)
        assert "[resource: " in links
        place = {"location": "Chicago"}
        assert "temp" in server.call("get-structured-content", place, Said().context)
        with pytest.raises(ToolFailure, match="expected string"):
            server.call("echo", {}, Said().context)


def test_one_that_hangs_over_http_is_given_up() -> None:
    with require(mcp_over_http()) as there:
        there.freeze()
        with (
            closing(reached(there, limits=Limits(), clock=hurried())) as server,
            pytest.raises(ServerFailed, match="server everything did not answer within 30 s"),
        ):
            server.begin(CancelToken())


# ---- in a run


@pytest.mark.parametrize("how", ["x", "timeout"])
def test_a_long_call_is_stopped_by_a_key_or_a_limit_and_what_is_said_is_true(
    how: str, tmp_path: Path
) -> None:
    with over_stdio(tmp_path) as (server, _):
        fleet = Fleet([(server, "everything")], Approved(None), CancelToken())
        (tool,) = [it for it in fleet.tools() if it.name == f"everything_{SLOW}"]
        control, seconds = Control(can_answer=False), [0.0]
        runner = Runner(
            Toolset([tool]),
            Policy(Rules(allow=["*"])).decide,
            control=control,
            timeout=3600.0,
            clock=lambda: seconds[0],
        )
        call = ToolCall("1", tool.name, '{"duration": 60, "steps": 600}')
        last: ev.Event | None = None
        for last in events_in(runner.run([Pending(call)], CancelToken())):
            if isinstance(last, ev.ToolProgress) and last.progress:
                if how == "x":
                    control.stop_tools()
                else:
                    seconds[0] = 3601.0
        assert isinstance(last, ev.ToolError)
        assert (last.code, last.outcome) == ("not_stopped", "unknown")
        assert "the server everything was asked to stop, and may still be working" in last.error


@pytest.mark.serial
def test_a_call_takes_little_time_beside_the_servers_own(figures: Figures) -> None:
    """Against a server that does nothing: all of the time is its reading, and ours."""
    for era in ("old", "new"):
        server = Server("s", partial(stdio, command(era)))
        server.begin(CancelToken())
        context, times = Said().context, []
        for _ in range(200):
            began = time.perf_counter()
            server.call("echo", {"text": "x"}, context)
            times.append((time.perf_counter() - began) * 1000)
        server.close()
        figures.line(f"an MCP call over stdio, {era} era: {statistics.median(times):.2f} ms")
        assert statistics.median(times) < OWN_MS

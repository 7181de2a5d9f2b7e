"""Claimed: the servers that everybody has work: those of the newer era, and those of the older."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.mcp_servers import HttpExchange
from chatstream.engine.settings import Settings
from chatstream.tools.mcp.approved import Approved
from chatstream.tools.mcp.channel import Channel
from chatstream.tools.mcp.http import Http
from chatstream.tools.mcp.server import Server
from chatstream.tools.mcp.tool import Fleet
from chatstream.tools.tool import Tool, ToolFailure
from tests.support.figures import Figures
from tests.support.mcpserver import command
from tests.support.real.install import mcp_server
from tests.support.real.servers import mcp_over_http
from tests.support.stdio import stdio
from tests.support.toolcalls import LIMIT, Said
from tests.support.unavailable import require, skip_unavailable

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_proxies", "ends_keeper")]

OWN_MS = 5.0
"""What a call may take beside the server's own time."""


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[dict[str, Tool]]:
    """Those of all five servers."""
    with skip_unavailable():
        commands = {it: mcp_server(it) for it in ("time", "git", "everything", "memory")}
        commands["filesystem"] = [*mcp_server("filesystem"), str(tmp_path)]
    env = {"MEMORY_FILE_PATH": str(tmp_path / "memory.json")}
    servers = [(Server(name, partial(_stdio, line, env)), name) for name, line in commands.items()]
    fleet = Fleet(servers, Approved(None), CancelToken())
    yield {it.name: it for it in fleet.tools()}
    fleet.close()


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Tool]]:
    """Those of server-everything, started where our environment has a key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-our-environment")
    with skip_unavailable():
        line = mcp_server("everything")
    server = Server("everything", partial(_stdio, line, {}))
    fleet = Fleet([(server, "everything")], Approved(None), CancelToken())
    yield {it.name: it for it in fleet.tools()}
    fleet.close()


def _stdio(line: list[str], env: dict[str, str], answer: Any) -> Channel:
    return stdio(line, answer, env)


def call(tool: Tool, said: Said | None = None, **arguments: Any) -> str:
    return str(tool.run(arguments, (said or Said()).context))


def failure(tool: Tool, **arguments: Any) -> ToolFailure:
    with pytest.raises(ToolFailure) as caught:
        call(tool, **arguments)
    return caught.value


def test_time_git_files_and_memory_do_their_work(tools: dict[str, Tool], tmp_path: Path) -> None:
    assert "Europe/Berlin" in call(tools["time_get_current_time"], timezone="Europe/Berlin")
    assert (
        "Invalid timezone" in failure(tools["time_get_current_time"], timezone="No/where").message
    )
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "a.txt").write_text("ä\n")
    assert "a.txt" in call(tools["git_status"], repo_path=str(tmp_path))
    assert call(tools["filesystem_read_text_file"], path=str(tmp_path / "a.txt")) == "ä\n"
    assert "denied" in failure(tools["filesystem_read_text_file"], path="/etc/passwd").message
    entity = {"name": "n", "entityType": "t", "observations": ["o"]}
    call(tools["memory_create_entities"], entities=[entity])
    assert '"n"' in call(tools["memory_read_graph"])


def test_everything_tells_its_progress_and_gives_more_than_text(
    everything: dict[str, Tool],
) -> None:
    said = Said()
    slow = everything["everything_trigger-long-running-operation"]
    assert "completed" in call(slow, said, duration=0.2, steps=4)
    assert said.progress == [(float(it), 4.0, None) for it in range(1, 5)]
    assert "[image: image/png, " in call(everything["everything_get-tiny-image"])
    assert "[resource: " in call(everything["everything_get-resource-links"], count=1)
    assert "temperature" in call(
        everything["everything_get-structured-content"], location="Chicago"
    )


def test_get_env_shows_no_key(everything: dict[str, Tool]) -> None:
    tool = everything["everything_get-env"]
    assert (tool.effect, tool.confined) == ("net", False)  # it says that it only reads
    assert "OPENAI_API_KEY" not in call(tool)


def test_a_call_is_cancelled(everything: dict[str, Tool]) -> None:
    said, ended = Said(), []

    def run() -> None:
        try:
            call(
                everything["everything_trigger-long-running-operation"],
                said,
                duration=30,
                steps=300,
            )
        except ToolFailure as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert said.spoken.wait(LIMIT)
    said.token.cancel()
    thread.join(LIMIT)
    (error,) = ended
    assert error.outcome == "unknown"  # this server works on to the end, and says nothing


def test_everything_speaks_http_too() -> None:
    with require(mcp_over_http()) as url:
        server = Server("e", lambda answer: Http(url, answer, HttpExchange(Settings())))
        offered = [it.name for it in server.begin(CancelToken())]
        assert "echo" in offered
        assert server.call("echo", {"message": "hi"}, Said().context) == "Echo: hi"
        said = Said()
        arguments = {"duration": 0.2, "steps": 2}
        server.call("trigger-long-running-operation", arguments, said.context)
        assert said.progress == [(1.0, 2.0, None), (2.0, 2.0, None)]
        server.close()


@pytest.mark.serial
def test_a_call_takes_little_time_beside_the_servers_own(figures: Figures) -> None:
    """Against a server that does nothing: all of the time is its reading, and ours."""
    for era in ("old", "new"):
        server = Server("s", partial(_stdio, command(era), {}))
        server.begin(CancelToken())
        context, times = Said().context, []
        for _ in range(200):
            began = time.perf_counter()
            server.call("echo", {"text": "x"}, context)
            times.append((time.perf_counter() - began) * 1000)
        server.close()
        figures.line(f"an MCP call over stdio, {era} era: {statistics.median(times):.2f} ms")
        assert statistics.median(times) < OWN_MS

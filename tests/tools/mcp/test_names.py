"""Claimed: every server and tool has a name that every model takes, and no two tools the same."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream.engine.mcp_servers import NAME
from chatstream.messages import TOOL_NAME
from chatstream.tools.mcp.names import of_address, of_command, of_tools


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("uvx mcp-server-git --repository .", "git"),
        ("python -m mcp_server_time", "time"),
        ("/a/.venv/bin/python3 -m mcp_server_time --local-timezone UTC", "time"),
        ("npx -y @modelcontextprotocol/server-everything", "everything"),
        ("npx -y @modelcontextprotocol/server-memory@2026.8.31", "memory"),
        ("node /m/@modelcontextprotocol/server-filesystem/dist/index.js /tmp", "filesystem"),
        ("docker run -i --rm mcp/git", "git"),
        ("./weather-mcp", "weather"),
        ("github-mcp-server stdio", "github"),
        ("python server.py", "mcp"),
        ("node", "node"),
    ],
)
def test_a_command_names_its_server(command: str, name: str) -> None:
    assert of_command(shlex.split(command)) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://mcp.example.com/mcp", "example"),
        ("https://api.weather.org", "weather"),
        ("http://localhost:8000/mcp", "localhost"),
        ("http://127.0.0.1:8000/mcp", "127_0_0_1"),
        ("http://[::1]:8000/mcp", "__1"),
        ("http://mcp/", "mcp"),
    ],
)
def test_an_address_names_its_server(url: str, name: str) -> None:
    assert of_address(url) == name


@given(st.lists(st.text(min_size=1).filter(lambda it: not it.startswith("-")), min_size=1))
def test_whatever_the_command_the_name_fits(command: list[str]) -> None:
    assert NAME.fullmatch(of_command(command))


def test_a_tool_has_the_name_of_its_server_once() -> None:
    assert of_tools("git", ["git_status", "log"]) == ["git_status", "git_log"]


@given(st.lists(st.text(), unique=True, max_size=20))
def test_names_fit_and_are_never_the_same(tools: list[str]) -> None:
    names = of_tools("a-server", tools)
    assert all(re.fullmatch(TOOL_NAME, it) for it in names)
    assert len({*names}) == len(tools)


def test_a_long_name_is_told_by_a_hash_and_stays_the_same() -> None:
    long = ["x" * 80 + "1", "x" * 80 + "2"]
    first, second = of_tools("s", long)
    assert len(first) == 64
    assert first != second
    assert of_tools("s", long[1:]) == [second]

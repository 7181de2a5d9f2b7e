"""The settings of tools, declared like all others (`settings`)."""

# Annotations are not postponed: msgspec would have to evaluate each of them at every start.

from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from chatstream.engine.declaration import LARGEST_NUMBER, About, Option, Seconds

_tools = partial(Option, "Tools")


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of tools, with their defaults."""

    tools: Annotated[
        list[str],
        _tools(
            "The built-in tools that the model may use.",
            value="NAME",
            names=("--tool",),
            option_help="Let the model use this built-in tool. Repeatable.",
            in_python=False,
            commas=True,
        ),
    ] = []
    mcp_servers: Annotated[
        list[str],
        _tools(
            "Let the model use the tools of these MCP servers: names of [mcp.NAME], addresses, or "
            "commands.",
            value="SERVER",
            names=("--mcp",),
            option_help="Let the model use this MCP server. Repeatable.",
        ),
    ] = []
    mcp_config: Annotated[
        str | None,
        _tools(
            "Let the model use the MCP servers in this JSON file, which has the format of other "
            "clients.",
            value="FILE",
            rare=True,
        ),
    ] = None
    mcp: Annotated[
        dict[str, dict[str, Any]],
        About(
            "Tools",
            "The MCP servers: for each name its command, args and env, or its url and headers.",
            in_python=False,
        ),
    ] = {}
    tools_file: Annotated[
        str | None,
        _tools("Let the model use the functions of this Python file.", value="FILE"),
    ] = None
    tool_exec: Annotated[
        list[str],
        _tools(
            "Executables that the model may use, each of which describes itself.",
            value="FILE",
            option_help="Let the model use this executable. Repeatable.",
            rare=True,
        ),
    ] = []
    sandbox: Annotated[
        Literal["auto", "bwrap", "landlock", "off"],
        _tools(
            "The sandbox for shell and executables: auto, bwrap, landlock or off.",
            value="KIND",
            rare=True,
        ),
    ] = "auto"
    http_hosts: Annotated[
        list[str],
        _tools(
            "The hosts of private networks that http_get may reach.",
            value="HOST",
            names=("--http-host",),
            option_help="Let http_get reach this host of a private network. Repeatable.",
            rare=True,
            commas=True,
        ),
    ] = []
    allow: Annotated[
        list[str],
        _tools(
            "Run these tools without asking: names, patterns such as git_*, or shell(git status).",
            value="NAME",
            option_help="Run this tool without asking. Repeatable.",
            commas=True,
        ),
    ] = []
    ask: Annotated[
        list[str],
        _tools(
            "Ask before these tools run, even if they are allowed.",
            value="NAME",
            option_help="Ask before this tool runs, even if it is allowed. Repeatable.",
            rare=True,
            commas=True,
        ),
    ] = []
    deny: Annotated[
        list[str],
        _tools(
            "Never run these tools.",
            value="NAME",
            option_help="Never run this tool. Repeatable.",
            rare=True,
            commas=True,
        ),
    ] = []
    on_ask: Annotated[
        Literal["deny", "stop"],
        _tools(
            "If nobody can be asked: deny the call, or stop the run, to be resumed with --allow.",
            value="deny|stop",
            rare=True,
        ),
    ] = "deny"
    root: Annotated[
        list[str],
        _tools(
            "The folders that the built-in tools may read and write.",
            value="DIR",
            shown_default="the current folder",
            option_help="Let the built-in tools use this folder. Repeatable.",
            rare=True,
        ),
    ] = []
    max_rounds: Annotated[
        int,
        msgspec.Meta(ge=1, le=LARGEST_NUMBER),
        _tools("Stop calling tools after N rounds of calls.", value="N", rare=True),
    ] = 20
    max_calls: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=LARGEST_NUMBER)] | None,
        _tools("Stop calling tools after N calls.", value="N", rare=True),
    ] = None
    token_budget: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=LARGEST_NUMBER)] | None,
        _tools("Stop calling tools after N tokens, in and out.", value="N", rare=True),
    ] = None
    tool_timeout: Annotated[
        Seconds,
        _tools("Stop a tool that runs for S seconds; 0 means never.", value="S", rare=True),
    ] = 120.0

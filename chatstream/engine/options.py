"""The options of the Python API, checked.

A mistake (an unknown option, a value of the wrong type) is a `UsageError` that names the option,
found before anything is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict

from chatstream.engine.pipeline import check_sendable
from chatstream.engine.prompts import check_text, nearest, type_of
from chatstream.engine.resolve import check_given, parse
from chatstream.engine.settings import FIELDS
from chatstream.engine.tooling import Given
from chatstream.errors import ConfigError, UsageError
from chatstream.events import ToolCall


class ToolOptions(TypedDict, total=False):
    """The options that are no settings: what only a program can give."""

    tools: Iterable[Any]
    approve: Callable[[ToolCall], bool]
    execute: Callable[[ToolCall], object]


class RoleOptions(TypedDict, total=False):
    """The role of a question, and the values of its variables."""

    role: str
    variables: dict[str, str]


class Options(ToolOptions, RoleOptions, total=False):
    """The options of `stream`, `ask`, `pieces` and `resume`; `stream` says what each means."""

    provider: str
    model: str
    base_url: str
    api_key: str
    key_variable: str
    key_command: str
    system: str
    context_files: bool
    schema: str
    schema_multi: str
    labels: dict[str, str]
    trim: bool
    temperature: float
    max_tokens: int
    effort: Literal["none", "low", "medium", "high"]
    max_cost: float
    stop_when: str
    fallback_on_error: bool
    retries: int
    retry_delay: float
    connect_timeout: float
    first_token_timeout: float
    idle_timeout: float
    timeout: float
    proxy: str
    ca_file: str | os.PathLike[str]
    headers: dict[str, str]
    analyze: bool
    filters: list[str]
    options: dict[str, Any]
    on_drop: Literal["continue", "restart", "stop", "fallback"]
    fallback: list[str]
    strategy: str
    journal: bool
    buffer: Literal["none", "fixed", "dynamic", "sliding"]
    buffer_bytes: int
    coalesce: bool
    mcp_servers: list[str]
    mcp_config: str
    tools_file: str | os.PathLike[str]
    tool_exec: list[str]
    sandbox: Literal["auto", "bwrap", "landlock", "off"]
    http_hosts: list[str]
    allow: list[str]
    ask: list[str]
    deny: list[str]
    on_ask: Literal["deny", "stop"]
    root: list[str]
    max_rounds: int
    max_calls: int
    token_budget: int
    tool_timeout: float
    profile: str


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, a path as text.

    Raises `UsageError` for one that is wrong, and names it.
    """
    given = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in options.items()
    }
    for name, value in given.items():
        if name not in _OPTIONS and name not in FIELDS:
            raise UsageError(f"unknown option {name!r}", hint=nearest(name, _OPTIONS))
        if value is None:
            continue
        if name == "tools":
            given[name] = _checked_tools(value)
        elif name in ToolOptions.__annotations__:
            _check_callback(name, value)
        elif name == "variables":
            _check_variables(value)
        else:
            _check_option(name, value)
    return given


def parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], Given]:
    """Checked options as settings, `role` as a `Role`, and what else is needed to run tools.

    A text among the tools is the name of a built-in one. `tools`, even if empty, replace those of
    the configuration. Raises `UsageError`, `ConfigError` for the role.
    """
    settings = dict(options)
    name, variables = (settings.pop(it, None) for it in RoleOptions.__annotations__)
    if name is not None:
        from chatstream.engine.roles import filled

        pairs = [f"{it}={value}" for it, value in (variables or {}).items()]
        settings["role"] = filled(name, pairs, option=_VARIABLES)
    elif variables:
        raise UsageError("variables need a role", hint="give its name as role")
    tools, approve, execute = (settings.pop(name, None) for name in ToolOptions.__annotations__)
    if tools is not None:
        settings["tools"] = [it for it in tools if isinstance(it, str)]
    own = tuple(it for it in tools or () if not isinstance(it, str))
    return settings, Given(tools=own, approve=approve, execute=execute)


def _checked_tools(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise UsageError(
            f"tools cannot be {type_of(value)}",
            hint="give a list of functions, and of names of built-in tools",
        )
    tools = tuple(value)
    for tool in tools:
        check_text(tool, "the name of a tool")
        if tool is None or (isinstance(tool, str) and not tool.strip()):
            raise UsageError("tools has an empty entry", hint="give a function, or leave it out")
    return tools


def _check_variables(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise UsageError(f"variables cannot be {type_of(value)}", hint="give a dict")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            what = type_of(text if isinstance(name, str) else name)
            raise UsageError(f"variables cannot contain a value {what}", hint="give a str")


def _check_callback(name: str, value: Any) -> None:
    if not callable(value):
        raise UsageError(
            f"{name} cannot be {type_of(value)}", hint="give a function that takes a call"
        )


def _check_option(name: str, value: Any) -> None:
    for text in value if isinstance(value, list | tuple) else [value]:
        check_text(text, name)
    try:
        if name == "options" and isinstance(value, dict):
            check_sendable(value)
        if name not in {"profile", "role"}:
            parse(name, value)
        elif not isinstance(value, str):
            raise UsageError(f"{name} cannot be {type_of(value)}", hint="give its name, a str")
        else:
            check_given(name, value)
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error


_VARIABLES = "variables: "
"""The text before a pair in a message."""

_OPTIONS = tuple(Options.__annotations__)

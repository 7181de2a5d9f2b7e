"""The options of the Python API, checked.

A mistake (an unknown option, a value of the wrong type) is a `UsageError` that names the option,
found before anything is asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from chatstream.engine.pipeline import check_sendable
from chatstream.engine.prompts import check_text, nearest, type_of
from chatstream.engine.resolve import check_given, parse
from chatstream.engine.settings import FIELDS
from chatstream.errors import ConfigError, UsageError


class Options(TypedDict, total=False):
    """The options of `stream`, `ask`, `pieces` and `resume`; `stream` says what each means."""

    provider: str
    model: str
    base_url: str
    api_key: str
    key_variable: str
    key_command: str
    system: str
    labels: dict[str, str]
    temperature: float
    max_tokens: int
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
    options: dict[str, Any]
    on_drop: Literal["continue", "restart", "stop", "fallback"]
    fallback: list[str]
    strategy: str
    journal: bool
    buffer: Literal["none", "fixed", "dynamic", "sliding"]
    buffer_bytes: int
    coalesce: bool
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
        if name not in FIELDS and name != "profile":
            raise UsageError(f"unknown option {name!r}", hint=nearest(name, _OPTIONS))
        if value is not None:
            _check_option(name, value)
    return given


def _check_option(name: str, value: Any) -> None:
    for text in value if isinstance(value, list | tuple) else [value]:
        check_text(text, name)
    try:
        if name == "options" and isinstance(value, dict):
            check_sendable(value)
        if name != "profile":
            parse(name, value)
        elif not isinstance(value, str):
            raise UsageError(f"profile cannot be {type_of(value)}", hint="give its name, a str")
        else:
            check_given(name, value)
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error


_OPTIONS = tuple(Options.__annotations__)

"""The options of the Python API: each mistake is named, and is no exception of `stream`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.engine.options import checked, parted
from chatstream.errors import ConfigError

DEMO: dict[str, Any] = {"provider": "demo", "model": "demo-fast"}


def failure(prompt: Any, **options: Any) -> ev.Error:
    """The end of a stream that cannot begin. Nothing else is given but the opening."""
    opening, error = chatstream.stream(prompt, **{**DEMO, **options})
    assert isinstance(opening, ev.Metadata)
    assert isinstance(error, ev.Error)
    return error


def test_an_option_that_names_a_file_takes_a_path(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    with pytest.raises(ConfigError, match=f"{re.escape(str(missing))} cannot be read"):
        chatstream.ask("hi", provider="ollama", base_url=":9", model="m", ca_file=missing)


CIRCULAR: dict[str, Any] = {}
CIRCULAR["a"] = CIRCULAR


@pytest.mark.parametrize(
    ("options", "told", "hint"),
    [
        ({"modle": "x"}, "unknown option 'modle'", "did you mean 'model'?"),
        ({"baseurl": "x"}, "unknown option 'baseurl'", "did you mean 'base_url'?"),
        (
            {"zzz": 1},
            "unknown option 'zzz'",
            "choose from: tools, approve, execute, role, variables, ",
        ),
        ({"temperature": "warm"}, 'temperature takes a number of at least 0, not "warm"', ""),
        ({"retries": 1.5}, "retries takes a whole number", ""),
        ({"model": 5}, "model takes text in quotes, not a number", ""),
        ({"model": ""}, "model is empty", ""),
        ({"model": "a\udce9"}, "model contains an unpaired surrogate", ""),
        ({"fallback": ["a\udce9"]}, "fallback contains an unpaired surrogate", ""),
        (
            {"on_drop": "contnue"},
            "on_drop takes continue, restart, stop or fallback",
            "did you mean 'continue'?",
        ),
        ({"journal": "maybe"}, "journal takes true or false", ""),
        ({"profile": 5}, "profile cannot be of type int", ""),
        ({"token": "x"}, "a token cannot be of type str", "CancelToken"),
        ({"tools": "grep"}, "tools cannot be of type str", "give a list"),
        ({"tools": {"a": 1}}, "tools cannot be of type dict", "give a list"),
        ({"tools": len}, "tools cannot be of type builtin_function_or_method", "give a list"),
        ({"tools": [None]}, "tools has an empty entry", ""),
        ({"tools": [" "]}, "tools has an empty entry", ""),
        ({"tools": ["a\udce9"]}, "the name of a tool contains an unpaired surrogate", ""),
        ({"approve": True}, "approve cannot be of type bool", "give a function"),
        ({"execute": "f"}, "execute cannot be of type str", "give a function"),
        ({"aprove": len}, "unknown option 'aprove'", "did you mean 'approve'?"),
        ({"allow": [5]}, "allow takes a list of strings", ""),
        ({"allow": [""]}, "allow is empty", ""),
        ({"max_rounds": 0}, "max_rounds takes a whole number from 1 to", ""),
        ({"options": 5}, "options takes a table", ""),
        ({"options": {"a": object()}}, "the option 'a' cannot be sent", "JSON allows"),
        ({"options": {"a": float("nan")}}, "the option 'a' cannot be sent", ""),
        ({"options": {"a": ["\ud83d"]}}, "the option 'a' cannot be sent", ""),
        ({"options": {"a": {None: 1}}}, "the option 'a' cannot be sent", ""),
        ({"options": CIRCULAR}, "the option 'a' cannot be sent", ""),
    ],
    ids=lambda it: next(iter(it)) if isinstance(it, dict) else None,
)
def test_an_option_that_is_wrong_is_named(options: dict[str, Any], told: str, hint: str) -> None:
    error = failure("hi", **options)
    assert error.code == "usage"
    assert told in error.message
    assert hint in (error.hint or "")
    *_, resumed = chatstream.resume(**options)
    assert isinstance(resumed, ev.Error)
    assert (resumed.code, resumed.message) == (error.code, error.message)


def test_a_key_of_the_wrong_type_is_not_shown() -> None:
    assert "hunter2" not in str(failure("hi", api_key=b"hunter2"))


def test_an_option_that_is_none_is_not_given() -> None:
    nothing: Any = {"temperature": None, "profile": None}
    *_, last = chatstream.stream("hi", **DEMO, **nothing)
    assert isinstance(last, ev.Done)


# ---- tools


def test_names_among_the_tools_are_the_setting_and_the_rest_is_the_callers() -> None:
    settings, given = parted(checked({"tools": ("grep", len), "approve": bool, "model": "m"}))
    assert settings == {"tools": ["grep"], "model": "m"}
    assert (given.tools, given.approve, given.execute) == ((len,), bool, None)


@pytest.mark.parametrize("options", [{}, {"tools": None}], ids=str)
def test_tools_that_are_not_given_leave_the_setting_alone(options: dict[str, Any]) -> None:
    settings, given = parted(checked(options))
    assert "tools" not in settings
    assert given.tools == ()


def test_an_iterator_of_tools_is_read_once_and_kept() -> None:
    options = checked({"tools": iter([len, "grep"])})
    assert parted(options) == parted(options)
    assert parted(options)[1].tools == (len,)

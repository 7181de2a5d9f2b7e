"""The arguments of the Python API: what can be asked, and that no mistake is an exception."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.errors import ConfigError, UsageError
from chatstream.messages import Message, ToolCall
from chatstream.store.place import runs_folder
from tests.support.answers import whole
from tests.support.loopback import Script

DEMO: dict[str, Any] = {"provider": "demo", "model": "demo-fast"}
TURNS = [Message("system", "s"), Message("user", "a"), Message("assistant", "b")]


def failure(prompt: Any, **options: Any) -> ev.Error:
    """The end of a stream that cannot begin. Nothing else is given but the opening."""
    opening, error = chatstream.stream(prompt, **{**DEMO, **options})
    assert isinstance(opening, ev.Metadata)
    assert isinstance(error, ev.Error)
    return error


def sent(prompt: Any) -> list[tuple[str, str]]:
    """The messages that a server is sent."""
    with Script(whole("ollama")) as server:
        chatstream.ask(prompt, provider="ollama", base_url=server.url, model="m")
    return [(it["role"], it["content"]) for it in server.requests[0].json["messages"]]


@pytest.mark.parametrize("prompt", ["café", "café".encode(), b"\xef\xbb\xbfcaf\xc3\xa9"])
def test_a_question_is_text_or_bytes(prompt: str | bytes) -> None:
    assert sent(prompt) == [("user", "café")]


def test_a_path_is_a_file_that_holds_the_question(tmp_path: Path) -> None:
    (tmp_path / "question.txt").write_text("\ufeffcafé", encoding="utf-8")
    assert sent(tmp_path / "question.txt") == [("user", "café")]
    assert sent(str(tmp_path)) == [("user", str(tmp_path))]  # a str is always the question itself


def test_an_option_that_names_a_file_takes_a_path(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    with pytest.raises(ConfigError, match=f"{re.escape(str(missing))} cannot be read"):
        chatstream.ask("hi", provider="ollama", base_url=":9", model="m", ca_file=missing)


def test_messages_are_dicts_or_messages_in_any_mixture() -> None:
    asked = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]
    dicts = [{"role": role, "content": text} for role, text in asked]
    assert sent(dicts) == sent([*TURNS, dicts[-1]]) == sent(tuple(dicts)) == asked
    assert sent(dicts[1]) == sent(TURNS[1]) == [("user", "a")]
    assert sent([{"role": "user", "content": b"caf\xc3\xa9"}]) == [("user", "café")]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (None, "a question cannot be None"),
        (5, "of type int"),
        pytest.param((it for it in "ab"), "of type generator", id="generator"),
        ("", "the question is empty"),
        (" \n", "the question is empty"),
        (b"a\xff", "not valid UTF-8: byte 0xff at offset 1"),
        ("a\udce9", "unpaired surrogate (invalid Unicode): U+DCE9 at offset 1"),
        (Path("/nowhere"), "/nowhere cannot be read: No such file"),
        (Path("/"), "/ cannot be read: "),
        (Path("a\0b"), "cannot be read: embedded null"),
        ([], "the conversation has no messages"),
        (["hi"], "message 1 is of type str"),
        ([*TURNS, None], "message 4 is None"),
        ([{"content": "x"}], "message 1 has no role"),
        ([{"role": "bot", "content": "x"}], "message 1 has the unknown role 'bot'"),
        ([Message("human", "x")], "message 1 has the unknown role 'human'"),  # type: ignore[arg-type]
        ([{"role": [], "content": "x"}], "message 1 has the unknown role []"),
        ([{"role": "user", "contents": "x"}], "unknown field 'contents'"),
        ([{"role": "user", 5: "x"}], "unknown field 5"),
        ([{"role": "user", "content": ["x"]}], "content of message 1 cannot be of type list"),
        ([{"role": "user", "content": None}], "content of message 1 cannot be None"),
        (
            [{"role": "user", "content": "\ud83d"}],
            "content of message 1 contains an unpaired surrogate",
        ),
        ([Message.plain("assistant", "", "\ud83d")], "message 1 contains an unpaired surrogate"),
        ([Message("assistant", [ToolCall("1", "n", "\ud83d")])], "unpaired surrogate"),
        ([{"role": "assistant", "tool_calls": [5]}], "message 1 is not valid"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_a_usage_error_and_no_exception(prompt: Any, told: str) -> None:
    error = failure(prompt)
    assert (error.code, error.recoverable) == ("usage", False)
    assert told in error.message
    assert not runs_folder().exists()
    for function in (chatstream.ask, lambda *a, **k: list(chatstream.pieces(*a, **k))):
        if not inspect.isgenerator(prompt):
            with pytest.raises(UsageError, match=re.escape(told)):
                function(prompt, **DEMO)


CIRCULAR: dict[str, Any] = {}
CIRCULAR["a"] = CIRCULAR


@pytest.mark.parametrize(
    ("options", "told", "hint"),
    [
        ({"modle": "x"}, "unknown option 'modle'", "did you mean 'model'?"),
        ({"baseurl": "x"}, "unknown option 'baseurl'", "did you mean 'base_url'?"),
        ({"zzz": 1}, "unknown option 'zzz'", "choose from: provider, model, "),
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

"""The library: what can be asked, what it comes to, and that no mistake is an exception."""

from __future__ import annotations

import inspect
import pydoc
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.api import Options
from chatstream.engine.settings import FIELDS
from chatstream.errors import ChatstreamError, ConfigError, Truncated, UsageError
from chatstream.messages import Message, ToolCall
from chatstream.store.place import runs_folder
from tests.support.answers import TEXT, WORDS, frames, headers, whole
from tests.support.loopback import Reply, Script
from tests.support.runs import run_id, write_run

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


def test_the_public_names_are_listed_and_are_there() -> None:
    assert dir(chatstream) == sorted(chatstream.__all__)
    assert {"stream", "ask", "pieces", "resume", "replay", "history"} <= set(dir(chatstream))
    assert all(getattr(chatstream, name) is not None for name in dir(chatstream))


def test_the_help_names_every_option_and_what_can_be_asked() -> None:
    text = pydoc.plain(pydoc.render_doc(chatstream.stream))
    for name in Options.__annotations__:
        assert re.search(rf"^ +{name} +\S", text, re.MULTILINE), name
    for word in ("prompt\n", "token\n", "streaming\n", "pathlib.Path", "a dict", "bytes"):
        assert word in text
    for function in (chatstream.ask, chatstream.pieces, chatstream.resume):
        assert "`stream`" in (inspect.getdoc(function) or "")


def test_every_option_is_a_setting() -> None:
    assert set(Options.__annotations__) - {"profile"} <= set(FIELDS)


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


@pytest.mark.parametrize("run", ["", "\0", "a\udce9", "../x", b"x", 5, []], ids=repr)
def test_a_run_that_cannot_be_resumed_is_a_usage_error(run: Any) -> None:
    write_run(runs_folder().parent, run_id(1), "half", killed=True)
    _, error = chatstream.resume(run)
    assert isinstance(error, ev.Error)
    assert error.code == "usage"


# ---- the text alone


def test_pieces_are_the_text_of_the_answer() -> None:
    with Script(whole("ollama")) as server:
        given = list(chatstream.pieces("hi", provider="ollama", base_url=server.url, model="m"))
    assert "".join(given) == TEXT
    assert given == WORDS


def test_pieces_leave_out_what_the_model_thinks() -> None:
    text = "".join(chatstream.pieces("hi", **DEMO))
    assert text.startswith("## Hello")
    assert text == chatstream.ask("hi", **DEMO).content


def collected(given: Iterator[str]) -> tuple[list[str], ChatstreamError]:
    """All the pieces, and what is raised after them."""
    got: list[str] = []
    with pytest.raises(ChatstreamError) as caught:
        got.extend(given)
    return got, caught.value


def test_pieces_raise_at_the_end_what_happened_and_keep_the_partial_answer() -> None:
    with Script(Reply(frames("ollama"), headers=headers("ollama"))) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        got, error = collected(chatstream.pieces("hi", **options, on_drop="stop"))
    assert got == WORDS
    assert isinstance(error, Truncated)
    assert error.partial == Message("assistant", TEXT, complete=False)


@pytest.mark.parametrize("on_drop", ["restart", "fallback"])
def test_no_piece_is_given_twice_where_an_answer_would_start_over(on_drop: str) -> None:
    cut = Reply(frames("ollama"), headers=headers("ollama"))
    with Script(cut, whole("ollama")) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        options |= {"on_drop": on_drop, "fallback": ["other@ollama"]}
        got, error = collected(chatstream.pieces("hi", **options))
        assert len(server.requests) == 1
    assert got == WORDS
    assert isinstance(error, Truncated)


def test_before_the_first_piece_an_attempt_may_fail() -> None:
    with Script(Reply(status=503), whole("ollama")) as server:
        options: dict[str, Any] = {"provider": "ollama", "base_url": server.url, "model": "m"}
        assert "".join(chatstream.pieces("hi", **options, fallback=["other"], retries=0)) == TEXT


def test_whoever_leaves_the_pieces_hangs_up() -> None:
    body = frames("ollama")
    reply = Reply(body, headers=headers("ollama"), hold={len(body): threading.Event()})
    with Script(reply) as server:
        for _ in chatstream.pieces("hi", provider="ollama", base_url=server.url, model="m"):
            break
        assert server.wait_closed()


# ---- recordings and the history


def test_a_recording_is_replayed_from_its_bytes() -> None:
    path = write_run(runs_folder().parent, run_id(1), "text")
    from_bytes = list(chatstream.replay(path.read_bytes()))
    assert from_bytes == list(chatstream.replay(path))
    with pytest.raises(UsageError, match="NoneType cannot be replayed"):
        list(chatstream.replay(None))  # type: ignore[arg-type]


def test_the_history_takes_a_folder_as_text(tmp_path: Path) -> None:
    write_run(tmp_path, run_id(1), "text")
    with chatstream.history(str(tmp_path)) as history:
        assert [run.id for run in history.runs()] == [run_id(1)]

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
from chatstream.engine.options import Options, RoleOptions, ToolOptions
from chatstream.errors import ChatstreamError, Truncated, UsageError
from chatstream.messages import Message
from chatstream.store.place import runs_folder
from tests.support.answers import TEXT, WORDS, frames, headers, whole
from tests.support.chats import says
from tests.support.client import run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.roles import write_role
from tests.support.runs import run_id, write_run

DEMO: dict[str, Any] = {"provider": "demo", "model": "demo-fast"}

NO_SETTINGS = {*ToolOptions.__annotations__, *RoleOptions.__annotations__}


def test_the_public_names_are_listed_and_are_there() -> None:
    assert dir(chatstream) == sorted(chatstream.__all__)
    assert {"stream", "ask", "pieces", "resume", "replay", "history"} <= set(dir(chatstream))
    assert all(getattr(chatstream, name) is not None for name in dir(chatstream))


def test_the_help_names_every_option_and_what_can_be_asked() -> None:
    text = pydoc.plain(pydoc.render_doc(chatstream.stream))
    for name in set(Options.__annotations__) - NO_SETTINGS:
        assert re.search(rf"^ +{name}(=\S+)? +\S", text, re.MULTILINE), name
    for name in NO_SETTINGS:
        assert re.search(rf"^ +{name}\n", text, re.MULTILINE), name
    for word in ("prompt\n", "token\n", "streaming\n", "pathlib.Path", "a dict", "bytes"):
        assert word in text
    for function in (chatstream.ask, chatstream.pieces, chatstream.resume):
        assert "`stream`" in (inspect.getdoc(function) or "")


@pytest.mark.parametrize("run", ["", "\0", "a\udce9", "../x", b"x", 5, []], ids=repr)
def test_a_run_that_cannot_be_resumed_is_a_usage_error(run: Any) -> None:
    write_run(runs_folder().parent, run_id(1), "half", killed=True)
    _, error = chatstream.resume(run)
    assert isinstance(error, ev.Error)
    assert error.code == "usage"


# ---- a role

BRIEF = "+++\ntemperature = 0.25\n+++\nYou translate into {{language}}."


def of(server: Script) -> dict[str, Any]:
    return {"provider": "ollama", "base_url": server.url, "model": "m", "retries": 0}


def test_a_role_is_what_the_command_line_has_in_it() -> None:
    write_role("translate", BRIEF)
    with Script(says("salut"), says("salut")) as server:
        chatstream.ask("hi", role="translate", variables={"language": "French"}, **of(server))
        flags = [*server_flags("ollama", server.url), "--role", "translate"]
        run_here(["ask", *flags, "--var", "language=French", "hi"])
        here, there = (it.json for it in server.requests)
    assert here["messages"][0] == {"role": "system", "content": "You translate into French."}
    assert (here["messages"], here["options"]) == (there["messages"], there["options"])


def test_a_role_that_contains_the_question_is_asked_with_it() -> None:
    write_role("fix", "Correct this:\n\n{{input}}")
    image = {"type": "image", "url": "data:image/png;base64,AAAA"}
    with Script(says("it"), says("it")) as server:
        chatstream.ask("teh", role="fix", **of(server))
        chatstream.ask([{"role": "user", "parts": ["teh", image]}], role="fix", **of(server))
        first, second = (it.json["messages"] for it in server.requests)
        with pytest.raises(UsageError, match="contains the question, but the last message"):
            chatstream.ask([{"role": "assistant", "content": "x"}], role="fix", **of(server))
    assert first == [{"role": "user", "content": "Correct this:\n\nteh"}]
    assert second == [
        {"role": "user", "content": "Correct this:\n\nteh", "images": ["AAAA"]},
    ]


def test_a_conversation_keeps_what_the_role_of_its_client_gave_it() -> None:
    write_role("brief", "+++\ntemperature = 0.25\n+++\nBe brief.")
    with Script(says("one"), says("two"), says("three")) as server:
        with chatstream.Client(role="brief", **of(server)) as client:
            talk = client.conversation()
            talk.ask("1?")
            write_role("brief", "+++\ntemperature = 0.5\n+++\nBe long.")
            talk.ask("2?")
        bodies = [it.json for it in server.requests]
    assert [it["messages"][0]["content"] for it in bodies] == ["Be brief.", "Be brief."]
    assert [it["options"]["temperature"] for it in bodies] == [0.25, 0.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"role": "nobody"}, "unknown role 'nobody'"),
        ({"role": ""}, "role is empty"),
        ({"role": 5}, "role cannot be of type int"),
        ({"role": "translate"}, "role translate needs a value for language"),
        ({"role": "translate", "variables": {"lang": "x"}}, "has no variable 'lang'"),
        ({"role": "translate", "variables": "x"}, "variables cannot be of type str"),
        ({"role": "translate", "variables": {"language": 5}}, "a value of type int"),
        ({"variables": {"language": "x"}}, "variables need a role"),
    ],
)
def test_a_mistake_about_a_role_is_a_usage_error(options: Any, message: str) -> None:
    write_role("translate", BRIEF)
    with pytest.raises(UsageError) as caught:
        chatstream.ask("hi", **options, **DEMO)
    assert message in caught.value.message
    assert "--" not in f"{caught.value.message}{caught.value.hint or ''}"


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


# ---- tools; the demo calls those that it is given, each number of their arguments is 1


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Counting:
    """A function of the caller that keeps its calls."""

    def __init__(self, answer: object = "") -> None:
        self.calls: list[Any] = []
        self._answer = answer

    def __call__(self, call: ev.ToolCall) -> Any:
        self.calls.append(call)
        return self._answer


def test_a_function_is_called_and_the_answer_has_its_result() -> None:
    assert "**add**: `2`" in chatstream.ask("hi", **DEMO, tools=[add]).content
    assert "**add**: `2`" in "".join(chatstream.pieces("hi", **DEMO, tools=[add]))


def test_what_becomes_of_a_call_are_events() -> None:
    events = list(chatstream.stream("hi", **DEMO, tools=[add]))
    fates = [it for it in events if isinstance(it, ev.Fate)]
    approval, start, end = fates
    assert isinstance(approval, ev.Approval)
    assert (approval.decision, approval.by) == ("allow", "default")
    assert isinstance(start, ev.ToolStart)
    assert start.parameters == {"a": 1, "b": 1}
    assert isinstance(end, ev.ToolComplete)
    assert end.result == "2"
    assert isinstance(events[-1], ev.Done)
    assert events[-1].finish_reason == "stop"


def test_nothing_runs_that_the_caller_does_not_approve() -> None:
    ran = Counting()
    approve = Counting(False)
    events = list(chatstream.stream("hi", **DEMO, tools=[ran_by(ran)], approve=approve))
    (error,) = (it for it in events if isinstance(it, ev.ToolError))
    assert (error.outcome, error.code) == ("denied", "denied")
    (call,) = approve.calls
    assert (call.name, call.arguments) == ("work", "{}")
    assert ran.calls == []
    assert isinstance(events[-1], ev.Done)


def test_what_the_caller_approves_runs_once() -> None:
    ran = Counting()
    chatstream.ask("hi", **DEMO, tools=[ran_by(ran)], approve=Counting(True))
    assert ran.calls == [None]


def ran_by(counting: Counting) -> Any:
    """A tool of the caller that counts how often it runs."""

    def work() -> str:
        """Work."""
        counting(None)  # type: ignore[arg-type]
        return "worked"

    return work


def test_an_orchestrator_gets_every_call_and_its_answer_is_the_result() -> None:
    execute = Counting({"degrees": 21})
    weather = {"name": "weather", "description": "Tell it.", "parameters": {"type": "object"}}
    given: dict[str, Any] = {"tools": [weather, add], "execute": execute}
    message = chatstream.ask("hi", **DEMO, **given)
    assert '"degrees":21' in message.content.replace(" ", "")
    assert [it.name for it in execute.calls] == ["weather", "add"] or [
        it.name for it in execute.calls
    ] == ["add", "weather"]


def test_a_function_that_raises_is_told_to_the_model_and_not_to_the_caller() -> None:
    def broken() -> str:
        """Break."""
        raise LookupError("no such thing")

    events = list(chatstream.stream("hi", **DEMO, tools=[broken]))
    (error,) = (it for it in events if isinstance(it, ev.ToolError))
    assert "LookupError: no such thing" in error.error
    assert isinstance(events[-1], ev.Done)


def test_the_tools_of_a_client_hold_for_its_questions() -> None:
    with chatstream.Client(**DEMO, tools=[add]) as client:
        assert "**add**" in client.ask("hi").content
        conversation = client.conversation()
        assert "**add**" in conversation.ask("hi").content
        assert "**add**" in conversation.ask("and again").content
        assert "**add**" not in client.ask("hi", tools=[]).content


def test_who_resumes_a_run_brings_its_functions_again() -> None:
    for event in chatstream.stream("hi", **DEMO, tools=[add]):
        if isinstance(event, ev.ToolComplete):
            break
    *_, error = chatstream.resume()
    assert isinstance(error, ev.Error)
    assert (error.code, "has the tool 'add', and its code is not here" in error.message) == (
        "usage",
        True,
    )
    ran = Counting()

    def add_again(a: int, b: int) -> int:
        ran(None)  # type: ignore[arg-type]
        return a + b

    add_again.__name__ = "add"
    events = list(chatstream.resume(tools=[add_again]))
    assert isinstance(events[-1], ev.Done)
    text = "".join(it.delta for it in events if isinstance(it, ev.Content))
    assert "**add**: `2`" in text
    assert ran.calls == []  # its result was there


def test_an_orchestrator_resumes_a_run_without_any_tool_at_hand() -> None:
    execute = Counting("3")
    for event in chatstream.stream("hi", **DEMO, tools=[add], execute=execute):
        if isinstance(event, ev.Approval):
            break
    assert execute.calls == []
    *_, last = chatstream.resume(execute=execute)
    assert isinstance(last, ev.Done)
    assert [it.name for it in execute.calls] == ["add"]


def test_a_built_in_tool_is_given_by_its_name() -> None:
    assert "**calculate**: `42`" in chatstream.ask("hi", **DEMO, tools=["calculate"]).content
    *_, error = chatstream.stream("hi", **DEMO, tools=["calclate"])
    assert isinstance(error, ev.Error)
    assert (error.code, error.hint) == ("usage", "did you mean 'calculate'?")


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

"""`ask --schema`, as a user has it: what is sent to each protocol, and how each answer ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from tests.support.answers import ALL_DIALECTS, ending, failure, frames, headers
from tests.support.client import Finished, run, run_here, server_flags
from tests.support.loopback import SSE, Reply, Script
from tests.support.real.servers import aimock, llama_server
from tests.support.summing import Call, Summing
from tests.support.terminal import on_terminal
from tests.support.unavailable import require

FORM = "name, age int"
FITS = ['{"name": "Ann", ', '"age": 3}']
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def ask(server: Script, dialect: str, *more: str, model: str = "m") -> Finished:
    flags = server_flags(dialect, server.url, model)
    return run_here(["ask", *flags, "--schema", FORM, *more, "who?"])


def answer(dialect: str, words: list[str], *, whole: bool = True) -> Reply:
    body = [*frames(dialect, words), *(ending(dialect) if whole else ())]
    return Reply(body, headers=headers(dialect))


def sent(dialect: str, body: dict[str, Any]) -> Any:
    """What a body says of the schema."""
    match dialect:
        case "ollama":
            return body["format"]
        case "openai":
            named = body["response_format"]["json_schema"]
            assert (body["response_format"]["type"], named["strict"]) == ("json_schema", True)
            return named["schema"]
        case "openai-responses":
            form = body["text"]["format"]
            assert (form["type"], form["strict"]) == ("json_schema", True)
            return form["schema"]
        case _:
            assert body["output_config"]["format"]["type"] == "json_schema"
            return body["output_config"]["format"]["schema"]


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_the_server_gets_the_schema_and_stdout_the_answer(dialect: str) -> None:
    with Script(answer(dialect, FITS)) as server:
        done = ask(server, dialect)
    assert (done.status, done.stdout, done.stderr) == (0, "".join(FITS).encode(), "")
    assert sent(dialect, server.requests[0].json) == SCHEMA


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_answer_that_does_not_fit_is_exit_1_with_its_text_kept(dialect: str) -> None:
    with Script(answer(dialect, ['{"name": 3}'])) as server:
        done = ask(server, dialect, "--json")
    error = done.terminal
    assert isinstance(error, ev.Error)
    assert (done.status, error.code, error.partial, error.resume) == (
        1,
        "invalid_answer",
        True,
        None,
    )
    assert "does not fit the schema" in error.message
    shown = run_here(["history", "show", "--text"])
    assert '{"name": 3}' in shown.stdout.decode()
    assert len(server.requests) == 1
    again = run_here(["resume"])
    assert (again.status, "there is no unfinished run" in again.stderr) == (2, True)
    opening = done.events[0]
    assert isinstance(opening, ev.Metadata)
    named = run_here(["resume", str(opening.run)])
    assert (named.status, "has a whole answer: there is nothing to continue" in named.stderr) == (
        2,
        True,
    )


def ended(dialect: str, reason: str) -> list[bytes]:
    """The frames that end an answer for this reason."""
    match dialect:
        case "ollama":
            return [
                b'{"message": {"content": ""}, "done": true, "done_reason": "%s"}\n'
                % reason.encode()
            ]
        case "openai":
            choice = {"index": 0, "delta": {}, "finish_reason": reason}
            frames_: list[dict[str, Any]] = [{"choices": [choice]}]
        case "openai-responses":
            details = {"status": "incomplete", "incomplete_details": {"reason": reason}}
            frames_ = [{"type": "response.incomplete", "response": details}]
        case _:
            stop = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}}
            frames_ = [{"type": "content_block_stop", "index": 0}, stop, {"type": "message_stop"}]
    return [f"data: {json.dumps(it)}\n\n".encode() for it in frames_]


LIMITS = {
    "ollama": "length",
    "openai": "length",
    "anthropic": "max_tokens",
    "openai-responses": "max_output_tokens",
}


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_answer_that_a_token_limit_cut_may_be_resumed(dialect: str) -> None:
    body = [*frames(dialect, FITS[:1]), *ended(dialect, LIMITS[dialect])]
    with Script(Reply(body, headers=headers(dialect))) as server:
        done = ask(server, dialect, "--json")
        error = done.terminal
        assert isinstance(error, ev.Error)
        assert (done.status, error.code) == (5, "truncated")
        assert (error.resume or "").startswith("chatstream resume ")
        assert len(server.requests) == 1  # the same limit would cut it again
        server.play(answer(dialect, FITS[1:]))
        assert run_here(["resume"]).status == 0


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_answer_that_is_cut_is_exit_5(dialect: str) -> None:
    with Script(answer(dialect, FITS[:1], whole=False)) as server:
        done = ask(server, dialect, "--json", "--on-drop", "stop")
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (5, "truncated")


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_failure_stays_what_it_is(dialect: str) -> None:
    reply = Reply([*frames(dialect, FITS[:1]), failure(dialect)], headers=headers(dialect))
    with Script(reply) as server:
        done = ask(server, dialect, "--json", "--on-drop", "stop")
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (1, "server_error")


ODD = '{"name": "*Ann* _x_ `y`",\n  "age": 3}'


def test_on_a_terminal_the_json_is_shown_as_it_is_also_when_it_is_resumed() -> None:
    with Script(answer("ollama", [ODD])) as server:
        flags = [*server_flags("ollama", server.url), "--schema", FORM]
        status, screen, _ = on_terminal(["ask", *flags, "who?"])
        assert (status, screen.text()[:2]) == (0, ODD.split("\n"))
        server.play(answer("ollama", [ODD[:20]], whole=False))
        assert on_terminal(["ask", *flags, "--on-drop", "stop", "who?"])[0] == 5
        server.play(answer("ollama", [ODD[20:]]))
        status, screen, _ = on_terminal(["resume"])
        assert (status, screen.text()[:2]) == (0, ODD.split("\n"))
        server.play(answer("ollama", [ODD]))
        _, screen, _ = on_terminal(["ask", *flags, "--render", "who?"])
        assert "*Ann*" not in "".join(screen.text())  # as it was asked for


def refusals(dialect: str) -> tuple[list[bytes], str]:
    """The frames of a refusal, and the words that the model says, where it may say some."""
    words = "I would rather not."
    match dialect:
        case "openai":
            said: dict[str, Any] = {"choices": [{"index": 0, "delta": {"refusal": words}}]}
            return [f"data: {json.dumps(said)}\n\n".encode(), *ending("openai")], words
        case "openai-responses":
            said = {"type": "response.refusal.delta", "item_id": "msg_1", "delta": words}
            return [f"data: {json.dumps(said)}\n\n".encode(), *ending("openai-responses")], words
        case _:
            return [*frames(dialect, ["{"]), *ended(dialect, "refusal")], ""


@pytest.mark.parametrize("dialect", [it for it in ALL_DIALECTS if it != "ollama"])
def test_a_refusal_is_exit_3_with_the_models_words(dialect: str) -> None:
    body, words = refusals(dialect)
    with Script(Reply(body, headers=SSE)) as server:
        done = ask(server, dialect, "--json")
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (3, "content_policy")
    assert done.terminal.message.startswith("the model refused to follow the schema")
    assert words in done.terminal.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_server_that_refuses_the_schema_is_exit_3_with_its_words(dialect: str) -> None:
    refusal = Reply.json({"error": {"message": "this schema is not supported"}}, 400)
    with Script(refusal) as server:
        done = ask(server, dialect, "--json")
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (3, "bad_request")
    assert "this schema is not supported" in done.terminal.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
@pytest.mark.parametrize(("rest", "status"), [('"age": 3}', 0), ('"age": "3"}', 1)])
def test_a_run_that_is_resumed_is_still_checked_and_continues_without_the_schema(
    dialect: str, rest: str, status: int
) -> None:
    with Script(answer(dialect, FITS[:1], whole=False)) as server:
        ask(server, dialect, "--on-drop", "stop")
        server.play(answer(dialect, [rest]))
        done = run_here(["resume", "--json"])
        assert done.status == status, done
        sent_then = server.requests[0].json  # a schema would begin the JSON again
        assert not sent_then.keys() & {"format", "response_format", "text", "output_config"}
    if status:
        assert isinstance(done.terminal, ev.Error)
        assert done.terminal.code == "invalid_answer"
    else:
        assert isinstance(done.terminal, ev.Done)


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_schema_is_for_one_question_of_a_conversation(dialect: str) -> None:
    with Script(answer(dialect, FITS), answer(dialect, ["Hi"]), answer(dialect, ["{}"])) as server:
        assert ask(server, dialect).status == 0
        plain = run_here(["ask", "-c", "and?"])
        assert (plain.status, plain.stdout) == (0, b"Hi")
        again = run_here(["ask", "-c", "--schema", FORM, "once more"])
        assert (again.status, again.stdout) == (1, b"{}")
        assert '"name" is missing' in again.stderr
        assert sent(dialect, server.requests[2].json) == SCHEMA
        shown = run_here(["history", "show", "--text"])
        assert shown.stdout == b"{}"  # it is kept


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_the_model_that_stands_in_gets_the_schema_and_is_checked(dialect: str) -> None:
    down = Reply.json({"error": {"message": "down"}}, 503)
    with Script(down, answer(dialect, ["no"])) as server:
        done = ask(server, dialect, "--json", "--fallback", "other", "--retries", "0")
        assert [it.json["model"] for it in server.requests] == ["m", "other"]
        assert sent(dialect, server.requests[1].json) == SCHEMA
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (1, "invalid_answer")


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_the_text_after_the_rounds_of_tools_is_what_is_checked(
    dialect: str, tmp_path: Path
) -> None:
    file = tmp_path / "tools.py"
    file.write_text("def look() -> str:\n    \"Look.\"\n    return 'Ann'\n")
    flags = ["--tools-file", str(file), "--allow", "look"]
    with Summing([[Call("look")]]) as server:  # which answers in words
        done = ask(server, dialect, "--json", *flags)
        assert [sent(dialect, it.json) for it in server.requests] == [SCHEMA, SCHEMA]
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code) == (1, "invalid_answer")
    assert [it.result for it in done.events if isinstance(it, ev.ToolComplete)] == ["Ann"]


def test_an_older_claude_answers_through_a_tool() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"content": [], "usage": {}}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "a", "name": "answer", "input": {}},
        },
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": it},
            }
            for it in FITS
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    ]
    body = [f"event: {it['type']}\ndata: {json.dumps(it)}\n\n".encode() for it in parts]
    with Script(Reply(body, headers=SSE)) as server:
        done = ask(server, "anthropic", model="claude-3-haiku-20240307")
    assert (done.status, json.loads(done.stdout)) == (0, {"name": "Ann", "age": 3})
    asked = server.requests[0].json
    assert asked["tool_choice"] == {"type": "tool", "name": "answer"}
    assert "output_config" not in asked


def test_an_open_schema_is_not_strict() -> None:
    with Script(answer("openai", ["{}"])) as server:
        flags = server_flags("openai", server.url)
        done = run_here(["ask", *flags, "--schema", '{"type": "object"}', "who?"])
    assert done.status == 0
    assert server.requests[0].json["response_format"]["json_schema"]["strict"] is False


def test_an_option_of_the_user_wins() -> None:
    with Script(answer("openai", FITS)) as server:
        ask(server, "openai", "-o", 'response_format={"type":"json_object"}')
    assert server.requests[0].json["response_format"] == {"type": "json_object"}


def test_many_are_a_list_of_items() -> None:
    with Script(answer("ollama", ['{"items": [{"name": "Ann", "age": 3}]}'])) as server:
        flags = server_flags("ollama", server.url)
        done = run_here(["ask", *flags, "--schema-multi", FORM, "who?"])
    assert done.status == 0
    assert server.requests[0].json["format"]["properties"]["items"]["items"] == SCHEMA


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--schema", "missing.json"], "error: missing.json cannot be read: No such file"),
        (["--schema", "age itn"], "error: --schema has the unknown type 'itn'"),
        (["--schema", ""], "error: "),
        (["--schema", "a", "--schema-multi", "a"], "error: --schema and --schema-multi exclude"),
    ],
)
def test_a_bad_schema_is_exit_2_before_anything_is_asked(given: list[str], words: str) -> None:
    with Script() as server:
        done = run_here(["ask", *server_flags("ollama", server.url), *given, "who?"])
    assert (done.status, done.stdout, len(server.requests)) == (2, b"", 0)
    assert done.stderr.startswith(words)
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.real
@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_aimock_answers_by_the_schema_or_not_or_refuses_or_is_cut(dialect: str) -> None:
    def asked(question: str) -> Finished:
        where = server_flags(dialect, server.url)
        flags = ["--json", "--schema", FORM, "--on-drop", "stop", "--retries", "0"]
        return run_here(["ask", *where, *flags, question])

    with require(aimock()) as server:
        ends = [asked(it) for it in ("as JSON", "plain text", "error 400", "always cut")]
    assert [it.status for it in ends] == [0, 1, 3, 5]
    codes = [it.terminal.code for it in ends if isinstance(it.terminal, ev.Error)]
    assert codes == ["invalid_answer", "bad_request", "truncated"]
    assert isinstance(ends[0].terminal, ev.Done)
    text = "".join(it.delta for it in ends[0].events if isinstance(it, ev.Content))
    assert json.loads(text) == {"name": "Ann", "age": 3}


@pytest.mark.real
def test_llama_cpp_keeps_to_a_schema_and_is_cut_by_a_token_limit() -> None:
    kind = json.dumps(
        SCHEMA | {"properties": {"kind": {"enum": ["cat", "dog"]}}, "required": ["kind"]}
    )
    with require(llama_server("tiny")) as server:
        flags = [*server_flags("llamacpp", f"{server.url}/v1", "tiny"), "--schema", kind]
        flags += ["-o", "seed=3", "who?"]  # the model's weights are random
        whole = run(["ask", "--max-tokens", "400", *flags])
        cut = run(["ask", "--max-tokens", "4", *flags])
    assert whole.status == 0, whole.stderr
    assert json.loads(whole.stdout)["kind"] in {"cat", "dog"}
    assert (cut.status, cut.stdout[:1]) == (5, b"{")
    assert "reached the token limit" in cut.stderr

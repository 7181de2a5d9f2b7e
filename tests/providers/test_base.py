"""What holds for every dialect: ends, cuts, bodies that are no stream, frames that are none."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.engine.services import model_names
from chatstream.engine.settings import Settings
from tests.support.answers import (
    ALL_DIALECTS,
    TEXT,
    as_one_body,
    ending,
    failure,
    frames,
    headers,
    whole,
)
from tests.support.client import ask
from tests.support.loopback import Reply, Script
from tests.support.memory import ask_in_memory
from tests.support.names import Names
from tests.support.refused import refused_port
from tests.support.sampling import sampled

GARBAGE = {"ollama": b"{nonsense\n", "openai": b"data: {nonsense\n\n"}


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_frame_that_cannot_be_read_is_a_warning_and_is_skipped(dialect: str) -> None:
    garbage = GARBAGE.get(dialect, GARBAGE["openai"])
    first, *rest = frames(dialect)
    body = [first, garbage, *rest, *ending(dialect)]
    with Script(Reply(body, headers=headers(dialect))) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("complete", TEXT)
    (warning,) = [e for e in answer.events if isinstance(e, ev.Warn)]
    assert warning.code == "malformed_frame"
    assert "nonsense" in warning.message


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
@pytest.mark.parametrize("text", ['"x"', "[1]", "7", "null", "[" * 10_000, '{"choices": 7}'])
def test_json_of_another_shape_ends_nothing(dialect: str, text: str) -> None:
    line = f"{text}\n" if dialect == "ollama" else f"data: {text}\n\n"
    first, *rest = frames(dialect)
    body = [first, line.encode(), *rest, *ending(dialect)]
    with Script(Reply(body, headers=headers(dialect))) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("complete", TEXT)


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_text_before_an_error_in_the_same_read_is_not_lost(dialect: str) -> None:
    body = b"".join([*frames(dialect), failure(dialect)])
    with Script(Reply(body, headers=headers(dialect))) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("error", TEXT)


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_html_page_is_a_protocol_error_that_quotes_it(dialect: str) -> None:
    page = b"<html><head><title>Sign in to the hotel network</title></head></html>"
    with Script(Reply(page, headers={"Content-Type": "text/html"})) as server:
        answer = ask(dialect, server.url)
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.code == "protocol"
    assert "hotel network" in answer.terminal.message


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_empty_body_is_truncated(dialect: str) -> None:
    with Script(Reply(b"", headers=headers(dialect))) as server:
        assert ask(dialect, server.url).outcome == "truncated"


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
@pytest.mark.parametrize("rst", [False, True], ids=["fin", "rst"])
def test_a_break_after_the_end_mark_is_none(dialect: str, rst: bool) -> None:
    body = b"".join([*frames(dialect), *ending(dialect)])
    reply = Reply(body, headers=headers(dialect), cut_after=len(body), rst=rst)
    with Script(reply) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("complete", TEXT)


def test_after_the_finish_reason_stragglers_are_waited_for_but_not_for_ever() -> None:
    role, *_ = body = [*frames("openai"), ending("openai")[0]]
    assert role
    reply = Reply(body, headers=headers("openai"), hold={len(body): threading.Event()})
    with Script(reply) as server:
        answer = ask("openai", server.url, idle_timeout=20.0)
        assert server.wait_closed()
    assert (answer.outcome, answer.text) == ("complete", TEXT)


def test_the_content_type_may_lie() -> None:
    with Script(Reply([*frames("openai"), *ending("openai")], headers={})) as server:
        assert ask("openai", server.url).text == TEXT
    error = b'{"error": {"message": "no such thing", "code": 400}}'
    with Script(Reply(error, headers=headers("openai"))) as server:
        answer = ask("openai", server.url)
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.message) == ("bad_request", "no such thing")


def test_white_space_before_a_json_body_is_no_stream() -> None:
    body = [b"\n", b"\n\n", b'{"choices":[{"message":{"content":"late"},"finish_reason":"stop"}]}']
    with Script(Reply(body, headers={"Content-Type": "application/json"})) as server:
        assert ask("openai", server.url).text == "late"


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_server_that_cannot_stream_is_asked_for_the_whole_answer(dialect: str) -> None:
    refused = Reply.json({"error": {"message": "this model does not support streaming"}}, 400)
    with Script(refused, Reply.json(as_one_body(dialect))) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("complete", TEXT)
    assert not server.requests[1].json.get("stream")
    assert [e.code for e in answer.events if isinstance(e, ev.Warn)] == ["unsupported_parameter"]


def test_the_request_id_is_told() -> None:
    with Script(whole("openai")) as server:
        server.play(Reply([*frames("openai"), *ending("openai")], headers={"X-Request-Id": "r7"}))
        answer = ask("openai", server.url)
        assert any(e.request_id == "r7" for e in answer.events if isinstance(e, ev.Metadata))
        server.play(Reply.json({"error": "x"}, 401, {"X-Request-Id": "r8"}))
        answer = ask("openai", server.url)
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.request_id == "r8"


def returned(generator: Generator[object, None, list[str]]) -> list[str]:
    """What a generator returns, all that it yields let pass."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            names: list[str] = end.value
            return names


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_the_models_of_a_server_are_listed(dialect: str) -> None:
    named: dict[str, object] = {"data": [{"id": "a"}, {"id": "b"}]}
    if dialect == "ollama":
        named = {"models": [{"name": "a"}, {"name": "b"}]}
    with Script(Reply.json(named)) as server:
        settings = Settings(provider=dialect, base_url=server.url)
        assert returned(model_names(settings, CancelToken())) == ["a", "b"]


@pytest.mark.parametrize("pair", [("\\ud83c", "\\udf0d")])
@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_character_cut_between_two_deltas_is_joined(dialect: str, pair: tuple[str, str]) -> None:
    body = b"".join([*frames(dialect, ["@1", "@2", "!"]), *ending(dialect)])
    body = body.replace(b"@1", pair[0].encode()).replace(b"@2", pair[1].encode())
    with Script(Reply(body, headers=headers(dialect))) as server:
        assert ask(dialect, server.url).text == "🌍!"
        server.play(Reply(body.replace(pair[1].encode(), b"-"), headers=headers(dialect)))
        assert ask(dialect, server.url).text == "\ufffd-!"


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_bytes_that_are_no_utf8_become_replacement_characters(dialect: str) -> None:
    body = b"".join([*frames(dialect, ["a@b"]), *ending(dialect)]).replace(b"@", b"\xff")
    with Script(Reply(body, headers=headers(dialect))) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("complete", "a\ufffdb")


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_nothing_after_the_end_mark_makes_an_answer_fail(dialect: str) -> None:
    body = b"".join([*frames(dialect), *ending(dialect)])
    chunk = b"%x\r\n%b\r\n" % (len(body), body)
    broken = Reply(
        [chunk + b"no chunk at all\r\n"],
        headers={**headers(dialect), "Transfer-Encoding": "chunked"},
        framing="close",
    )
    with Script(broken) as server:
        answer = ask(dialect, server.url)
    assert (answer.outcome, answer.text) == ("complete", TEXT)


def test_a_last_piece_without_its_line_end_is_understood_whatever_came_before() -> None:
    answer = ask_in_memory(
        "openai", [b'data: {"other": "text"}\n\ndata: {"choices": [{"delta": {"content": "Hi"}}]}']
    )
    assert (answer.text, answer.outcome) == ("Hi", "truncated")


DEEP = {
    "openai": [
        '{"choices":[{"delta":{"content":%s}}]}',
        '{"choices":[{"delta":{"reasoning":%s}}]}',
        '{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":%s}}]}}]}',
        '{"choices":[{"delta":{"images":%s,"annotations":%s}}]}',
        '{"choices":[{"delta":{},"finish_reason":%s}],"x":%s}',
        '{"choices":%s,"usage":%s,"timings":%s}',
        '{"error":%s}',
        '{"detail":%s}',
    ],
    "anthropic": [
        '{"type":"content_block_delta","index":0,"delta":{"text":%s,"thinking":%s}}',
        '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","input":%s}}',
        '{"type":"message_start","message":{"content":%s}}',
        '{"type":"error","error":%s}',
        '{"type":%s}',
    ],
    "ollama": [
        '{"message":{"content":%s,"thinking":%s,"images":%s}}',
        '{"message":{"tool_calls":[{"function":{"name":"f","arguments":%s}}]}}',
        '{"done":true,"error":%s}',
        '{"response":%s,"done":%s}',
        '{"error":%s}',
    ],
}


@pytest.mark.parametrize("framed", [True, False], ids=["framed", "bare"])
@pytest.mark.parametrize("provider", DEEP)
def test_no_depth_of_json_is_a_mistake_of_ours(provider: str, framed: bool) -> None:
    all_of_them = list(itertools.product(DEEP[provider], (1, 90, 300, 600, 990, 5000)))
    for frame, depth in sampled(all_of_them, 12, "depths", provider, framed):
        for nested in ("[" * depth + "]" * depth, '{"content":' * depth + "1" + "}" * depth):
            body = frame.replace("%s", nested)
            if framed:
                body = f"{body}\n" if provider == "ollama" else f"data: {body}\n\n"
            for status in (200, 400):
                answer = ask_in_memory(provider, [body.encode()], status=status)
                code = getattr(answer.terminal, "code", "done")
                assert code != "internal", f"{frame} at {depth}: {answer.terminal}"


@pytest.mark.parametrize(
    ("dialect", "path", "port", "command"),
    [
        ("ollama", "", 0, "ollama serve"),
        ("llamacpp", "/v1", 0, "llama-server -m MODEL.gguf"),
        ("vllm", "/v1", 0, "vllm serve MODEL"),
        ("lmstudio", "/v1", 0, "lms server start"),
        ("openai", "/v1", 11434, "ollama serve"),
        ("openai", "/v1", 0, None),
    ],
)
def test_the_hint_for_a_server_that_does_not_run_is_how_to_start_it(
    dialect: str, path: str, port: int, command: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = refused_port()
    names = Names(monkeypatch)
    names.lead(("localhost", port or free), free)
    answer = ask(dialect, f"http://localhost:{port or free}{path}", retries=3)
    assert isinstance(answer.terminal, ev.Error)
    assert not any(isinstance(event, ev.Retry) for event in answer.events)
    hint = answer.terminal.hint or ""
    assert (f"`{command}`" in hint) if command else ("check that the server runs" in hint)


def test_how_to_start_a_server_is_no_hint_where_its_name_leads_nowhere() -> None:
    answer = ask("ollama", "http://nobody.localhost:9", retries=3)
    assert isinstance(answer.terminal, ev.Error)
    assert "check the name" in (answer.terminal.hint or "")

"""Servers that nobody here wrote: llama.cpp, aimock, and nginx in front of them."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from chatstream.api import stream
from tests.support.client import Answer, Running, answer_of, ask, run, server_flags
from tests.support.faultproxy import FaultProxy
from tests.support.real.servers import aimock, fixture, llama_server, nginx
from tests.support.terminal import on_terminal
from tests.support.unavailable import require

pytestmark = pytest.mark.real

PROTOCOLS = ["ollama", "openai", "anthropic", "openai-responses"]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
    "required": ["city", "unit"],
}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "openai": [
        {
            "type": "function",
            "function": {"name": "weather", "description": "w", "parameters": WEATHER},
        }
    ],
    "openai-responses": [
        {"type": "function", "name": "weather", "description": "w", "parameters": WEATHER}
    ],
    "anthropic": [{"name": "weather", "description": "w", "input_schema": WEATHER}],
}


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with require(llama_server("tiny")) as server:
        yield server.url


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with require(aimock()) as server:
        yield server.url


def content(prompt: str) -> str:
    text: str = fixture(prompt)["response"]["content"]
    return text


def letters(text: str) -> str:
    """The text without its markup and its line ends."""
    return "".join(re.findall(r"\w", text))


def ask_mock(protocol: str, url: str, prompt: str, **settings: Any) -> Answer:

    given: Any = {"model": "m", "api_key": "k", "retries": 0, **settings}
    answer = answer_of(stream(prompt, provider=protocol, base_url=url, **given))
    grammar.check(answer.events)
    return answer


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "openai-responses"])
def test_llamacpp_streams_an_answer(llama: str, protocol: str) -> None:
    greedy = {"temperature": 0.0, "max_tokens": 60}
    answer = ask(protocol, llama, **greedy)
    whole = ask(protocol, llama, **greedy, streaming=False)
    assert answer.outcome == "complete"
    assert answer.text == whole.text != ""
    assert answer.usage is not None
    assert answer.usage.output_tokens
    assert sum(isinstance(e, ev.Content) for e in answer.events) > 5


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "openai-responses"])
def test_llamacpp_thinks_before_it_answers(protocol: str) -> None:
    with require(llama_server("tiny-think")) as server:
        answer = ask(protocol, server.url, max_tokens=200, options={"seed": 3})
    assert answer.outcome == "complete"
    assert answer.reasoning
    assert "<think>" not in answer.text


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "openai-responses"])
def test_llamacpp_calls_a_tool(protocol: str) -> None:
    with require(llama_server("tiny-tool")) as server:
        answer = ask(protocol, server.url, max_tokens=200, options={"tools": TOOLS[protocol]})
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.finish_reason == "tool_calls"
    ((_, name, arguments),) = answer.tool_calls
    assert name == "weather"
    assert json.loads(arguments)["city"] == "Δelphi"


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "openai-responses"])
def test_llamacpp_refuses_a_prompt_that_is_too_long(llama: str, protocol: str) -> None:
    answer = ask_mock(protocol, llama, "abc " * 6000)
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.status) == ("context_length", 400)


def test_llamacpp_wants_its_key() -> None:
    with require(llama_server("tiny", "--api-key", "sk-right")) as server:
        refused = ask("openai", server.url, api_key="sk-wrong")
        accepted = ask("openai", server.url, api_key="sk-right", max_tokens=5)
    assert isinstance(refused.terminal, ev.Error)
    assert refused.terminal.code == "auth"
    assert accepted.outcome == "complete"


def test_ollamas_protocol_is_not_there_and_that_is_told(llama: str) -> None:
    answer = ask("ollama", llama)
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.status == 404


def test_ctrl_c_reaches_llamacpp() -> None:
    options = ("--ctx-size", "65536", "--parallel", "1")
    with require(llama_server("tiny-long", *options)) as server:
        flags = [*server_flags("openai", server.url), "--max-tokens", "60000"]
        with Running(["ask", "--json", *flags, "-o", "ignore_eos=true", "hi"]) as client:
            client.read_until(b'"content"')
            client.process.send_signal(signal.SIGINT)
            assert client.finish().status == 130
        # The one slot is free again: the server has stopped generating.
        assert ask("openai", server.url, max_tokens=5).outcome == "complete"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("prompt", ["plain text", "one char a chunk"])
def test_aimock_gives_its_exact_text(mock: str, protocol: str, prompt: str) -> None:
    answer = ask_mock(protocol, mock, prompt)
    assert (answer.outcome, answer.text) == ("complete", content(prompt))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_aimock_thinks_first(mock: str, protocol: str) -> None:
    answer = ask_mock(protocol, mock, "think first")
    assert (answer.reasoning, answer.text) == (
        fixture("think first")["response"]["reasoning"],
        content("think first"),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_aimock_calls_two_tools(mock: str, protocol: str) -> None:
    answer = ask_mock(protocol, mock, "call a tool")
    assert answer.text == "Looking it up. "
    assert [(name, json.loads(arguments)) for _, name, arguments in answer.tool_calls] == [
        ("get_weather", {"city": "Köln", "unit": "C"}),
        ("get_time", {"zone": "Europe/Berlin"}),
    ]
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.finish_reason == "tool_calls"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (401, "auth"),
        (404, "model_not_found"),
        (429, "rate_limited"),
        (500, "server_error"),
        (503, "overloaded"),
        (529, "overloaded"),
    ],
)
def test_aimocks_errors_have_their_codes(mock: str, protocol: str, status: int, code: str) -> None:
    answer = ask_mock(protocol, mock, f"error {status}")
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.status) == (code, status)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_that_aimock_cuts_is_truncated(mock: str, protocol: str) -> None:
    answer = ask_mock(protocol, mock, "always cut")
    assert answer.outcome == "truncated"
    assert content("always cut").startswith(answer.text)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_command_streams_from_aimock_in_a_pipe_and_as_json(mock: str, protocol: str) -> None:
    flags = server_flags(protocol, mock)
    done = run(["ask", *flags, "plain text"])
    assert (done.status, done.stdout.decode()) == (0, content("plain text"))
    done = run(["ask", "--json", *flags, "slow text"])
    assert done.status == 0
    text = "".join(e.delta for e in done.events if isinstance(e, ev.Content))
    assert text == content("slow text")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_command_streams_from_aimock_on_a_terminal(mock: str, protocol: str) -> None:
    status, screen, _ = on_terminal(["ask", *server_flags(protocol, mock), "plain text"])
    text = "\n".join(screen.text())
    assert status == 0
    assert "Streaming works: café, naïve, 5€, 你好" in text
    assert "print('hi')" in text
    assert "✓ m · " in text
    assert not screen.cursor_hidden


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_the_command_streams_from_llamacpp_on_a_terminal(llama: str, protocol: str) -> None:
    flags = [*server_flags(protocol, llama), "--temperature", "0", "--max-tokens", "60"]
    text = letters(run(["ask", "--plain", *flags, "hi"]).stdout.decode())
    status, screen, _ = on_terminal(["ask", *flags, "hi"])
    assert status == 0
    assert text
    assert letters("".join(screen.text())).startswith(text)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("way", ["plain", "gzip", "gzip-streamed", "close"])
def test_an_answer_comes_whole_through_nginx(mock: str, protocol: str, way: str) -> None:
    with require(nginx(mock)) as front:
        answer = ask_mock(protocol, front.urls[way], "plain text")
    assert (answer.outcome, answer.text) == ("complete", content("plain text"))


def test_nginx_with_an_authority_of_its_own_is_trusted_only_when_told(mock: str) -> None:
    with require(nginx(mock)) as front:
        url = front.urls["tls"]
        refused = ask_mock("ollama", url, "plain text")
        trusted = ask_mock("ollama", url, "plain text", ca_file=str(front.ca))
    assert isinstance(refused.terminal, ev.Error)
    assert (refused.terminal.code, refused.terminal.recoverable) == ("connect", False)
    assert trusted.text == content("plain text")


def test_nginx_without_a_server_behind_it_is_a_server_error(mock: str) -> None:
    with require(nginx(mock)) as front:
        answer = ask_mock("openai", front.urls["down"], "plain text")
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.terminal.status) == ("server_error", 502)
    assert "502 Bad Gateway" in answer.terminal.message


def test_a_redirect_of_nginx_is_not_followed_with_a_key(mock: str) -> None:
    with require(nginx(mock)) as front:
        answer = ask_mock("openai", front.urls["redirect"], "plain text")
    assert isinstance(answer.terminal, ev.Error)
    assert "redirects" in answer.terminal.message


@pytest.mark.parametrize("mode", ["drip:size=3:delay=1", "chop:size=9:delay=1", "buffer:delay=50"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bad_line_changes_no_byte(mock: str, protocol: str, mode: str) -> None:
    host, _, port = mock.removeprefix("http://").partition(":")
    with FaultProxy((host, int(port)), mode) as proxy:
        answer = ask_mock(protocol, proxy.url, "plain text")
    assert (answer.outcome, answer.text) == ("complete", content("plain text"))


def test_llama_cpp_tells_how_probable_its_tokens_are_and_is_stopped_early(llama: str) -> None:
    given: Any = {"provider": "openai", "base_url": f"{llama}/v1", "model": "m", "analyze": True}
    answer = answer_of(stream("hi", max_tokens=60, stop_when="10 tokens", **given))
    grammar.check(answer.events)
    assert isinstance(answer.terminal, ev.Done)
    assert answer.terminal.finish_reason == "stop_condition"
    assert sum(isinstance(it, ev.Content) for it in answer.events) == 10
    (last,) = [it for it in answer.events if isinstance(it, ev.Analysis) and it.final]
    assert 0 < (last.figures.confidence or 0) < 1
    assert last.figures.words > 0

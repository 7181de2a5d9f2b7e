"""`ask --effort`, as a user has it: what is sent, what an own option does, and a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatstream import events as ev
from tests.support.answers import ALL_DIALECTS, TEXT, frames, headers, whole
from tests.support.client import Finished, run, run_here, server_flags
from tests.support.loopback import Reply, Script
from tests.support.real.servers import aimock, fixture, llama_server
from tests.support.unavailable import require

SENT: dict[str, dict[str, Any]] = {
    "ollama": {"think": True},
    "openai": {"reasoning_effort": "low"},
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "openai-responses": {"reasoning": {"effort": "low"}},
}
OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "ollama": ("think=false", {"think": False}),
    "openai": ("reasoning_effort=xhigh", {"reasoning_effort": "xhigh"}),
    "openai-responses": (
        'reasoning={"effort":"xhigh","summary":"auto"}',
        {"reasoning": {"effort": "xhigh", "summary": "auto"}},
    ),
    "anthropic": ('thinking={"type":"adaptive"}', {"thinking": {"type": "adaptive"}}),
}
REFUSED = [
    ("ollama", '"m" does not support thinking'),
    ("ollama", 'think value "low" is not supported for this model'),
    ("openai", "Unrecognized request argument supplied: reasoning_effort"),
    ("openai", "Unsupported value: 'reasoning_effort' does not support 'none' with this model."),
    ("openai-responses", "Unsupported parameter: 'reasoning.effort' is not supported"),
    ("anthropic", '"thinking.type.enabled" is not supported for this model.'),
    ("anthropic", "This model does not support the effort parameter."),
    ("anthropic", "adaptive thinking is not supported on this model"),
]


def ask(server: Script, dialect: str, *more: str) -> Finished:
    return run_here(["ask", *server_flags(dialect, server.url), *more, "hi"])


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_each_protocol_gets_it_in_its_words(dialect: str) -> None:
    with Script(whole(dialect)) as server:
        done = ask(server, dialect, "--effort", "low")
    assert (done.status, done.stdout) == (0, TEXT.encode())
    assert server.requests[0].json.items() >= SENT[dialect].items()


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_own_option_of_the_same_name_wins(dialect: str) -> None:
    option, sent = OWN[dialect]
    with Script(whole(dialect)) as server:
        ask(server, dialect, "--effort", "low", "-o", option)
    assert server.requests[0].json.items() >= sent.items()


@pytest.mark.parametrize(("dialect", "words"), REFUSED)
def test_a_service_that_does_not_take_it_is_asked_without_and_says_so_once(
    dialect: str, words: str
) -> None:
    refusal = Reply.json({"error": {"message": words}}, status=400)
    with Script(refusal, whole(dialect)) as server:
        done = ask(server, dialect, "--effort", "low", "--json")
    warnings = [it.message for it in done.events if isinstance(it, ev.Warn)]
    assert warnings == ["the server does not accept 'effort'; asking again without it"]
    assert done.status == 0
    assert not server.requests[1].json.keys() & {
        "think",
        "reasoning",
        "reasoning_effort",
        "thinking",
    }


def test_a_refusal_of_an_own_option_is_not_asked_again() -> None:
    words = '"m" does not support thinking'
    refusal = Reply.json({"error": words}, status=400)
    with Script(refusal, cycle=True) as server:
        done = ask(server, "ollama", "-o", "think=true", "--json")
    assert isinstance(done.terminal, ev.Error)
    assert (done.status, done.terminal.code, len(server.requests)) == (3, "bad_request", 1)


def test_a_run_that_is_resumed_keeps_its_effort() -> None:
    with Script(Reply(frames("ollama"), headers=headers("ollama"))) as server:
        ask(server, "ollama", "--effort", "none", "--on-drop", "stop")
        server.play(whole("ollama"))
        run_here(["resume"])
    assert server.requests[0].json["think"] is False


def test_an_unknown_effort_is_exit_2() -> None:
    with Script() as server:
        done = ask(server, "ollama", "--effort", "much")
    assert (done.status, len(server.requests)) == (2, 0)
    assert "much" in done.stderr


@pytest.mark.real
def test_llama_cpp_takes_every_effort() -> None:
    with require(llama_server("tiny")) as server:
        flags = [*server_flags("llamacpp", f"{server.url}/v1", "tiny"), "--max-tokens", "4"]
        for effort in ("none", "low", "high"):
            done = run(["ask", "--json", *flags, "--effort", effort, "hi"])
            assert done.status == 0, done.stderr
            assert not any(isinstance(it, ev.Warn) and "effort" in it.message for it in done.events)


@pytest.mark.real
@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_aimock_answers_with_an_effort(dialect: str) -> None:
    said = fixture("plain text")["response"]["content"]
    with require(aimock()) as server:
        url = f"{server.url}/v1" if dialect.startswith("openai") else server.url
        done = run(["ask", *server_flags(dialect, url), "--effort", "high", "plain text"])
    assert (done.status, done.stdout.decode()) == (0, said), json.dumps(done.stderr)

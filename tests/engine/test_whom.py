"""Claimed: `config show` tells who would be asked, as a question finds it; only servers on this
machine are contacted, and no key is shown.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.resolve import resolve
from chatstream.engine.whom import check, local_server, whom
from chatstream.errors import ChatstreamError
from tests.support.client import run_here
from tests.support.loopback import Reply, Script
from tests.support.names import Names

OLLAMA = Reply.json(
    {"models": [{"name": "nomic", "details": {"family": "nomic-bert"}}, {"name": "llama"}]}
)
NOBODY = "127.0.0.1:9"  # no Ollama is there


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


def told(monkeypatch: pytest.MonkeyPatch, **environ: str) -> list[tuple[str, str]]:
    """Value and reason of the server, the model and the key."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    rows = list(whom(resolve({}), CancelToken()))
    assert [name for name, _, _ in rows] == [
        "asked now: server",
        "asked now: model",
        "asked now: key",
    ]
    return [(value, why) for _, value, why in rows]


def test_a_local_ollama_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(OLLAMA) as server:
        assert told(monkeypatch, OLLAMA_HOST=server.url) == [
            (f"ollama at {server.url}", "no provider is set"),
            ("llama", "the server's first chat model"),
            ("none", "none is set, and this server may need none"),
        ]


def test_without_one_it_is_the_first_key(monkeypatch: pytest.MonkeyPatch) -> None:
    server, model, key = told(monkeypatch, OLLAMA_HOST=NOBODY, OPENAI_API_KEY="sk-0123456789")
    assert server[0] == "openai at https://api.openai.com/v1"
    assert server[1].startswith("OPENAI_API_KEY is set; Ollama does not answer at")
    assert model == ("gpt-5-mini", "the default model of openai")
    assert key == ("yes", "OPENAI_API_KEY")


@pytest.mark.parametrize(
    ("environ", "value", "why"),
    [
        ({"OLLAMA_HOST": "box"}, "ollama at http://box:11434", "otherwise: nobody"),
        (
            {"OLLAMA_HOST": "box", "GROQ_API_KEY": "g"},
            "ollama at http://box:11434",
            "otherwise: groq, because GROQ_API_KEY is set",
        ),
        (
            {"CHATSTREAM_PROVIDER": "groq"},
            "groq at https://api.groq.com/openai/v1",
            "CHATSTREAM_PROVIDER",
        ),
        (
            {"CHATSTREAM_PROVIDER": "openai", "OPENAI_BASE_URL": "box"},
            "openai at http://box/v1",
            "CHATSTREAM_PROVIDER, OPENAI_BASE_URL",
        ),
        (
            {"CHATSTREAM_BASE_URL": "http://me:pass-word@box/v1"},
            "openai at http://***@box/v1",
            "CHATSTREAM_BASE_URL",
        ),
    ],
)
def test_no_server_of_another_machine_is_contacted(
    environ: dict[str, str], value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    server, model, _ = told(monkeypatch, **environ)
    assert server[0] == value
    assert server[1].endswith(why)
    assert model[0] == "-"
    assert names.places == []


def test_no_key_command_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with Script(OLLAMA) as server:
        _, model, key = told(
            monkeypatch,
            CHATSTREAM_PROVIDER="ollama",
            CHATSTREAM_BASE_URL=server.url,
            CHATSTREAM_KEY_COMMAND=f"touch {ran}; echo key",
        )
        assert server.requests == []
    assert not ran.exists()
    assert model == ("-", "the server's first chat model; it was not contacted")
    assert key == ("yes", "CHATSTREAM_KEY_COMMAND")


def test_a_strategy_says_that_it_chose(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('strategy = "s"\n[strategies]\ns = ["m@anthropic"]\n')
    server, model, key = told(monkeypatch)
    assert server == ("anthropic at https://api.anthropic.com", "strategy s")
    assert model == ("m", "strategy s")
    assert key[0] == "missing"


def test_show_ends_with_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('provider = "openai"\nmodel = "m"\napi_key = "very-secret-key"\n')
    shown = run_here(["config", "show"]).stdout.decode()
    server, model, key = shown.splitlines()[-3:]
    assert server.split(maxsplit=3)[3] == f"openai at https://api.openai.com/v1 ({file})"
    assert model.split(maxsplit=3)[3] == f"m ({file})"
    assert key.split(maxsplit=3)[3] == f"yes ({file})"
    assert "very-secret-key" not in shown


def test_what_keeps_a_question_from_being_asked_is_shown_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = run_here(["config", "show"], OLLAMA_HOST=NOBODY)
    assert done.status == 0
    assert b"no model server is set up" in done.stdout.splitlines()[-1]
    done = run_here(["config", "show"], OPENAI_API_KEY="two words", OLLAMA_HOST=NOBODY)
    assert b"OPENAI_API_KEY contains" in done.stdout.splitlines()[-1]
    assert b"two words" not in done.stdout


@pytest.mark.parametrize(
    "flags",
    [{"provider": "olama"}, {"strategy": "none"}, {"base_url": "http://["}, {"fallback": ["m@x"]}],
)
def test_what_nobody_can_be_asked_with_is_found_without_asking(flags: dict[str, object]) -> None:
    with pytest.raises(ChatstreamError):
        check(resolve(flags).settings)
    check(resolve({"model": "m", "base_url": NOBODY}).settings)


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ({"provider": "ollama", "base_url": "http://me:key@host:1"}, "http://***@host:1"),
        ({"model": "a@llamacpp"}, "http://127.0.0.1:8080/v1"),
        ({"provider": "openai"}, None),
        ({"base_url": "http://localhost:8000"}, None),
        ({}, None),
    ],
)
def test_a_server_that_may_answer_one_at_a_time_is_known_by_its_address(
    given: dict[str, str], server: str | None
) -> None:
    assert local_server(resolve(given).settings) == server

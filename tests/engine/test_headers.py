"""Headers of the user's own: how they are written, where they go, and that nobody sees them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.cli.app import main
from chatstream.engine.headers import checked, merged
from chatstream.engine.resolve import resolve
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.redact import redact
from chatstream.store.place import runs_folder
from tests.support.answers import frames, headers, whole
from tests.support.client import answer_of, run_here
from tests.support.loopback import Reply, Script

pytestmark = pytest.mark.usefixtures("no_proxies")

SECRET = "a-secret-value"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


def own(server: Script) -> dict[str, str]:
    """The headers of the only request that begin with X-, and the keys."""
    (request,) = server.requests
    return {
        name: value
        for name, value in request.headers.items()
        if name.startswith("x-") or name == "authorization"
    }


# ---- how they are written


@pytest.mark.parametrize("texts", [["X-A: 1", "X-B:2"], ["X-A:\t1 ", " X-B : 2"]])
def test_an_option_is_a_name_and_a_value(texts: list[str]) -> None:
    assert checked(texts, "--header") == {"X-A": "1", "X-B": "2"}


def test_a_value_is_sent_as_it_is_written() -> None:
    assert checked(["X-A: $HOME: ~ \xe9"], "--header") == {"X-A": "$HOME: ~ \xe9"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("", SECRET, "no name"),
        (" ", SECRET, "no name"),
        ("X A", SECRET, "a character that is not allowed there"),
        ("X-\xe9", SECRET, "a character that is not allowed there"),
        ("X-A\r\nX-B", SECRET, "a character that is not allowed there"),
        ("X-A", "", "value of X-A is empty"),
        ("X-A", "  ", "value of X-A is empty"),
        ("X-A", f"{SECRET}\r\nX-B: 1", "value of X-A contains a line break"),
        ("X-A", f"{SECRET}\nX-B: 1", "value of X-A contains a line break"),
        ("X-A", f"{SECRET}\x00", "a character that is not allowed there"),
        ("X-A", f"{SECRET}\u2603", "a character that is not allowed there"),
        ("X-A", f"{SECRET}\udce9", "a character that is not allowed there"),
        ("Content-Length", "5", "Content-Length cannot be set"),
        ("transfer-encoding", "chunked", "transfer-encoding cannot be set"),
        ("Proxy-Authorization", SECRET, "Proxy-Authorization cannot be set"),
    ],
)
@pytest.mark.parametrize("origin", ["--header", "config.toml"])
def test_what_no_request_may_have_is_refused_without_its_value(
    name: str, value: str, says: str, origin: str
) -> None:
    given: Any = [f"{name}:{value}"] if origin == "--header" else {name: value}
    with pytest.raises(UsageError if origin == "--header" else ConfigError) as caught:
        checked(given, origin)
    assert says in caught.value.message
    assert caught.value.message.startswith(f"{origin}: ")
    assert SECRET not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    "value", [SECRET, ["no colon " + SECRET], 5, {"X-A": 5}, {"X-A": [SECRET]}, [5]]
)
def test_what_is_no_table_of_texts_is_refused(value: Any) -> None:
    with pytest.raises(ChatstreamError) as caught:
        resolve({"headers": value})
    assert caught.value.exit_status == 2
    assert caught.value.message.startswith("--header: ")
    assert SECRET not in caught.value.message


def test_of_two_names_that_differ_in_case_the_stronger_counts() -> None:
    assert merged({"X-A": "weak", "X-B": "weak"}, {"x-a": "strong"}) == {
        "X-B": "weak",
        "x-a": "strong",
    }


# ---- where they come from

FILE = """
[headers]
X-Top = "top"
X-Both = "top"
X-All = "top"
[profiles.work.headers]
x-both = "profile"
X-All = "profile"
"""


def test_the_layers_are_joined_name_by_name(file: Path) -> None:
    file.write_text(FILE)
    resolved = resolve({"headers": ["x-all: option"]}, profile="work")
    assert resolved.settings.headers == {"X-Top": "top", "x-both": "profile", "x-all": "option"}
    assert resolved.origins["headers"] == "--header"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, {"X-A": "theirs"}),
        ({"base_url": "http://one.test"}, {"X-A": "theirs"}),
        ({"base_url": "http://two.test"}, {}),
        ({"provider": "ollama"}, {}),
        ({"base_url": "http://two.test", "headers": {"X-B": "own"}}, {"X-B": "own"}),
    ],
)
def test_they_belong_to_the_server_that_stands_beside_them(
    flags: Mapping[str, Any], expected: dict[str, str], file: Path
) -> None:
    file.write_text(
        'provider = "openai"\nbase_url = "http://one.test"\n[headers]\nX-A = "theirs"\n'
    )
    assert resolve(flags).settings.headers == expected


# ---- where they go


@pytest.mark.parametrize("provider", ["openai", "ollama", "anthropic", "llamacpp"])
def test_they_are_sent_with_the_question(provider: str) -> None:
    dialect = "openai" if provider == "llamacpp" else provider
    with Script(whole(dialect)) as server:
        asked = chatstream.stream(
            "hi", provider=provider, base_url=server.url, model="m", headers={"X-A": "1"}
        )
        assert answer_of(asked).outcome == "complete"
        assert own(server)["x-a"] == "1"


@pytest.mark.parametrize(
    ("provider", "name", "header"),
    [("openai", "authorization", "Authorization"), ("anthropic", "X-Api-Key", "x-api-key")],
)
def test_they_replace_what_chatstream_sends_itself(provider: str, name: str, header: str) -> None:
    with Script(whole(provider)) as server:
        asked = chatstream.stream(
            "hi",
            provider=provider,
            base_url=server.url,
            model="m",
            api_key="the-key",
            headers={name: "my own", "User-Agent": "mine"},
        )
        assert answer_of(asked).outcome == "complete"
        (request,) = server.requests
    assert request.headers[header.lower()] == "my own"
    assert request.headers["user-agent"] == "mine"
    assert "the-key" not in str(request.headers)


def test_no_header_is_sent_twice_under_names_that_differ_in_case() -> None:
    from chatstream.engine.services import make_provider

    given = {"AUTHORIZATION": "mine", "accept": "text/plain"}
    settings = resolve({"api_key": "the-key", "headers": given}).settings
    provider = make_provider("openai", settings)
    provider.close()
    names = [name.lower() for name in provider.call("/x", {}).headers]
    assert len(names) == len({*names})
    assert provider.call("/x", {}).headers["AUTHORIZATION"] == "mine"


def test_a_hosted_service_needs_no_key_beside_a_header_that_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from chatstream.engine.services import make_provider

    settings = resolve({"headers": {"authorization": "Bearer mine"}}).settings
    make_provider("openai", settings).close()
    with pytest.raises(ChatstreamError, match="no API key"):
        make_provider("openai", resolve({"headers": {"X-A": "1"}}).settings)


@pytest.mark.parametrize(
    "command",
    [
        ["ask", "hi", "-m", "m"],
        ["models"],
        ["doctor", "-m", "m"],
        ["bench", "-m", "m", "-n", "1"],
    ],
    ids=lambda it: it[0],
)
def test_every_command_that_asks_a_server_takes_them(command: list[str]) -> None:
    with Script(whole("openai")) as server:
        where = ["-p", "openai", "--base-url", server.url, "--header", f"X-A: {SECRET}"]
        done = run_here([*command, *where, "--header", "X-B: 2"])
        assert server.requests
        assert all(it.headers["x-a"] == SECRET for it in server.requests)
        assert all(it.headers["x-b"] == "2" for it in server.requests)
    assert SECRET not in f"{done.stdout!r}{done.stderr}"


def test_another_provider_that_takes_over_does_not_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    down = Reply.json({"error": "overloaded"}, 503)
    with Script(down) as first, Script(whole("ollama")) as second:
        monkeypatch.setenv("OLLAMA_HOST", second.url)
        asked = chatstream.stream(
            "hi",
            provider="openai",
            base_url=first.url,
            model="m",
            retries=0,
            on_drop="fallback",
            fallback=["m@ollama"],
            headers={"X-A": "1"},
        )
        assert answer_of(asked).outcome == "complete"
        assert own(first) == {"x-a": "1"}
        assert own(second) == {}


def test_no_redirect_takes_them_elsewhere() -> None:
    with Script(Reply(b"ok")) as other:
        moved = Reply(b"", 307, {"Location": f"{other.url}/new"}, "length")
        with Script(moved) as server:
            asked = chatstream.stream(
                "hi", provider="openai", base_url=server.url, model="m", headers={"X-A": "1"}
            )
            assert isinstance(answer_of(asked).terminal, ev.Error)
        assert other.connections == []


def broken_off(server: Script, **given: Any) -> None:
    server.play(Reply(frames("openai"), headers=headers("openai")))
    asked = chatstream.stream("hi", model="m", retries=0, on_drop="stop", **given)
    assert answer_of(asked).outcome == "truncated"
    server.play(whole("openai"))


def test_a_resume_sends_those_that_are_given_again() -> None:
    with Script() as server:
        broken_off(server, provider="openai", base_url=server.url, headers={"X-A": SECRET})
        assert main(["resume", "--header", "X-B: 2"]) == 0
        assert own(server) == {"x-b": "2"}
    assert SECRET.encode() not in b"".join(it.read_bytes() for it in runs_folder().iterdir())


def test_a_resume_sends_none_that_now_belong_to_another_server(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Script() as server, Script(whole("openai")) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        broken_off(server, provider="openai", headers={"Authorization": "Bearer mine"})
        monkeypatch.setenv("OPENAI_BASE_URL", other.url)
        file.write_text('[headers]\nAuthorization = "Bearer theirs"\n')
        answer = answer_of(chatstream.resume(retries=0))
        assert isinstance(answer.terminal, ev.Error)
        assert "its headers are not sent" in answer.terminal.message, answer.terminal
        assert server.requests == other.requests == []


# ---- nobody sees them


@pytest.mark.parametrize("text", [SECRET, f"Bearer {SECRET}"])
def test_a_server_that_quotes_one_is_masked(text: str) -> None:
    quoted = Reply.json({"error": {"message": f"tenant {SECRET} is unknown"}}, 400)
    with Script(quoted) as server:
        where = ["-p", "openai", "--base-url", server.url, "-m", "m", "--retries", "0"]
        done = run_here(["ask", "hi", *where, "--header", f"X-Tenant: {text}"])
    assert done.status == 3
    assert "tenant *** is unknown" in done.stderr


def test_config_show_masks_them(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text('[headers]\nX-A = "abc"\n')  # too short for a secret that is learned
    assert main(["config", "show"]) == 0
    shown = capfd.readouterr().out
    (line,) = [it for it in shown.splitlines() if it.startswith("headers ")]
    assert "X-A" in line
    assert "abc" not in line
    assert os.fspath(file) in line


@pytest.mark.parametrize(
    "given", [{"Anthropic-Beta": "context-1m"}, ["anthropic-beta: context-1m"]]
)
def test_the_value_of_a_header_that_is_no_secret_is_no_secret(given: Any) -> None:
    redact.learn_headers(given)
    assert redact("context-1m is not known") == "context-1m is not known"

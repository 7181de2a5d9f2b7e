"""Claimed: no secret leaves the process, whatever command is run and whatever a server echoes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatstream
from chatstream import events as ev
from chatstream.errors import ChatstreamError
from chatstream.store.place import runs_folder, state_folder
from tests.support.client import answer_of, ask, run
from tests.support.loopback import Reply, Request, Script
from tests.support.runs import run_id, write_run

KEY, PASSWORD, QUERY = "the-very-key", "the-pass-word", "the-query-key"
PROXY, COOKIE, OWN = "the-proxy-word", "the-cookie-1", "the-own-header"
SECRETS = (KEY, PASSWORD, QUERY, PROXY, COOKIE, OWN)


class Echo(Script):
    """Refuses everything, and tells all that it knows in its error and its headers."""

    def take(self, request: Request) -> Reply:
        super().take(request)
        said = (
            f"no: {KEY} {dict(request.headers)} http://me:{PASSWORD}@host/?api_key={QUERY} "
            f"Set-Cookie: id={COOKIE}; Path=/"
        )
        told = {"Set-Cookie": f"id={COOKIE}; Path=/", "X-Own": OWN, "X-Echo": KEY}
        return Reply.json({"error": {"message": said}}, 400, told)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    with Echo(Reply()) as server:
        address = server.url.replace("//", f"//me:{PASSWORD}@")
        file = tmp_path / "config.toml"
        file.write_text(
            f'provider = "openai"\nmodel = "m"\nbase_url = "{address}"\napi_key = "{KEY}"\n'
            f'proxy = "http://me:{PROXY}@127.0.0.1:9"\nretries = 0\n'
            f'[options]\nseed = 7\napi_key = "{QUERY}"\nextra = {{ note = "it is {KEY}" }}\n'
        )
        monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY}@127.0.0.1:9")
        monkeypatch.setenv("OLLAMA_HOST", f"me:{PASSWORD}@127.0.0.1:9")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:9/?key={QUERY}")
        yield server


COMMANDS = [
    ["ask", "hi"],
    ["ask", "--json", "hi"],
    ["ask", "--debug", "hi"],
    ["models"],
    ["models", "--json", "--debug"],
    ["doctor"],
    ["doctor", "--json", "--debug"],
    ["doctor", "-m", "m"],
    ["doctor", "-m", "m", "--json", "--debug"],
    ["bench", "-n", "1", "--save", "x", "--html", "page.html", "--csv", "rows.csv"],
    ["bench", "-n", "1", "--json"],
    ["config", "show"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_command_shows_a_secret_or_writes_one_down(
    server: Echo, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(arguments)
    shown = done.stdout.decode() + done.stderr
    assert "***" in shown
    written = [it for it in tmp_path.rglob("*") if it.is_file() and it.name != "config.toml"]
    kept = b"".join(it.read_bytes() for it in written).decode("utf-8", "replace")
    for secret in SECRETS:
        assert secret not in shown
        assert secret not in kept
    if "config" not in arguments:
        assert server.requests
    if arguments[0] == "bench" and "--save" in arguments:
        assert {"page.html", "rows.csv", "x.json"} <= {it.name for it in written}


@pytest.mark.parametrize("start", range(440, 501, 4))
def test_a_secret_at_the_end_of_what_is_quoted_is_not_shown_in_part(start: int) -> None:
    words = ("word " * 200)[:start]
    with Script(
        Reply.json({"error": {"message": f"{words}{KEY} and more {words}"}}, 400)
    ) as server:
        answer = ask("openai", server.url, api_key=KEY)
    assert isinstance(answer.terminal, ev.Error)
    assert "the-v" not in answer.terminal.message


def test_a_usage_error_shows_no_secret(server: Echo) -> None:
    address = f"http://me:{PASSWORD}@[::1/?key={QUERY}"
    for arguments in (
        ["ask", "--base-url", address, "hi"],
        ["models", "--base-url", address],
        ["doctor", address],
        ["bench", "--base-url", address],
        ["ask", "--base-url", f"http://me:a/{PASSWORD}@host", "hi"],
        ["ask", "--nope", f"--base-url=http://me:{PASSWORD}@host", "hi"],
    ):
        done = run(arguments)
        assert done.status == 2, done.stderr
        assert done.stderr.startswith("error: ")
        assert not any(secret in done.stderr for secret in SECRETS)


def test_a_key_command_that_fails_is_shown_without_the_key_in_it(server: Echo) -> None:
    command = "no-such-command --auth 'Bearer abc123def456' sk-abcdef123456"
    for arguments in (["ask", "hi"], ["models"], ["doctor"], ["bench"]):
        done = run(arguments, CHATSTREAM_KEY_COMMAND=command, CHATSTREAM_CONFIG=os.devnull)
        shown = done.stdout.decode() + done.stderr
        assert "the key command failed" in shown
        assert "abcdef123456" not in shown
        assert "abc123def456" not in shown


def test_the_exception_of_the_library_holds_no_secret(server: Echo) -> None:
    with pytest.raises(ChatstreamError) as caught:
        chatstream.ask("hi")
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_a_journal_keeps_the_options_without_the_secret_ones(server: Echo) -> None:
    answer_of(chatstream.stream("hi"))
    (journal,) = runs_folder().iterdir()
    text = journal.read_text()
    assert '"options":{"seed":7}' in text
    assert f'"base_url":"http://***@127.0.0.1:{server.port}/v1"' in text


FOREIGN = f"no: Authorization: Bearer {KEY}1 at http://me:{PASSWORD}@host/?sig={QUERY}"


def test_what_others_recorded_is_redacted_where_it_is_shown_again(tmp_path: Path) -> None:
    end = ev.Error("auth", FOREIGN, recoverable=False, partial=True, hint=FOREIGN)
    pieces = [ev.Content("Hello "), ev.Warn("odd", FOREIGN)]
    write_run(state_folder(), run_id(1), end=end, pieces=pieces)
    for arguments in (
        ["replay", "--instant", run_id(1)],
        ["replay", "--instant", "--json", run_id(1)],
        ["history", "list", "--json"],
        ["history", "show"],
        ["history", "export"],
        ["history", "export", "--format", "json"],
    ):
        done = run(arguments)
        shown = done.stdout.decode() + done.stderr
        assert "***" in shown, arguments
        assert not any(secret in shown for secret in SECRETS), arguments


def test_the_answer_is_never_redacted() -> None:
    text = f"Set-Cookie: id=1; sk-abcdef123456 http://me:{PASSWORD}@host/?key=1"
    write_run(state_folder(), run_id(1), text)
    assert run(["history", "show", "--text"]).stdout.decode() == text
    assert run(["replay", "--instant", run_id(1)]).stdout.decode().strip() == text

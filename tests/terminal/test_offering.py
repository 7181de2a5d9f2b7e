"""Claimed: a model that is not there is offered to a person, downloaded after a yes, and asked."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

from chatstream.engine.settings import Settings
from chatstream.errors import ModelNotFound
from chatstream.events import Error, Metadata
from chatstream.flow import Arrival
from chatstream.terminal.offering import Lack
from tests.support.answers import TEXT, whole
from tests.support.client import run, server_flags
from tests.support.loopback import NDJSON, Reply, Request, Script
from tests.support.terminal import on_terminal

QUESTION = b"Download qwen3:4b now? [y/N] "
PULLED = Reply(b'{"status": "success"}\n', headers=NDJSON)


class Ollama(Script):
    """It has no model before it was told to download one."""

    def __init__(self, pull: Reply = PULLED) -> None:
        super().__init__()
        self._pull = pull
        self.paths: list[str] = []

    def take(self, request: Request) -> Reply:
        """The reply to a request."""
        self.paths.append(request.path)
        if request.path == "/api/pull":
            assert json.loads(request.body)["model"] == "qwen3:4b"
            return self._pull
        if request.path != "/api/chat":
            return Reply.json({"models": []})
        if "/api/pull" in self.paths:
            return whole("ollama")
        return Reply.json({"error": "model 'qwen3:4b' not found"}, 404)


def asked(server: Script, answer: str, *more: str) -> tuple[int, str]:
    """The exit status of a question on a terminal, and the last of what was on its screen."""
    sent: list[str] = []

    def typed(written: bytes) -> bytes:
        if written.endswith(QUESTION) and not sent:
            sent.append(answer)
            return f"{answer}\n".encode()
        return b""

    arguments = ["ask", *server_flags("ollama", server.url, "qwen3:4b"), *more, "hi"]
    status, screen, _ = on_terminal(arguments, typed=typed)
    assert bool(sent) is not ("--json" in more or "--fallback" in more)
    return status, "\n".join(screen.text())


def test_after_a_yes_it_is_downloaded_and_asked() -> None:
    with Ollama() as server:
        status, screen = asked(server, "y")
    assert status == 0
    assert [it for it in server.paths if it in {"/api/chat", "/api/pull"}] == [
        *("/api/chat", "/api/pull", "/api/chat")
    ]
    assert "qwen3:4b is ready" in screen
    assert TEXT.split()[0] in screen


@pytest.mark.parametrize("answer", ["", "n", "yo", "no"])
def test_anything_else_is_a_no(answer: str) -> None:
    with Ollama() as server:
        status, screen = asked(server, answer)
    assert (status, "/api/pull" in server.paths) == (3, False)
    assert "not found" in screen


def test_a_download_that_fails_is_the_end() -> None:
    with Ollama(Reply(b'{"error": "no space left on device"}\n', headers=NDJSON)) as server:
        status, screen = asked(server, "y")
    assert status == 1
    assert "no space left on device" in screen
    assert server.paths.count("/api/chat") == 1


@pytest.mark.parametrize("more", [["--json"], ["--fallback", "other"]], ids=["JSON", "another"])
def test_it_is_not_offered_to_a_program_or_where_another_one_stands_in(more: list[str]) -> None:
    with Ollama() as server:
        status, _ = asked(server, "y", *more)
    assert (status, "/api/pull" in server.paths) == (3, False)


def test_without_a_terminal_nothing_is_asked() -> None:
    with Ollama() as server:
        flags = server_flags("ollama", server.url, "qwen3:4b")
        done = run(["ask", *flags, "hi"], stdin=b"y\n")
    assert (done.status, "/api/pull" in server.paths) == (3, False)
    assert "Download" not in done.stderr


@pytest.mark.parametrize(
    ("provider", "code", "offered"),
    [
        ("ollama", ModelNotFound.code, True),
        ("ollama", "auth", False),
        ("openai", ModelNotFound.code, False),
        (None, ModelNotFound.code, False),
    ],
)
def test_only_a_server_that_downloads_models_is_told_to(
    provider: str | None, code: str, offered: bool
) -> None:
    lack = Lack()
    events = [Metadata(provider=provider, model="m"), Error(code, "no", False, False)]
    assert [*lack(iter([Arrival([*events])]))]
    found = lack.of(Settings(model="alias"))
    assert (found is not None) is offered
    if found is not None:
        assert (found.provider, found.model) == ("ollama", "m")


def test_ctrl_c_at_the_question_and_in_the_download_ends_it() -> None:
    def seen(mark: bytes) -> Callable[[bytes, subprocess.Popen[bytes]], None]:
        sent: list[int] = []

        def look(written: bytes, client: subprocess.Popen[bytes]) -> None:
            if mark in written and not sent:
                sent.append(signal.SIGINT)
                client.send_signal(signal.SIGINT)

        return look

    with Ollama() as server:
        arguments = ["ask", *server_flags("ollama", server.url, "qwen3:4b"), "hi"]
        status, _, _ = on_terminal(arguments, seen=seen(QUESTION))
        assert (status, "/api/pull" in server.paths) == (130, False)
    steps = [b'{"status": "pulling manifest"}\n', b'{"status": "success"}\n']
    with Ollama(Reply(steps, headers=NDJSON, hold={1: threading.Event()})) as server:
        arguments = ["ask", *server_flags("ollama", server.url, "qwen3:4b"), "hi"]
        status, screen, _ = on_terminal(
            arguments,
            seen=seen(b"pulling manifest"),
            typed=lambda written: b"y\n" if written.endswith(QUESTION) else b"",
        )
    assert status == 130
    assert "the next download continues from there" in " ".join(screen.text())

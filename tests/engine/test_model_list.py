"""The models of a server are known quickly, and nothing that it does makes anybody wait."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatstream.engine.model_list import (
    FRESH_SECONDS,
    MAX_WAIT_SECONDS,
    PATIENCE_SECONDS,
    known,
    remember,
)
from chatstream.engine.settings import Settings
from chatstream.store.place import state_folder
from tests.support.client import LIMIT, run, run_here
from tests.support.loopback import Reply, Script

MODELS = Reply.json({"models": [{"name": "llama3.2:1b"}, {"name": "qwen3:4b"}]})


def files() -> list[Path]:
    return sorted((state_folder() / "models").glob("*.json"))


def tab(url: str) -> bytes:
    """What a process is told that completes a model of this server."""
    line = f"chatstream ask -p ollama --base-url {url} -m "
    return run([], _CHATSTREAM_COMPLETE="complete_bash", COMP_WORDS=line).stdout


def until_remembered() -> None:
    """The process that asks may be later than the one that waits for it."""
    deadline = time.monotonic() + LIMIT
    while not files() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_the_server_is_asked_once_and_then_remembered(no_proxies: None) -> None:
    with Script(MODELS) as server:
        tab(server.url)
        assert server.wait_requests(1)
        until_remembered()
        assert tab(server.url).splitlines() == [b"llama3.2:1b", b"qwen3:4b"]
        assert [request.path for request in server.requests] == ["/api/tags"]


def test_nobody_waits_for_a_server_that_never_answers(no_proxies: None) -> None:
    """Completion is over while the process that asks still waits for the answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert tab(f"http://127.0.0.1:{listener.getsockname()[1]}") == b""
        listener.settimeout(LIMIT)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(65536).startswith(b"GET /api/tags ")
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):  # and not b"": it has not hung up
                connection.recv(1)
    assert 0 < PATIENCE_SECONDS <= 0.2 < MAX_WAIT_SECONDS


def test_the_models_of_the_demo_are_there_the_first_time() -> None:
    line = "chatstream ask -p demo -m "
    done = run([], _CHATSTREAM_COMPLETE="complete_bash", COMP_WORDS=line)
    assert done.stdout.splitlines() == [b"demo", b"demo-fast"]


def test_what_is_remembered_is_used_while_the_server_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(provider="ollama", base_url="http://127.0.0.1:1")
    remember(settings, ["old"])
    (file,) = files()
    os.utime(file, (0, 0))
    assert tab("http://127.0.0.1:1") == b"old\n"


def test_a_new_list_is_fetched_when_the_old_one_is_stale(no_proxies: None) -> None:
    with Script(MODELS) as server:
        remember(Settings(provider="ollama", base_url=server.url), ["old"])
        assert tab(server.url) == b"old\n"
        assert server.requests == []
        (file,) = files()
        stale = time.time() - FRESH_SECONDS - 1
        os.utime(file, (stale, stale))
        tab(server.url)
        assert server.wait_requests(1)


def test_each_server_has_its_own_list() -> None:
    one, other = (Settings(provider="vllm", base_url=f"http://127.0.0.1:{it}") for it in (1, 2))
    remember(one, ["a"])
    remember(other, ["b"])
    assert (known(one), known(other)) == (["a"], ["b"])


def test_no_command_is_run_to_get_a_key(tmp_path: Path) -> None:
    settings = Settings(provider="openai", key_command=f"touch {tmp_path}/ran")
    assert known(settings) == []
    assert list(tmp_path.glob("ran")) == []


def test_a_list_that_is_damaged_or_cannot_be_kept_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(provider="openai", key_command="false")
    remember(settings, ["a"])
    files()[0].write_bytes(b"\xff[")
    assert known(settings) == []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    remember(settings, ["a"])
    assert known(settings) == []


def test_the_command_that_lists_models_remembers_them() -> None:
    with Script(MODELS) as server:
        assert run_here(["models", "-p", "ollama", "--base-url", server.url]).status == 0
        assert tab(server.url).splitlines() == [b"llama3.2:1b", b"qwen3:4b"]
        assert len(server.requests) == 1


def test_completion_without_models_imports_no_network() -> None:
    script = (
        "import os, sys; os.environ.update(_CHATSTREAM_COMPLETE='complete_bash', "
        "COMP_WORDS='chatstream ask --on-drop '); from chatstream.cli.app import main; main([]); "
        "print([it for it in ('requests', 'rich', 'sqlite3', 'tomlkit') if it in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"

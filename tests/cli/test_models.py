"""`models`: the server's list, or a clear failure."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from chatstream import events as ev
from tests.support.client import Running, run_here
from tests.support.loopback import Reply, Script
from tests.support.terminal import on_terminal

MODELS = Reply.json({"models": [{"name": "a"}, {"name": "b:latest"}]})


def test_models_are_listed_one_a_line() -> None:
    with Script(MODELS) as server:
        done = run_here(["models", "-p", "ollama", "--base-url", server.url])
    assert (done.status, done.stdout) == (0, b"a\nb:latest\n")


def test_with_json_each_is_an_object() -> None:
    with Script(MODELS) as server:
        done = run_here(["models", "-p", "ollama", "--base-url", server.url, "--json"])
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"model": "a"},
        {"model": "b:latest"},
    ]


def test_a_refusal_has_its_exit_status() -> None:
    with Script(Reply.json({"error": {"message": "bad key"}}, 401)) as server:
        done = run_here(["models", "-p", "openai", "--base-url", server.url])
        assert (done.status, done.stdout) == (3, b"")
        assert "bad key" in done.stderr
        done = run_here(["models", "-p", "openai", "--base-url", server.url, "--json"])
        assert isinstance(done.terminal, ev.Error)
        assert (done.status, done.terminal.code) == (3, "auth")


def test_a_list_that_is_none_is_told() -> None:
    with Script(Reply(b"<html>", headers={"Content-Type": "text/html"})) as server:
        done = run_here(["models", "-p", "ollama", "--base-url", server.url])
    assert done.status == 1
    assert "not an answer: <html>" in done.stderr


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"object":"list","data":null}', 0, ""),
        (b'{"error":{"message":"invalid key","type":"authentication_error"}}', 3, "invalid key"),
        (b"<html><head><title>Sign in</title></head></html>", 1, "Sign in"),
        (b'{"object":"list"}', 1, "cannot be read"),
        (b'{"data":[{"id":"m"}', 1, "not an answer"),
        (b'[{"id":"m"}]', 0, ""),
    ],
)
def test_a_list_with_http_200_is_read_or_told_by_its_own_words(
    body: bytes, status: int, said: str
) -> None:
    with Script(Reply(body)) as server:
        done = run_here(["models", "-p", "openai", "--base-url", server.url])
    assert done.status == status
    assert said in done.stderr
    assert bool(done.stderr) == bool(said)


def test_ctrl_c_ends_the_wait() -> None:
    with (
        Script(Reply(hold={"before_head": threading.Event()})) as server,
        Running(["models", "-p", "ollama", "--base-url", server.url]) as client,
    ):
        assert server.wait_holding()
        client.process.send_signal(signal.SIGINT)
        assert client.finish().status == 130


PULL = b"".join(
    json.dumps(step).encode() + b"\n"
    for step in (
        {"status": "pulling manifest"},
        {"status": "pulling aa", "total": 2000, "completed": 150},
        {"status": "pulling aa", "total": 2000, "completed": 190},
        {"status": "pulling aa", "total": 2000, "completed": 2000},
        {"status": "success"},
    )
)


def test_a_pull_without_a_terminal_is_told_in_lines() -> None:
    with Script(Reply(PULL)) as server:
        done = run_here(["models", "pull", "qwen3:4b", "-p", "ollama", "--base-url", server.url])
    assert (done.status, done.stdout) == (0, b"")
    assert done.stderr.splitlines() == [
        "pulling manifest",
        "pulling aa: 150 B of 2.0 kB (0 %)",
        "pulling aa: 2.0 kB of 2.0 kB (100 %)",
        "qwen3:4b is ready",
    ]


def test_a_pull_on_a_terminal_is_a_line_that_is_erased() -> None:
    with Script(Reply(PULL)) as server:
        arguments = ["models", "pull", "qwen3:4b", "-p", "ollama", "--base-url", server.url]
        status, screen, written = on_terminal(arguments)
    assert status == 0
    assert "━" in written.decode()
    assert screen.text() == ["qwen3:4b is ready"]


def test_ctrl_c_ends_a_pull_and_says_that_the_next_one_continues() -> None:
    hold = {1: threading.Event()}
    body = [PULL[:80], PULL[80:]]
    with (
        Script(Reply(body, hold=hold)) as server,  # type: ignore[arg-type]
        Running(["models", "pull", "m", "-p", "ollama", "--base-url", server.url]) as client,
    ):
        assert server.wait_holding()
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert done.status == 130
    assert "the next download continues from there" in done.stderr


def test_a_pull_that_breaks_off_says_that_the_next_one_continues() -> None:
    with Script(Reply(PULL[:-25])) as server:
        done = run_here(["models", "pull", "m", "-p", "ollama", "--base-url", server.url])
    assert done.status == 5
    assert done.stderr.splitlines()[-2:] == [
        "error: the server ended the download before the model was complete",
        "the server keeps what it has downloaded; the next download continues from there",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["pull", "m", "-p", "demo"], 2, "demo cannot pull models; only Ollama can"),
        (["pull", ""], 2, "the name of the model is empty"),
        (["pull"], 2, "NAME"),
        (["show", "x", "-p", "demo"], 3, "does not list a model x"),
        (["-p", "demo", "show", "demo"], 2, "the options of `show` must follow it"),
        (["shwo", "x"], 2, "show"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], status: int, said: str) -> None:
    done = run_here(["models", *arguments])
    assert (done.status, done.stdout) == (status, b"")
    assert said in done.stderr


def test_a_model_is_shown_as_far_as_its_server_tells() -> None:
    shown = Reply.json(
        {
            "details": {"family": "qwen3", "parameter_size": "4.0B"},
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
            "capabilities": ["completion", "tools"],
        }
    )
    tags = Reply.json({"models": [{"name": "qwen3:4b", "size": 2_640_000_000}]})
    with Script(shown, tags, cycle=True) as server:
        asked = ["models", "show", "qwen3:4b", "-p", "ollama", "--base-url", server.url]
        done = run_here(asked)
        as_json = run_here([*asked, "--json"])
    assert done.stdout.decode().splitlines() == [
        "model         qwen3:4b",
        "context       40,960 tokens",
        "size          2.6 GB",
        "parameters    4.0B",
        "family        qwen3",
        "capabilities  completion, tools",
    ]
    assert json.loads(as_json.stdout)["context_length"] == 40960


def test_a_question_to_a_model_that_is_not_there_says_how_to_pull_it() -> None:
    missing = Reply.json({"error": "model 'm' not found"}, 404)
    with Script(missing, Reply.json({"models": []})) as server:
        done = run_here(["ask", "-p", "ollama", "-m", "m", "--base-url", server.url, "hi"])
    assert done.status == 3
    assert "`chatstream models pull m -p ollama" in done.stderr

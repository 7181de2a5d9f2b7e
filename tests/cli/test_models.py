"""`models`: the server's list, or a clear failure."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from chatstream import events as ev
from tests.support.client import Running, run_here
from tests.support.loopback import Reply, Script

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

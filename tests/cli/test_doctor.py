"""`chatstream doctor`: its marks, its mistakes, and its end by Ctrl+C."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from chatstream.doctor.findings import PLAIN_MARKS
from tests.support.answers import frames
from tests.support.client import Running, run, server_flags
from tests.support.loopback import NDJSON, Point, Reply, Script

pytestmark = pytest.mark.serial

WORDS = [f"word{n} " for n in range(40)]


def test_marks_have_a_form_for_every_encoding() -> None:
    with Script(Reply.json({"error": {"message": "naïve"}}, 401)) as server:
        done = run(
            ["doctor", *server_flags("openai", server.url)],
            PYTHONIOENCODING="ascii",
            PYTHONUTF8="0",
        )
    assert done.stdout.startswith(f"{PLAIN_MARKS['problem']} HTTP 401: na?ve".encode())


MISTAKES = {
    "twice": ["http://127.0.0.1:1", "--base-url", "http://127.0.0.1:2"],
    "address": ["ftp://127.0.0.1", "-p", "openai", "-m", "m"],
    "provider": ["-p", "nobody"],
    "prompt": ["-p", "demo", "--prompt", ""],
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_status_2(name: str) -> None:
    done = run(["doctor", *MISTAKES[name]])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: ")
    events = run(["doctor", *MISTAKES[name], "--json"]).stdout.splitlines()
    assert json.loads(events[-1])["type"] == "error"


@pytest.mark.parametrize("point", ["before_head", 5])
def test_ctrl_c_ends_it(point: Point) -> None:
    reply = Reply(frames("ollama", WORDS), headers=NDJSON, hold={point: threading.Event()})
    with (
        Script(reply) as server,
        Running(["doctor", server.url, "-p", "ollama", "-m", "m"]) as client,
    ):
        assert server.wait_holding()
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert (done.status, done.stdout) == (130, b"")

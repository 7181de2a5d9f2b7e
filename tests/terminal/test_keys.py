"""A key is asked for without echo, or is all of standard input."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios

import pytest

from chatstream.engine import stored_keys
from tests.support.client import COMMAND, LIMIT, run
from tests.support.terminal import on_terminal
from tests.support.waiting import until_true

KEY = "sk-0123456789abcdef"


def test_on_a_terminal_it_is_asked_for_without_echo() -> None:
    sent: list[str] = []

    def typed(written: bytes) -> bytes:
        if b"not shown" in written and not sent:
            sent.append(KEY)
            return f"{KEY}\n".encode()
        return b""

    status, screen, written = on_terminal(["keys", "set", "openai"], typed=typed)
    assert status == 0
    assert KEY.encode() not in written
    assert "the key of openai is stored in" in " ".join(screen.text())
    assert stored_keys.key_of("openai") == KEY


def test_ctrl_c_stores_nothing() -> None:
    def seen(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if b"not shown" in written:
            client.send_signal(signal.SIGINT)

    status, _, _ = on_terminal(["keys", "set", "openai"], seen=seen)
    assert (status, stored_keys.names()) == (130, [])


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGQUIT, -signal.SIGQUIT),
    ],
)
def test_a_signal_at_the_question_gives_the_echo_back(number: int, status: int) -> None:
    ours, theirs = pty.openpty()

    def echoes() -> bool:
        return bool(termios.tcgetattr(theirs)[3] & termios.ECHO)

    assert echoes()
    command = [*COMMAND, "keys", "set", "openai"]
    client = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        written = b""
        while b"not shown" not in written:
            written += os.read(ours, 1000)
        until_true(lambda: not echoes())
        client.send_signal(number)
        assert client.wait(LIMIT) == status
        assert echoes()
    finally:
        client.kill()
        client.wait()
        os.close(ours)
        os.close(theirs)
    assert stored_keys.names() == []


def test_a_key_as_an_argument_is_refused_and_not_shown() -> None:
    key = "4f3a9c8b7d6e5f4a3b2c1d0e"
    done = run(["keys", "set", "openai", key])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: a key cannot be an argument: ")
    assert key not in done.stderr
    assert stored_keys.names() == []


def test_from_a_pipe_it_is_all_of_standard_input() -> None:
    done = run(["keys", "set", "groq"], stdin=f"{KEY}\n".encode())
    assert (done.status, done.stdout) == (0, b"")
    assert KEY not in done.stderr
    assert stored_keys.key_of("groq") == KEY
    long = run(["keys", "set", "groq"], stdin=b"x" * 70_000)
    assert (long.status, long.stderr) == (2, "error: standard input is longer than any key\n")

"""A key is asked for without echo, or is all of standard input."""

from __future__ import annotations

import signal
import subprocess

from chatstream.engine import stored_keys
from tests.support.client import run
from tests.support.terminal import on_terminal

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


def test_from_a_pipe_it_is_all_of_standard_input() -> None:
    done = run(["keys", "set", "groq"], stdin=f"{KEY}\n".encode())
    assert (done.status, done.stdout) == (0, b"")
    assert KEY not in done.stderr
    assert stored_keys.key_of("groq") == KEY
    long = run(["keys", "set", "groq"], stdin=b"x" * 70_000)
    assert (long.status, long.stderr) == (2, "error: standard input is longer than any key\n")

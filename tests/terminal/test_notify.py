"""Claimed: who asked to be called is called once, on a terminal, with words of ours."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.support.answers import ending, frames, headers
from tests.support.client import run, server_flags
from tests.support.loopback import Reply, Script
from tests.support.terminal import on_terminal

WHOLE = b"\x1b]9;chatstream: the answer has arrived\x1b\\"
BROKEN = b"\x1b]9;chatstream: the answer broke off\x1b\\"


def on_a_terminal(call: str, *descriptors: int) -> tuple[bytes, bytes]:
    """What a call writes to a terminal that is these descriptors, and to the others."""
    ours, theirs = pty.openpty()
    streams = {number: theirs if number in descriptors else subprocess.PIPE for number in (1, 2)}
    script = f"from chatstream.terminal.notify import notify; {call}"
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=streams[1], stderr=streams[2], check=True
    )
    os.close(theirs)
    try:
        written = os.read(ours, 1000)
    except OSError:  # EIO: nothing was written
        written = b""
    finally:
        os.close(ours)
    return written, (done.stdout or b"") + (done.stderr or b"")


@pytest.mark.parametrize("descriptors", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize(
    ("call", "signal"),
    [
        ("notify('bell', whole=True)", b"\a"),
        ("notify('bell', whole=False)", b"\a"),
        ("notify('osc9', whole=True)", WHOLE),
        ("notify('osc9', whole=False)", BROKEN),
    ],
)
def test_the_terminal_gets_the_signal_once(
    call: str, signal: bytes, descriptors: tuple[int, ...]
) -> None:
    assert on_a_terminal(call, *descriptors) == (signal, b"")


def test_nothing_is_written_where_no_terminal_is() -> None:
    assert on_a_terminal("notify('bell', whole=True)") == (b"", b"")


def test_a_terminal_that_is_gone_is_no_failure() -> None:
    hangs_up = (
        "import os; os.isatty = lambda descriptor: True; os.close(2); notify('bell', whole=True)"
    )
    assert on_a_terminal(hangs_up) == (b"", b"")


@pytest.mark.parametrize(
    ("end", "signal"), [(ending("ollama"), WHOLE), ([], BROKEN)], ids=["whole", "cut"]
)
def test_the_user_is_called_when_the_answer_has_been_shown(end: list[bytes], signal: bytes) -> None:
    body = [*frames("ollama", ["Hello."]), *end]
    with Script(Reply(body, headers=headers("ollama"))) as server:
        flags = ["--accessible", "--notify", "osc9", "--retries", "0"]
        *_, written = on_terminal(["ask", *flags, *server_flags("ollama", server.url), "hi"])
    assert written.count(b"\x1b") == signal.count(b"\x1b")
    assert written.endswith(signal)


def test_a_dumb_terminal_rings_instead() -> None:
    flags = ["-p", "demo", "-m", "demo-fast", "--notify", "osc9"]
    *_, written = on_terminal(["ask", *flags, "hi"], TERM="dumb")
    assert b"\x1b" not in written
    assert written.endswith(b"\a")


def test_a_pipe_is_not_rung() -> None:
    done = run(["ask", "-p", "demo", "-m", "demo-fast", "--notify", "bell", "hi"])
    assert done.status == 0
    assert b"\a" not in done.stdout + done.stderr.encode()

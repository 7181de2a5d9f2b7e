"""The program under test on a terminal: a pty whose screen is emulated."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Sequence

from tests.support.client import COMMAND
from tests.support.screen import Screen

IDLE_SECONDS = 1.0
"""A key that answers a question must come after a moment without one."""


def on_terminal(
    arguments: list[str],
    *,
    command: Sequence[str] = COMMAND,
    columns: int = 100,  # more than any line of ours takes
    seen: Callable[[bytes, subprocess.Popen[bytes]], None] = lambda _data, _client: None,
    typed: Callable[[bytes], bytes] = lambda _data: b"",
    idle: Callable[[bytes], bytes] = lambda _data: b"",
    **environ: str,
) -> tuple[int, Screen, bytes]:
    """Run a client on a terminal; its exit status, the terminal's screen, and all it wrote.

    `seen` and `typed` are called with everything written so far after each read; what `typed`
    returns is typed. So is what `idle` returns, whenever nothing was written for `IDLE_SECONDS`.
    """
    screen, written = Screen(columns, 20), b""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, columns, 0, 0))
    client = subprocess.Popen(
        [*command, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environ},
    )
    os.close(theirs)
    try:
        while True:
            if not select.select([ours], [], [], IDLE_SECONDS)[0]:
                os.write(ours, idle(written))
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # EIO: the last one who had the terminal is gone
                break
            if not data:
                break
            written += data
            seen(written, client)
            os.write(ours, typed(written))
        status = client.wait(10)
    finally:
        client.kill()
        client.wait()
        os.close(ours)
    screen.file.write(written.decode("utf-8", "replace").replace("\r\n", "\n"))
    return status, screen, written

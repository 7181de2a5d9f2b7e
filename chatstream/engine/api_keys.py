"""API keys as people give them: pasted with what stood around them, or told by a command.

1. White space, quotes, `Bearer `, `Authorization: Bearer ` and `export NAME=` around a key are
   taken off. What is then no key is refused with a message that does not show it, and never sent.
2. A key command is a line for the shell. The first line that it prints is the key. When it fails,
   its exit status and the last line of its own message are reported.
"""

from __future__ import annotations

import os
import re
import threading
from typing import IO, TYPE_CHECKING

from chatstream.addresses import unquoted
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS, Deadline
from chatstream.errors import ConfigError
from chatstream.redact import redact

if TYPE_CHECKING:
    from subprocess import Popen

_SECONDS = 30
_SOON = 1.0
"""Seconds; a command that takes longer may have asked for something, so what it says is shown."""

_MOST = 64 * 1024
"""Bytes; nothing that prints more prints a key."""

_AROUND = (
    r"(?:export\s+|set\s+|\$env:)\w+\s*=\s*"
    r"|(?:(?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+)|api_?key)\s*=\s*(?=[^\s=])"  # no base64 padding
    r"|(?:(?:authorization|x-api-key|api-key)\s*:\s*)?bearer\s+"
    r"|(?:authorization|x-api-key|api-key)\s*:\s*"
)
"""What people copy together with a key: an assignment, or the beginning of a header."""

_VARIABLE = r"\$\{?\w+\}?|%\w+%"


def cleaned(text: str, origin: str) -> str | None:
    """The key alone; None for a blank text. `origin` names where it was given.

    Raises `ConfigError` for what no server takes as a key.
    """
    key = unquoted(text)
    if not key:
        return None
    while found := re.match(_AROUND, key, re.IGNORECASE):
        key = unquoted(key[found.end() :])
    if not key or key.lower() == "bearer":
        return None
    redact.learn(key)
    if re.fullmatch(_VARIABLE, key):
        raise ConfigError(
            f"{origin} contains the name of a variable instead of a key",
            hint="to take the key from an environment variable, set key_variable to its name",
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"{origin} contains characters that are not allowed in an API key",
            hint="give only the key: one line, without quotes",
        )
    return key


def ask_command(command: str, token: CancelToken | None = None) -> str:
    """The key that a command prints. Raises `ConfigError`, and the token's reason."""
    import subprocess  # only for those who have such a command

    try:
        process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:  # no shell, or a NUL in it
        raise _failed(f"cannot be run: {error}", command) from error
    try:
        out, said = _awaited(process, token or CancelToken())
    except subprocess.TimeoutExpired as error:
        raise _failed(f"did not finish within {_SECONDS} s", command) from error
    finally:
        process.kill()  # only a command that was not waited for to its end still runs
        process.wait()
    if len(out) >= _MOST:
        raise _failed(f"printed more than {_MOST // 1024} KiB, which is not a key", command)
    if process.returncode:
        raise _failed(f"failed{_status(process.returncode)}{_last_line(said)}", command)
    lines = out.decode("utf-8", "replace").strip().splitlines()
    key = cleaned(lines[0], "what the key command printed") if lines else None
    if key is None:
        raise _failed(f"printed no key{_last_line(said)}", command)
    return key


def _awaited(process: Popen[bytes], token: CancelToken) -> tuple[bytes, bytes]:
    """What the command has printed, and what it has said on standard error.

    Raises `TimeoutExpired`, and the token's reason.
    """
    from chatstream.sinks.escape import clean
    from chatstream.sinks.notes import standard_error

    assert process.stdout is not None
    assert process.stderr is not None
    deadline, soon = Deadline(_SECONDS), Deadline(_SOON)
    out, said = _Reading(process.stdout), _Reading(process.stderr)
    if not (out.ended(soon, token) and said.ended(soon, token)):
        so_far = clean(redact(said.read.decode("utf-8", "replace")))
        standard_error().write(so_far.encode("utf-8", "replace"))
    for reading in (out, said):
        reading.ended(deadline, token)
    process.wait(deadline.left())
    return bytes(out.read), bytes(said.read)


class _Reading:
    """What comes through a pipe, on a thread of its own.

    After `_MOST` bytes the pipe is closed: whoever goes on writing is ended by SIGPIPE, and an
    endless output takes no memory. A child that the command leaves behind may hold the other end
    for ever; so only the thread, which nobody has to wait for, reads the pipe and closes it.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self.read = bytearray()
        self._pipe = pipe
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended(self, deadline: Deadline, token: CancelToken) -> bool:
        """Whether all has been read, waited for until the deadline. Raises the token's reason."""
        while self._thread.is_alive() and not deadline.passed:
            token.check()
            self._thread.join(POLL_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with self._pipe:
            while left := _MOST - len(self.read):
                data = os.read(self._pipe.fileno(), left)
                if not data:
                    break
                self.read += data


def _status(code: int) -> str:
    import signal

    if code > 0:
        return f" with exit status {code}"
    try:
        return f": it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f": it was killed by signal {-code}"


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""


def _failed(why: str, command: str) -> ConfigError:
    return ConfigError(f"the key command {why}", hint=f"the command is: {command}")

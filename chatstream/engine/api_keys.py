"""API keys as people provide them: pasted together with other text, or printed by a command.

1. White space, quotes, `Bearer `, `Authorization: Bearer ` and `export NAME=` around a key are
   removed. If the rest cannot be a key, it is never sent, and the error does not show it.
2. A key command is a line for the shell. The first line that it prints is the key. If it fails, its
   exit status and the last line of its standard error are reported.
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

_LIMIT_SECONDS = 30
_QUIET_SECONDS = 1.0
"""After this time the command may be waiting for the user, so its standard error is shown."""

_MOST_BYTES = 64 * 1024
"""A command that prints more than this does not print a key."""

_AROUND = (
    r"(?:export\s+|set\s+|\$env:)\w+\s*=\s*"
    r"|(?:(?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+)|api_?key)\s*=\s*(?=[^\s=])"  # no base64 padding
    r"|(?:(?:authorization|x-api-key|api-key)\s*:\s*)?bearer\s+"
    r"|(?:authorization|x-api-key|api-key)\s*:\s*"
)
"""What people copy together with a key: an assignment, or the start of a header."""

_VARIABLE = r"\$\{?\w+\}?|%\w+%"


def clean_key(text: str, origin: str) -> str | None:
    """The key alone; None if the text is blank. `origin` is used in messages.

    Raises `ConfigError` for text that no server accepts as a key.
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


def run_key_command(command: str, token: CancelToken | None = None) -> str:
    """The key that a command prints. Raises `ConfigError`, or the token's reason."""
    import subprocess  # only needed with a key command

    try:
        process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:  # no shell, or the line contains a NUL
        raise _failed(f"cannot be run: {error}", command) from error
    try:
        out, errors = _output(process, token or CancelToken())
    except subprocess.TimeoutExpired as error:
        raise _failed(f"did not finish within {_LIMIT_SECONDS} s", command) from error
    finally:
        process.kill()  # it still runs only if it was not waited for to the end
        process.wait()
    if len(out) >= _MOST_BYTES:
        raise _failed(f"printed more than {_MOST_BYTES // 1024} KiB, which is not a key", command)
    if process.returncode:
        raise _failed(f"failed{_status(process.returncode)}{_last_line(errors)}", command)
    lines = out.decode("utf-8", "replace").strip().splitlines()
    key = clean_key(lines[0], "what the key command printed") if lines else None
    if key is None:
        raise _failed(f"printed no key{_last_line(errors)}", command)
    return key


def _output(process: Popen[bytes], token: CancelToken) -> tuple[bytes, bytes]:
    """What the command wrote to standard output and to standard error.

    Raises `TimeoutExpired`, or the token's reason.
    """
    from chatstream.escape import clean
    from chatstream.sinks.notes import standard_error

    assert process.stdout is not None
    assert process.stderr is not None
    deadline, soon = Deadline(_LIMIT_SECONDS), Deadline(_QUIET_SECONDS)
    out, errors = _Reading(process.stdout), _Reading(process.stderr)
    if not (out.ended(soon, token) and errors.ended(soon, token)):
        so_far = clean(redact(errors.read.decode("utf-8", "replace")))
        standard_error().write(so_far.encode("utf-8", "replace"))
    for reading in (out, errors):
        reading.ended(deadline, token)
    process.wait(deadline.left())
    return bytes(out.read), bytes(errors.read)


class _Reading:
    """Reads a pipe on a thread of its own.

    After `_MOST_BYTES` the pipe is closed, so that SIGPIPE ends a process that keeps writing, and
    endless output takes no memory. A child process that the command leaves behind may hold the
    other end for ever. So only this thread, for which nobody has to wait, reads and closes the
    pipe.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self.read = bytearray()
        self._pipe = pipe
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended(self, deadline: Deadline, token: CancelToken) -> bool:
        """Wait until the deadline; whether everything has been read. Raises the token's reason."""
        while self._thread.is_alive() and not deadline.passed:
            token.check()
            self._thread.join(POLL_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with self._pipe:
            while left := _MOST_BYTES - len(self.read):
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


def _last_line(errors: bytes) -> str:
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""


def _failed(why: str, command: str) -> ConfigError:
    return ConfigError(f"the key command {why}", hint=f"the command is: {command}")

"""The question, put together from the command line, standard input and files."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path

from chatstream.cancel import SLICE, CancelToken
from chatstream.errors import UsageError


def compose(prompt: str | None, files: Sequence[Path], token: CancelToken) -> str:
    """The whole question. Raises `UsageError` without one, or for a file that is not text.

    Standard input is read to its end unless it is a terminal. The prompt comes first, then what
    was piped in, then each file under its name.
    """
    parts = [prompt.encode("utf-8", "replace").decode() if prompt else "", _piped(token)]
    parts += [f"{path}:\n```\n{_text(path, token)}\n```" for path in files]
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise UsageError("there is no question", hint='chatstream ask "why is the sky blue?"')
    return question


def _piped(token: CancelToken) -> str:
    """Standard input to its end. Waits in slices: Python restarts a read that Ctrl+C interrupts."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    descriptor, data = sys.stdin.fileno(), bytearray()
    try:
        while True:
            token.check()
            if os.name == "posix" and not select.select([descriptor], [], [], SLICE)[0]:
                continue
            part = os.read(descriptor, 65536)
            if not part:
                return data.decode("utf-8", "replace").strip("\n")
            data += part
    except OSError as error:
        raise UsageError(f"standard input cannot be read: {error.strerror}") from error


def _text(path: Path, token: CancelToken) -> str:
    try:  # a FIFO may have no writer yet
        return token.wait_for(lambda: path.read_text(encoding="utf-8")).rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file (UTF-8)") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error

"""The question, put together from the command line, standard input and files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from chatstream.errors import UsageError


def compose(prompt: str | None, files: Sequence[Path]) -> str:
    """The whole question. Raises `UsageError` when there is none, or a file is no text.

    Standard input is read to its end unless it is a terminal. The prompt comes first, then what
    was piped in, then each file under its name.
    """
    parts = [prompt.encode("utf-8", "replace").decode() if prompt else "", _piped()]
    parts += [f"{path}:\n```\n{_text(path)}\n```" for path in files]
    question = "\n\n".join(part for part in parts if part.strip())
    if not question:
        raise UsageError("there is no question", hint='chatstream ask "why is the sky blue?"')
    return question


def _piped() -> str:
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace").strip("\n")
    except OSError as error:
        raise UsageError(f"standard input cannot be read: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file (UTF-8)") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error

"""`chatstream config edit`: the configuration file in the user's editor, checked afterwards.

Other files of the user are edited in the same way, each with its own check.

The file itself is edited rather than a copy, so that an editor that returns at once (`code` without
`--wait`) loses nothing. A missing file is created with examples, all of them commented out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chatstream.engine.config_file import read
from chatstream.engine.resolve import mistakes
from chatstream.errors import ChatstreamError, ConfigError
from chatstream.files import PRIVATE_FILE, make_private, read_whole, replace
from chatstream.terminal import exits

Mistakes = Callable[[Path], Sequence[ChatstreamError]]

EXAMPLES = """\
# The settings of chatstream. Remove the "# " in front of a line to use it.
# `chatstream config show` lists all settings, their values and their origins.

# provider = "ollama"
# model = "llama3.2"
# system = "Answer briefly."
# temperature = 0.7
# stream = true
# retries = 3
# idle_timeout = 120
# stats = true
# theme = "auto"

# Used with --profile work, or always with profile = "work" above.
# [profiles.work]
# provider = "openai"
# model = "gpt-5-mini"
# key_command = "pass show openai"

# Used with --strategy balanced: the models are asked in this order.
# [strategies]
# balanced = ["gpt-5-mini@openai", "llama3.2@ollama"]

# Used with --mcp git: the tools of an MCP server.
# [mcp.git]
# command = "uvx mcp-server-git"

# Any other option, under the server's own name for it.
# [options]
# seed = 7
"""

_CHOICES = "(e)dit again, (r)estore the previous version, or (k)eep it as it is? "
_NOT_FOUND_STATUS = 127
"""The status of a shell that does not find a command (POSIX, Shell Command Language)."""


def edit(
    path: Path,
    examples: str = EXAMPLES,
    mistakes_at: Mistakes | None = None,
    command: str = "chatstream config edit",
) -> int:
    """Let the user edit the file; returns the exit status. Raises `ConfigError`.

    A new file has the `examples`. `mistakes_at` returns the mistakes in the file, by default those
    of a configuration, and `command` is the command that edits it again.
    """
    before = _bytes(path)
    if before is None:
        _write(path, examples.encode())
    while True:
        if status := _run_editor(path):
            if before is None and _bytes(path) == examples.encode():
                with contextlib.suppress(OSError):
                    path.unlink()
            return status
        wrong = (mistakes_at or _mistakes)(path)
        for error in wrong:
            exits.report(error, ())
        if not wrong:
            return 0
        match _choice():
            case "edit":
                continue
            case "restore":
                _write(path, examples.encode() if before is None else before)
                exits.note(f"{path} was restored")
            case _:
                exits.note(f"{path} is as you left it; `{command}` opens it again")
        return ConfigError.exit_status


def editor(environ: Mapping[str, str] = os.environ) -> str:
    """The user's editor, as a shell takes it."""
    usual = "notepad" if os.name == "nt" else "vi"
    return environ.get("VISUAL", "").strip() or environ.get("EDITOR", "").strip() or usual


def _run_editor(path: Path) -> int:
    """Wait for the editor; 0, or 1 if it failed, which is reported."""
    command = editor()
    words = [command] if os.name == "nt" else ["/bin/sh", "-c", f'{command} "$@"', command]
    try:
        process = subprocess.Popen([*words, str(path.absolute())])
    except OSError as error:
        exits.note(f"error: the editor {command!r} cannot be started: {error.strerror}")
        return 1
    # Ctrl+C belongs to the editor as long as it runs.
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, usual)
    if status == 0:
        return 0
    if status == _NOT_FOUND_STATUS and os.name != "nt":
        exits.note(f"error: the editor {command!r} was not found")
        exits.note(f"set VISUAL or EDITOR to your editor, or edit {path} with another program")
    else:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        exits.note(f"error: the editor {command!r} {how}; {path} was not checked")
    return 1


def _mistakes(path: Path) -> Sequence[ChatstreamError]:
    try:
        file = read(path)
    except ConfigError as error:
        return [error]
    return mistakes(file) if file else []


def _choice() -> str:
    """What to do about a file that is wrong; without a person nothing is done."""
    if not _is_person():
        return "keep"
    words = {"e": "edit", "r": "restore", "k": "keep"}
    while True:
        print(_CHOICES, end="", file=sys.stderr, flush=True)
        answer = _line()
        if not answer:
            return "keep"
        if (choice := words.get(answer.strip().lower()[:1])) is not None:
            return choice


def _is_person() -> bool:
    return sys.stdin.isatty()


def _line() -> str:
    return sys.stdin.readline()


def _bytes(path: Path) -> bytes | None:
    try:
        return read_whole(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    try:
        make_private(Path(os.path.realpath(path)).parent)
        replace(path, data, mode=PRIVATE_FILE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error

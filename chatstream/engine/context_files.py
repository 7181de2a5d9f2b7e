"""`AGENTS.md`: a project's instructions for models, in the system prompt of those who ask for it.

1. The files are looked for from the current folder up to the root of its repository (the next
   folder with a `.git`) or, without one, up to the home folder. If the current folder is in
   neither, only it is searched: strangers may have left files in the folders above it.
2. The outermost comes first, each under its path from the outermost folder; a later one takes
   precedence. Empty files are left out. The text of `--system` and of a role comes before them.
3. If a file cannot be used, that is an error, and nothing is sent: a model that does not know the
   rules would break them. A link may lead to Markdown in the same repository (without one, in the
   same folder) and nowhere else: a project's author must not choose what else is sent.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from chatstream.engine.resolve import Resolved
from chatstream.errors import UsageError
from chatstream.files import read_whole
from chatstream.store.place import home_folder
from chatstream.text import decoded

NAME = "AGENTS.md"

MOST_BYTES = 256 * 1024
"""Bytes of a file: far more than its authors expect a model to remember."""

_GIT = ".git"
_HEADING = "Instructions from "

_HINT = "correct it, or ask with --no-context-files"


class ContextFile(msgspec.Struct, frozen=True):
    """A file that was read; `name` is its path from the outermost folder that was searched."""

    path: Path
    name: str
    text: str


def added(resolved: Resolved) -> Resolved:
    """The settings, with the files for the current folder in the system prompt.

    Raises `UsageError`.
    """
    try:
        start = Path.cwd()
    except OSError as error:
        raise UsageError(f"the current folder cannot be read: {error.strerror}") from error
    home = home_folder()
    files = found(start, Path(os.path.realpath(home)) if home else None)
    settings = replace(resolved.settings, system=_prompt(resolved.settings.system, files))
    return replace(resolved, settings=settings, context=tuple(it.path for it in files))


def found(start: Path, home: Path | None) -> list[ContextFile]:
    """The files for work in the folder `start`, outermost first. Raises `UsageError`.

    Neither path may lead through a link.
    """
    folders = _folders(start, home)
    root = folders[-1]
    is_repository = _is_there(root / _GIT)
    files = (_read(it / NAME, root, root if is_repository else it) for it in reversed(folders))
    return [it for it in files if it is not None]


def is_from(system: str | None, prompt: str) -> bool:
    """Whether a prompt is this system prompt, if any, with or without files after it."""
    return system is None or prompt == system or prompt.startswith(f"{system}\n\n{_HEADING}")


def _prompt(system: str | None, files: Sequence[ContextFile]) -> str | None:
    parts = [system] if system else []
    for file in files:
        over = "" if file is files[0] else ", which take precedence over those above"
        parts.append(f"{_HEADING}{file.name}{over}:\n\n{file.text}")
    return "\n\n".join(parts) or system


def _folders(start: Path, home: Path | None) -> list[Path]:
    """The folders to search, from the current one upwards."""
    above = [start, *start.parents]
    for at, folder in enumerate(above):
        if _is_there(folder / _GIT):  # a file, in a worktree
            return above[: at + 1]
        if folder == home:
            return above[: at + 1]
    return [start]


def _read(path: Path, root: Path, within: Path) -> ContextFile | None:
    """A file; None if it is missing or empty. Its links may not lead out of `within`."""
    real = Path(os.path.realpath(path))
    if path.is_symlink() and not (real.is_relative_to(within) and real.suffix.lower() == ".md"):
        where = (
            "to a file that is not Markdown" if real.is_relative_to(within) else f"out of {within}"
        )
        raise UsageError(
            f"{path} is a link that leads {where}: {real}",
            hint="add that file with -f, and ask with --no-context-files",
        )
    try:
        mode = real.stat().st_mode
        if not stat.S_ISREG(mode):  # reading a pipe might never end
            what = "a folder" if stat.S_ISDIR(mode) else "not a file"
            raise UsageError(f"{path} is {what}", hint=_HINT)
        data = read_whole(real, MOST_BYTES)  # raises "File too large" beyond that
    except FileNotFoundError as error:
        if not _is_there(path):
            return None
        raise UsageError(f"{path} is a link that leads nowhere", hint=_HINT) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from error
    try:
        text = decoded(data, str(path)).strip()
    except UsageError as error:
        raise UsageError(error.message, hint=_HINT) from error
    return ContextFile(path, path.relative_to(root).as_posix(), text) if text else None


def _is_there(path: Path) -> bool:
    """Whether something with this name exists, if only a link."""
    return os.path.lexists(path)

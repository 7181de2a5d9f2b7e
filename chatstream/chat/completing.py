"""Completions for the line of a chat: commands and their arguments, and files after `@`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chatstream.chat.commands import COMMANDS
from chatstream.chat.session import Session
from chatstream.completion.values import Line, candidates, description
from chatstream.errors import ChatstreamError
from chatstream.files import named
from chatstream.wording import encodable

FILES = ("/file", "/image", "/save", "/export")
"""The commands that take the names of files."""


class Completion(NamedTuple):
    """`text` replaces the last `begun` characters before the cursor; `about` describes it."""

    text: str
    begun: int
    about: str = ""


def completions(session: Session, before: str) -> Iterator[Completion]:
    """The completions at the cursor; `before` is the text before it. Raises nothing."""
    word = "" if before[-1:].isspace() else (before.split() or [""])[-1]
    command, space, _ = before.partition(" ")
    if before.startswith("/") and not space:
        for name, (_, about, _) in COMMANDS.items():
            if name.startswith(before):
                yield Completion(name, len(before), about)
    elif command in COMMANDS:
        for value, about in _values(session, command, before, word):
            if value.startswith(word):
                yield Completion(value, len(word), description(about))
    elif word.startswith("@"):
        for path in files(word[1:]):
            yield Completion(f"@'{path}'" if " " in path else f"@{path}", len(word))


def _values(session: Session, command: str, before: str, word: str) -> Iterable[tuple[str, str]]:
    line = Line("chat", session.flags, word)
    if command in FILES:
        return ((shlex.quote(it) if " " in it else it, "") for it in files(word))
    if command == "/goto":
        own = [(it.run, it.question.content) for it in session.turns if it.run is not None]
        return [*own[::-1], *_known("runs", line)]
    if command in {"/model", "/retry"}:
        return _known("model", line)
    if command == "/set":
        words = before.split()
        named = words[1] if len(words) > 1 + bool(word) else None
        return _known(named or "setting", line)
    if command == "/name":
        return _known("name", line)
    if command == "/tool":
        return _known("tool", line)
    if command == "/role":
        return _of_role(before.split()[1:], line)
    if command == "/trim":
        return [("on", ""), ("off", "")]
    return ()


def _known(parameter: str, line: Line) -> list[tuple[str, str]]:
    try:
        return list(candidates(parameter, line) or ())
    except ChatstreamError:  # sending a question reports it
        return []


def _of_role(words: list[str], line: Line) -> list[tuple[str, str]]:
    """The roles, or the variables of the one that is named; `words` are those after the command."""
    named = words[: len(words) - bool(line.begun)]
    if not named:
        return _known("role", line)
    return _known("var", line._replace(given={"role": named[0], "var": named[1:]}))


def files(begun: str) -> Iterator[str]:
    """The paths that begin so; folders end in a slash. Hidden ones only if a dot was typed."""
    folder, name = os.path.split(begun)
    try:
        entries = sorted(os.scandir(named(folder) if folder else "."), key=_name)
    except (OSError, ValueError):
        return
    for entry in entries:
        if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
            path = encodable(begun.removesuffix(name) + entry.name)
            yield f"{path}/" if _is_folder(entry) else path


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False

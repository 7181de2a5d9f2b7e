"""The configuration file: where it is, what is in it and in which line, and how it is changed.

`CHATSTREAM_CONFIG` names it, else it is in the folder that the platform has for such files. A file
that is named has to be there: without it a slip of the pen would send the question to another
server. It is TOML in UTF-8, with or without a BOM.

A change holds the lock of the file's folder from reading to writing, so that of several changes at
once none is lost. It keeps comments and layout.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chatstream.clock import Deadline
from chatstream.errors import ConfigError
from chatstream.files import PRIVATE_FILE, alone, make_private, read_whole, replace
from chatstream.store.place import NoHome, config_folder

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

VARIABLE = "CHATSTREAM_CONFIG"
LOCK_SECONDS = 10.0
"""Seconds to wait for other processes, each of which needs milliseconds."""

_BOM = b"\xef\xbb\xbf"


class ConfigFile(msgspec.Struct, frozen=True):
    """A file that is there: its text without a BOM, and what that says."""

    path: Path
    text: str = ""
    content: dict[str, Any] = {}

    def place(self, *keys: str) -> str:
        """Where these keys lead, for a person: the file, and the line if it can be told."""
        number = line_of(self.text, keys)
        return f"{self.path}, line {number}" if number else str(self.path)


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the file is, or would be. Raises `ConfigError`."""
    named = environ.get(VARIABLE)
    if named is None:
        return config_folder(environ) / "config.toml"
    if not named.strip():
        raise ConfigError(f"{VARIABLE} is empty", hint="give it a value, or leave it out")
    return Path(named)


def find(environ: Mapping[str, str] = os.environ) -> ConfigFile | None:
    """The file that applies, or None without one. Raises `ConfigError`."""
    try:
        path = config_path(environ)
    except NoHome:
        return None
    file = read(path)
    if file is None and VARIABLE in environ:
        raise ConfigError(
            f"{VARIABLE} names {path}, which does not exist",
            hint="correct or unset the variable; `chatstream config edit` creates the file",
        )
    return file


def read(path: Path) -> ConfigFile | None:
    """The file at this path, or None if it does not exist. Raises `ConfigError`."""
    try:
        data = read_whole(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if isinstance(error, PermissionError) and not _is_reachable(path):
            return None  # the home folder is somebody else's, as in many a container
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return parsed(path, data)


def parsed(path: Path, data: bytes) -> ConfigFile:
    """What these bytes say, which are those of the file at `path`. Raises `ConfigError`."""
    return with_content(path, text_of(path, data))


def text_of(path: Path, data: bytes) -> str:
    """The text of these bytes, without a BOM. Raises `ConfigError`."""
    try:
        return data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}, line {line}: not valid UTF-8", hint="save it as UTF-8"
        ) from None


def with_content(path: Path, text: str) -> ConfigFile:
    """The content of this TOML, from the file at `path`. Raises `ConfigError`."""
    import tomllib  # only for those who have a file

    try:
        return ConfigFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    except ValueError:  # Python's own limit on the digits of a number
        raise ConfigError(f"{path} contains a number with too many digits") from None


def change(path: Path, how: Callable[[TOMLDocument], None], patience: float = LOCK_SECONDS) -> None:
    """Change the file there, or make it. Raises `ConfigError`; then it is as it was."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    target = Path(os.path.realpath(path))
    try:
        make_private(target.parent)
        with alone(target.parent, Deadline(patience)):
            file = read(target)  # a broken file is reported, and not overwritten
            document = tomlkit.parse(file.text) if file else tomlkit.TOMLDocument()
            how(document)
            text = tomlkit.dumps(document)
            if file is None or text != file.text:
                # It may hold a key.
                replace(target, text.encode("utf-8", "replace"), mode=PRIVATE_FILE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    except TOMLKitError as error:
        raise ConfigError(
            f"{path} cannot be changed: {error}", hint="change it with `chatstream config edit`"
        ) from error


def set_key(path: Path, keys: tuple[str, ...], value: Any) -> None:
    """Give a key a value; tables that are missing are made. Raises `ConfigError`."""
    change(path, lambda document: _put(path, document, keys, value))


def remove_key(path: Path, keys: tuple[str, ...]) -> bool:
    """Remove a key; returns whether it was there. Raises `ConfigError`."""
    removed = False

    def how(document: Any) -> None:
        nonlocal removed
        table = document
        for key in keys[:-1]:
            table = table.get(key)
            if not isinstance(table, dict):
                return
        removed = table.pop(keys[-1], None) is not None

    if read(path) is not None:
        change(path, how)
    return removed


def _put(path: Path, document: Any, keys: tuple[str, ...], value: Any) -> None:
    import tomlkit
    from tomlkit.items import InlineTable

    table = document
    for key in keys[:-1]:
        if key not in table:
            is_inline = isinstance(table, InlineTable)  # which holds only inline tables
            table[key] = tomlkit.inline_table() if is_inline else tomlkit.table(key == "profiles")
        table = table[key]
        if not isinstance(table, dict):
            raise ConfigError(
                f"{key} is not a table in {path}", hint="correct it with `chatstream config edit`"
            )
    table[keys[-1]] = value


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The number of the line in which these keys are first given a value; None if none can be told.

    tomllib keeps no lines. But the text before a statement is TOML as well: the line is the one
    before which the keys are not there, while with it they are.
    """
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if keys[-1] in line and not _has(lines[:number], keys):
            ends = (_has(lines[:end], keys) for end in range(number + 1, len(lines) + 1))
            if next(_known(ends), False):
                return number + 1
    return None


def _has(lines: list[str], keys: tuple[str, ...]) -> bool | None:
    """Whether the keys have a value in these lines; None if the lines are not TOML."""
    import tomllib

    try:
        value: Any = tomllib.loads("".join(f"{line}\n" for line in lines))
    except ValueError:
        return None
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _known(answers: Iterator[bool | None]) -> Iterator[bool]:
    return (it for it in answers if it is not None)


def _is_reachable(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return False
    return True

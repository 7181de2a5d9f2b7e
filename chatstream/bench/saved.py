"""Results kept under a name, to be the baseline of a later benchmark.

`save` puts a result into NAME.json in a folder that is for its owner alone. `load` takes such a
name or any file that ends in a result: what `save` or `--json` wrote, JSON Lines included.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from chatstream.bench.export import as_json, write
from chatstream.bench.export import check as check_file
from chatstream.bench.result import RESULT_VERSION, Result, decode
from chatstream.errors import ConfigError, JournalError, UsageError
from chatstream.files import make_private, read_whole
from chatstream.nearest import did_you_mean

ENDING = ".json"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class _Kind(msgspec.Struct):
    """The fields of a JSON object of any version."""

    type: str = ""
    version: int = RESULT_VERSION


def save(name: str, result: Result, folder: Path) -> Path:
    """Keep the result, in place of an old one of that name; returns its file.

    Raises `UsageError` for a name that is not allowed, `JournalError` if it cannot be written.
    """
    path = _file(name, folder)
    try:
        make_private(folder)
    except OSError as error:
        raise JournalError(f"cannot create {folder}: {error.strerror}") from error
    write(path, as_json(result))
    return path


def check(name: str, folder: Path) -> None:
    """Raise `UsageError` if `save` could not keep a result, before anything is measured."""
    path = _file(name, folder)
    try:
        make_private(folder)
    except OSError as error:
        raise UsageError(f"--save {name}: cannot create {folder}: {error.strerror}") from error
    check_file(path)


def names(folder: Path) -> list[str]:
    """The names under which there are results, sorted. A folder that is missing has none."""
    return sorted(it.stem for it in folder.glob(f"*{ENDING}") if _fits(it.stem))


def load(name_or_path: str, folder: Path) -> Result:
    """The result of that name, or in that file if there is a / in it or .json at its end.

    Raises `UsageError` when there is no such file, `ConfigError` when it cannot be read.
    """
    separators = {"/", os.sep, os.altsep or os.sep}
    if name_or_path.endswith(ENDING) or separators & set(name_or_path):
        path = Path(name_or_path)
        hint = None
    else:
        path = _file(name_or_path, folder)
        hint = _hint(name_or_path, folder)
    try:
        data = read_whole(path)
    except FileNotFoundError as error:
        what = (
            f"the file {path} does not exist"
            if hint is None
            else f"no saved result is named {path.stem}"
        )
        raise UsageError(what, hint=hint) from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    return _parsed(data, path)


def _fits(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not name.endswith(ENDING)


def _file(name: str, folder: Path) -> Path:
    if not _fits(name):
        raise UsageError(
            f"{name!r} is not a valid name for a result",
            hint="use at most 100 letters, digits and . _ - characters, with no . at the start "
            f"and no {ENDING} at the end",
        )
    return folder / f"{name}{ENDING}"


def _hint(name: str, folder: Path) -> str:
    if Path(name).is_file():
        return f"to use a file of that name, write ./{name}"
    there = names(folder)
    if near := did_you_mean(name, there):
        return near
    if there:
        return f"saved results: {', '.join(there[:10])}{' …' if there[10:] else ''}"
    return "`chatstream bench --save NAME` saves a result"


def _parsed(data: bytes, path: Path) -> Result:
    text = data.strip()
    if text.startswith(b"<"):
        raise ConfigError(
            f"{path} is an HTML page, not a saved result",
            hint="save a result with --save NAME or --json",
        )
    last = text.rpartition(b"\n")[2]
    for part in {last: None, text: None}:  # the last of many lines, or one object over many
        try:
            kind = msgspec.json.decode(part, type=_Kind)
        except (msgspec.DecodeError, RecursionError):
            continue
        if kind.type != "result":
            raise ConfigError(
                f"{path} does not end with a result"
                + (f"; its last event is {kind.type}" if kind.type else "")
            )
        if kind.version != RESULT_VERSION:
            raise ConfigError(
                f"{path} has a result of version {kind.version}, "
                f"but this chatstream reads version {RESULT_VERSION}"
            )
        try:
            return decode(part)
        except ValueError as error:
            raise ConfigError(f"{path} is damaged: {error}") from error
    raise ConfigError(f"{path} is damaged or is not a result of chatstream bench")

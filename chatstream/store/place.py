"""Where chatstream keeps what it keeps: a folder for the configuration, and one for the state.

The rules are those of the XDG Base Directory Specification: the folder that a variable names, else
one in the home folder. A path that is not absolute is invalid there, and ignored. Someone without
a home folder (a container with a user of its own, some CI) can still ask; nothing is kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from chatstream.errors import ConfigError

HISTORY = "history.db"
"""The file of the history, in the folder of the state."""

_NAME = "chatstream"


class NoHome(ConfigError):
    """There is no home folder."""

    def __init__(self, variable: str) -> None:
        super().__init__("there is no home folder: HOME is not set", hint=f"set HOME or {variable}")


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the configuration; it need not exist yet. Raises `NoHome`."""
    if os.name == "nt":
        return _folder(environ, "APPDATA", "AppData", "Roaming")
    return _folder(environ, "XDG_CONFIG_HOME", ".config")


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the state; it need not exist yet. Raises `NoHome`."""
    if os.name == "nt" and _absolute(environ.get("XDG_STATE_HOME")) is None:
        return _folder(environ, "LOCALAPPDATA", "AppData", "Local")
    if sys.platform == "darwin":
        return _folder(environ, "XDG_STATE_HOME", "Library", "Application Support")
    return _folder(environ, "XDG_STATE_HOME", ".local", "state")


def runs_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the journals. Raises `NoHome`."""
    return state_folder(environ) / "runs"


def _folder(environ: Mapping[str, str], variable: str, *usual: str) -> Path:
    base = _absolute(environ.get(variable))
    if base is None:
        home = home_folder(environ)
        if home is None:
            raise NoHome(variable)
        base = home.joinpath(*usual)
    return base / _NAME


def home_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The home folder: `HOME`, else that of the password database; None if there is neither."""
    if os.name == "nt":
        try:
            return Path.home()
        except RuntimeError:
            return None
    if (home := _absolute(environ.get("HOME"))) is not None:
        return home
    import pwd  # not on Windows

    try:
        return _absolute(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _absolute(text: str | None) -> Path | None:
    return Path(text) if text and Path(text).is_absolute() else None

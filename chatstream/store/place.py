"""Where the state of chatstream is kept: one folder, for nobody but its owner."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PRIVATE = 0o700


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder; it need not exist yet."""
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base) / "chatstream"
    if os.name == "nt":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "chatstream"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "chatstream"
    return Path.home() / ".local" / "state" / "chatstream"


def runs_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the journals."""
    return state_folder(environ) / "runs"


def make_private(folder: Path) -> None:
    """Make the folder, and those around it that are missing, private. Raises `OSError`."""
    missing = [it for it in folder.parents if not it.exists()]
    for it in (*reversed(missing), folder):
        it.mkdir(mode=PRIVATE, exist_ok=True)

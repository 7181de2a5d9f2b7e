"""Roles for tests: files in the folder that the tests' own home has for them."""

from __future__ import annotations

from pathlib import Path

from chatstream.engine.roles import folder


def write_role(name: str, text: str | bytes) -> Path:
    """A role of this name with this text."""
    path = folder() / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path

"""What standard output is, for the tests of this room."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 1)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is not a terminal."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: False)
    monkeypatch.setenv("TERM", "xterm")

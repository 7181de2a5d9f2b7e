"""The kinds of sandbox, made available to a test.

@pytest.fixture(params=EACH)
def kind(request, monkeypatch) -> Kind:
    return provide(request.param, monkeypatch)
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from chatstream.tools import landlock
from chatstream.tools.sandbox import Kind
from tests.support.real.install import bwrap
from tests.support.unavailable import Unavailable, skip_unavailable

KINDS: Sequence[Kind] = ("bwrap", "landlock", "off")

EACH = [pytest.param(it, marks=pytest.mark.real) if it == "bwrap" else it for it in KINDS]
"""For a fixture with parameters."""

_LANDLOCK = 6  # the version that holds all that the README says


def provide(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The kind, once it can be used here; else the test is skipped, and fails in CI."""
    with skip_unavailable():
        if kind == "bwrap":
            monkeypatch.setenv("PATH", f"{bwrap()}:{os.environ['PATH']}")
        if kind == "landlock" and landlock.version() < _LANDLOCK:
            raise Unavailable(f"this kernel's Landlock is older than version {_LANDLOCK}")
    return kind

"""The bar of progress: on a terminal, when it is drawn and not before; nowhere else."""

from __future__ import annotations

import io
import os

import pytest

from chatstream.terminal.progress import bar


def test_what_is_done_is_shown_when_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 2)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar("cold run", 3) as draw:
        assert "run 1" not in shown.getvalue()
        draw(1, "run 1: 5 ms\x1b[2J")
        assert "run 1: 5 ms" in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()


@pytest.mark.parametrize(("quiet", "terminal"), [(True, True), (False, False)])
def test_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, quiet: bool, terminal: bool) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    with bar("cold run", 3, quiet=quiet) as draw:
        draw(1, "run 1")
    assert shown.getvalue() == ""

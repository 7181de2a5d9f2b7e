"""Claimed: what a terminal can do is told from where it is known, with what to do instead."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chatstream.doctor import terminal_checks
from chatstream.doctor.diagnosis import Finding
from tests.support.client import run_here
from tests.support.terminal import on_terminal

VARIABLES = ("TERM", "TERM_PROGRAM", "VTE_VERSION", "TMUX", "COLORTERM", "NO_COLOR", "FORCE_COLOR")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As if standard output were a terminal that nothing is known of."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "isatty", lambda descriptor: True)
    return iter([monkeypatch])


def told(about: str) -> Finding:
    (it,) = [it for it in terminal_checks.terminal() if it.what.startswith(about)]
    return it


@pytest.mark.parametrize(
    ("environ", "about", "severity", "words"),
    [
        ({"COLORTERM": "truecolor"}, "colours", "ok", "16 million"),
        ({"TERM": "xterm-256color"}, "colours", "ok", "256"),
        ({}, "colours", "ok", "16"),
        ({"NO_COLOR": "1"}, "colours", "note", "NO_COLOR"),
        ({"TERM": "dumb"}, "colours", "note", "TERM is dumb"),
        ({}, "clipboard", "ok", "OSC 52"),
        ({"TERM": "dumb"}, "clipboard", "note", "--copy-to"),
        ({"TERM_PROGRAM": "Apple_Terminal"}, "clipboard", "note", "Terminal.app"),
        ({"TERM_PROGRAM": "WezTerm"}, "clipboard", "ok", "OSC 52"),
        ({"VTE_VERSION": "7600"}, "clipboard", "note", "VTE"),
        ({"TMUX": "x", "PATH": ""}, "clipboard", "note", "tmux"),
        ({"COLUMNS": "30"}, "width", "note", "30 columns"),
        ({"COLUMNS": "120"}, "width", "ok", "120 columns"),
    ],
)
def test_each_ability_has_its_line(
    terminal: Iterator[pytest.MonkeyPatch],
    environ: dict[str, str],
    about: str,
    severity: str,
    words: str,
) -> None:
    patch = next(terminal)
    for name, value in environ.items():
        patch.setenv(name, value)
    it = told(about)
    assert it.severity == severity
    assert words in f"{it.what} {it.todo}"


def test_an_encoding_that_lacks_characters_is_a_note() -> None:
    assert terminal_checks._characters("utf-8").severity == "ok"
    poor = terminal_checks._characters("latin-1")
    assert (poor.severity, "UTF-8" in (poor.todo or "")) == ("note", True)


def test_a_pipe_is_no_terminal_and_no_fault() -> None:
    done = run_here(["doctor"])
    assert b"standard output is not a terminal" in done.stdout
    assert b"colours" not in done.stdout


@pytest.mark.screen
def test_on_a_terminal_lines_are_wrapped_between_words_and_the_keyboard_is_found() -> None:
    _, screen, _ = on_terminal(["doctor"], columns=40)
    lines = [line.rstrip() for line in screen.text()]
    assert any(line.startswith("✓ keyboard: ") for line in lines)
    assert "✓ width: 40 columns" in lines
    assert "  to use a hosted model, store its key," in lines

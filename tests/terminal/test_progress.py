"""The line of progress: on a terminal, when it is drawn and not before; nowhere else."""

from __future__ import annotations

import io
import os

import pytest

from chatstream.events import Progress
from chatstream.terminal.progress import bar, starting_line

HALF = Progress("importing runs", 5, 10, 50.0, "run 5\x1b[2J\nof 10", eta=12.2)


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> io.StringIO:
    """What a terminal of so many columns without colours is sent."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 2)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return stream


def test_a_line_has_stage_bar_percentage_eta_and_message(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with bar() as draw:
        assert shown.getvalue() == ""
        draw(HALF)
        _, line = shown.getvalue().split("\r\x1b[K")
    assert line.startswith("importing runs ━━━")
    assert line.endswith(" 50 % · 13 s left · run 5␛[2J of 10")


def test_what_is_not_known_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with bar() as draw:
        draw(Progress("updating", 0))
        assert shown.getvalue() == "\r\x1b[Kupdating "


def test_servers_that_start_are_named_after_a_moment_and_the_line_is_erased(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown, now = terminal(monkeypatch), [0.0]
    with starting_line(clock=lambda: now[0]) as starting:
        starting(["git", "time"])
        assert shown.getvalue() == ""
        now[0] = 1.0
        starting(["git", "time"])
        assert shown.getvalue() == "\r\x1b[Kstarting git, time "
        starting([])
        assert shown.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize("columns", [0, 1, 5, 20, 40, 79])
def test_a_line_never_runs_over(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    shown = terminal(monkeypatch, columns)
    with bar() as draw:
        draw(HALF)
        _, line = shown.getvalue().split("\r\x1b[K")
    assert len(line) <= max(1, columns - 3)


def test_it_is_erased_when_it_is_told_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with bar() as draw:
        draw(HALF)
        draw(None)
        assert shown.getvalue().endswith("\r\x1b[K")
        draw(None)  # nothing is there
        draw(HALF)
        assert shown.getvalue().count("\r\x1b[K") == 3
    assert shown.getvalue().endswith("\r\x1b[K")


def test_what_comes_after_the_end_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with bar() as draw:
        pass
    draw(HALF)
    assert shown.getvalue() == ""


def test_patience_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    now = [0.0]
    with bar(patience=1.0, clock=lambda: now[0]) as draw:
        draw(HALF)
        assert shown.getvalue() == ""
        now[0] = 1.0
        draw(HALF)
        assert shown.getvalue() != ""


def test_the_cursor_is_never_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    with bar() as draw:
        draw(HALF)
    assert "\x1b[?25" not in shown.getvalue()


@pytest.mark.parametrize(
    ("quiet", "descriptor", "term"), [(True, 2, "xterm"), (False, 1, "xterm"), (False, 2, "dumb")]
)
def test_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch, quiet: bool, descriptor: int, term: str
) -> None:
    shown = terminal(monkeypatch)
    monkeypatch.setattr(os, "isatty", lambda it: it == descriptor)
    monkeypatch.setenv("TERM", term)
    with bar(quiet=quiet) as draw:
        draw(HALF)
    assert shown.getvalue() == ""

"""Exit statuses."""

from __future__ import annotations

import os

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, ConfigError, Terminated
from chatstream.events import Done, Error, Stats, Terminal, decode
from chatstream.terminal.exits import report, status_of, tell

DONE = Done(finish_reason="stop", stats=Stats(1.0, 1), attempts=1)


def failed(code: str) -> Error:
    return Error(code, "m", recoverable=False, partial=False)


@pytest.mark.parametrize(
    ("terminal", "status"),
    [
        (DONE, 0),
        (None, 1),
        *((failed(code), 1) for code in ("connect", "protocol", "server_error", "internal")),
        *((failed(code), 2) for code in ("usage", "config")),
        *((failed(code), 3) for code in ("auth", "model_not_found", "bad_request", "quota")),
        *((failed(code), 4) for code in ("timeout", "stalled")),
        (failed("truncated"), 5),
        (failed("a code of the future"), 1),
    ],
)
def test_each_end_has_its_status(terminal: Terminal | None, status: int) -> None:
    assert status_of(terminal, CancelToken()) == status


@pytest.mark.parametrize(
    ("reason", "status"), [(Cancelled("stopped"), 130), (Terminated("terminated"), 143)]
)
def test_a_signal_has_its_own(reason: Cancelled, status: int) -> None:
    token = CancelToken()
    token.cancel(reason)
    assert status_of(failed("cancelled"), token) == status
    assert status_of(None, token) == status
    assert status_of(DONE, token) == 0  # the answer was whole before the signal took effect


def test_an_error_outside_of_a_run_is_told_where_it_belongs(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert report(ConfigError("wrong", hint="do this"), ["ask"]) == 2
    assert capfd.readouterr().err == "error: wrong\ndo this\n"
    assert report(ConfigError("wrong"), ["ask", "--json"]) == 2
    out, err = capfd.readouterr()
    assert err == ""
    assert isinstance(decode(out.splitlines()[-1]), Error)
    report(ConfigError("wrong"), ["ask", "--", "--json"])
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_what_stands_beside_answers_goes_where_a_terminal_has_them(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: terminal and descriptor == 1)
    tell("a\x1bb")
    shown = capsys.readouterr()
    assert (shown.out if terminal else shown.err) == "a␛b\n"
    assert (shown.err if terminal else shown.out) == ""

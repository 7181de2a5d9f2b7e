"""The command line itself: help, version, and mistakes before any command."""

from __future__ import annotations

import subprocess

import pytest

from chatstream import __version__
from chatstream.cli.app import COMMANDS, main
from tests.support.answers import whole
from tests.support.client import COMMAND, LIMIT, run, server_flags
from tests.support.loopback import Script


def test_the_version_is_told() -> None:
    assert run(["--version"]).stdout.decode() == f"chatstream {__version__}\n"


def test_help_names_every_command() -> None:
    done = run(["--help"])
    assert done.status == 0
    assert all(command in done.stdout.decode() for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = run([command, "--help"])
    assert done.status == 0
    assert "Usage" in done.stdout.decode()


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["ask", "--nonsense"]])
def test_a_mistake_is_one_line_with_what_to_do(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, hint = err.splitlines()
    assert first.startswith("error: ")
    assert "--help" in hint


def test_a_mistake_of_our_own_is_one_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("chatstream.cli.schema.schema", broken)
    assert main(["schema"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: RuntimeError: a bug\n")
    assert "Traceback" not in err


def test_a_closed_output_is_not_replaced_by_a_socket() -> None:
    with Script(whole("ollama")) as server:
        flags = server_flags("ollama", server.url)
        shell = ["sh", "-c", 'exec "$@" <&- >&-', "sh", *COMMAND, "ask", *flags, "hi"]
        assert subprocess.run(shell, timeout=LIMIT, check=False).returncode == 0
        assert server.wait_closed()
    assert [request.path for request in server.requests] == ["/api/chat"]

"""The command line itself: help, version, and mistakes before any command."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from chatstream import __version__
from chatstream.cli.app import main, with_number
from chatstream.cli.commands import COMMANDS
from tests.support.answers import ending, frames, headers, whole
from tests.support.client import COMMAND, LIMIT, run, run_here, server_flags
from tests.support.loopback import Reply, Script


def test_the_version_is_told() -> None:
    assert run_here(["--version"]).stdout.decode() == f"chatstream {__version__}\n"


def test_help_names_every_command() -> None:
    done = run_here(["--help"])
    assert done.status == 0
    assert all(command in done.stdout.decode() for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_table_says_of_a_command_is_what_it_says_itself(command: str) -> None:
    target, about = COMMANDS[command]
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    own = found.info.help if isinstance(found, typer.Typer) else inspect.getdoc(found)
    assert own is not None
    assert about == own.partition("\n")[0]


def test_the_help_of_all_imports_no_command() -> None:
    script = (
        "import sys; from chatstream.cli.app import main; main(['--help']); "
        "print([it for it in sys.modules if it in ('chatstream.cli.ask', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = run_here([command, "--help"])
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


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (["hi", "--copy-code"], ["hi", "--copy-code=0"]),
        (["--copy-code", "--plain", "hi"], ["--copy-code=0", "--plain", "hi"]),
        (["--copy-code", "--", "2"], ["--copy-code=0", "--", "2"]),
        (["--copy-code", "-"], ["--copy-code=0", "-"]),
        (["--copy-code", "hi"], ["--copy-code=0", "hi"]),
        (["--copy-code", ""], ["--copy-code=0", ""]),
        (["--copy-code", "2", "hi"], ["--copy-code", "2", "hi"]),
        (["--copy-code=2", "hi"], ["--copy-code=2", "hi"]),
        (["hi", "--", "--copy-code"], ["hi", "--", "--copy-code"]),
    ],
)
def test_the_number_of_a_code_block_may_be_left_out(arguments: list[str], taken: list[str]) -> None:
    given = list(arguments)
    assert with_number(given, "--copy-code") == taken
    assert given == arguments


PRINTING = [
    [],
    ["--help"],
    ["--version"],
    *([name, "--help"] for name in COMMANDS),
    ["ask", "-p", "demo", "-m", "demo-fast", "hi"],
    ["ask", "-p", "demo", "-m", "demo-fast", "--json", "hi"],
    ["ask", "--json", "--nonsense"],
    ["models", "-p", "demo"],
    ["models", "-p", "demo", "--json"],
    ["schema"],
    ["config"],
    ["config", "show"],
    ["config", "path"],
    ["bench", "--explain"],
    ["history", "export"],
]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_full_disk_is_told_in_one_line(arguments: list[str]) -> None:
    run_here(["ask", "-p", "demo", "-m", "demo-fast", "something for the history"])
    done = run_here(arguments, stdout=FULL)
    assert done.stderr == "error: cannot write the output: No space left on device\n"
    assert done.status == (2 if "--nonsense" in arguments else 1)


def test_a_full_disk_is_told_by_the_process_too() -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=LIMIT, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16", "shift_jis"])
def test_every_encoding_takes_the_output(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "日本-é").mkdir()
    config = str(tmp_path / "日本-é" / "c")
    Path(config).touch()
    for arguments in PRINTING:
        if arguments in ([], ["config"]) or "--nonsense" in arguments:
            continue  # mistakes
        done = run_here(
            arguments, encoding=encoding, CHATSTREAM_SYSTEM="日本 é ★ 😀", CHATSTREAM_CONFIG=config
        )
        assert (done.status, done.stderr) == (0, "")
        is_data = arguments[0] in {"ask", "history"} and "--help" not in arguments
        done.stdout.decode("utf-8" if is_data else encoding)


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_the_process_prints_whatever_its_locale_is(environ: dict[str, Any]) -> None:
    shown = run(["config", "show"], CHATSTREAM_SYSTEM="日本", **environ)
    assert (shown.status, shown.stderr) == (0, "")
    asked = run(["ask", "-p", "demo", "-m", "demo-fast", "--plain", "hi"], **environ)
    asked.stdout.decode()
    assert (asked.status, asked.stderr) == (0, "")


def test_used_up_memory_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry() -> None:
        raise MemoryError

    monkeypatch.setattr("chatstream.cli.schema.schema", hungry)
    done = run_here(["schema"])
    assert (done.status, done.stderr) == (1, "error: out of memory\n")


ANSWER = "```py\none\n```\n\n```sh\ntwo\n```\n"


@pytest.mark.parametrize(
    ("arguments", "copied"),
    [
        (["--copy-code", "1", "hi"], "one"),
        (["hi", "--copy-code"], "two"),
        (["--copy-code", "--", "1"], "two"),
        (["--copy-code", "1", "--", "--copy-code"], "one"),
    ],
)
def test_a_code_block_is_copied_by_its_number_or_the_last(
    arguments: list[str], copied: str, tmp_path: Path
) -> None:
    body = [*frames("ollama", [ANSWER]), *ending("ollama")]
    file = tmp_path / "copy"
    with Script(Reply(body, headers=headers("ollama"))) as server:
        flags = [*server_flags("ollama", server.url), "--copy-to", str(file)]
        done = run_here(["ask", *flags, *arguments])
    assert (done.status, done.stdout.decode()) == (0, ANSWER)
    assert file.read_text().strip() == copied


@pytest.mark.parametrize("command", ["ask", "resume", "replay"])
@pytest.mark.parametrize("value", ["prompt", "1.5", "", "9" * 5000])
def test_what_is_no_number_of_a_code_block_is_one_line(
    command: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, f"--copy-code={value}"]) == 2
    out, err = capsys.readouterr()
    said, hint = err.splitlines()
    assert out == ""
    assert said.startswith("error: Invalid value for '--copy-code': ")
    assert "N is the number of a code block" in said
    assert len(said) < 300
    assert "--help" in hint


def test_a_code_block_has_no_number_below_its_first() -> None:
    done = run_here(["ask", "-p", "demo", "--copy-code=-1", "hi"])
    assert (done.status, done.stdout) == (2, b"")
    assert "N is the number of a code block" in done.stderr


def test_a_host_that_no_url_has_is_a_mistake_in_the_address() -> None:
    flags = ["-p", "openai", "--base-url", "a>b"]
    done = run_here(["models", *flags], OPENAI_API_KEY="k", CHATSTREAM_PROXY="http://127.0.0.1:9")
    assert done.status in {1, 2}
    assert done.stderr.startswith("error: ")
    assert "bug in chatstream" not in done.stderr


@pytest.mark.parametrize("arguments", [["config", "show"], ["bench", "--baseline", "/dev/zero"]])
def test_a_file_that_never_ends_is_too_large(arguments: list[str]) -> None:
    environ: dict[str, Any] = {"CHATSTREAM_CONFIG": "/dev/zero"} if "config" in arguments else {}
    done = run_here(arguments, **environ)
    assert done.status == 2
    assert "File too large" in done.stderr

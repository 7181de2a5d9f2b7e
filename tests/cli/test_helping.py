"""Every help page is short enough to read, cuts no name, and is true."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

from chatstream.cli.app import app
from chatstream.cli.helping import GROUPS, MOST_LINES, RARE, command_help, titles
from chatstream.engine.pipeline import FIRST_TOKEN_SECONDS, LOCAL_FIRST_TOKEN_SECONDS
from chatstream.engine.settings import DECLARED, FIELDS
from tests.support.client import run_here

ROOT: Any = get_command(app)


def contexts(command: Any = ROOT, parent: Any = None) -> Iterator[typer.Context]:
    """The context of the root, each group and each command."""
    name = "chatstream" if parent is None else command.name
    context = typer.Context(
        command, info_name=name, parent=parent, help_option_names=["-h", "--help"]
    )
    yield context
    if hasattr(command, "list_commands"):
        for below in command.list_commands(context):
            yield from contexts(command.get_command(context, below), context)


PATHS = [it.command_path.partition(" ")[2] for it in contexts()]
COMMANDS = [it for it in contexts() if not hasattr(it.command, "commands")]


def page(path: str, option: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run_here([*path.split(), option])
    assert (done.status, done.stderr) == (0, "")
    return done.stdout.decode().splitlines()


def parameters(context: typer.Context) -> list[Any]:
    return list(context.command.get_params(context))


def names(context: typer.Context) -> list[str]:
    options = [it for it in parameters(context) if it.param_type_name == "option"]
    return [name for it in options for name in (*it.opts, *it.secondary_opts)]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_and_has_three_examples(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = page(path, "--help", 80, monkeypatch)
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= 80
    at = lines.index("Examples:")
    assert len([it for it in lines[at + 1 : at + 4] if it.startswith("  ")]) == 3
    assert lines[0].startswith(f"Usage: chatstream {path}".strip())


@pytest.mark.parametrize("context", COMMANDS, ids=lambda it: it.command_path)
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_name_is_cut(
    context: typer.Context, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = context.command_path.partition(" ")[2]
    lines = page(path, "--help-all", columns, monkeypatch)
    text = "\n".join(lines)
    missing = [it for it in names(context) if not re.search(rf"(^|[ ,]){it}($|[ ,])", text, re.M)]
    assert missing == ["--help-all"]
    before = lines[: lines.index("Examples:")]
    assert max(map(len, before)) <= columns


def is_row(name: str, text: str) -> bool:
    return re.search(rf"^  (-., )?{name}\b", text, re.M) is not None


@pytest.mark.parametrize("context", COMMANDS, ids=lambda it: it.command_path)
def test_the_last_line_names_the_page_with_the_rare_options(context: typer.Context) -> None:
    common, whole = (command_help(context.command, context, everything=it) for it in (False, True))
    hidden = RARE & set(names(context))
    assert not any(is_row(it, common) for it in hidden)
    assert all(is_row(it, whole) for it in hidden)
    last = common.splitlines()[-1]
    assert last.endswith(f"{context.command_path} --help-all") == bool(hidden)


def test_a_hidden_argument_is_not_in_the_usage() -> None:
    (context,) = (it for it in COMMANDS if it.command_path == "chatstream keys set")
    assert command_help(context.command, context).startswith(
        "Usage: chatstream keys set [OPTIONS] NAME\n"
    )


def test_every_option_has_its_place_in_one_group_and_help() -> None:
    named = [it for group in GROUPS.values() for it in group if it is not ...]
    assert len(named) == len(set(named))
    places = titles()
    for context in COMMANDS:
        for it in parameters(context):
            assert it.help or it.hidden, (context.command_path, it.name)
            if it.param_type_name == "option":
                assert set(it.opts) & set(places), (context.command_path, it.opts)
    assert set(places) >= RARE


def test_a_setting_stands_in_the_group_that_it_declares() -> None:
    declared = {it.option: it.about.group for it in DECLARED.values() if it.flags}
    assert declared.items() <= titles().items()


def test_a_default_is_the_settings_own() -> None:
    ask = next(it for it in COMMANDS if it.info_name == "ask")
    text = " ".join(command_help(ask.command, ask, everything=True).split())
    for name in ("retries", "connect_timeout", "idle_timeout", "on_drop", "buffer", "theme"):
        default = FIELDS[name].default
        shown = f"{default:g}" if isinstance(default, float) else default
        (option,) = (it for it in parameters(ask) if it.name == name)
        assert f"{option.help} [default: {shown}]" in text
    assert FIELDS["timeout"].default == 0
    assert f"[default: {FIRST_TOKEN_SECONDS:g}; {LOCAL_FIRST_TOKEN_SECONDS:g} if local]" in text


def test_every_value_of_a_setting_with_few_is_named_by_its_option() -> None:
    from chatstream.engine.kinds import choices

    for context in COMMANDS:
        for it in parameters(context):
            if it.param_type_name == "option" and it.name in FIELDS:
                said = f"{it.metavar} {it.help}"
                assert [value for value in choices(it.name) if value not in said] == [], it.name


@pytest.mark.parametrize("arguments", [["ask", "--help"], ["--help"], ["config"]], ids=" ".join)
def test_no_page_imports_rich_or_requests(arguments: list[str]) -> None:
    script = (
        f"import sys; from chatstream.cli.app import main; main({arguments!r}); "
        "print([it for it in sys.modules if it in ('rich', 'requests', 'typer.rich_utils')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"


def test_a_question_imports_no_help() -> None:
    script = (
        "import sys; from chatstream.cli.app import main; "
        "main(['ask', '-p', 'demo', '-m', 'demo-fast', '--plain', 'hi']); "
        "print([it for it in sys.modules if it.rpartition('.')[2] in "
        "('rich_utils', 'helping', 'mistakes', 'completing') or it == 'chatstream.completion'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert done.stdout.splitlines()[-1] == b"[]"

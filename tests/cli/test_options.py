"""Options that commands share mean the same everywhere."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import typer
from msgspec import Meta
from typer.main import get_command

import chatstream
from chatstream import events as ev
from chatstream.cli import options
from chatstream.cli.app import Command, app, main
from chatstream.cli.helping import titles
from chatstream.engine.declaration import Option, Setting
from chatstream.engine.settings import DECLARED
from chatstream.errors import UsageError
from chatstream.store.place import state_folder
from tests.support.answers import whole
from tests.support.loopback import Script
from tests.support.runs import failed, run_id, write_run


def test_every_shared_option_has_help() -> None:
    shared = [v for k, v in vars(options).items() if typing.get_origin(v) is typing.Annotated]
    assert shared
    for option in shared:
        (details,) = typing.get_args(option)[1:]
        assert isinstance(details, type(typer.Option()))
        assert details.help


ROOT: typing.Any = get_command(app)


def taken(command: str, *arguments: str) -> dict[str, typing.Any]:
    """What a command is called with after these arguments."""
    root = typer.Context(ROOT, info_name="chatstream")
    found = ROOT.get_command(root, command)
    return dict(found.make_context(command, list(arguments), parent=root).params)


def test_a_value_arrives_under_the_name_of_its_setting() -> None:
    given = {
        "provider": (["-p", "ollama"], "ollama"),
        "temperature": (["-t", "1"], 1.0),
        "retries": (["--retries", "2"], 2),
        "stream": (["--no-stream"], False),
        "coalesce": (["--coalesce"], True),
        "journal": (["--no-journal"], False),
        "fallback": (["--fallback", "a", "--fallback", "b"], ["a", "b"]),
        "headers": (["--header", "A: b"], ["A: b"]),
        "tools": (["--tool", "a", "--tool", "b, c"], ["a", "b", "c"]),
        "allow": (["--allow", "git_*,d"], ["git_*", "d"]),
        "root": (["--root", "a,b"], ["a,b"]),
        "options": (["-o", "seed=7", "--option", "top_k=1"], ["seed=7", "top_k=1"]),
    }
    words = [word for words, _ in given.values() for word in words]
    arguments = taken("ask", "hi", *words)
    assert [arguments[name] for name in given] == [value for _, value in given.values()]


def test_what_is_not_given_is_none() -> None:
    arguments = taken("ask", "hi")
    assert {name: arguments[name] for name in options.ALL} == dict.fromkeys(options.ALL)


@pytest.mark.parametrize("setting", DECLARED.values(), ids=lambda it: it.name)
def test_an_option_says_what_its_setting_declares(setting: Setting) -> None:
    if not isinstance(setting.about, Option):
        assert setting.name not in taken("ask", "hi")
        return
    option = options.option_of(setting)
    about = setting.about
    assert option.name == setting.name
    assert setting.option in option.opts
    assert (option.help, option.metavar or "") == (about.option_help or about.help, about.value)
    assert setting.name in taken("ask", "hi")


FRESH: list[typing.Any] = [
    (bool, False, Option("Output", "Do it."), ["--no-fresh-one"], False),
    (bool, True, Option("Output", "Do it.", names=("--no-one",)), ["--no-one"], False),
    (str | None, None, Option("Output", "Do it.", value="X"), ["--fresh-one", "a"], "a"),
    (list[str], [], Option("Output", "Do it.", value="X"), ["--fresh-one", "a"], ["a"]),
    (Annotated[int, Meta(ge=1)], 1, Option("Output", "Do it.", value="X"), ["--fresh-one", "2"], 2),
]


@pytest.mark.parametrize(("kind", "default", "about", "words", "value"), FRESH)
def test_a_setting_that_is_added_has_an_option_without_more(
    kind: typing.Any,
    default: typing.Any,
    about: Option,
    words: list[str],
    value: typing.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fresh = Setting("fresh_one", kind, default, about)
    monkeypatch.setitem(DECLARED, fresh.name, fresh)

    @options.takes(fresh.name)
    def command(**flags: typing.Any) -> int:
        found.append(flags)
        return 0

    found: list[dict[str, typing.Any]] = []
    app = typer.Typer()
    app.command(cls=Command)(command)
    get_command(app)(words, standalone_mode=False)
    assert found == [{"fresh_one": value}]
    assert titles()[fresh.option] == "Output"


@pytest.mark.parametrize("command", ["ask", "resume"])
def test_ask_and_resume_take_all_that_decides_about_recovery(command: str) -> None:
    recovery = {"retries", "idle_timeout", "timeout", "on_drop", "fallback", "strategy", "buffer"}
    assert recovery <= set(taken(command))


@pytest.mark.parametrize("command", ["ask", "resume", "replay"])
def test_whatever_shows_a_run_takes_all_that_decides_how(command: str) -> None:
    look = {
        *("reasoning", "stats", "render", "color", "theme", "code_theme", "wrap"),
        *("accessible", "notify", "analyze", "filters", "renderer"),
    }
    assert look == set(options.LOOK)
    arguments = taken(command, *(["run"] if command == "replay" else []))
    assert look <= set(arguments)
    assert options.copying_in(arguments) is None


NOTHING: dict[str, typing.Any] = {
    "copy": False,
    "copy_code": None,
    "copy_to": None,
    "save_code": None,
    "save_images": None,
}


def test_what_is_to_be_copied_is_handed_on(tmp_path: Path) -> None:
    given = {"copy_code": 2, "copy_to": tmp_path / "a", "save_code": tmp_path / "b"}
    copying = options.copying_in({**NOTHING, **given})
    assert copying is not None
    wanted = (copying.copy, copying.code, copying.to, copying.save)
    assert wanted == (False, 2, tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("name", ["copy_code", "save_code", "save_images"])
def test_each_of_them_alone_is_something_to_do(name: str, tmp_path: Path) -> None:
    copying = options.copying_in({**NOTHING, name: 1 if name == "copy_code" else tmp_path})
    assert copying is not None
    assert (copying.code, copying.save, copying.images).count(None) == 2


def test_what_cannot_work_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        options.copying_in({**NOTHING, "copy": True, "copy_to": tmp_path / "none" / "a"})


# An option that is given and empty.

RUNS = [["ask", "hi"], ["resume"]]
WHERE = ["--provider", "--model", "--base-url", "--profile"]
EMPTY: list[list[str]] = [
    *([*command, option, ""] for command in RUNS for option in [*WHERE, "--fallback"]),
    *([*command, option, " "] for command in RUNS for option in ("--model", "--strategy")),
    *([*command, "--copy", "--copy-to", ""] for command in RUNS),
    *([*command, "--save-code", ""] for command in RUNS),
    *([*command, "--notify", ""] for command in RUNS),
    *(["ask", "hi", option, ""] for option in ("--file", "--option", "--code-theme", "--on-drop")),
    *(["models", option, ""] for option in ("--provider", "--base-url", "--profile")),
    *(["bench", option, ""] for option in [*WHERE, "--prompt", "--csv", "--html", "--save"]),
    *(["bench", option, ""] for option in ("--baseline", "--fail-if", "--cache", "--conn")),
    *(["doctor", option, ""] for option in WHERE),
    ["bench", "--model", "m", "--model", ""],
    ["doctor", ""],
    ["resume", ""],
    ["replay", ""],
    ["replay", "run", "--save-code", ""],
    ["history", "show", ""],
    ["history", "rm", ""],
    ["history", "export", ""],
    ["config", "show", "--profile", ""],
    ["config", "set", "--profile", "", "model", "m"],
    ["config", "set", "", "m"],
]


@pytest.fixture(scope="module")
def server() -> Iterator[Script]:
    with Script(whole("openai")) as server:
        yield server


@pytest.fixture
def elsewhere(server: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Script:
    """The server that the settings name, and a run that could be gone on with."""
    write_run(state_folder(), run_id(1), "half", end=failed())
    path = tmp_path / "config.toml"
    path.write_text(f'provider = "openai"\nmodel = "m"\nbase_url = "{server.url}"\n')
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return server


@pytest.mark.parametrize("arguments", EMPTY, ids=" ".join)
def test_an_empty_option_is_a_usage_error_and_nobody_is_asked(
    arguments: list[str], elsewhere: Script, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert (out, err[:7], elsewhere.connections) == ("", "error: ", [])
    assert sorted(it for it in tmp_path.rglob("*.jsonl")) == [
        it for it in before if it.suffix == ".jsonl"
    ]


@pytest.mark.parametrize(
    "name", ["CHATSTREAM_BASE_URL", "CHATSTREAM_PROVIDER", "CHATSTREAM_CONFIG"]
)
@pytest.mark.parametrize(
    "command",
    [["ask", "hi"], ["models"], ["bench"], ["doctor", "-m", "m"], ["config", "show"]],
    ids=" ".join,
)
def test_an_empty_variable_sends_no_question_elsewhere(
    command: list[str],
    name: str,
    elsewhere: Script,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, "")
    assert main(command) == 2
    assert capfd.readouterr().err.startswith(f"error: {name} is empty\n") or command[0] == "ask"
    assert elsewhere.connections == []


OPTIONS = ["provider", "model", "base_url", "api_key", "key_variable", "key_command", "proxy"]
OPTIONS += ["ca_file", "strategy", "profile"]


@pytest.mark.parametrize("option", OPTIONS)
def test_an_empty_option_of_the_library_is_a_usage_error(option: str, elsewhere: Script) -> None:
    given: typing.Any = {option: ""}
    for events in (
        chatstream.stream("hi", **given),
        chatstream.resume(**given),
    ):
        *_, last = events
        assert isinstance(last, ev.Error)
        assert (last.code, last.message) == ("usage", f"{option} is empty")
    assert elsewhere.connections == []


def test_an_empty_run_of_the_library_is_a_usage_error(elsewhere: Script) -> None:
    *_, last = chatstream.resume("")
    assert isinstance(last, ev.Error)
    assert last.code == "usage"
    with pytest.raises(UsageError):
        list(chatstream.replay(""))
    with chatstream.history() as history, pytest.raises(UsageError):
        history.run("")
    assert elsewhere.connections == []

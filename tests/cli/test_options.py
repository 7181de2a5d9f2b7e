"""Options that commands share mean the same everywhere."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import chatstream
from chatstream import events as ev
from chatstream.cli import options
from chatstream.cli.app import main
from chatstream.cli.ask import ask
from chatstream.cli.replay import replay
from chatstream.cli.resume import resume
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


def test_the_arguments_that_are_settings_are_told_from_the_others() -> None:
    arguments = {"prompt": "hi", "model": "m", "stats": None, "no_journal": False}
    assert options.settings_in(arguments) == {"model": "m", "stats": None}
    assert options.settings_in({**arguments, "no_journal": True})["journal"] is False


@pytest.mark.parametrize("command", [ask, resume])
def test_ask_and_resume_take_all_that_decides_about_recovery(
    command: typing.Callable[..., int],
) -> None:
    recovery = {"retries", "idle_timeout", "timeout", "on_drop", "fallback", "strategy", "buffer"}
    assert recovery <= set(options.settings_in(taken(command)))


@pytest.mark.parametrize("command", [ask, resume, replay])
def test_whatever_shows_a_run_takes_all_that_decides_how(
    command: typing.Callable[..., int],
) -> None:
    look = {
        "reasoning",
        "stats",
        "render",
        "color",
        "theme",
        "code_theme",
        "wrap",
        "accessible",
        "notify",
    }
    assert look <= set(options.settings_in(taken(command)))
    assert options.copying_in(taken(command)) is None


def taken(command: typing.Callable[..., int]) -> dict[str, typing.Any]:
    """The arguments of a command that is given none."""
    return {name: it.default for name, it in inspect.signature(command).parameters.items()}


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

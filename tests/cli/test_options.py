"""Options that commands share mean the same everywhere."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import pytest
import typer

from chatstream.cli import options
from chatstream.cli.ask import ask
from chatstream.cli.replay import replay
from chatstream.cli.resume import resume
from chatstream.errors import UsageError


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
    look = {"reasoning", "stats", "theme", "code_theme", "accessible", "notify"}
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

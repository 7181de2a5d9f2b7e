"""Options that commands share mean the same everywhere."""

from __future__ import annotations

import typing

import pytest
import typer

from chatstream.cli import options
from chatstream.cli.ask import ask
from chatstream.cli.resume import resume


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
def test_ask_and_resume_take_all_that_decides_about_recovery(command: object) -> None:
    taken = dict.fromkeys(typing.get_type_hints(command))
    recovery = {"retries", "idle_timeout", "timeout", "on_drop", "fallback", "strategy", "buffer"}
    assert recovery <= set(options.settings_in({**taken, "no_journal": False}))

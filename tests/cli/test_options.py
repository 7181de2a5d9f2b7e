"""Options that commands share mean the same everywhere."""

from __future__ import annotations

import typing

import typer

from chatstream.cli import options


def test_every_shared_option_has_help() -> None:
    shared = [v for k, v in vars(options).items() if typing.get_origin(v) is typing.Annotated]
    assert shared
    for option in shared:
        (details,) = typing.get_args(option)[1:]
        assert isinstance(details, type(typer.Option()))
        assert details.help

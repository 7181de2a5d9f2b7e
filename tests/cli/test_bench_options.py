"""Claimed: the options of `bench` have help, and a dash stands for standard output alone."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
import typer

from chatstream.bench.export import STDOUT
from chatstream.cli import bench_options
from chatstream.cli.bench_options import file_or_stdout


def test_every_option_has_help() -> None:
    own = [it for it in vars(bench_options).values() if typing.get_origin(it) is typing.Annotated]
    assert own
    for option in own:
        (details,) = typing.get_args(option)[1:]
        assert isinstance(details, type(typer.Option()))
        assert details.help


def test_a_file_may_be_named_as_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_or_stdout("-") == STDOUT
    assert file_or_stdout("./-") == tmp_path / "-"
    assert file_or_stdout("a.csv") == Path("a.csv")
    with pytest.raises(typer.BadParameter):
        file_or_stdout("")

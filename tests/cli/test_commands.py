"""The table of commands: each row leads to its command, in words that begin a sentence."""

from __future__ import annotations

import importlib

import pytest

from chatstream.cli.commands import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_names_a_command_that_there_is(name: str) -> None:
    where, does = COMMANDS[name]
    module, attribute = where.split(":")
    assert callable(getattr(importlib.import_module(module), attribute))
    assert does[0].isupper()
    assert does.endswith(".")

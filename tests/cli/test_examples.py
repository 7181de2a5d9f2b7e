"""Every command has three examples, and each of them is a command line that can be read."""

from __future__ import annotations

import shlex

from chatstream.cli.examples import EXAMPLES
from tests.cli.test_helping import PATHS, ROOT


def test_every_command_has_examples_that_parse() -> None:
    assert set(EXAMPLES) == set(PATHS)
    for path, lines in EXAMPLES.items():
        assert len(lines) == 3, path
        assert any(f"chatstream {path}".strip() in line for line in lines)
        for part in (part for line in lines for part in line.split(" | ")):
            words = shlex.split(part.partition(" > ")[0])
            while "=" in words[0]:
                words.pop(0)
            if words[0] == "chatstream":
                parses(words[1:])


def parses(arguments: list[str]) -> None:
    """Read the command line as it would be before anything is done."""
    context = ROOT.make_context("chatstream", arguments)
    while hasattr(context.command, "commands") and (rest := context._protected_args):
        name, command, rest = context.command.resolve_command(context, [*rest, *context.args])
        context = command.make_context(name, rest, parent=context)

"""Claimed: no value that is given on the command line is dropped without a word."""

from __future__ import annotations

import pytest
from typer.main import get_command

from chatstream.cli.app import app
from chatstream.cli.commands import COMMANDS
from tests.support.client import run_here


@pytest.mark.parametrize(
    "line",
    [
        "ask --base-url a --base-url b hi",
        "ask -m a --model=b hi",
        "ask -pdemo -p demo hi",
        "resume --profile a --profile b",
        "bench -m a -m b --base-url a --base-url b",
        "bench --csv a --csv a",
        "doctor --base-url a --base-url b",
        "models -p a -p b",
        "replay --speed 1 --speed 2 x",
        "history list -n 1 --number 2",
        "config show --profile a --profile b",
    ],
)
def test_a_second_value_of_an_option_that_takes_one_is_a_usage_error(line: str) -> None:
    done = run_here(line.split())
    assert (done.status, done.stdout) == (2, b"")
    assert "can be given only once" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_what_may_be_repeated_and_switches_are_left_alone() -> None:
    flags = "-p demo -m demo-fast --stats --no-stats --plain --plain -o a=1 -o b=2"
    done = run_here(["ask", *flags.split(), "--max-tokens", "1", "--no-journal", "hi"])
    assert (done.status, done.stderr.count("can be given only once")) == (0, 0)


def test_it_holds_for_every_command() -> None:
    group = get_command(app)
    for name in COMMANDS:
        command = group.get_command(None, name)  # type: ignore[attr-defined]
        for it in getattr(command, "commands", {"": command}).values():
            for option in it.params:
                plain = option.param_type_name == "option" and not option.is_flag
                if plain and not option.multiple and not option.count:
                    text = option.opts[0]
                    words = [name, *([it.name] if it is not command else [])]
                    done = run_here([*words, text, "1", text, "1"])
                    assert done.status == 2, (words, text)
                    assert "can be given only once" in done.stderr, (words, text)

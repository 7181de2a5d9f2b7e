"""Claimed: a number is one that can be used, or one line names the option and what it takes."""

from __future__ import annotations

import pytest
import typer

from chatstream.cli.numbers import like, number, whole
from tests.support.client import run_here

ODD = ["inf", "-inf", "nan", "1e400", "1e20", "9" * 5000, "-1", "", "x", "1_000", "0x10", "½", "5s"]
OPTIONS = [
    *(("ask", name) for name in ("--timeout", "--idle-timeout", "--first-token-timeout")),
    *(("ask", name) for name in ("--connect-timeout", "--retries", "--max-tokens")),
    *(("bench", name) for name in ("--time", "--rate", "-n", "-c", "--precision", "--max-tokens")),
    ("bench", "--prompt-tokens"),
    ("doctor", "--timeout"),
    ("replay", "--speed"),
    ("history list", "-n"),
    ("history prune", "--older-than"),
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_a_number_that_cannot_be_used_is_one_line_that_names_the_option(
    command: str, option: str
) -> None:
    for odd in ODD:
        given = [f"{option}={odd}"] if option.startswith("--") else [option, odd]
        done = run_here([*command.split(), *given])
        said, hint = done.stderr.splitlines()
        assert (done.status, done.stdout) == (2, b"")
        assert said.startswith("error: --")
        assert not option.startswith("--") or option in said
        assert " number " in said
        assert len(said) < 150
        assert "--help" in hint


def test_a_number_that_can_be_used_is_one() -> None:
    assert like("timeout")("-0") == 0
    assert like("timeout")(" 1e3 ") == 1000.0
    assert like("max_tokens")("7") == 7
    assert whole(1, 5)("5") == 5
    assert number(0.1, 1)(0.5) == 0.5  # a default


@pytest.mark.parametrize("value", ["0", "6", "1.5", "null"])
def test_limits_hold(value: str) -> None:
    with pytest.raises(typer.BadParameter, match="a whole number from 1 to 5"):
        whole(1, 5)(value)


def test_a_variable_is_read_as_a_flag_is() -> None:
    for odd in ("inf", "nan", "1e20", "x"):
        done = run_here(["ask", "-p", "demo", "hi"], CHATSTREAM_TIMEOUT=odd)
        assert done.status == 2
        assert "CHATSTREAM_TIMEOUT takes a number from 0 to 1,000,000,000" in done.stderr

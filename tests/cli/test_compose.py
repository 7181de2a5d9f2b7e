"""`compose` on the command line: its options, and what it refuses before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream.many import composing
from tests.cli.test_helping import COMMANDS
from tests.support.client import run_here


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command hands on."""
    found: dict[str, Any] = {}

    def compose(arguments: dict[str, Any], flags: dict[str, Any]) -> int:
        found.update(arguments=arguments, flags=flags)
        return 7

    monkeypatch.setattr(composing, "compose", compose)
    return found


def test_the_options_arrive_under_their_names(given: dict[str, Any]) -> None:
    more = ["--sections", "4", "-j", "2", "--again", "--out", "x.md", "-t", "0.5"]
    assert run_here(["compose", "rain", *more]).status == 7
    assert given["arguments"] | {"flags": None} == {
        **dict.fromkeys(("outline", "file", "encoding", "log", "flags")),
        **dict.fromkeys(("as_json", "plain", "debug"), False),
        "topic": "rain",
        "sections": 4,
        "jobs": 2,
        "again": True,
        "out": given["arguments"]["out"],
    }
    assert str(given["arguments"]["out"]) == "x.md"
    assert given["flags"]["temperature"] == 0.5


@pytest.mark.parametrize("option", ["--tool", "--schema", "--reasoning", "-c"])
def test_what_has_no_meaning_for_a_document_is_no_option(option: str) -> None:
    command = next(it.command for it in COMMANDS if it.info_name == "compose")
    assert not any(option in it.opts for it in command.params)
    assert run_here(["compose", option, "rain"]).status == 2


@pytest.mark.parametrize("number", ["0", "-1", "101", "many", "1.5", ""])
@pytest.mark.parametrize("option", ["--sections", "--jobs"])
def test_a_number_that_makes_no_sense_is_refused(option: str, number: str) -> None:
    done = run_here(["compose", f"{option}={number}", "rain"])
    assert (done.status, done.stdout) == (2, b"")
    assert option in done.stderr

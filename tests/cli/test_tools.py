"""Claimed: the commands of `tools` take the options of tools, and programs can read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.client import run_here

LOOPS = ("--max-rounds", "--max-calls", "--token-budget")


def test_the_tools_as_json_are_one_object_a_line() -> None:
    done = run_here(["tools", "list", "--json", "--tool", "time,calculate", "--deny", "time"])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["name"], row["approval"]) for row in rows] == [
        ("time", "denied"),
        ("calculate", "allowed"),
    ]
    assert {frozenset(row) for row in rows} == {
        frozenset({"name", "effect", "origin", "approval", "description"})
    }


@pytest.mark.parametrize("command", ["list", "show", "call"])
def test_options_that_only_a_loop_has_are_not_offered(command: str) -> None:
    page = run_here(["tools", command, "--help-all"]).stdout.decode()
    assert "--tools-file" in page
    assert not [it for it in LOOPS if it in page]


def test_the_arguments_of_a_call_may_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seen").touch()
    monkeypatch.chdir(tmp_path)
    done = run_here(["tools", "call", "list"])
    assert (done.status, done.stdout.split()[0]) == (0, b"seen")


def test_the_configuration_gives_tools_and_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        'deny = ["other"]\non_ask = "stop"\n[profiles.sums]\ntools = ["calculate"]\n'
        'ask = ["calculate"]\n'
    )
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
    listed = run_here(["tools", "list", "--profile", "sums"]).stdout.decode()
    assert [line.split("\t")[:4] for line in listed.splitlines()] == [
        ["calculate", "read", "built in", "asked"]
    ]
    call = ["tools", "call", "calculate", '{"expression": "1"}']
    assert run_here(call).stdout == b"1\n"
    assert run_here([*call, "--profile", "sums"]).status == 6


def test_a_mistake_is_one_clear_line() -> None:
    done = run_here(["tools", "show", "claculate"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr == "error: there is no tool 'claculate'\ndid you mean 'calculate'?\n"
    asked = run_here(["tools", "list", "--json", "--tool", "grpe"])
    assert (asked.status, json.loads(asked.stdout.splitlines()[-1])["code"]) == (2, "usage")

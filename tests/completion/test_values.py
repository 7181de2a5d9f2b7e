"""Claimed: what is offered for a parameter is what it takes, and nothing of it drives a terminal.

Whole command lines are completed in `tests/cli/test_completing.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatstream.bench.saved import ENDING
from chatstream.bench.session import results_folder
from chatstream.cli import ask, bench, compare, configure, history, replay, resume, tools
from chatstream.completion.shells import SCRIPTS
from chatstream.completion.values import VALUES, Line, candidates, description
from chatstream.engine.settings import FIELDS
from chatstream.store.conversation import Conversations
from chatstream.store.place import state_folder
from tests.support.roles import write_role
from tests.support.runs import failed, run_id, write_run

EVIL = "\x1b]0;evil\x07 \x9b31m"


def offered(name: str, begun: str = "", command: str = "ask", **given: Any) -> list[str]:
    return [value for value, _ in candidates(name, Line(command, given, begun)) or ()]


def test_nothing_is_known_about_a_parameter_that_is_no_setting() -> None:
    assert candidates("prompt", Line("ask", {}, "")) is None


def test_every_entry_belongs_to_a_parameter_of_a_command() -> None:
    commands: list[Callable[..., int]] = [ask.ask, bench.bench, resume.resume, replay.replay]
    commands.append(compare.compare)
    commands += [history.show, history.export, configure.set_value, tools.show]
    taken = {name for it in commands for name in inspect.signature(it).parameters}
    assert VALUES.keys() - taken - FIELDS.keys() == {"show_completion", "install_completion"}


def test_a_setting_with_a_few_values_offers_them() -> None:
    assert offered("color") == ["auto", "always", "never"]
    assert offered("accessible") == ["true", "false"]
    assert candidates("timeout", Line("ask", {}, "")) is None


def test_the_values_of_config_set_are_those_of_its_setting() -> None:
    assert offered("value", command="set", setting="notify") == ["none", "bell", "osc9"]
    assert "demo" in offered("value", command="set", setting="provider")
    assert offered("value", command="set", setting="timeout") == []
    assert offered("value", command="set") == []


def test_every_setting_and_the_profile_have_a_name() -> None:
    assert offered("setting", command="get") == [*FIELDS, "profile"]


def test_runs_are_those_that_the_command_can_use() -> None:
    write_run(state_folder(), run_id(1), "whole")
    write_run(state_folder(), run_id(2), "half", end=failed())
    assert offered("run", command="show") == [run_id(2), run_id(1)]
    assert offered("run", command="resume") == [run_id(2)]
    assert offered("at", run_id(1)[:-2]) == [run_id(1)]
    assert offered("tools_from", run_id(1)[:-2]) == [run_id(1)]


def test_built_in_tools_are_offered_behind_a_comma_too() -> None:
    assert offered("tools")[:2] == ["read_file", "list"]
    assert offered("allow", "time,re")[0] == "time,read_file"


def test_conversations_are_offered_by_name_with_their_first_question() -> None:
    for number in (1, 2, 3):
        write_run(state_folder(), run_id(number), "text", question=f"question {number}")
    for number, name in ((1, "old"), (2, "new")):
        Conversations(state_folder()).name(run_id(number), name)
    known = list(candidates("name", Line("ask", {}, "")) or ())
    assert known == [("new", "question 2"), ("old", "question 1")]


def test_saved_results_and_shells_are_offered() -> None:
    results_folder().mkdir(parents=True)
    (results_folder() / f"before{ENDING}").touch()
    assert offered("baseline", command="bench") == ["before"]
    assert offered("show_completion") == list(SCRIPTS)


@pytest.mark.parametrize("text", ["a\nb\tc", EVIL * 99, "日本語 " * 99, ""])
def test_a_description_is_one_short_line_without_control_characters(text: str) -> None:
    line = description(text)
    assert len(line) <= 60
    assert line.isprintable()


def test_a_server_is_described_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    path.write_text(
        '[mcp]\na = {url = "https://box/mcp?key=hush-hush"}\nb = {command = "uvx mcp-server-git"}\n'
    )
    told = dict(candidates("mcp_servers", Line("ask", {}, "")) or ())
    assert told["b"] == "uvx mcp-server-git"
    assert told["a"].startswith("https://box/mcp")
    assert "hush-hush" not in str(told)


def test_roles_that_can_be_used_and_their_variables_are_offered() -> None:
    write_role("fix", "Fix {{input}}.\nIn {{language}}, {{tone}}.")
    write_role("kind", f"Be kind. {EVIL}")
    write_role("broken", "+++\n")
    roles = list(candidates("role", Line("ask", {}, "")) or ())
    assert [name for name, _ in roles] == ["fix", "kind"]
    assert description(roles[0][1]) == "Fix {{input}}. In {{language}}, {{tone}}."
    assert "\x1b" not in description(roles[1][1])
    assert offered("var") == []
    assert offered("var", role="fix") == ["language=", "tone="]
    assert offered("var", role="fix", var=["tone=x"]) == ["language="]

"""Claimed: a run has the tools that were asked for and no others, and no option is let by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.engine.resolve import Resolved, resolve
from chatstream.engine.settings import FIELDS
from chatstream.engine.tooling import (
    Given,
    Tooling,
    check_needless,
    tooling_of,
)
from chatstream.errors import ConfigError, UsageError
from chatstream.events import ToolCall
from chatstream.flow import events_in
from chatstream.messages import ToolDefinition
from chatstream.store.place import state_folder
from chatstream.tools.calls import Pending
from tests.support.client import run_here
from tests.support.processes import write_program


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def resolved(**flags: Any) -> Resolved:
    return resolve({"provider": "demo", **flags})


def made(given: Given | None = None, **flags: Any) -> Tooling:
    """The tooling of a run with these settings, closed."""
    tooling = tooling_of(resolved(**flags), given or Given())
    assert tooling is not None
    tooling.close()
    return tooling


def names(tooling: Tooling) -> list[str]:
    return [it.name for it in tooling.definitions]


# ---- no tools


@pytest.mark.parametrize(
    "code",
    [
        "from chatstream.cli.app import main; main(['ask', '-p', 'demo', '-m', 'demo-fast', 'hi'])",
        "import chatstream; chatstream.ask('hi', provider='demo', model='demo-fast')",
    ],
    ids=["ask", "library"],
)
def test_a_run_without_tools_imports_none_of_their_room(code: str) -> None:
    script = (
        f"import sys; {code}; print([it for it in sys.modules if it[:16] == 'chatstream.tools'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == b"[]"


@pytest.mark.parametrize("flags", [{}, {"allow": ["x"]}, {"max_rounds": 3}], ids=str)
def test_rules_and_limits_alone_are_no_tools(flags: dict[str, Any]) -> None:
    assert tooling_of(resolved(**flags), Given(approve=bool, execute=str)) is None


OPTIONS = ["tools_file", "allow", "ask", "deny", "root", "max_rounds", "max_calls"]
OPTIONS += ["token_budget", "tool_timeout"]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_needs_tools_says_so(name: str) -> None:
    with pytest.raises(UsageError, match=f"{FIELDS[name].option} needs tools"):
        check_needless({name: ["x"]}, Given(), resumed=False)
    check_needless({name: None, "model": "m"}, Given(), resumed=False)


def test_a_dry_run_needs_tools_too() -> None:
    with pytest.raises(UsageError, match="--dry-run needs tools") as caught:
        check_needless({}, Given(dry_run=True), resumed=False)
    assert "--tool" in str(caught.value.hint)


# ---- which tools


def test_the_tools_are_the_built_in_ones_those_of_the_file_and_the_callers(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text('def greet(name: str) -> str:\n    """Greet."""\n    return name\n')
    tooling = made(Given(tools=[add]), tools=["read_file"], tools_file=str(file))
    assert names(tooling) == ["read_file", "greet", "add"]


def test_two_tools_of_one_name_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="add"):
        made(Given(tools=[add, add]))


def test_a_tool_that_there_is_not_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="read_flie") as caught:
        made(tools=["read_flie"])
    assert "read_file" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["allow", "ask", "deny"])
def test_an_option_must_not_name_a_tool_that_the_run_does_not_have(name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name} names 'grpe'") as caught:
        made(None, **{"tools": ["grep"], name: ["grpe"]})
    assert caught.value.hint == "did you mean 'grep'?"


def test_a_rule_of_the_configuration_may_be_about_tools_of_other_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('deny = ["other"]\n')
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(file))
    assert names(made(tools=["grep"])) == ["grep"]


def test_tools_of_the_server_and_of_chatstream_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"the option tools=… cannot be sent together with"):
        made(tools=["grep"], options={"tools": []})


def test_no_built_in_tool_reads_our_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "named.toml"
    config.write_text('api_key = "a secret"\n')
    (tmp_path / "state" / "chatstream").mkdir(parents=True)
    (tmp_path / "state" / "chatstream" / "notes").write_text("a secret")
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    tooling = tooling_of(resolved(tools=["read_file", "grep"]), Given())
    assert tooling is not None
    calls = [
        ToolCall("c1", "read_file", '{"path": "named.toml"}'),
        ToolCall("c2", "read_file", '{"path": "state/chatstream/notes"}'),
        ToolCall("c3", "grep", '{"pattern": "secret"}'),
    ]
    fates = list(events_in(tooling.runner.run([Pending(it) for it in calls], CancelToken())))
    tooling.close()
    assert {it.id for it in fates if isinstance(it, ev.ToolComplete | ev.ToolError)} == {
        *("c1", "c2", "c3")
    }
    assert "a secret" not in repr(fates)


# ---- what is kept


def test_the_journal_keeps_what_brings_the_tools_back_and_never_what_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text('def greet() -> str:\n    """Greet."""\n    return "hi"\n')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    tooling = made(
        tools=["read_file"],
        tools_file="own.py",
        root=["below"],
        allow=["greet"],
        deny=["read_file"],
        max_rounds=3,
    )
    assert tooling.kept == {
        "tools": ["read_file"],
        "tools_file": str(tmp_path / "own.py"),
        "root": [str(tmp_path / "below")],
        "deny": ["read_file"],
        "max_rounds": 3,
    }


@pytest.mark.parametrize("sandbox", ["auto", "bwrap", "landlock", "off"])
def test_a_sandbox_is_kept_and_that_there_is_none_is_not(sandbox: str) -> None:
    kept = made(tools=["read_file"], sandbox=sandbox).kept.get("sandbox")
    assert kept == (sandbox if sandbox in {"bwrap", "landlock"} else None)


def test_the_current_folder_is_the_root_and_kept_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert made(tools=["read_file"]).kept["root"] == [str(tmp_path)]


def test_what_is_kept_are_settings_by_their_names() -> None:
    kept = made(tools=["grep"], max_calls=5, token_budget=9, tool_timeout=0, ask=["grep"]).kept
    assert kept.keys() <= FIELDS.keys()
    assert resolve(kept).settings.tool_timeout == 0


def test_the_limits_are_those_of_the_settings() -> None:
    limits = made(tools=["grep"], max_rounds=2, max_calls=3, token_budget=4).limits
    assert (limits.rounds, limits.calls, limits.tokens) == (2, 3, 4)


def flood() -> str:
    """Write more than a model is given."""
    return "a line of words\n" * 10_000


def long_outputs() -> dict[str, str]:
    """The files of long outputs, each with its run."""
    found = (state_folder() / "outputs").rglob("*.txt")
    return {it.parent.name: it.read_text() for it in found}


def test_a_long_output_is_kept_under_the_id_of_its_run() -> None:
    opening, *events = chatstream.stream("hi", provider="demo", model="demo-fast", tools=[flood])
    assert isinstance(opening, ev.Metadata)
    assert long_outputs() == {opening.run: flood()}
    (end,) = (it for it in events if isinstance(it, ev.ToolComplete))
    assert f"outputs/{opening.run}/" in end.result


def test_a_run_without_a_journal_keeps_no_output() -> None:
    options: dict[str, Any] = {"provider": "demo", "model": "demo-fast", "journal": False}
    assert chatstream.ask("hi", **options, tools=[flood]).complete
    assert long_outputs() == {}


# ---- execute


def test_every_call_can_be_handed_to_the_caller() -> None:
    calls: list[ToolCall] = []
    weather = ToolDefinition("weather", "Tell the weather.", {"type": "object"})
    given = Given(tools=[weather, add], execute=calls.append)
    assert names(made(given, tools=["grep"])) == ["grep", "add", "weather"]


def test_a_definition_alone_is_no_tool() -> None:
    weather = {"name": "weather", "description": "Tell the weather.", "parameters": {}}
    with pytest.raises((UsageError, ConfigError)):
        made(Given(tools=[weather]))


# ---- programs


DESCRIBING = """#!/bin/sh
echo '{"name": "own", "description": "Do it."}'
"""


def test_an_executable_is_a_tool_whose_place_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "own", DESCRIBING)
    monkeypatch.chdir(tmp_path)
    tooling = made(tool_exec=["./own"], sandbox="off", http_hosts=["a"], allow=["own"])
    assert names(tooling) == ["own"]
    assert tooling.kept["tool_exec"] == [str(tmp_path / "own")]
    assert not {"sandbox", "http_hosts", "allow"} & tooling.kept.keys()  # they allow something


def test_a_sandbox_that_was_asked_for_is_kept() -> None:
    assert made(tools=["time"], sandbox="bwrap").kept["sandbox"] == "bwrap"
    for kind in ("auto", "off"):
        assert "sandbox" not in made(tools=["time"], sandbox=kind).kept


def test_what_the_sandbox_does_not_hold_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").touch()
    monkeypatch.setattr("chatstream.tools.landlock.version", lambda: 6)
    told = made(tools=["shell"], sandbox="landlock", root=[str(tmp_path)]).warnings
    assert told == [f"Landlock cannot hide what is in a root: programs can read {tmp_path}/.env"]
    assert made(tools=["time"]).warnings == ()


def test_a_warning_about_the_sandbox_is_an_event_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("chatstream.tools.landlock.version", lambda: 0)
    done = run_here(
        ["ask", "--json", "-p", "demo", "-m", "demo-fast", "--no-journal", "--tool", "shell", "hi"]
    )
    warned = [it.message for it in done.events if isinstance(it, ev.Warn)]
    assert "without a sandbox" in warned[0]


def test_executables_and_a_run_whose_results_are_taken_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tool-exec and --tools-from exclude each other"):
        tooling_of(
            resolve({"provider": "demo", "tool_exec": ["x"]}), Given(tools_from="20260101-0000")
        )

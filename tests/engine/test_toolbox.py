"""Claimed: a call without a model is decided about and run as in a run, and says how it ended."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.resolve import Resolved, resolve
from chatstream.engine.toolbox import called, check_tools, described, rest_of, status_of
from chatstream.errors import ApprovalNeeded, UsageError
from chatstream.messages import NO_OUTPUT
from chatstream.tools import landlock
from chatstream.tools.builtin import BUILT_IN
from chatstream.tools.output import MODEL_BYTES
from tests.support.handmade import ends, told

FILE = '''
def work(n: int = 1) -> str:
    """Work."""
    print("working")
    return f"worked {n}"
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return str(path)


def resolved(**flags: Any) -> Resolved:
    return resolve(flags)


def call(name: str, arguments: str = "{}", **flags: Any) -> list[ev.Event]:
    control = Control(can_answer=False)
    return told(called(resolved(**flags), name, arguments, CancelToken(), control))


def names(**flags: Any) -> list[str]:
    return [it.definition.name for it in described(resolved(**flags), CancelToken())]


def test_without_a_name_all_built_in_tools_are_described() -> None:
    assert set(BUILT_IN) <= set(names())


def test_tools_that_are_named_are_described_alone(file: str) -> None:
    assert names(tools=["time"]) == ["time"]
    assert names(tools=["time"], tools_file=file) == ["time", "work"]
    assert names(tools_file=file) == ["work"]


def test_a_description_says_what_a_tool_is_and_what_becomes_of_its_calls(file: str) -> None:
    (work,) = described(resolved(tools_file=file, deny=["w*"]), CancelToken(), "work")
    assert (work.definition.name, work.definition.description) == ("work", "Work.")
    assert (work.effect, work.origin, work.approval) == ("write", "file", "denied")
    (time,) = described(resolved(tools_file=file), CancelToken(), "time")
    assert (time.effect, time.origin, time.approval) == ("read", "built in", "allowed")


def test_a_built_in_tool_is_there_as_soon_as_it_is_named() -> None:
    (end,) = ends(call("calculate", '{"expression": "6 * 7"}'))
    assert isinstance(end, ev.ToolComplete)
    assert end.result == "42"


def test_a_tool_that_there_is_not_is_a_usage_error(file: str) -> None:
    for use in (lambda: call("wrok", tools_file=file), lambda: _describe("wrok", file)):
        with pytest.raises(UsageError, match="there is no tool 'wrok'") as caught:
            use()
        assert caught.value.hint == "did you mean 'work'?"


def _describe(name: str, file: str) -> None:
    described(resolved(tools_file=file), CancelToken(), name)


@pytest.mark.parametrize(
    ("flags", "outcome"),
    [({}, "denied"), ({"allow": ["work"]}, "ok"), ({"allow": ["*"], "deny": ["work"]}, "denied")],
    ids=str,
)
def test_the_policy_is_that_of_a_run(flags: dict[str, Any], outcome: str, file: str) -> None:
    (end,) = ends(call("work", tools_file=file, **flags))
    assert end.outcome == outcome


def test_an_approval_that_nobody_can_give_is_an_error_where_that_is_wanted(file: str) -> None:
    with pytest.raises(ApprovalNeeded, match="work needs approval"):
        call("work", tools_file=file, on_ask="stop")


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
def test_what_the_sandbox_does_not_hold_is_told_before_a_call(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    flags: dict[str, Any] = {"sandbox": "landlock", "root": [str(tmp_path)], "allow": ["shell"]}
    first, *_ = call("shell", '{"command": "true"}', **flags)
    assert isinstance(first, ev.Warn)
    assert ".env" in first.message


def test_a_rule_must_name_a_tool_that_there_is(file: str) -> None:
    with pytest.raises(UsageError, match="--allow names 'other'"):
        call("work", tools_file=file, allow=["other"])


def test_a_reader_that_leaves_ends_the_process_of_the_tools(file: str) -> None:
    arrivals = called(resolved(tools_file=file), "work", "{}", CancelToken(), Control())
    next(arrivals)
    del arrivals
    gc.collect()  # a process that was left would be an unraisable warning, which fails the test


def complete(result: str, status: int | None = None) -> ev.ToolComplete:
    return ev.ToolComplete("1", "f", result, 0.1, exit_status=status)


def failed(code: str) -> ev.ToolError:
    return ev.ToolError("1", "f", "it failed", 0.1, code=code)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (complete("x"), 0),
        (complete("x", 0), 0),
        (complete("x", 3), 3),
        (complete("x", -9), 137),
        (failed("invalid_json"), 2),
        (failed("invalid_arguments"), 2),
        (failed("timeout"), 4),
        (failed("raised"), 1),
        (failed("denied"), 1),
    ],
)
def test_the_exit_status_is_that_of_the_tool(
    end: ev.ToolComplete | ev.ToolError, status: int
) -> None:
    assert status_of(end) == status


@pytest.mark.parametrize(
    ("shown", "result", "rest"),
    [
        ("", "all of it", "all of it"),
        ("", NO_OUTPUT, ""),
        ("working\n", "working\nworked", "worked"),
        ("working", "working\nworked", "\nworked"),
        ("working\n", "working\n", ""),
        ("x\n" * MODEL_BYTES, "x\n[… 3 lines left out]\nx\n", ""),
    ],
    ids=range(6),
)
def test_what_was_shown_is_not_said_again(shown: str, result: str, rest: str) -> None:
    assert rest_of(complete(result), shown) == rest


def test_a_name_of_no_tool_is_a_mistake() -> None:
    check_tools(["time", "shell"])
    with pytest.raises(UsageError) as caught:
        check_tools(["time", "shel"])
    assert caught.value.hint == "did you mean 'shell'?"

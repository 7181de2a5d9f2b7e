"""`shell`: a command in the first root, in the sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatstream.tools.builtin.shells import Shell
from chatstream.tools.sandbox import Kind, Reach, Sandbox, sandbox
from chatstream.tools.spawning import Keeper
from chatstream.tools.tool import InvalidArguments, Returned
from tests.support.toolcalls import Said

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs process groups")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with closing(Keeper()) as keeper:
        yield Shell(keeper, sandbox("off", [tmp_path], keeper.scratch))


def ran(shell: Shell, **arguments: object) -> tuple[str, object]:
    said = Said()
    shell.check(arguments)
    return said.text, shell.run(arguments, said.context)


def test_a_command_may_be_anything_that_a_shell_understands(shell: Shell, tmp_path: Path) -> None:
    said = Said()
    command = "for i in 1 2; do echo $i; done | tac > out; cat out; pwd; false"
    assert shell.run({"command": command}, said.context) == Returned("[exit status 1]\n", 1)
    assert said.text == f"2\n1\n{os.path.realpath(tmp_path)}\n"


def test_a_terminal_is_given_on_request(shell: Shell) -> None:
    command = "test -t 1"
    assert ran(shell, command=command)[1] == Returned("[exit status 1]\n", 1)
    assert ran(shell, command=command, terminal=True)[1] == Returned("", 0)


@pytest.mark.parametrize("arguments", [{}, {"command": ""}, {"command": 1}, {"cmd": "ls"}])
def test_what_is_not_a_command_is_refused(shell: Shell, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArguments):
        shell.check(arguments)


def test_it_runs_programs_and_is_asked_about(shell: Shell) -> None:
    assert (shell.effect, shell.confined, shell.origin) == ("run", False, "built in")


@pytest.mark.parametrize(
    ("kind", "reach", "told"),
    [
        ("bwrap", "nothing", "the project, and has no network."),
        ("landlock", "all but TCP", "the project, and cannot connect over TCP."),
        ("landlock", "everything", "the project."),
    ],
)
def test_the_model_is_told_what_the_sandbox_holds(
    kind: Kind, reach: Reach, told: str, tmp_path: Path
) -> None:
    around = Sandbox(kind=kind, roots=[str(tmp_path)], scratch=str(tmp_path), reach=reach)
    with closing(Keeper()) as keeper:
        assert Shell(keeper, around).definition.description.endswith(told)


def test_the_model_is_told_of_no_sandbox_where_there_is_none(shell: Shell) -> None:
    assert "network" not in shell.definition.description
    assert "sees" not in shell.definition.description

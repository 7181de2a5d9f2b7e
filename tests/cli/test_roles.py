"""Claimed: the commands of `roles` are fit for programs, and a mistake is one clear line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from chatstream.engine.roles import folder
from tests.support.client import run_here
from tests.support.roles import write_role


def test_the_roles_as_json_are_one_object_a_line() -> None:
    path = write_role("fix", "+++\nmodel = 'm'\n+++\nFix {{input}} in {{language}}.")
    done = run_here(["roles", "list", "--json"])
    assert (done.status, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "name": "fix",
        "path": str(path),
        "model": "m",
        "variables": ["language"],
        "prompt": "Fix {{input}} in {{language}}.",
        "takes_question": True,
    }


def test_the_path_of_a_role_is_known_before_it_is_there() -> None:
    assert run_here(["roles", "path"]).stdout.decode() == f"{folder()}\n"
    assert run_here(["roles", "path", "new"]).stdout.decode() == f"{folder()}/new.md\n"


@pytest.mark.parametrize("command", ["show", "edit", "path"])
@pytest.mark.parametrize("name", ["../config", "", "out", "pipe", "dir"])
def test_what_is_no_role_is_one_clear_line(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "touch edited; true")
    monkeypatch.chdir(tmp_path)
    folder().mkdir(parents=True)
    (tmp_path / "secret").write_text("key")
    (folder() / "out.md").symlink_to(tmp_path / "secret")
    (folder() / "dir.md").mkdir()
    os.mkfifo(folder() / "pipe.md")
    done = run_here(["roles", command, name])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") <= 2
    assert not (tmp_path / "edited").exists()


def test_a_name_that_is_nearly_right_gets_a_suggestion() -> None:
    write_role("translate", "hi")
    done = run_here(["roles", "show", "translte"])
    assert (done.status, done.stderr) == (
        2,
        "error: unknown role 'translte'\ndid you mean 'translate'?\n",
    )

"""Claimed: the files of a project are found from its root to the current folder, and nothing else
is ever read for them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from chatstream.engine import context_files as room
from chatstream.engine.context_files import MOST_BYTES, NAME, added, found
from chatstream.engine.resolve import resolve
from chatstream.errors import UsageError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with the folders a/b in it."""
    (tmp_path / "home/project/a/b").mkdir(parents=True)
    (tmp_path / "home/project/.git").mkdir()
    return tmp_path / "home/project"


def write(folder: Path, text: str) -> None:
    (folder / NAME).write_text(text)


def names(start: Path, home: Path | None = None) -> list[str]:
    return [it.name for it in found(start, home)]


def refused(start: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        found(start, None)
    assert "\n" not in caught.value.message
    return caught.value


def test_they_are_found_up_to_the_root_and_come_outermost_first(project: Path) -> None:
    for folder in (project.parent, project, project / "a/b"):
        write(folder, f"of {folder.name}")
    files = found(project / "a/b", project.parent)
    assert [(it.name, it.text) for it in files] == [
        (NAME, "of project"),
        (f"a/b/{NAME}", "of b"),
    ]
    assert names(project / "a") == [NAME]


def test_a_worktree_has_a_root_too(project: Path) -> None:
    (project / "a/.git").write_text("gitdir: elsewhere\n")
    for folder in (project, project / "a"):
        write(folder, "x")
    assert [it.path for it in found(project / "a/b", None)] == [project / "a" / NAME]


def test_without_a_repository_the_home_folder_is_the_outermost(tmp_path: Path) -> None:
    inner = tmp_path / "home/x/y"
    inner.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "home", inner):
        write(folder, "x")
    assert names(inner, tmp_path / "home") == [NAME, f"x/y/{NAME}"]


def test_in_neither_the_current_folder_is_looked_at_alone(tmp_path: Path) -> None:
    inner = tmp_path / "x"
    inner.mkdir()
    write(tmp_path, "somebody else's")
    assert names(inner, tmp_path / "home") == []
    write(inner, "x")
    assert names(inner, None) == [NAME]


def test_an_empty_one_is_left_out(project: Path) -> None:
    write(project, " \n\n")
    write(project / "a", "x")
    assert names(project / "a") == [f"a/{NAME}"]


def test_a_link_within_the_project_is_followed(project: Path) -> None:
    (project / "CLAUDE.md").write_text("the rules")
    (project / "a" / NAME).symlink_to("../CLAUDE.md")
    (file,) = found(project / "a", None)
    assert (file.name, file.text) == (f"a/{NAME}", "the rules")


def test_a_link_that_leads_out_is_refused(project: Path) -> None:
    secret = project.parent / "secret"
    secret.write_text("key")
    (project / NAME).symlink_to(secret)
    error = refused(project / "a")
    assert error.message == f"{project / NAME} is a link that leads out of {project}: {secret}"
    (project / "a" / NAME).symlink_to(project.parent / "nowhere")
    assert "leads out of" in refused(project / "a").message


def test_a_folder_that_is_a_link_is_looked_at_where_it_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = project.parent / "other"
    other.mkdir()
    for folder in (project, other):
        write(folder, "x")
    (project / "link").symlink_to(other)
    monkeypatch.chdir(project / "link")
    assert added(resolve({})).context == (other / NAME,)


@pytest.mark.parametrize("name", [".env", ".git/config", "key"])
def test_a_link_leads_to_no_secret_of_the_project(name: str, project: Path) -> None:
    (project / name).write_text("token = 5\n")
    (project / NAME).symlink_to(name)
    assert "is a link that leads to a file that is not Markdown" in refused(project).message


def test_without_a_repository_a_link_stays_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (tmp_path / "notes.md").write_text("private")
    (folder / NAME).symlink_to("../notes.md")
    with pytest.raises(UsageError, match="leads out of"):
        found(folder, tmp_path)
    (tmp_path / NAME).symlink_to("notes.md")
    assert names(tmp_path, tmp_path) == [NAME]


def nowhere(path: Path) -> None:
    path.symlink_to("nothing.md")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, "is a folder"),
        (os.mkfifo, "is not a file"),
        (nowhere, "is a link that leads nowhere"),
        (lambda it: it.write_bytes(b"caf\xe9"), "is not UTF-8 text"),
        (lambda it: it.write_bytes(b"x" * (MOST_BYTES + 1)), "cannot be read: File too large"),
    ],
    ids=["folder", "pipe", "broken link", "no text", "large"],
)
def test_one_that_cannot_be_used_is_an_error(make: Any, message: str, project: Path) -> None:
    make(project / NAME)
    error = refused(project / "a")
    assert error.message.startswith(f"{project / NAME} {message}")
    assert "--no-context-files" in (error.hint or "")


def test_one_that_may_not_be_read_is_an_error(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")  # root may read everything

    write(project, "x")
    monkeypatch.setattr(room, "read_whole", refuse)
    assert "cannot be read: Permission denied" in refused(project).message


def test_they_follow_the_system_prompt(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "Use tabs.\n")
    write(project / "a", "Use spaces.")
    monkeypatch.chdir(project / "a")
    made = added(resolve({"system": "Be brief."}))
    assert made.context == (project / NAME, project / "a" / NAME)
    assert made.settings.system == (
        "Be brief.\n\nInstructions from AGENTS.md:\n\nUse tabs.\n\n"
        "Instructions from a/AGENTS.md, which take precedence over those above:\n\nUse spaces."
    )
    assert (added(resolve({})).settings.system or "").startswith("Instructions from AGENTS.md:")


def test_without_any_the_system_prompt_is_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    for system in (None, "", "Be brief."):
        made = added(resolve({"system": system}))
        assert (made.settings.system, made.context) == (system, ())

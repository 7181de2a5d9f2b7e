"""Claimed: a broken role hides no other, none drives a terminal, and an edited one is checked."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chatstream.engine.roles import find, folder, parsed
from chatstream.terminal import editing
from chatstream.terminal.roles import EXAMPLE, edit_role, list_roles, show_role
from tests.support.roles import write_role


def test_a_role_that_cannot_be_used_hides_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    write_role("a", "Be kind.\n\nAnd {{how}}.")
    write_role("b", "+++\nmodel = 'm'\n+++\nFix {{input}} in {{language}}.")
    write_role("c", "+++\nmodle = 'm'\n+++\n")
    write_role("d", b"\xff")
    (folder() / "e.md").mkdir()
    assert list_roles(as_json=False) == 2
    shown = capfd.readouterr()
    assert shown.out == "a\t\thow\tBe kind.\nb\tm\tlanguage\tFix {{input}} in {{language}}.\n"
    assert [it for it in shown.err.splitlines() if it.startswith("error: ")] == [
        f"error: role c in {folder()}/c.md, line 2: unknown setting 'modle'",
        f"error: {folder()}/d.md, line 1: not valid UTF-8",
        f"error: role e: {folder()}/e.md is a folder",
    ]


def test_without_roles_the_way_to_one_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert list_roles(as_json=True) == 0
    assert capfd.readouterr() == (
        "",
        "there are no roles yet; `chatstream roles edit NAME` creates one\n",
    )


def test_a_role_is_shown_as_it_is_written_without_what_drives_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_role("a", "+++\nretries = 1\n+++\nBe {{how}}.\x1b[2J")
    assert show_role("a") == 0
    out = capfd.readouterr().out
    assert out.startswith("+++\nretries = 1\n+++\nBe {{how}}.")
    assert out.endswith("\n")
    assert "\x1b" not in out


def test_all_mistakes_of_a_role_that_is_shown_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    write_role("a", "+++\nretries = 'x'\ntheme = 'y'\n+++\n")
    assert show_role("a") == 2
    assert capfd.readouterr().err.count("error: ") == 2


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An editor that writes this text."""
    (tmp_path / "text").write_text(text)
    monkeypatch.setenv("VISUAL", f"cp {tmp_path}/text")


def test_a_new_role_begins_with_an_example_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VISUAL", "true")
    assert edit_role("new") == 0
    path = folder() / "new.md"
    assert path.read_text() == EXAMPLE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find("new").settings == {"system": "Answer in one short paragraph."}
    bare = EXAMPLE.replace("# model", "model").replace("# temp", "temp").replace("# tools", "tools")
    assert parsed("new", path, bare.encode()).settings.keys() == {
        *("model", "temperature", "tools", "system")
    }


def test_an_editor_that_fails_leaves_no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "false")
    assert edit_role("new") == 1
    assert list(folder().iterdir()) == []


def test_a_role_is_checked_after_it_was_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    editor(tmp_path, monkeypatch, "+++\nallow = ['shell']\n+++\n")
    assert edit_role("a") == 2
    told = capfd.readouterr().err
    assert "line 2: a role cannot set allow: it cannot grant rights" in told
    assert "`chatstream roles edit a` opens it again" in told


def test_a_person_gets_the_role_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_role("a", "Be kind.")
    editor(tmp_path, monkeypatch, "+++\n")
    monkeypatch.setattr(editing, "_is_person", lambda: True)
    monkeypatch.setattr(editing, "_line", lambda: "r\n")
    assert edit_role("a") == 2
    assert path.read_text() == "Be kind."

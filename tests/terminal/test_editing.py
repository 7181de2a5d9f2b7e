"""Claimed: `config edit` opens the user's editor, checks what it left, and loses nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from chatstream.engine.config_file import parsed
from chatstream.engine.resolve import mistakes
from chatstream.terminal import editing
from tests.support.client import Finished, run_here


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "new folder" / "config.toml"
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    monkeypatch.delenv("VISUAL", raising=False)
    return path


@pytest.fixture
def writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that writes the next of some texts each time, and leaves one without texts."""
    monkeypatch.setenv("EDITOR", f"{tmp_path}/editor --wait")
    (tmp_path / "editor").write_text(
        '#!/bin/sh\n[ "$1" = --wait ] || exit 9\ncd "$(dirname "$0")"\n'
        'for text in text*; do [ -e "$text" ] && mv "$text" /tmp/$$ && cat /tmp/$$ > "$2" '
        "&& rm /tmp/$$; exit 0; done\n".replace("/tmp/$$", "current")
    )
    (tmp_path / "editor").chmod(0o755)


def edit(tmp_path: Path, *texts: str) -> Finished:
    for number, text in enumerate(texts):
        (tmp_path / f"text{number}").write_text(text)
    return run_here(["config", "edit"])


def answers(monkeypatch: pytest.MonkeyPatch, *choices: str) -> None:
    """A person at a terminal, who gives these answers."""
    given = iter(choices)
    monkeypatch.setattr(editing, "_is_person", lambda: True)
    monkeypatch.setattr(editing, "_line", lambda: next(given, ""))


@pytest.mark.usefixtures("writes")
def test_a_file_that_is_missing_is_made_of_examples(path: Path, tmp_path: Path) -> None:
    done = edit(tmp_path)
    assert (done.status, done.stderr) == (0, "")
    assert path.read_text() == editing.EXAMPLES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_examples_are_comments_and_good_without_their_marks() -> None:
    assert parsed(Path("/c"), editing.EXAMPLES.encode()).content == {}
    lines = [line.removeprefix("# ") for line in editing.EXAMPLES.splitlines()]
    bare = "\n".join(line for line in lines if line.startswith("[") or " = " in line[:40])
    bare = bare.replace('Used with --profile work, or always with profile = "work" above.', "")
    file = parsed(Path("/c"), bare.encode())
    assert {"model", "profiles", "strategies", "options"} <= set(file.content)
    assert mistakes(file) == []


@pytest.mark.usefixtures("writes")
def test_a_good_file_is_taken_as_it_is(path: Path, tmp_path: Path) -> None:
    assert edit(tmp_path, 'model = "m"').status == 0
    assert path.read_text() == 'model = "m"'


@pytest.mark.usefixtures("writes")
def test_without_a_person_what_is_wrong_is_reported_and_stays(path: Path, tmp_path: Path) -> None:
    done = edit(tmp_path, 'theme = "drak"\nmodle = "m"\n')
    assert done.status == 2
    assert f'{path}, line 1: theme takes auto, dark or light, not "drak"' in done.stderr
    assert f"{path}, line 2: unknown setting 'modle'" in done.stderr
    assert path.read_text().startswith("theme")


@pytest.mark.usefixtures("writes")
def test_a_person_edits_again_until_it_is_right(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "what?\n", "e\n", "Edit\n")
    done = edit(tmp_path, "model =", "\ud83d".encode("utf-8", "replace").decode(), 'model = "m"')
    assert done.status == 0
    assert path.read_text() == 'model = "m"'


@pytest.mark.usefixtures("writes")
@pytest.mark.parametrize("choice", ["r\n", "restore\n", "k\n", ""])
def test_a_person_restores_the_file_or_keeps_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    path.parent.mkdir()
    path.write_text("# before\n")
    answers(monkeypatch, choice)
    done = edit(tmp_path, "model =")
    assert done.status == 2
    assert path.read_text() == ("# before\n" if choice.startswith("r") else "model =")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 3; true", "ended with status 3"),
        ("kill -9 $$; true", "was killed by signal 9"),
        ("no-such-editor-here", "the editor 'no-such-editor-here' was not found"),
    ],
)
def test_an_editor_that_fails_is_reported_and_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    monkeypatch.setenv("EDITOR", command)
    done = run_here(["config", "edit"])
    assert (done.status, said in done.stderr) == (1, True)
    assert not path.exists()


def test_a_broken_file_can_be_edited_and_a_folder_cannot(
    path: Path, tmp_path: Path, writes: None
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"model = \xff")
    assert edit(tmp_path, 'model = "m"').status == 0
    path.unlink()
    path.mkdir()
    assert "Is a directory" in edit(tmp_path).stderr


def test_visual_is_preferred_to_editor() -> None:
    assert editing.editor({"VISUAL": "code --wait", "EDITOR": "vim"}) == "code --wait"
    assert editing.editor({"VISUAL": " ", "EDITOR": "vim"}) == "vim"
    assert editing.editor({}) == ("notepad" if os.name == "nt" else "vi")

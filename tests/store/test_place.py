"""Claimed: settings and state are kept where the platform keeps them, and where the user says."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from chatstream.store.place import (
    NoHome,
    config_folder,
    home_folder,
    runs_folder,
    state_folder,
)


def test_the_state_folder_is_that_of_the_desktop_standard(tmp_path: Path) -> None:
    assert state_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "chatstream"


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", ".local/state/chatstream"),
        ("darwin", "Library/Application Support/chatstream"),
    ],
)
def test_without_a_setting_it_is_the_platforms_own(
    platform: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert state_folder({"HOME": "/home/me"}) == Path("/home/me") / folder


def test_the_journals_have_a_folder_of_their_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    assert runs_folder(environ).parent == state_folder(environ)


@pytest.mark.parametrize("given", ["relative", "./here", "~/state", ""])
def test_a_path_that_is_not_absolute_is_ignored(given: str) -> None:
    environ = {"XDG_STATE_HOME": given, "XDG_CONFIG_HOME": given, "HOME": "/home/me"}
    assert state_folder(environ) == Path("/home/me/.local/state/chatstream")
    assert config_folder(environ) == Path("/home/me/.config/chatstream")


@pytest.mark.parametrize("home", ["", "relative", None])
def test_without_a_home_in_the_environment_it_is_that_of_the_password_database(
    home: str | None,
) -> None:
    entry = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert home_folder({} if home is None else {"HOME": home}) == entry


def test_without_any_home_the_failure_names_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for folder, variable in [(state_folder, "XDG_STATE_HOME"), (config_folder, "XDG_CONFIG_HOME")]:
        with pytest.raises(NoHome, match="HOME is not set") as caught:
            folder({})
        assert caught.value.hint == f"set HOME or {variable}"
        assert folder({variable: "/given"}) == Path("/given/chatstream")

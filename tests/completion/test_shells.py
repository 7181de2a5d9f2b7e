"""The completion scripts: printed, and installed without harm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chatstream.completion.shells import SCRIPTS, checked, install, script
from chatstream.errors import ConfigError, UsageError
from tests.support.client import run_here


@pytest.mark.parametrize("shell", SCRIPTS)
@pytest.mark.parametrize("caller", ["/bin/bash", "/usr/bin/fish", ""])
def test_the_script_of_the_shell_that_is_named_is_printed(shell: str, caller: str) -> None:
    done = run_here(["--show-completion", shell], SHELL=caller)
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.decode().strip() == script(shell)


def test_the_script_of_zsh_can_be_a_file_of_its_path() -> None:
    assert script("zsh").startswith("#compdef chatstream\n")


def test_bash_understands_its_script() -> None:
    bash = shutil.which("bash") or pytest.skip("there is no bash here")
    subprocess.run([bash, "-n"], input=script("bash").encode(), check=True)


def test_no_script_evaluates_what_it_is_told() -> None:
    assert not any(word in text for text in SCRIPTS.values() for word in ("eval ", "_arguments"))


@pytest.mark.parametrize("shell", ["tcsh", "powershell", "zhs"])
def test_another_shell_is_a_usage_error(shell: str) -> None:
    with pytest.raises(UsageError, match=f"no completion is available for '{shell}'"):
        checked(shell)


def test_where_no_shell_is_known_one_is_to_be_named() -> None:
    with pytest.raises(UsageError, match="shell is not recognised"):
        checked("")


@pytest.mark.parametrize(
    ("shell", "file", "rc"),
    [
        ("bash", ".bash_completions/chatstream.sh", ".bashrc"),
        ("zsh", ".zfunc/_chatstream", ".zshrc"),
        ("fish", "config/fish/completions/chatstream.fish", None),
    ],
)
def test_installing_twice_adds_once_and_keeps_what_is_there(
    shell: str, file: str, rc: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZDOTDIR", raising=False)
    mine = b"alias ll='ls -l'\n# caf\xe9"  # no line end, and not UTF-8
    if rc:
        (tmp_path / "real").write_bytes(mine)
        (tmp_path / rc).symlink_to("real")
    for _ in range(2):
        done = run_here(["--install-completion", shell])
        assert (done.status, done.stderr) == (0, "")
        assert file in done.stdout.decode()
    assert (tmp_path / file).read_text() == script(shell) + "\n"
    if rc:
        assert (tmp_path / rc).is_symlink()
        begin, added, end = (tmp_path / rc).read_bytes().removeprefix(mine).split(b"\n")
        assert (begin, end) == (b"", b"")
        assert b".bash_completions" in added or b".zfunc" in added


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_home_that_cannot_be_written_is_one_clear_line(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    home = str(tmp_path / "file" / "home")
    done = run_here(["--install-completion", shell], HOME=home, XDG_CONFIG_HOME=f"{home}/config")
    assert (done.status, done.stdout) == (2, b"")
    said, hint = done.stderr.splitlines()
    assert "cannot be written" in said
    assert f"chatstream --show-completion {shell}" in hint


def test_no_home_at_all_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(ConfigError, match="there is no home folder"):
        install("bash")

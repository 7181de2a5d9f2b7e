"""`config`: path, show and set, as a user types them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.client import run, run_here


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "config.toml"
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


def test_path_tells_where_the_file_is(path: Path) -> None:
    assert run_here(["config", "path"]).stdout.decode() == f"{path}\n"


def test_set_makes_the_file_and_show_tells_the_origin(path: Path) -> None:
    assert run_here(["config", "set", "model", "llama3.2"]).status == 0
    assert run_here(["config", "set", "retries", "5", "--profile", "work"]).status == 0
    shown = run_here(["config", "show", "--profile", "work"], CHATSTREAM_SYSTEM="be brief")
    lines = [line.split(maxsplit=2) for line in shown.stdout.decode().splitlines()]
    table = {name: (value, origin.strip()) for name, value, origin in lines if name != "system"}
    assert table["model"] == ("llama3.2", str(path))
    assert table["retries"] == ("5", f"profile work in {path}")
    assert table["provider"] == ("-", "default")


def test_set_keeps_comments_and_layout(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('# mine\nmodel = "a"  # the model\n\n[profiles.x]\nretries = 1\n')
    assert run_here(["config", "set", "model", "b"]).status == 0
    assert path.read_text() == '# mine\nmodel = "b"  # the model\n\n[profiles.x]\nretries = 1\n'


def test_an_empty_value_removes_a_setting(path: Path) -> None:
    run_here(["config", "set", "model", "a"])
    run_here(["config", "set", "model", ""])
    assert "model" not in path.read_text()


def test_a_key_is_masked_and_its_file_is_private(path: Path) -> None:
    run_here(["config", "set", "api_key", "very-secret-key"])
    shown = run_here(["config", "show"], GROQ_API_KEY="other-secret")
    assert b"secret" not in shown.stdout
    assert b"***" in shown.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "arguments", [["retries", "many"], ["modle", "x"], ["no_such", ""]], ids=" ".join
)
def test_what_cannot_be_set_is_told_and_changes_nothing(path: Path, arguments: list[str]) -> None:
    done = run_here(["config", "set", *arguments])
    assert done.status == 2
    assert done.stderr.startswith("error: ")
    assert not path.exists()


def test_a_broken_file_is_told_and_not_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("model =")
    for arguments in (["config", "set", "model", "a"], ["config", "show"]):
        done = run(arguments)
        assert done.status == 2
        assert "not valid TOML" in done.stderr
    assert path.read_text() == "model ="

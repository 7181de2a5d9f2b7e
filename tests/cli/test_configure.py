"""`config`: path, show, get, set and unset, as a user types them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chatstream.engine.kinds import TABLES
from chatstream.engine.settings import FIELDS
from tests.support.client import Running, run, run_here


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


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_get_prints_the_value_that_holds(path: Path) -> None:
    run_here(["config", "set", "model", "m"])
    run_here(["config", "set", "--profile", "work", "model", "other"])
    assert run_here(["config", "get", "model"]).stdout == b"m\n"
    assert run_here(["config", "get", "model", "--profile", "work"]).stdout == b"other\n"
    assert run_here(["config", "get", "model"], CHATSTREAM_MODEL="v").stdout == b"v\n"
    assert run_here(["config", "get", "idle_timeout"]).stdout == b"120\n"
    assert run_here(["config", "get", "journal"]).stdout == b"true\n"
    nothing = run_here(["config", "get", "system"])
    assert (nothing.status, nothing.stdout, nothing.stderr) == (1, b"", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "llama3.2"),
        ("retries", "5"),
        ("timeout", "2.5"),
        ("coalesce", "true"),
        ("fallback", "a,b@demo"),
        ("options.seed", "7"),
        ("options.stop", '["a","b"]'),
        ("strategies.fast", "a,b"),
        ("profile", "work"),
    ],
)
def test_set_takes_what_get_prints_and_unset_removes_it(path: Path, name: str, value: str) -> None:
    path.parent.mkdir()
    path.write_text("# mine\n[profiles.work]\n")
    assert run_here(["config", "set", name, value]).status == 0
    assert run_here(["config", "get", name]).stdout.decode() == f"{value}\n"
    assert run_here(["config", "unset", name]).status == 0
    assert name.rpartition(".")[2] not in text(path).replace("profiles", "")
    assert text(path).startswith("# mine\n")


def test_get_prints_no_secret(path: Path) -> None:
    run_here(["config", "set", "api_key", "very-secret-key"])
    run_here(["config", "set", "options.access_token", "very-secret-token"])
    run_here(["config", "set", "proxy", "http://me:very-secret@host"])
    for name, shown in [
        ("api_key", "***"),
        ("options.access_token", "***"),
        ("proxy", "http://***@host"),
    ]:
        assert run_here(["config", "get", name]).stdout.decode() == f"{shown}\n"
    assert b"very-secret" not in run_here(["config", "get", "options"]).stdout


@pytest.mark.parametrize("command", ["get", "unset"])
def test_what_is_no_setting_is_reported_with_what_it_may_be(path: Path, command: str) -> None:
    done = run_here(["config", command, "modle"])
    assert (done.status, done.stderr) == (
        2,
        "error: unknown setting 'modle'\ndid you mean 'model'?\n",
    )
    assert not path.exists()


def test_unset_removes_what_is_no_setting_and_what_is_in_a_profile(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('modle = "m"\n[profiles.work]\nmodel = "m"\n')
    assert run_here(["config", "unset", "modle"]).status == 0
    assert run_here(["config", "unset", "model", "--profile", "work"]).status == 0
    assert text(path) == "[profiles.work]\n"
    done = run_here(["config", "unset", "model", "--profile", "work"])
    assert (done.status, done.stderr) == (0, f"model is not set in {path}\n")


def test_a_profile_that_is_gone_can_be_replaced_and_removed(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('profile = "gone"\n[profiles.work]\nmodel = "m"\n')
    said = run_here(["config", "show"]).stderr
    assert "unknown profile 'gone'" in said
    assert said.endswith("known profiles: work; `chatstream config unset profile` stops using it\n")
    assert run_here(["config", "set", "profile", "work"]).stderr == ""
    assert run_here(["config", "get", "model"]).stdout == b"m\n"
    for remove in (["set", "profile", ""], ["unset", "profile"]):
        path.write_text('profile = "gone"\n')
        assert run_here(["config", *remove]).status == 0
        assert text(path) == ""


def test_a_profile_that_is_not_there_yet_is_set_with_a_warning(path: Path) -> None:
    done = run_here(["config", "set", "profile", "work"])
    assert done.status == 0
    assert done.stderr.startswith(f"warning: profile 'work' does not exist in {path} yet; ")
    done = run_here(["config", "set", "--profile", "work", "profile", "home"])
    assert (done.status, "cannot name another" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_as_a_whole_is_not_set(path: Path, name: str) -> None:
    done = run_here(["config", "set", name, "x"])
    assert (done.status, f"{name}.KEY" in done.stderr) == (2, True)
    assert not path.exists()


@pytest.mark.parametrize("text", ["profiles = 3\n", "[profiles]\nwork = 3\n", "options = 3\n"])
def test_what_stands_where_a_table_should_is_reported(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    for arguments in (["--profile", "work", "model", "m"], ["options.seed", "1"]):
        done = run_here(["config", "set", *arguments])
        assert done.status in {0, 2}
        assert "bug" not in done.stderr
        assert (done.status == 2) == (path.read_text() == text)
        path.write_text(text)


def test_an_inline_table_takes_settings_too(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("profiles = { work = { retries = 1 } }  # mine\n")
    run_here(["config", "set", "--profile", "work", "options.seed", "7"])
    run_here(["config", "set", "--profile", "home", "model", "m"])
    assert path.read_text() == (
        'profiles = { work = { retries = 1, options = {seed = 7}}, home = {model = "m"}}  # mine\n'
    )


def test_settings_that_several_processes_set_at_once_are_all_kept(path: Path) -> None:
    settings = {"model": "m", "system": "s", "retries": "2", "theme": "dark"}
    clients = [Running(["config", "set", name, value]) for name, value in settings.items()]
    done = [client.finish() for client in clients]
    assert [(it.status, it.stderr) for it in done] == [(0, "")] * len(settings)
    assert {line.partition(" ")[0] for line in text(path).splitlines()} == set(settings)


def test_every_setting_is_shown(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    shown = run_here(["config", "show"]).stdout.decode().splitlines()
    assert {line.split()[0] for line in shown} >= set(FIELDS)


def test_a_variable_that_is_not_ours_is_reported(path: Path) -> None:
    done = run_here(
        ["config", "get", "retries"], CHATSTREAM_RETRYS="1", CHATSTREAM_CONFIG="/dev/null"
    )
    assert (done.status, done.stdout) == (0, b"3\n")
    assert done.stderr == (
        "warning: CHATSTREAM_RETRYS is ignored: it is not a chatstream variable; "
        "did you mean CHATSTREAM_RETRIES?\n"
    )


def test_without_a_home_every_command_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatstream.store.place.home_folder", lambda _: None)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    for arguments in (
        ["config", "path"],
        ["config", "set", "model", "m"],
        ["config", "unset", "model"],
        ["config", "edit"],
        ["history", "list"],
        ["resume"],
        ["replay", "abc"],
    ):
        done = run_here(arguments)
        assert (done.status, "HOME is not set" in done.stderr) == (2, True), (
            arguments,
            done.stderr,
        )
    assert run_here(["config", "get", "retries"]).stdout == b"3\n"
    done = run_here(["ask", "-p", "demo", "-m", "demo-fast", "hi"])
    assert (done.status, bool(done.stdout)) == (0, True)
    assert done.stderr == (
        "warning: the journal cannot be written: HOME is not set; this answer is not saved "
        "(set XDG_STATE_HOME, or use --no-journal)\n"
    )
    quiet = run_here(["ask", "-p", "demo", "-m", "demo-fast", "--no-journal", "hi"])
    assert (quiet.status, quiet.stderr) == (0, "")

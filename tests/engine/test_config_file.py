"""Claimed: the configuration file is found, read and changed as its user expects, and what is wrong
with it has a place."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from chatstream.clock import Deadline
from chatstream.engine import config_file
from chatstream.engine.config_file import (
    ConfigFile,
    change,
    config_path,
    find,
    line_of,
    parsed,
    read,
    remove_key,
    set_key,
)
from chatstream.errors import ConfigError
from chatstream.files import alone

Environ = dict[str, str]


def setting(name: str, value: Any) -> Any:
    return lambda document: document.update({name: value})


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"CHATSTREAM_CONFIG": "/a/b.toml", "XDG_CONFIG_HOME": "/x"}, "/a/b.toml"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/chatstream/config.toml"),
        ({"XDG_CONFIG_HOME": "x", "HOME": "/h"}, "/h/.config/chatstream/config.toml"),
    ],
)
def test_the_file_is_where_the_environment_says(environ: Environ, path: str) -> None:
    assert config_path(environ) == Path(path)


def test_a_file_that_is_not_there_is_a_mistake_only_where_it_is_named(tmp_path: Path) -> None:
    assert find({"XDG_CONFIG_HOME": str(tmp_path)}) is None
    for missing in (tmp_path / "typo.toml", Path("/dev/null/config.toml")):
        with pytest.raises(ConfigError, match=f"CHATSTREAM_CONFIG names {missing}, which does not"):
            find({"CHATSTREAM_CONFIG": str(missing)})
    with pytest.raises(ConfigError, match="CHATSTREAM_CONFIG is empty"):
        find({"CHATSTREAM_CONFIG": " "})


def test_without_a_home_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatstream.store.place.home_folder", lambda _: None)
    assert find({}) is None
    with pytest.raises(ConfigError, match="HOME is not set"):
        config_path({})


def test_an_empty_file_is_one() -> None:
    assert find({"CHATSTREAM_CONFIG": os.devnull}) == ConfigFile(Path(os.devnull))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"model = \n", "is not valid TOML: .*line 1"),
        (b"\n\nmodel = '\xff'", "line 3: not valid UTF-8"),
        ("model = 'm'".encode("utf-16"), "line 1: not valid UTF-8"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "is nested too deeply"),
        (b"a = " + b"9" * 5000, "contains a number with too many digits"),
        (b"a = 1979-13-45", "is not valid TOML"),
        (b"a = 1\na = 2", "is not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=f"^{tmp_path}/c.toml.* ?{said}"):
        read(tmp_path / "c.toml")


def test_what_is_no_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        find({"CHATSTREAM_CONFIG": str(tmp_path)})


def test_a_file_that_may_not_be_read_is_reported_and_a_strange_home_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "c.toml"
    path.write_text("")
    monkeypatch.setattr(Path, "open", refused)  # root may read everything
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        read(path)
    monkeypatch.setattr(Path, "stat", refused)
    assert read(path) is None


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_a_bom_is_dropped(bom: bytes) -> None:
    file = parsed(Path("/c"), bom + b"model = 'm'")
    assert (file.content, file.place("model")) == ({"model": "m"}, "/c, line 1")


LINES = """\
# model = "not this"
system = \'\'\'
model = "nor this"
\'\'\'
fallback = [
  "model",
]
model = "this"
options = { model = "m" }
profiles.x.retries = 1

[profiles.work]
model = "work"
"quoted key" = 1
[[strategies.list]]
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("model",), 8),
        (("system",), 2),
        (("fallback",), 5),
        (("options", "model"), 9),
        (("profiles", "x"), 10),
        (("profiles", "x", "retries"), 10),
        (("profiles", "work"), 12),
        (("profiles", "work", "model"), 13),
        (("profiles", "work", "quoted key"), 14),
        (("strategies", "list"), 15),
        (("retries",), None),
        (("model", "deeper"), None),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_key_has_a_line(keys: tuple[str, ...], line: int | None, ends: str) -> None:
    assert line_of(LINES.replace("\n", ends), keys) == line


def test_a_change_makes_a_private_file_in_private_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "config.toml"
    change(path, setting("model", "m"))
    assert path.read_text() == 'model = "m"\n'
    modes = [stat.S_IMODE(it.stat().st_mode) for it in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_a_change_keeps_a_link_line_ends_and_layout(tmp_path: Path) -> None:
    behind = tmp_path / "dotfiles" / "c.toml"
    behind.parent.mkdir()
    behind.write_bytes(b"# mine\r\nmodel = 'a'  # the model\r\n\r\n[profiles.x]\r\nretries = 1\r\n")
    path = tmp_path / "config.toml"
    path.symlink_to(behind)
    change(path, setting("model", "b"))
    assert path.is_symlink()
    assert behind.read_bytes().startswith(b'# mine\r\nmodel = "b"  # the model\r\n\r\n[profiles.x]')
    assert [it.name for it in behind.parent.iterdir()] == ["c.toml"]


def test_a_setting_goes_before_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[profiles.x]\nretries = 1\n")
    change(path, setting("model", "b"))
    assert tomlkit.parse(path.read_text()) == {"model": "b", "profiles": {"x": {"retries": 1}}}


def test_what_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbfmodel='m'")
    before = path.stat()
    change(path, lambda _: None)
    assert path.stat().st_ino == before.st_ino


def test_of_changes_at_the_same_time_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    with ThreadPoolExecutor(16) as pool:  # flock tells open files apart, not processes
        list(pool.map(lambda n: change(path, setting(f"k{n}", n)), range(40)))
    assert tomlkit.parse(path.read_text()) == {f"k{n}": n for n in range(40)}
    assert [it.name for it in path.parent.iterdir()] == ["config.toml"]


def test_who_waits_too_long_for_another_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with (
        alone(tmp_path, Deadline(0.0)),
        pytest.raises(ConfigError, match="cannot be written: another process is changing it"),
    ):
        change(path, setting("model", "m"), patience=0.0)
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(config_file, "replace", refused)
    with pytest.raises(ConfigError, match="cannot be written: Read-only file system"):
        change(tmp_path / "config.toml", setting("model", "m"))


def test_a_key_is_set_where_it_belongs_and_removed_again(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert not remove_key(path, ("model",))
    assert not path.exists()
    set_key(path, ("model",), "m")
    set_key(path, ("profiles", "work", "options", "seed"), 7)
    document = tomlkit.parse(path.read_text()).unwrap()
    assert document == {"model": "m", "profiles": {"work": {"options": {"seed": 7}}}}
    assert remove_key(path, ("profiles", "work", "options", "seed"))
    assert not remove_key(path, ("profiles", "work", "options", "seed"))
    assert not remove_key(path, ("model", "deeper"))
    assert tomlkit.parse(path.read_text()).unwrap()["model"] == "m"


def test_what_is_no_table_takes_no_keys_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("options = 3  # mine\n")
    with pytest.raises(ConfigError, match="options is not a table in "):
        set_key(path, ("options", "seed"), 7)
    assert path.read_text() == "options = 3  # mine\n"

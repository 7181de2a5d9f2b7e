"""Claimed: what is saved is loaded; whatever else is named is told for what it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chatstream.bench.page import html
from chatstream.bench.result import Result, encode
from chatstream.bench.saved import check, load, names, save
from chatstream.errors import ChatstreamError, ConfigError, UsageError
from chatstream.events import Metadata, encode_lines
from tests.support.results import result

MADE = result(n=6)


def failure(name: str, folder: Path) -> ChatstreamError:
    with pytest.raises(ChatstreamError) as caught:
        load(name, folder)
    assert "\n" not in caught.value.message
    return caught.value


def file(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "file.json"
    path.write_bytes(data)
    return str(path)


# ---- by name


def test_what_is_saved_is_loaded_by_its_name_and_by_its_path(tmp_path: Path) -> None:
    path = save("Night.2_a-b", MADE, tmp_path)
    assert path == tmp_path / "Night.2_a-b.json"
    assert load("Night.2_a-b", tmp_path) == MADE
    assert load(str(path), tmp_path / "elsewhere") == MADE


def test_saving_again_replaces(tmp_path: Path) -> None:
    save("a", result(n=3), tmp_path)
    save("a", MADE, tmp_path)
    assert load("a", tmp_path) == MADE
    assert names(tmp_path) == ["a"]


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "chatstream" / "bench"
    assert names(folder) == []
    save("a", MADE, folder)
    for it in (folder, folder.parent, folder.parent.parent):
        assert it.stat().st_mode & 0o077 == 0


def test_the_names_are_sorted_and_strange_files_are_none(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        save(name, MADE, tmp_path)
    for other in ("x.txt", ".hidden.json", "two words.json", "d.json.json"):
        (tmp_path / other).touch()
    assert names(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "../a", "a\\b", "a b", "ä", "a\n", "x" * 101, "a.json"]
)
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid name"):
        save(name, MADE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_100_characters_is_one(tmp_path: Path) -> None:
    save("x" * 100, MADE, tmp_path)
    assert names(tmp_path) == ["x" * 100]


def test_a_missing_name_tells_the_nearest(tmp_path: Path) -> None:
    for name in ("monday", "friday"):
        save(name, MADE, tmp_path)
    told = failure("mondya", tmp_path)
    assert type(told) is UsageError
    assert "mondya" in told.message
    assert told.hint == "did you mean 'monday'?"
    assert failure("zzz", tmp_path).hint == "saved results: friday, monday"


def test_where_nothing_is_saved_the_hint_tells_how(tmp_path: Path) -> None:
    assert "--save" in (failure("a", tmp_path).hint or "")


def test_a_file_of_that_name_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old").write_bytes(encode(MADE))
    told = failure("old", tmp_path / "state")
    assert "./old" in (told.hint or "")
    assert load("./old", tmp_path / "state") == MADE


# ---- by path


def test_a_missing_file_is_a_mistake_in_the_command(tmp_path: Path) -> None:
    told = failure(str(tmp_path / "no.json"), tmp_path)
    assert type(told) is UsageError
    assert "no.json" in told.message


def test_the_last_line_of_json_lines_is_taken(tmp_path: Path) -> None:
    lines = encode_lines([Metadata(version=1), result(n=2), MADE])
    assert load(file(tmp_path, lines), tmp_path) == MADE


def test_a_result_over_many_lines_is_taken(tmp_path: Path) -> None:
    assert load(file(tmp_path, msgspec.json.format(encode(MADE), indent=2)), tmp_path) == MADE


def test_json_lines_that_end_without_a_result_are_told(tmp_path: Path) -> None:
    told = failure(file(tmp_path, encode_lines([MADE, Metadata(version=1)])), tmp_path)
    assert type(told) is ConfigError
    assert "metadata" in told.message


def test_a_page_is_told_for_what_it_is(tmp_path: Path) -> None:
    told = failure(file(tmp_path, html(MADE).encode()), tmp_path)
    assert type(told) is ConfigError
    assert "page" in told.message
    assert "--save" in (told.hint or "")


def test_another_version_is_told(tmp_path: Path) -> None:
    newer = b'{"type":"result","version":2,"runs":[]}'
    told = failure(file(tmp_path, newer), tmp_path)
    assert type(told) is ConfigError
    assert "version 2" in told.message
    assert "version 1" in told.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"type":"result"}',
        b'{"type":"result","version":"1"}',
        b'{"type":"result","zz":' + b"[" * 100_000,
        b'"\xff"',
    ],
    ids=range(9),
)
def test_what_is_damaged_is_told(tmp_path: Path, data: bytes) -> None:
    assert type(failure(file(tmp_path, data), tmp_path)) is ConfigError


def test_a_file_cut_anywhere_is_told(tmp_path: Path) -> None:
    data = encode(Result(version=1, chatstream="0", started_at="", target="http://127.0.0.1"))
    for cut in range(len(data)):
        assert type(failure(file(tmp_path, data[:cut]), tmp_path)) is ConfigError


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert type(failure(f"{tmp_path}/", tmp_path)) is ConfigError


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a/b", "x.json", "a b"])
def test_a_bad_name_is_refused_before_anything_is_measured(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a valid name for a result"):
        check(name, tmp_path)
    check("nightly-2026.11", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--save a: cannot create"):
        check("a", tmp_path / "file" / "bench")
    (tmp_path / "a.json").mkdir()
    with pytest.raises(UsageError, match="not a regular file"):
        check("a", tmp_path)

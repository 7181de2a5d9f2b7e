"""`read_file` and `list`: what is there, what is left out, and what is said about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from chatstream.errors import Cancelled
from chatstream.tools.builtin import files
from chatstream.tools.builtin.base import MOST_CHARACTERS
from chatstream.tools.builtin.files import List, ReadFile
from chatstream.tools.tool import InvalidArguments, ToolFailure
from tests.support.toolcontext import Said, result


def reading(folder: Path, data: bytes, **arguments: Any) -> str:
    """What `read_file` makes of a file with these bytes."""
    (folder / "a.txt").write_bytes(data)
    return result(ReadFile([folder]), path="a.txt", **arguments)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    assert reading(tmp_path, "one\nzwei ü\n".encode()) == "one\nzwei ü"


def test_lines_are_numbered_from_one(tmp_path: Path) -> None:
    assert reading(tmp_path, b"a\nb\n", line_numbers=True) == "1\ta\n2\tb"


def test_a_part_says_where_to_go_on(tmp_path: Path) -> None:
    text = reading(tmp_path, b"a\nb\nc\nd\n", first_line=2, lines=2)
    assert text == "b\nc\n[lines 2 to 3 of 4; continue with first_line=4]"


def test_the_last_part_says_nothing(tmp_path: Path) -> None:
    assert reading(tmp_path, b"a\nb\nc", first_line=2, lines=9) == "b\nc"


def test_parts_of_a_long_file_make_the_whole(tmp_path: Path) -> None:
    lines = [f"{number} {'x' * (number % 97)}" for number in range(5000)]
    data = "\n".join(lines).encode()
    got: list[str] = []
    while len(got) < len(lines):
        part = reading(tmp_path, data, first_line=len(got) + 1).split("\n")
        assert sum(map(len, part)) < MOST_CHARACTERS + 100
        if part[-1].startswith("[lines"):
            assert part.pop().endswith(f"continue with first_line={len(got) + len(part) + 1}]")
        got += part
    assert got == lines


def test_a_line_of_any_length_leaves_something_to_read(tmp_path: Path) -> None:
    text = reading(tmp_path, b"x" * 1_000_000 + b"\nend")
    assert text == "x" * 2000 + "[… 998,000 more characters]\nend"


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    assert reading(tmp_path, b"") == "[the file is empty]"


def test_a_line_past_the_end_says_how_many_there_are(tmp_path: Path) -> None:
    with pytest.raises(ToolFailure, match=r"a\.txt has only 2 lines"):
        reading(tmp_path, b"a\nb\n", first_line=3)


def test_a_binary_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolFailure, match="binary file of 5 bytes") as failure:
        reading(tmp_path, b"\x7fELF\0")
    assert failure.value.code == "binary"


def test_bytes_that_are_no_text_are_shown_and_said(tmp_path: Path) -> None:
    text = reading(tmp_path, b"a\ncaf\xe9\n")
    note, *lines = text.split("\n")
    assert note.startswith("[not valid UTF-8 from line 2 on")
    assert lines == ["a", r"caf\xe9"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, encoding: str) -> None:
    assert reading(tmp_path, "grün\n".encode(encoding)) == "grün"


def test_a_file_that_is_too_large_says_so(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(files.MOST_BYTES + 1)
    with pytest.raises(ToolFailure, match="too large to read: 16,777,217 bytes") as failure:
        result(ReadFile([tmp_path]), path="a.txt")
    assert failure.value.code == "too_large"


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ToolFailure, match="is a folder, not a file"):
        result(ReadFile([tmp_path]), path=".")
    with pytest.raises(ToolFailure, match="is a file, not a folder"):
        result(List([tmp_path]), path="a.txt")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "missing required field `path`"),
        ({"path": 1}, "Expected `str`, got `int` - at `$.path`"),
        ({"path": "a", "first_line": 0}, ">= 1"),
        ({"path": "a", "lines": "3"}, "Expected `int`, got `str` - at `$.lines`"),
        ({"path": None}, "missing required field `path`"),
        ({"path": "a", "limit": 3}, "unknown field `limit`"),
    ],
)
def test_wrong_arguments_are_explained(
    tmp_path: Path, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidArguments) as failure:
        ReadFile([tmp_path]).check(arguments)
    assert words in str(failure.value)


def test_what_need_not_be_given_may_be_null(tmp_path: Path) -> None:
    assert reading(tmp_path, b"a\nb\n", first_line=None, lines=None, line_numbers=None) == "a\nb"


def test_a_folder_is_listed_by_name_with_sizes(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "c.txt").write_text("12345")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".env").write_text("KEY=1")
    assert result(List([tmp_path])).split("\n") == [
        ".env  5  (private, not read)",
        "a.txt  0",
        "b/",
        "c.txt  5",
        "link -> /etc/passwd",
        "pipe  (no regular file)",
    ]


def test_depth_goes_into_folders_but_not_into_those_that_machines_fill(tmp_path: Path) -> None:
    for name in ("a/b/c/d.txt", ".git/HEAD", ".ssh/key", "node_modules/x.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert result(List([tmp_path]), depth=3).split("\n") == [
        ".git/  (not listed)",
        ".ssh/  (private, not read)",
        "a/",
        "a/b/",
        "a/b/c/",
        "node_modules/  (not listed)",
    ]
    assert result(List([tmp_path]), path="node_modules") == "node_modules/x.js  0"


def test_a_large_folder_is_cut_and_says_so(tmp_path: Path) -> None:
    for number in range(files.MOST_ENTRIES + 5):
        (tmp_path / f"{number:05}").touch()
    *lines, last = result(List([tmp_path])).split("\n")
    assert lines[0] == "00000  0"
    assert len(lines) == files.MOST_ENTRIES
    assert last == "[5 names left out; list a folder by itself]"


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert result(List([tmp_path])) == "[the folder is empty]"


def test_a_folder_that_may_not_be_listed_is_still_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    real = os.open

    def refusing(path: str, *args: int, dir_fd: int | None = None) -> int:
        if path == "a":
            raise PermissionError
        return real(path, *args, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr(os, "supports_dir_fd", {refusing})
    assert result(List([tmp_path]), depth=2).split("\n") == ["a/", "b  0"]


def test_a_listing_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    said = Said()
    said.token.cancel()
    with pytest.raises(Cancelled):
        result(List([tmp_path]), said)


def test_every_line_of_a_listing_is_a_path_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ü.txt").write_text("found")
    path = result(List([tmp_path]), path="a b").split("  ")[0]
    assert result(ReadFile([tmp_path]), path=path) == "found"

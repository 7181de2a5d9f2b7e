"""The question: prompt, standard input and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.cli.prompt import compose
from chatstream.errors import UsageError

Pipe = Callable[[bytes], int]


@pytest.fixture(autouse=True)
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pipe]:
    """Makes some bytes the standard input; without it that is empty."""
    path = tmp_path / "stdin"
    path.touch()
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        yield path.write_bytes


def question(prompt: str | None, *files: Path) -> str:
    return compose(prompt, files, CancelToken())


def test_the_parts_come_in_order(pipe: Pipe, tmp_path: Path) -> None:
    pipe(b"piped\n")
    path = tmp_path / "a.py"
    path.write_text("code\n")
    assert question("prompt", path) == f"prompt\n\npiped\n\n{path}:\n```\ncode\n```"


def test_standard_input_alone_is_a_question(pipe: Pipe) -> None:
    pipe("Grüße \xff".encode("latin-1"))
    assert question(None) == "Gr\ufffd\ufffde \ufffd"


def test_a_long_standard_input_is_read_whole(pipe: Pipe) -> None:
    pipe(b"x" * 300_000)
    assert question(None) == "x" * 300_000


def test_arguments_that_are_no_utf8_become_text() -> None:
    assert question("caf\udce9") == "caf?"


def test_no_question_is_a_mistake(pipe: Pipe) -> None:
    pipe(b" \n")
    with pytest.raises(UsageError, match="no question"):
        question("")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.bin"):
        question("hi", path)

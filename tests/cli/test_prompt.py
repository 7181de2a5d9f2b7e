"""The question: prompt, standard input and files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from chatstream.cli.prompt import compose
from chatstream.errors import UsageError


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Standard input, as a pipe."""
    data = io.BytesIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))
    return data


def test_the_parts_come_in_order(piped: io.BytesIO, tmp_path: Path) -> None:
    piped.write(b"piped\n")
    piped.seek(0)
    path = tmp_path / "a.py"
    path.write_text("code\n")
    assert compose("prompt", [path]) == f"prompt\n\npiped\n\n{path}:\n```\ncode\n```"


def test_standard_input_alone_is_a_question(piped: io.BytesIO) -> None:
    piped.write("Grüße \xff".encode("latin-1"))
    piped.seek(0)
    assert compose(None, []) == "Gr\ufffd\ufffde \ufffd"


def test_arguments_that_are_no_utf8_become_text(piped: io.BytesIO) -> None:
    assert piped.getvalue() == b""
    assert compose("caf\udce9", []) == "caf?"


def test_no_question_is_a_mistake(piped: io.BytesIO) -> None:
    piped.write(b" \n")
    piped.seek(0)
    with pytest.raises(UsageError, match="no question"):
        compose("", [])


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_told_by_name(
    piped: io.BytesIO, tmp_path: Path, content: bytes | None
) -> None:
    assert piped.getvalue() == b""
    path = tmp_path / "x.bin"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.bin"):
        compose("hi", [path])

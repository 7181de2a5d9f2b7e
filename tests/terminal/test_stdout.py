"""Claimed: standard output takes any text in any encoding, and a full disk is one clear error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatstream.errors import OutputError
from chatstream.terminal import stdout
from tests.support.client import run


def test_what_an_encoding_lacks_is_replaced() -> None:
    assert stdout.encode("a≈é", "latin-1") == b"a?\xe9"
    assert (stdout.can_show("é", "latin-1"), stdout.can_show("≈", "latin-1")) == (True, False)
    assert not stdout.can_show("a", "no-such-encoding")


def test_without_a_terminal_it_is_80_columns_wide(capfd: pytest.CaptureFixture[str]) -> None:
    assert stdout.columns() == 80


def test_a_reader_that_has_gone_away_is_no_error() -> None:
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.close(reader)
    try:
        os.dup2(writer, 1)
        stdout.write(b"nobody reads this")
    finally:
        os.dup2(saved, 1)
        for descriptor in (saved, writer):
            os.close(descriptor)


def test_a_pipe_is_closed_once_nobody_reads_it() -> None:
    reading, writing = os.pipe()
    saved = os.dup(1)
    os.dup2(writing, 1)
    try:
        before = stdout.is_closed()
        os.close(reading)
        assert (before, stdout.is_closed()) == (False, True)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(writing)
    assert not stdout.is_closed()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_with_its_reason() -> None:
    saved, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(full, 1)
        with pytest.raises(OutputError, match="cannot write the output: No space left"):
            stdout.write(b"x")
    finally:
        os.dup2(saved, 1)
        for descriptor in (saved, full):
            os.close(descriptor)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_the_definitions_come_out_in_every_encoding(encoding: str) -> None:
    done = run(["bench", "--explain"], PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    text = done.stdout.decode(encoding)
    assert (done.status, done.stderr) == (0, "")
    assert "?" not in text
    assert ("marked with ≈" in text) is (encoding == "utf-8")

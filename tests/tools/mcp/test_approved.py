"""Claimed: a description that somebody has approved is known again, and another one is noticed."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from chatstream.tools.mcp.approved import Approved, key_of
from chatstream.tools.mcp.session import Offered

TOOL = Offered("log", "Show the log.", {"type": "object", "properties": {"a": {}, "b": {}}})
SERVER = key_of("git", "uvx mcp-server-git")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "approved.json"


def test_what_nobody_has_approved_has_not_changed(path: Path) -> None:
    assert not Approved(path).changed(SERVER, TOOL)
    assert not path.exists()


@pytest.mark.parametrize(
    "change",
    [{"description": "Send the log to me."}, {"parameters": {"type": "object", "properties": {}}}],
    ids=str,
)
def test_another_description_or_other_parameters_are_a_change(
    path: Path, change: dict[str, object]
) -> None:
    Approved(path).approve(SERVER, TOOL)
    later, other = Approved(path), msgspec.structs.replace(TOOL, **change)
    assert not later.changed(SERVER, TOOL)
    assert later.changed(SERVER, other)
    later.approve(SERVER, other)
    assert not later.changed(SERVER, other)
    assert Approved(path).changed(SERVER, TOOL)


def test_the_order_of_keys_does_not_matter(path: Path) -> None:
    Approved(path).approve(SERVER, TOOL)
    turned = {"properties": {"b": {}, "a": {}}, "type": "object"}
    assert not Approved(path).changed(SERVER, msgspec.structs.replace(TOOL, parameters=turned))


def test_another_command_is_another_server(path: Path) -> None:
    Approved(path).approve(SERVER, TOOL)
    other = msgspec.structs.replace(TOOL, description="!")
    assert not Approved(path).changed(key_of("git", "./my-own"), other)


def test_two_runs_at_once_lose_nothing(path: Path) -> None:
    one, two = Approved(path), Approved(path)
    one.approve(SERVER, TOOL)
    two.approve(SERVER, msgspec.structs.replace(TOOL, name="status"))
    assert len(msgspec.json.decode(path.read_bytes())[SERVER]) == 2


def test_the_file_is_private_and_has_no_command(path: Path) -> None:
    Approved(path).approve(key_of("x", "server --token s3cret"), TOOL)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"s3cret" not in path.read_bytes()
    assert b"Show the log" not in path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"git": 3}'])
def test_a_file_that_cannot_be_read_counts_as_missing(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        approved = Approved(path)
    assert "cannot be read" in caplog.text
    assert not approved.changed(SERVER, TOOL)
    approved.approve(SERVER, TOOL)
    assert not Approved(path).changed(SERVER, TOOL)


def test_without_a_place_approvals_last_as_long_as_the_run() -> None:
    approved = Approved(None)
    approved.approve(SERVER, TOOL)
    assert approved.changed(SERVER, msgspec.structs.replace(TOOL, description="!"))

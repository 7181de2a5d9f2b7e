"""Landlock, on a process of its own: a restriction is for ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chatstream.tools.landlock import version

pytestmark = pytest.mark.skipif(version() == 0, reason="this kernel has no Landlock")

CODE = """
import json, sys
from chatstream.tools.landlock import restrict
restrict(json.loads(sys.argv[1]))
for line in sys.argv[2:]:
    try:
        exec(line)
        print("ok")
    except OSError as error:
        print(type(error).__name__)
"""
SYSTEM = ["/usr", "/lib", "/lib64", "/etc", sys.prefix, sys.base_prefix]


def tried(lines: list[str], **rules: Any) -> list[str]:
    """What comes of each line of Python under these rules."""
    given = {"read": SYSTEM, "write": [], "network": False, **rules}
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(given), *lines],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return done.stdout.split()


def test_what_is_below_a_path_may_be_written_or_only_read(tmp_path: Path) -> None:
    ours, seen, hidden = (tmp_path / it for it in ("ours", "seen", "hidden"))
    for it in (ours, seen, hidden):
        it.mkdir()
        (it / "file").write_text("x")
    lines = [f"open('{it}/file')" for it in (ours, seen, hidden)]
    lines += [f"open('{it}/file', 'w')" for it in (ours, seen, hidden)]
    assert tried(lines, read=[*SYSTEM, str(seen)], write=[str(ours)]) == [
        *("ok", "ok", "PermissionError"),
        *("ok", "PermissionError", "PermissionError"),
    ]


def test_a_single_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    lines = [f"open('{tmp_path}/{it}', 'w')" for it in "ab"]
    assert tried(lines, write=[str(tmp_path / "a")]) == ["ok", "PermissionError"]


def test_a_path_that_does_not_exist_is_left_out(tmp_path: Path) -> None:
    assert tried(["open('/etc/passwd')"], write=[str(tmp_path / "none")]) == ["ok"]


@pytest.mark.skipif(version() < 4, reason="this Landlock has no rules for TCP")
def test_tcp_is_refused_without_a_network() -> None:
    lines = [
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import socket; socket.create_connection(('127.0.0.1', 1))",
    ]
    assert tried(lines) == ["PermissionError", "PermissionError"]
    assert tried(lines, network=True) == ["ok", "ConnectionRefusedError"]


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    (tmp_path / "secret").write_text("x")
    (ours / "link").symlink_to("../secret")
    lines = [f"open('{ours}/link')", f"open('{ours}/../secret')"]
    assert tried(lines, write=[str(ours)]) == ["PermissionError", "PermissionError"]

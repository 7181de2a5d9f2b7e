"""What the kernel opens beneath a folder, and what it refuses."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.tools import beneath
from chatstream.tools.beneath import open_beneath

HAS = beneath._syscall() is not None


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root" / "src").mkdir(parents=True)
    (tmp_path / "root" / "src" / "a").write_text("inside")
    (tmp_path / "root" / "link").symlink_to("src/a")
    (tmp_path / "root" / "proc").symlink_to("/proc")
    (tmp_path / "secret").write_text("outside")
    descriptor = os.open(tmp_path / "root", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def refused(folder: int, path: str) -> int | None:
    try:
        os.close(open_beneath(folder, path, os.O_RDONLY))
    except OSError as error:
        return error.errno
    return 0


@pytest.mark.skipif(not HAS, reason="no openat2 here")
def test_what_is_beneath_is_opened_and_not_inherited(folder: int) -> None:
    for path in ("src/a", "./src//a", "src/../src/a"):
        descriptor = open_beneath(folder, path, os.O_RDONLY)
        assert os.read(descriptor, 100) == b"inside"
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


@pytest.mark.skipif(not HAS, reason="no openat2 here")
def test_what_is_not_beneath_is_refused(folder: int) -> None:
    for path in ("..", "../secret", "src/../../secret", "/etc/passwd"):
        assert refused(folder, path) == errno.EXDEV
    for path in ("link", "proc/self/root/etc/passwd"):
        assert refused(folder, path) == errno.ELOOP
    proc = os.open("/proc/self", os.O_RDONLY)
    try:
        assert refused(proc, "root/etc/passwd") == errno.ELOOP
        assert refused(proc, "root") == errno.ELOOP
    finally:
        os.close(proc)
    assert refused(folder, "gone") == errno.ENOENT


def test_a_name_with_a_nul_is_not_a_path(folder: int) -> None:
    with pytest.raises(ValueError, match="null"):
        open_beneath(folder, "src/a\0b", os.O_RDONLY)


def test_where_there_is_no_such_call_that_is_said(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beneath, "_syscall", lambda: None)
    assert refused(folder, "src/a") == errno.ENOSYS

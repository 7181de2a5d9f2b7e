"""Where a file may be written, and how: in one step, with its manner, and nothing of others."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from chatstream.tools.places import FRESH, Manner, Place, State, fresh_name, place
from chatstream.tools.roots import Roots
from chatstream.tools.tool import ToolFailure
from tests.support.descriptors import open_descriptors

WRITES = 10_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file in a folder, and a folder outside."""
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.txt").write_bytes(b"old")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.txt").write_bytes(b"outside")
    return root


def written(root: Path, path: str, data: bytes = b"new", **more: Any) -> Path:
    """The path of the file that was written."""
    with place(Roots([root]), path) as at:
        at.write(data, at.state(), fresh=fresh_name(), **more)
        return at.path


def code(root: Path, path: str) -> str:
    with pytest.raises(ToolFailure) as failure:
        written(root, path)
    return failure.value.code


def tree(root: Path) -> set[str]:
    return {str(it.relative_to(root)) for it in root.rglob("*")}


@pytest.mark.parametrize("path", ["src/a.txt", "./src//a.txt", "src/../src/a.txt", "link", "{}"])
def test_a_file_is_replaced_and_a_link_to_it_stays_one(root: Path, path: str) -> None:
    (root / "link").symlink_to("src/a.txt")
    at = written(root, path.format(root / "src" / "a.txt"))
    assert at == root / "src" / "a.txt"
    assert at.read_bytes() == b"new"
    assert tree(root) == {"src", "src/a.txt", "link"}
    assert (root / "link").is_symlink()


@pytest.mark.parametrize("path", ["b.txt", "src/b.txt", "x/y/z.txt", "./x//y.txt"])
def test_a_new_file_is_made_with_its_folders(root: Path, path: str) -> None:
    mask = os.umask(0o027)
    try:
        at = written(root, path)
    finally:
        os.umask(mask)
    assert (root / path).read_bytes() == b"new"
    assert at.stat().st_mode & 0o777 == 0o640
    assert not [it for it in tree(root) if FRESH in it]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(("../b", "outside"), ("/etc/b", "outside"), ("src/../../b", "outside")),
        *(("gone/../../b", "outside"), ("src/gone/../../../b", "outside")),
        *(("out/b", "outside"), ("leak", "outside"), ("proc/self/root/tmp/b", "outside")),
        *((".env", "private"), (".ssh/b", "private"), ("x/.ssh/b", "private")),
        *((".git/hooks/pre-commit", "private"), (".git/b", "private"), ("x/.GIT/b", "private")),
        *(("src", "unsuitable"), (".", "unsuitable"), ("dangling", "unsuitable")),
        *(("src/a.txt/b", "not_found"), ("gone/../b", "not_found"), ("gone/", "not_found")),
        *(
            ("gone/..", "not_found"),
            ("x/\ud800", "unsuitable"),
            ("a\0b", "unsuitable"),
            ("x/a\0b", "unsuitable"),
        ),
        *(("x" * 300, "failed"), ("pipe", "unsuitable"), ("", "unsuitable")),
    ],
)
def test_what_may_not_be_written_is_refused_and_nothing_is_made(
    root: Path, path: str, expected: str
) -> None:
    (root / "out").symlink_to("../outside")
    (root / "leak").symlink_to("../outside/a.txt")
    (root / "proc").symlink_to("/proc")
    (root / "dangling").symlink_to("gone")
    os.mkfifo(root / "pipe")
    before = tree(root.parent)
    assert code(root, path) == expected
    assert tree(root.parent) == before


def test_our_own_folders_are_not_written(root: Path) -> None:
    (root / "ours").mkdir()
    with pytest.raises(ToolFailure) as failure:
        place(Roots([root], closed=[root / "ours"]), "ours/b")
    assert failure.value.code == "private"


def test_a_new_file_gets_into_the_nearest_folder_that_some_root_has(root: Path) -> None:
    other = root.parent / "other"
    (other / "lib").mkdir(parents=True)
    roots = Roots([root, other])
    for path, expected in {"lib/b": other / "lib" / "b", "new/b": root / "new" / "b"}.items():
        with place(roots, path) as at:
            assert at.path == expected
    with place(roots, "lib/b") as at:
        at.write(b"", None, fresh=fresh_name())
        assert at.shown == str(other / "lib" / "b")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o640])
def test_a_file_keeps_its_mode_and_its_owner(root: Path, mode: int) -> None:
    at = root / "src" / "a.txt"
    at.chmod(mode)
    if os.geteuid() == 0:
        os.chown(at, 1234, 2345)
    before = at.stat()
    written(root, "src/a.txt")
    after = at.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_file_keeps_its_attributes(root: Path) -> None:
    at = root / "src" / "a.txt"
    try:
        os.setxattr(at, "user.note", b"kept")
    except OSError:
        pytest.skip("no attributes on this file system")
    written(root, "src/a.txt")
    assert os.getxattr(at, "user.note") == b"kept"


def test_a_file_gets_the_manner_that_is_asked_for(root: Path) -> None:
    status = (root / "src").stat()
    written(root, "src/a.txt", manner=Manner(0o751, status.st_uid, status.st_gid))
    assert (root / "src" / "a.txt").stat().st_mode & 0o777 == 0o751


def test_whoever_may_not_write_a_file_does_not_replace_it_either(root: Path) -> None:
    (root / "src" / "a.txt").chmod(0o444)
    (root / "src").chmod(0o777)
    is_root = os.geteuid() == 0
    with place(Roots([root]), "src/a.txt") as at:
        state = at.state()
        if is_root:  # who may write everything
            os.seteuid(65534)
        try:
            with pytest.raises(ToolFailure, match=r"src/a\.txt may not be written by this user"):
                at.write(b"new", state, fresh=fresh_name())
        finally:
            if is_root:
                os.seteuid(0)
    assert tree(root) == {"src", "src/a.txt"}


def change(at: Path) -> None:
    at.write_bytes(b"changed")


def swap(at: Path) -> None:
    at.unlink()
    at.symlink_to("../../outside/a.txt")


@pytest.mark.parametrize("how", [change, swap, Path.unlink])
def test_a_file_that_was_changed_after_the_look_is_left_alone(root: Path, how: Any) -> None:
    with place(Roots([root]), "src/a.txt") as at:
        state = at.state()
        how(root / "src" / "a.txt")
        with pytest.raises(ToolFailure):
            at.write(b"new", state, fresh=fresh_name())
    assert (root.parent / "outside" / "a.txt").read_bytes() == b"outside"
    assert tree(root) <= {"src", "src/a.txt"}


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_is_not_put_over_one_that_somebody_has_made(
    root: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(*args: Any, **more: Any) -> None:
        if not has_links:
            raise OSError(errno.EPERM, "no links here")
        real(*args, **more)

    def meanwhile(*args: Any, **more: Any) -> None:
        (root / "b").write_bytes(b"theirs")
        link(*args, **more)

    monkeypatch.setattr(os, "link", link)
    written(root, "c")
    assert (root / "c").read_bytes() == b"new"
    monkeypatch.setattr(os, "link", meanwhile)
    assert code(root, "b") == "changed"
    assert (root / "b").read_bytes() == b"theirs"
    assert tree(root) == {"src", "src/a.txt", "b", "c"}


def test_a_full_disk_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolFailure, match=r"src/a\.txt cannot be written: No space left"):
        written(root, "src/a.txt")
    assert (root / "src" / "a.txt").read_bytes() == b"old"
    assert tree(root) == {"src", "src/a.txt"}


def test_a_file_that_is_too_large_is_not_read(root: Path) -> None:
    with (root / "big").open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    assert code(root, "big") == "too_large"


def test_a_file_is_removed_with_the_folders_that_are_empty_then(root: Path) -> None:
    written(root, "x/y/z/b")
    (root / "x" / "kept").write_bytes(b"")
    with place(Roots([root]), "x/y/z/b") as at:
        state = at.state()
        assert state is not None
        at.remove(state)
        at.remove_folders(3)
    assert tree(root) == {"src", "src/a.txt", "x", "x/kept"}


def test_only_what_we_left_is_removed_beside_a_file(root: Path) -> None:
    fresh = fresh_name()
    for name in (fresh, "other"):
        (root / "src" / name).write_bytes(b"")
    with place(Roots([root]), "src/a.txt") as at:
        for name in (fresh, "other", f"{FRESH}/../../a", "../a.txt"):
            at.remove_fresh(name)
    assert tree(root) == {"src", "src/a.txt", "src/other"}


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = open_descriptors()
    for path in ("src/a.txt", "b", "x/y/z"):
        written(root, path)
    for path in ("../b", ".env", ".git/x", "src", "src/a.txt/b", "gone/../x", "a\0"):
        code(root, path)
    assert open_descriptors() == before


def test_whoever_swaps_folders_under_load_gets_nothing_written_outside(root: Path) -> None:
    over = threading.Event()
    (root / "link").symlink_to("../outside")

    def swapping() -> None:
        while not over.wait(0.0002):
            exchange(root / "src", root / "link")

    thread = threading.Thread(target=swapping)
    thread.start()
    roots, done, codes = Roots([root]), 0, set[str]()
    try:
        for number in range(WRITES):
            try:
                with place(roots, "src/a.txt") as at:
                    _write_without_waiting(at, b"%d" % number)
                    done += 1
            except ToolFailure as failure:
                codes.add(failure.code)
    finally:
        over.set()
        thread.join(10)
    assert done
    assert codes <= {"outside", "not_found", "failed", "private", "changed", "unsuitable"}
    assert tree(root.parent / "outside") == {"a.txt"}
    assert len(codes) > 1
    assert (root.parent / "outside" / "a.txt").read_bytes() == b"outside"
    assert not [it for it in tree(root) if FRESH in it]


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that both are there at any time."""
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    names = os.fsencode(one), os.fsencode(other)
    assert ctypes.CDLL(None).renameat2(here, names[0], here, names[1], swap) == 0


def _write_without_waiting(at: Place, data: bytes) -> None:
    """Write, but leave out what waits for the disk: ten thousand times are minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        at.write(data, at.state(), fresh=fresh_name())


def test_a_state_tells_one_file_from_another(root: Path) -> None:
    with place(Roots([root]), "src/a.txt") as at:
        first, second = at.state(), at.state()
        assert isinstance(first, State)
        assert isinstance(second, State)
        assert first.mark == second.mark
        (root / "src" / "a.txt").chmod(0o600)
        third = at.state()
        assert third is not None
        assert third.mark != first.mark

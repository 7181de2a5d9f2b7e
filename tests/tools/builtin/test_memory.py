"""A file is written only while it is what was shown, and once what it was is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.tools.builtin.memory import Memory
from chatstream.tools.places import place
from chatstream.tools.preimages import PreImages
from chatstream.tools.roots import Roots
from chatstream.tools.tool import ToolFailure


def write(memory: Memory, root: Path, data: bytes) -> None:
    with place(Roots([root]), "a.txt") as at:
        state = at.state()
        memory.check(at, data, state)
        memory.write(at, data, state)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_bytes(b"old")
    return root


def refused(memory: Memory, root: Path) -> str:
    before = sorted(root.iterdir())
    with pytest.raises(ToolFailure) as failure:
        write(memory, root, b"new")
    assert sorted(root.iterdir()) == before
    return failure.value.message


def preview(memory: Memory, root: Path, new: bytes = b"new", *, old: bytes | None = None) -> None:
    """Show that `new` is to be written, over what is there or will be by then."""
    with place(Roots([root]), "a.txt") as at:
        state = at.state()
        memory.has_previewed(at.path, new, old or (state.data if state else None))


def test_what_was_read_is_written_while_it_is_that(root: Path) -> None:
    memory = Memory()
    memory.has_read(root / "a.txt", b"old")
    write(memory, root, b"first")
    write(memory, root, b"second")
    assert (root / "a.txt").read_bytes() == b"second"


def test_what_was_changed_or_removed_since_it_was_read_is_not_written(root: Path) -> None:
    memory = Memory()
    memory.has_read(root / "a.txt", b"old")
    (root / "a.txt").write_bytes(b"theirs")
    assert refused(memory, root) == (
        "a.txt was changed since it was read in this run; nothing was written: read it again"
    )
    (root / "a.txt").unlink()
    assert "was removed since it was read" in refused(memory, root)


def test_what_was_changed_after_our_own_write_is_not_written(root: Path) -> None:
    memory = Memory()
    write(memory, root, b"first")
    (root / "a.txt").write_bytes(b"theirs")
    assert "was changed since it was read" in refused(memory, root)
    memory.has_read(root / "a.txt", b"theirs")
    write(memory, root, b"second")


def test_what_was_changed_after_a_diff_was_shown_is_not_written(root: Path) -> None:
    memory = Memory()
    preview(memory, root)
    (root / "a.txt").write_bytes(b"theirs")
    assert "was changed after the diff was shown" in refused(memory, root)
    preview(memory, root)
    write(memory, root, b"new")


def test_a_file_that_was_made_after_a_diff_was_shown_is_not_written(root: Path) -> None:
    memory = Memory()
    (root / "a.txt").unlink()
    preview(memory, root)
    (root / "a.txt").write_bytes(b"theirs")
    assert "was changed after the diff was shown" in refused(memory, root)


def test_two_changes_of_a_file_that_were_shown_together_are_both_made(root: Path) -> None:
    memory = Memory()
    preview(memory, root, b"first")
    preview(memory, root, b"second", old=b"first")
    write(memory, root, b"first")
    write(memory, root, b"second")


def test_a_change_that_was_shown_after_one_that_was_not_made_is_not_made(root: Path) -> None:
    memory = Memory()
    preview(memory, root, b"first")
    preview(memory, root, old=b"first")
    assert "was changed after the diff was shown" in refused(memory, root)


def test_what_it_was_is_kept_first_and_if_it_cannot_be_nothing_is_written(
    root: Path, tmp_path: Path
) -> None:
    write(Memory(tmp_path / "undo"), root, b"new")
    images = PreImages(tmp_path / "undo")
    (written,) = images.newest_first()
    assert images.image(written) == b"old"
    (tmp_path / "file").write_bytes(b"")
    words = refused(Memory(tmp_path / "file" / "undo"), root)
    assert words == "a.txt was not written, because its old content cannot be kept: Not a directory"

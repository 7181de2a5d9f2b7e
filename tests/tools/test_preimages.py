"""What a file was is kept before it is written, verified when it is read back, and let go of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatstream.errors import JournalError
from chatstream.tools.places import Manner
from chatstream.tools.preimages import PreImages, digest

ROOT = Path("/root")


def keep(images: PreImages, name: str, before: bytes | None, after: bytes) -> None:
    images.keep(ROOT, ["src", name], before, after, fresh=".chatstream-1", manner=None, folders=0)


def kept(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir())


def test_the_newest_write_comes_first(tmp_path: Path) -> None:
    images = PreImages(tmp_path / "run")
    assert images.newest_first() == []
    for number in range(11):
        keep(images, f"{number}", b"%d" % number, b"new")
    found = PreImages(tmp_path / "run").newest_first()
    assert [it.number for it in found] == list(range(11, 0, -1))
    assert found[0].path == ROOT / "src" / "10"
    assert images.image(found[0]) == b"10"


def test_everything_about_a_write_comes_back(tmp_path: Path) -> None:
    images, name = PreImages(tmp_path), os.fsdecode(b"caf\xe9")
    manner = Manner(0o750, 12, 34)
    images.keep(ROOT, [name], b"\0\xff", b"new", fresh="f", manner=manner, folders=2)
    (found,) = images.newest_first()
    assert found.path == ROOT / name
    assert (found.before, found.after) == (digest(b"\0\xff"), digest(b"new"))
    assert (found.manner, found.folders, found.fresh) == (manner, 2, "f")
    assert images.image(found) == b"\0\xff"


def test_the_same_bytes_are_kept_once_and_as_long_as_a_write_needs_them(tmp_path: Path) -> None:
    images = PreImages(tmp_path / "run")
    keep(images, "a", b"same", b"1")
    keep(images, "b", b"same", b"2")
    keep(images, "c", None, b"3")
    assert len(kept(tmp_path / "run")) == 4
    newest, second, first = images.newest_first()
    for it in (newest, second):
        images.forget(it)
    assert images.image(first) == b"same"
    images.forget(first)
    assert not (tmp_path / "run").exists()


def test_only_its_owner_may_look(tmp_path: Path) -> None:
    images = PreImages(tmp_path / "undo" / "run")
    keep(images, "a", b"old", b"new")
    for it in (tmp_path / "undo").rglob("*"):
        assert it.stat().st_mode & 0o077 == 0


def test_what_was_damaged_is_not_restored(tmp_path: Path) -> None:
    images = PreImages(tmp_path)
    keep(images, "a", b"old", b"new")
    (written,) = images.newest_first()
    image = next(tmp_path.glob("*.before"))
    image.write_bytes(b"odd")
    with pytest.raises(JournalError, match="its earlier content is damaged"):
        images.image(written)
    image.unlink()
    with pytest.raises(JournalError, match="its earlier content cannot be read"):
        images.image(written)
    (tmp_path / "00001.json").write_bytes(b"{")
    with pytest.raises(JournalError, match=r"00001\.json cannot be read"):
        images.newest_first()


def test_other_files_in_the_folder_are_not_records(tmp_path: Path) -> None:
    for name in ("1.json", "notes.json", "00001.json.part"):
        (tmp_path / name).write_bytes(b"{")
    assert PreImages(tmp_path).newest_first() == []

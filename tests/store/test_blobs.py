"""Claimed: an image is kept once, for its owner alone, and comes back as it was or not at all."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from chatstream.errors import JournalError, UsageError
from chatstream.store.blobs import Blobs, media_type

IMAGES = {
    "image/png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "image/gif": b"GIF89a\1\0\1\0",
    "image/webp": b"RIFF\x1a\n\0\0WEBPVP8 ",
}
PNG = IMAGES["image/png"]
NAME = hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize("kind", IMAGES)
def test_the_bytes_say_what_kind_of_image_it_is(kind: str, tmp_path: Path) -> None:
    assert media_type(IMAGES[kind]) == kind
    blobs = Blobs(tmp_path)
    assert blobs.get(blobs.put(IMAGES[kind])) == IMAGES[kind]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%PDF-1.7", b"<svg/>", b"RIFF\0\0\0\0WAVEfmt ", PNG[:7], b" " + PNG]
)
def test_what_is_no_image_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an image") as caught:
        Blobs(tmp_path).put(data)
    assert caught.value.hint == "use PNG, JPEG, GIF or WebP"
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatstream.store.blobs.MAX_WHOLE_BYTES", 10)
    with pytest.raises(UsageError, match="the image is larger than 10 bytes"):
        Blobs(tmp_path).put(PNG)


def test_an_image_is_kept_once_under_its_digest_and_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state" / "chatstream"
    assert Blobs(state).put(PNG) == NAME
    (path,) = (state / "blobs").iterdir()
    assert path.name == NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    before = path.stat().st_ino
    assert Blobs(state).put(PNG) == NAME
    assert path.stat().st_ino == before
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("changed", [b"", PNG[:-1], PNG + b"\0", IMAGES["image/gif"]])
def test_a_damaged_image_is_told_and_never_read_and_put_again_it_is_whole(
    changed: bytes, tmp_path: Path
) -> None:
    blobs = Blobs(tmp_path)
    path = tmp_path / "blobs" / blobs.put(PNG)
    path.write_bytes(changed)
    with pytest.raises(JournalError, match=f"the image {NAME[:12]} is damaged: {path}"):
        blobs.get(NAME)
    assert blobs.put(PNG) == NAME
    assert blobs.get(NAME) == PNG


def test_a_missing_image_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=f"the image {NAME[:12]} is missing") as caught:
        Blobs(tmp_path).get(NAME)
    assert caught.value.hint == f"it was kept as {tmp_path / 'blobs' / NAME}"


@pytest.mark.parametrize("name", ["", "../history.db", NAME.upper(), NAME + "\n", "a" * 63])
def test_a_name_that_is_no_digest_leads_to_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(PNG)
    with pytest.raises(JournalError, match="is not the SHA-256 of an image"):
        Blobs(tmp_path).get(name)


def test_an_image_that_cannot_be_kept_or_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"the image cannot be kept in .*: Not a directory"):
        Blobs(tmp_path / "file").put(PNG)
    (tmp_path / "blobs" / NAME).mkdir(parents=True)
    with pytest.raises(JournalError, match=f"the image {NAME[:12]} cannot be read: Is a dir"):
        Blobs(tmp_path).get(NAME)

"""Claimed: an image is kept once by its bytes, and what is no image is one clear line."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.attaching import with_images
from chatstream.errors import UsageError
from chatstream.files import MAX_WHOLE_BYTES
from chatstream.messages import Image, Message, Text
from chatstream.store.blobs import FOLDER, Blobs
from chatstream.store.place import state_folder
from tests.support.images import png

PNG = png()


def asked(*names: str, keep: bool = True) -> Message:
    return with_images("what?", names, CancelToken(), keep=keep)


def test_a_file_is_kept_once_whatever_its_names_are(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(PNG)
    one, other, text = asked(str(tmp_path / "a.png"), str(tmp_path / "b.jpg")).parts
    assert isinstance(one, Image)
    assert one == other
    assert one.media_type == "image/png"
    assert text == Text("what?")
    assert Blobs(state_folder()).get(one.sha256 or "") == PNG
    assert len(list((state_folder() / FOLDER).iterdir())) == 1


def test_a_tilde_stands_for_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(PNG)
    assert isinstance(asked("~/a.png").parts[0], Image)


def test_without_a_journal_nothing_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    (image, _) = asked(str(file), keep=False).parts
    assert isinstance(image, Image)
    assert image.url == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert not (state_folder() / FOLDER).exists()


def test_without_a_home_folder_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatstream.engine import attaching
    from chatstream.store.place import NoHome

    def no_home() -> Path:
        raise NoHome("XDG_STATE_HOME")

    monkeypatch.setattr(attaching, "state_folder", no_home)
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    (image, _) = asked(str(file)).parts
    assert isinstance(image, Image)
    assert (image.url or "").startswith("data:image/png;base64,")


def test_an_address_is_left_to_the_server() -> None:
    (image, _) = asked("https://a.example/b.png").parts
    assert image == Image(url="https://a.example/b.png")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello", "picture is not an image that models take"),
        (b"", "picture is empty"),
        (b"BM" + bytes(50), "picture is not an image that models take"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "picture"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        asked(str(file))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "the image missing.png cannot be read: No such file"),
        (".", r"the image \. cannot be read: Is a directory"),
        ("", "the name of the image is empty"),
        (" ", "the name of the image is empty"),
        ("a\0b", "cannot be read"),
        ("https://", "'https://' is not the address of an image"),
        ("https://[", "is not the address of an image"),
        ("http://a b/c", "is not the address of an image"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        asked(name)


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    with file.open("wb") as out:
        out.write(PNG)
        out.truncate(MAX_WHOLE_BYTES + 1)
    with pytest.raises(UsageError, match="cannot be read: File too large"):
        asked(str(file))

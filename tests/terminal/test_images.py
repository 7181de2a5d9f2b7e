"""Claimed: each image of an answer becomes a file of ours, byte for byte, or it is said why not."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.errors import ChatstreamError
from chatstream.events import Image
from chatstream.terminal.images import decoded, ending_of, save_images
from tests.support.client import run
from tests.support.loopback import Script

PNG = b"\x89PNG\r\n\x1a\n"


def saved(folder: Path, *images: Image) -> tuple[list[str], str | None]:
    """What is said, and the failure."""
    said: list[str] = []
    try:
        save_images(images, folder, said.append)
    except ChatstreamError as error:
        return said, error.message
    return said, None


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_image_becomes_a_file_with_its_ending(tmp_path: Path) -> None:
    data = base64.b64encode(PNG).decode()
    kinds = ("image/png", "IMAGE/JPEG; q=1", "image/svg+xml", "image/x-unknown", None)
    said, failure = saved(tmp_path, *(Image(media_type=kind, data=data) for kind in kinds))
    files = ["image-1.png", "image-2.jpg", "image-3.svg", "image-4.bin", "image-5.bin"]
    assert (said, failure) == ([f"saved {tmp_path}/{name}" for name in files], None)
    assert contents(tmp_path) == dict.fromkeys(files, PNG)


@pytest.mark.parametrize("kind", ["image/../../x", "image/png/../../x", "/etc/x", "", ".", "a\0b"])
def test_no_word_of_the_server_gets_into_a_name(kind: str) -> None:
    assert ending_of(kind) == ".bin"


@settings(deadline=None)
@given(st.binary(min_size=1), st.booleans(), st.booleans())
def test_any_bytes_come_back_in_either_alphabet_padded_or_not(
    data: bytes, url: bool, padded: bool
) -> None:
    text = (base64.urlsafe_b64encode if url else base64.b64encode)(data).decode()
    assert decoded(text if padded else text.rstrip("=")) == data


def test_base64_in_lines_is_base64() -> None:
    assert decoded("iVBO\r\nRw0K\n Ggo=") == PNG


@pytest.mark.parametrize("data", ["A", "AAAAA", "AA=A", "AA*A", "é", "<html>", "data:x;base64,AA"])
def test_what_is_not_base64_is_saved_as_it_came_and_fails(data: str, tmp_path: Path) -> None:
    said, failure = saved(tmp_path, Image(media_type="image/png", data=data), Image(data="AAAA"))
    assert said == [f"saved {tmp_path}/image-1.b64", f"saved {tmp_path}/image-2.bin"]
    assert failure == "image-1 is not valid base64 and was saved as received"
    assert contents(tmp_path) == {"image-1.b64": data.encode(), "image-2.bin": b"\0\0\0"}


def test_an_image_elsewhere_is_told_of_and_not_fetched(tmp_path: Path) -> None:
    with Script() as server:
        url = f"{server.url}/image.png"
        said, failure = saved(tmp_path, Image(url=f"{url}\nsaved /etc/passwd"), Image())
        assert server.requests == []
    assert said == [f"image-1 was not fetched: {url} saved /etc/passwd"]
    assert failure == "image-2 came without data"
    assert contents(tmp_path) == {}


def test_no_image_at_all_is_a_failure(tmp_path: Path) -> None:
    assert saved(tmp_path) == ([], "the answer has no images")


def test_a_recording_gives_its_images_again(tmp_path: Path) -> None:
    lines = (
        '{"type":"metadata","seq":0,"t":0,"version":1,"run":"r","started_at":"2026-01-01T00:00:00Z"}',
        '{"type":"content","seq":1,"t":0,"delta":"Here: "}',
        '{"type":"image","seq":2,"t":0,"media_type":"image/png","data":"iVBORw0KGgo="}',
        '{"type":"done","seq":3,"t":0,"finish_reason":"stop","stats":{"duration":0,"chunks":1},'
        '"attempts":1}',
    )
    arguments = ["replay", "-", "--instant", "--save-images", str(tmp_path / "new")]
    ended = run(arguments, stdin="\n".join(lines).encode())
    assert (ended.status, ended.stdout) == (0, b"Here: ")
    assert ended.stderr == f"saved {tmp_path}/new/image-1.png\n"
    assert contents(tmp_path / "new") == {"image-1.png": PNG}

"""Claimed: an image is sent by its address, or with its bytes as base64."""

from __future__ import annotations

import pytest

from chatstream.errors import UsageError
from chatstream.messages import ChatRequest, Image
from chatstream.providers.images import address_of, encoded

STORED = Image(sha256="0" * 64, media_type="image/png")
REQUEST = ChatRequest("m", (), load_image={"0" * 64: b"PNG"}.__getitem__)


@pytest.mark.parametrize(
    ("image", "address", "media_type"),
    [
        (STORED, "data:image/png;base64,UE5H", "image/png"),
        (Image(url="https://a.example/b.png"), "https://a.example/b.png", ""),
        (
            Image(url="data:image/gif;base64,R0lG"),
            "data:image/gif;base64,R0lG",
            "image/gif",
        ),
        (
            Image(url="data:;base64,R0lG", media_type="image/gif"),
            "data:image/gif;base64,R0lG",
            "image/gif",
        ),
    ],
    ids=str,
)
def test_an_image_has_an_address_and_perhaps_bytes(
    image: Image, address: str, media_type: str
) -> None:
    assert address_of(image, REQUEST) == address
    assert encoded(image, REQUEST)[0] == media_type


def test_a_stored_image_needs_a_store() -> None:
    with pytest.raises(UsageError, match="not stored here"):
        encoded(STORED, ChatRequest("m", ()))

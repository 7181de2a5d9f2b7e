"""Claimed: what Anthropic refuses of images is said before it is sent."""

from __future__ import annotations

import base64

import pytest

from chatstream.errors import UsageError
from chatstream.providers.imagelimits import MOST_BYTES, check_bytes, check_pixels, pixels
from tests.support.images import gif, jpeg, png, webp

SIZE = (8001, 20)


@pytest.mark.parametrize(
    "data",
    [
        png(*SIZE),
        gif(*SIZE),
        jpeg(*SIZE),
        jpeg(*SIZE, notes=60_000),
        *(webp(kind, *SIZE) for kind in (b"VP8X", b"VP8L", b"VP8 ")),
    ],
)
def test_the_first_bytes_tell_the_size(data: bytes) -> None:
    assert pixels(data) == SIZE
    with pytest.raises(UsageError, match="8001 × 20 pixels"):
        check_pixels(base64.b64encode(data).decode())


@pytest.mark.parametrize("data", [png(), gif(1, 1), jpeg(1, 1), webp(b"VP8X", 1, 1)])
def test_what_ends_too_early_is_left_to_the_server(data: bytes) -> None:
    for end in range(len(data)):
        assert pixels(data[:end]) in {None, (1, 1)}
    check_pixels(base64.b64encode(data[:10]).decode())


def test_what_is_no_base64_or_another_image_is_left_to_the_server() -> None:
    check_pixels("a")
    check_pixels(base64.b64encode(b"GIF").decode())
    assert pixels(b"\xff\xd8\xff\xd9") is None
    assert pixels(b"RIFF....WEBPxxxx" + bytes(40)) is None


def test_the_largest_image_and_request_pass() -> None:
    check_pixels(base64.b64encode(png(8000, 1)).decode())
    check_bytes(MOST_BYTES)
    with pytest.raises(UsageError, match="32 MB a request"):
        check_bytes(MOST_BYTES + 1)

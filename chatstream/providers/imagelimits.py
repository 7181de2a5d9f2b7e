"""Limits of servers on images, checked before anything is sent.

1. Anthropic takes at most 8000 pixels in each direction, and 32 MB per request.
2. The size is read from the first bytes of an image; if it is not there, the server decides.
"""

from __future__ import annotations

import base64
import struct

from chatstream.errors import UsageError

MOST_PIXELS = 8000
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a request with its images in base64."""

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""The segments of a JPEG that contain its size."""


def check_pixels(encoded: str) -> None:
    """Raise `UsageError` for an image, in base64, that has too many pixels for Anthropic."""
    try:
        size = pixels(base64.b64decode(encoded))
    except ValueError:  # not base64, or cut; the server says so
        return
    if size is not None and max(size) > MOST_PIXELS:
        width, height = size
        raise UsageError(
            f"an image has {width} × {height} pixels, but Anthropic takes at most "
            f"{MOST_PIXELS} × {MOST_PIXELS}",
            hint="make it smaller",
        )


def check_bytes(lengths: int) -> None:
    """Raise `UsageError` if this many characters of base64 are too many for Anthropic."""
    if lengths > MOST_BYTES:
        raise UsageError(
            f"the images take {lengths / 1024**2:.0f} MB in the request, but Anthropic takes "
            f"{MOST_BYTES // 1024**2} MB a request",
            hint="send fewer images, or smaller ones",
        )


def pixels(data: bytes) -> tuple[int, int] | None:
    """The width and height of a PNG, GIF, JPEG or WebP; None if they are not found."""
    try:
        if data.startswith(b"\x89PNG"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"GIF8"):
            return struct.unpack_from("<HH", data, 6)
        if data.startswith(b"\xff\xd8"):
            return _of_jpeg(data)
        if data[8:12] == b"WEBP":
            return _of_webp(data)
    except struct.error:  # it ends too early
        pass
    return None


def _of_jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at : at + 1] == b"\xff":
        kind = data[at + 1] if at + 1 < len(data) else 0
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + length
    return None


def _of_webp(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8X":
            wide, wide_high, high, high_high = struct.unpack_from("<HBHB", data, 24)
            return (wide | wide_high << 16) + 1, (high | high_high << 16) + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None

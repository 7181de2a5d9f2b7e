"""Small images, and the beginnings of large ones, as bytes."""

from __future__ import annotations

import struct
import zlib


def png(width: int = 1, height: int = 1) -> bytes:
    """A black image."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    """The beginning of a GIF."""
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3)


def jpeg(width: int, height: int, *, notes: int = 0) -> bytes:
    """The beginning of a JPEG, with so many bytes of notes before its size."""
    note = b"\xff\xe1" + struct.pack(">H", notes + 2) + bytes(notes)
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 8, 8, height, width, 0)
    return b"\xff\xd8" + note + b"\xff" + frame


def webp(kind: bytes, width: int, height: int) -> bytes:
    """The beginning of a WebP of this kind: VP8X, VP8L or "VP8 "."""
    match kind:
        case b"VP8X":
            sizes = ((it - 1).to_bytes(3, "little") for it in (width, height))
            body = bytes(4) + b"".join(sizes)
        case b"VP8L":
            body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
        case _:
            body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + body

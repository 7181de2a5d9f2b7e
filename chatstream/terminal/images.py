"""The images of an answer, saved as files: `--save-images`.

1. The name is a number and an ending of ours: no name has a word of the server in it.
2. An image that the server keeps elsewhere is not fetched: nobody is asked whom the user has not
   named. Its address is told.
3. What is not base64 is saved as it came, so that nothing is lost, and counts as a failure.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from chatstream.errors import ChatstreamError
from chatstream.events import Image
from chatstream.sinks.words import MAX_URL_CHARACTERS, one_line
from chatstream.terminal.saving import Out, encoded, save_new

_ENDINGS = {
    "image/apng": ".apng",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/png": ".png",
    "image/svg+xml": ".svg",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
}
_UNKNOWN = ".bin"


def save_images(images: Sequence[Image], folder: Path, out: Out) -> None:
    """Save each one, and tell of it. Raises `ChatstreamError` for what could not be saved."""
    if not images:
        raise ChatstreamError("the answer has no images")
    failed = []
    for number, image in enumerate(images, 1):
        name = f"image-{number}"
        if not image.data and image.url:
            out(f"{name} was not fetched: {one_line(image.url, MAX_URL_CHARACTERS)}")
        elif not image.data:
            failed.append(f"{name} came without data")
        elif (data := decoded(image.data)) is not None:
            save_new(folder, name, ending_of(image.media_type), data, out)
        else:
            save_new(folder, name, ".b64", encoded(image.data), out)
            failed.append(f"{name} is not valid base64 and was saved as received")
    if failed:
        raise ChatstreamError("; ".join(failed))


def ending_of(media_type: str | None) -> str:
    """The ending of a file of this type, whatever parameters it has."""
    kind = (media_type or "").partition(";")[0].strip().lower()
    return _ENDINGS.get(kind, _UNKNOWN)


def decoded(data: str) -> bytes | None:
    """The bytes of base64 in either alphabet, padded or not; None for anything else."""
    text = "".join(data.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None

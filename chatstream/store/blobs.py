"""Images of conversations: files under the state folder, named by the SHA-256 of their bytes.

1. A blob is written in one step and never changed. The same image is kept once.
2. What is read has been verified: its bytes are those that its name says.
3. The bytes alone say what kind of image it is. Only what every provider takes is kept: PNG, JPEG,
   GIF and WebP.
4. Files 0600, their folder 0700.
"""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from chatstream.errors import JournalError, UsageError
from chatstream.files import MAX_WHOLE_BYTES, PRIVATE_FILE, make_private, read_whole, replace

FOLDER = "blobs"

_KINDS = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8[79]a",
    "image/webp": rb"RIFF....WEBP",
}
_NAME = "[0-9a-f]{64}"
_SHOWN = 12
"""Characters of a name that a message quotes."""


def media_type(data: bytes) -> str:
    """The media type of an image, such as "image/png". Raises `UsageError` for anything else."""
    for kind, beginning in _KINDS.items():
        if re.match(beginning, data, re.DOTALL):
            return kind
    raise UsageError("this is not an image that models take", hint="use PNG, JPEG, GIF or WebP")


class Blobs:
    """The images that are kept in a state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def put(self, data: bytes) -> str:
        """Keep an image. Returns the SHA-256 of its bytes, in hexadecimal.

        Raises `UsageError` for what is no image or too large, `JournalError` if it cannot be kept.
        """
        media_type(data)
        if len(data) > MAX_WHOLE_BYTES:
            raise UsageError(f"the image is larger than {MAX_WHOLE_BYTES:,} bytes")
        name = sha256(data).hexdigest()
        with suppress(JournalError):  # it is missing or damaged
            self.get(name)
            return name
        try:
            make_private(self._folder)
            replace(self._folder / name, data, mode=PRIVATE_FILE)
        except OSError as error:
            raise JournalError(
                f"the image cannot be kept in {self._folder}: {error.strerror}"
            ) from error
        return name

    def get(self, name: str) -> bytes:
        """The image with this SHA-256. Raises `JournalError` if it is missing or damaged."""
        if not re.fullmatch(_NAME, name):
            raise JournalError(f"{name[:_SHOWN]!r} is not the SHA-256 of an image")
        image, path = f"the image {name[:_SHOWN]}", self._folder / name
        try:
            data = read_whole(path)
        except FileNotFoundError as error:
            raise JournalError(f"{image} is missing", hint=f"it was kept as {path}") from error
        except OSError as error:
            raise JournalError(f"{image} cannot be read: {error.strerror}") from error
        if sha256(data).hexdigest() != name:
            raise JournalError(f"{image} is damaged: {path} was changed after it was written")
        return data

"""The images of a question, from the names that the user gives.

1. A name is a file or a web address. The server fetches an address; chatstream does not.
2. The bytes of a file, and not its name, decide what kind of image it is.
3. An image is stored once, under the SHA-256 of its bytes. Without a journal or a home folder
   nothing is stored: the image is then only in the request.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from chatstream.addresses import is_url
from chatstream.cancel import CancelToken
from chatstream.errors import UsageError
from chatstream.files import named, read_whole
from chatstream.messages import Image, Message
from chatstream.store.blobs import Blobs, media_type
from chatstream.store.place import NoHome, state_folder
from chatstream.wording import encodable, excerpt


def with_images(
    text: str, names: Sequence[str], token: CancelToken, *, keep: bool = True
) -> Message:
    """The question with these images before its text, as models read them best.

    With `keep` False no image is stored. Raises `UsageError`, `JournalError`.
    """
    return Message("user", [*(_image(name, token, keep=keep) for name in names), text])


def _image(name: str, token: CancelToken, *, keep: bool) -> Image:
    if is_url(name):
        return Image(url=_checked(name))
    if not name.strip():
        raise UsageError("the name of the image is empty", hint="give a file or an address")
    shown = encodable(name)
    try:  # a FIFO may have no writer yet
        data = token.wait_for(lambda: read_whole(named(name)))
    except OSError as error:
        raise UsageError(f"the image {shown} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"the image {name!r} cannot be read: {error}") from error
    try:
        kind = media_type(data)
    except UsageError as error:
        what = "is not an image that models take" if data else "is empty"
        raise UsageError(f"{shown} {what}", hint=error.hint) from error
    folder = _folder() if keep else None
    if folder is None:
        return Image(url=f"data:{kind};base64,{base64.b64encode(data).decode()}", media_type=kind)
    return Image(sha256=Blobs(folder).put(data), media_type=kind)


def _folder() -> Path | None:
    try:
        return state_folder()
    except NoHome:
        return None


def _checked(address: str) -> str:
    try:
        valid = bool(urlsplit(address).hostname) and not re.search(r"\s", address)
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{excerpt(address)!r} is not the address of an image")
    return address

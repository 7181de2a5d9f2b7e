"""Images that are sent: by their address, or as base64 in the request."""

from __future__ import annotations

import base64

from chatstream.errors import UsageError
from chatstream.messages import ChatRequest, Image
from chatstream.providers.parts import image_of


def address_of(image: Image, request: ChatRequest) -> str:
    """Where the image is: on the web, or in a `data:` address. Raises `UsageError`."""
    media_type, data = encoded(image, request)
    return f"data:{media_type};base64,{data}" if data else str(image.url)


def encoded(image: Image, request: ChatRequest) -> tuple[str, str]:
    """The media type and the base64 of an image; both empty for one on the web.

    Raises `UsageError`, and what reading a stored image raises.
    """
    if image.sha256 is not None:
        if request.load_image is None:
            raise UsageError("an image of this conversation is not stored here any more")
        data = request.load_image(image.sha256)
        return image.media_type or "", base64.b64encode(data).decode()
    found = image_of(image.url, -1.0)
    if found is None or found.data is None:
        return "", ""
    return image.media_type or found.media_type or "", found.data

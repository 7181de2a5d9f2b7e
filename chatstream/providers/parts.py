"""Pieces of an answer that are not plain text: lists of parts, reasoning, sources, images.

The dialects find them under different names; what they look like inside is the same everywhere.
"""

from __future__ import annotations

import re
from typing import Any

from chatstream.events import Citation, Content, Event, Image, Reasoning
from chatstream.providers.lenient import list_of, object_of, text_of
from chatstream.providers.text import whole_characters

_DATA_URL = r"data:([\w.+-]+/[\w.+-]+)?(?:;[^,;]*)*;base64,((?s:.*))"
_REASONING = r"(?i)reasoning|thinking|thought|summary"
_TEXT = ("text", "content", "output_text", "value")
_THOUGHT = ("thinking", "reasoning", "summary", "reasoning_text", *_TEXT)


def part_events(content: object, t: float) -> list[Event]:
    """The events of a `content` that is a list of parts, or one part."""
    events: list[Event] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            events += [Content(part, t=t)] if part else []
            continue
        fields = object_of(part)
        kind = text_of(fields.get("type"))
        if re.search(_REASONING, kind) or fields.get("thinking") or fields.get("thought") is True:
            events += [Reasoning(text, t=t)] if (text := reasoning_in(fields)) else []
        elif image := image_of(fields, t):
            events.append(image)
        elif kind != "reference" and (text := _first_text(fields, _TEXT)):
            events.append(Content(text, t=t))
    return events


def reasoning_in(value: object) -> str:
    """The thinking in whatever shape it comes: text, an object, or a list of either."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(reasoning_in, value))
    fields = object_of(value)
    if fields.get("type") == "reasoning.encrypted":
        return ""
    found = next((fields[name] for name in _THOUGHT if fields.get(name)), "")
    return reasoning_in(found)


def _first_text(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and (text := text_of(value.get("value"))):
            return text
    return ""


def image_of(part: object, t: float) -> Image | None:
    """The image in a part: OpenAI's and OpenRouter's, Anthropic's, Gemini's, or a bare address."""
    if isinstance(part, str):
        return _image_at(part, t)
    fields = object_of(part)
    place = fields.get("image_url") or fields.get("image") or fields.get("url")
    address = text_of(place) or text_of(object_of(place).get("url"))
    if address:
        return _image_at(address, t)
    source = object_of(
        fields.get("source") or fields.get("inlineData") or fields.get("inline_data")
    )
    data = text_of(source.get("data")) or text_of(fields.get("b64_json"))
    if not data and text_of(fields.get("type")).startswith("image"):
        data = text_of(fields.get("data")) or text_of(fields.get("result"))
    if not data:
        return None
    media = text_of(source.get("media_type")) or text_of(source.get("mimeType"))
    return Image(whole_characters(media) or None, whole_characters(data), t=t)


def images_in(value: object, t: float) -> list[Event]:
    """The images of a list."""
    return [image for item in list_of(value) if (image := image_of(item, t)) is not None]


def _image_at(address: str, t: float) -> Image | None:
    if found := re.match(_DATA_URL, address):
        return Image(found[1], whole_characters(found[2]), t=t)
    return (
        Image(url=whole_characters(address), t=t)
        if address.startswith(("http://", "https://"))
        else None
    )


class Sources:
    """The sources of one answer. Servers repeat them; each is an event once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._last: object = (None, None)

    def numbered(self, addresses: object, results: object, t: float) -> list[Event]:
        """A list whose order the text's `[1]` refers to; sent again with every chunk by some.

        `results` may tell the titles, or stand for the list itself.
        """
        if (addresses, results) == self._last:
            return []
        self._last = (addresses, results)
        found = list_of(results)
        titles = {str(it.get("url")): it.get("title") for it in found if isinstance(it, dict)}
        events: list[Event] = []
        for number, item in enumerate(list_of(addresses) or found, 1):
            titled = {"url": item, "title": titles.get(item)} if isinstance(item, str) else item
            events += self._citation(titled, t, number)
        return events

    def noted(self, value: object, t: float) -> list[Event]:
        """Annotations of the text, and single citations."""
        events: list[Event] = []
        for item in list_of(value):
            fields = object_of(item)
            events += self._citation(fields.get("url_citation") or fields, t, None)
        return events

    def _citation(self, item: object, t: float, number: int | None) -> list[Event]:
        fields = object_of(item)
        url = whole_characters(text_of(fields.get("url")) or text_of(fields.get("uri")))
        if not url or url in self._seen:
            return []
        self._seen.add(url)
        title = whole_characters(text_of(fields.get("title")))
        return [Citation(url, title or None, number, t=t)]

"""The result of a call of a server's tool, as text for the model.

Text stays as it is. Pictures, sounds and files are only described: the models' services do not
take them as results of tools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


def text_of(result: Mapping[str, Any]) -> str:
    """The text of a result. Structured content is used only if there is nothing else."""
    content = result.get("content")
    parts = list(_parts(content if isinstance(content, list) else []))
    if not parts and result.get("structuredContent") is not None:
        return msgspec.json.encode(result["structuredContent"]).decode()
    return "\n".join(parts)


def _parts(content: list[Any]) -> Iterator[str]:
    for it in content:
        if not isinstance(it, dict):
            continue
        match it.get("type"):
            case "text":
                yield str(it.get("text", ""))
            case "image" | "audio" as kind:
                yield f"[{kind}: {it.get('mimeType', 'of no known type')}{_size(it.get('data'))}]"
            case "resource_link":
                yield f"[resource: {it.get('name', '')} {it.get('uri', '')}]"
            case "resource":
                yield from _resource(it.get("resource"))
            case kind:
                yield f"[{kind}: chatstream does not know what that is]"


def _resource(resource: object) -> Iterator[str]:
    if not isinstance(resource, dict):
        return
    if isinstance(text := resource.get("text"), str):
        yield text
    else:
        kind = resource.get("mimeType", "of no known type")
        yield f"[resource: {resource.get('uri', '')}, {kind}{_size(resource.get('blob'))}]"


def _size(data: object) -> str:
    """How long Base64 is once it is decoded."""
    if not isinstance(data, str):
        return ""
    return f", {len(data) * 3 // 4 - data[-2:].count('='):,} bytes"

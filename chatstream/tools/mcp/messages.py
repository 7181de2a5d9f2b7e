"""What MCP says over any wire: JSON-RPC messages, in both eras of the protocol. No I/O.

1. The older era begins with `initialize` and has a session. The newer one (from `MODERN` on) has
   none: every request carries the version, who we are and what we can do, in its `_meta`.
2. `decode` takes whatever a server sends. Anything but a message of JSON-RPC raises
   `ProtocolError`; unknown members are ignored. A list of messages, which one revision allowed, is
   read as well.
3. Our ids are numbers. A server reports the progress of a request under its id.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from chatstream.errors import ProtocolError

MODERN = "2026-07-28"
"""The revision of the newer era."""

INITIALIZED = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Those of the older one, the newest first."""

METHOD_NOT_FOUND = -32601
UNSUPPORTED_VERSION = -32022

_META = "io.modelcontextprotocol/"
_MIRRORED = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


class Failure(msgspec.Struct, frozen=True):
    """The error of a response."""

    code: int
    message: str = ""
    data: Any = None


class Request(msgspec.Struct, frozen=True):
    """A request: of ours, or the server's own. `version` is the revision that it is made for.

    `mirrored` are headers that repeat parameters, where there are headers.
    """

    id: int | str
    method: str
    params: dict[str, Any] = {}
    version: str | None = None
    mirrored: dict[str, str] = {}


class Notification(msgspec.Struct, frozen=True):
    """A message that gets no answer."""

    method: str
    params: dict[str, Any] = {}
    version: str | None = None


class Response(msgspec.Struct, frozen=True):
    """The answer to a request: a result, or a failure."""

    id: int | str | None
    result: dict[str, Any] = {}
    failure: Failure | None = None


Message = Request | Notification | Response


class _Raw(msgspec.Struct):
    id: int | str | float | None = None
    method: str | None = None
    params: Any = None
    result: Any = msgspec.UNSET
    error: Failure | None = None


_decoder = msgspec.json.Decoder(list[_Raw] | _Raw)


def decode(data: bytes | str) -> list[Message]:
    """The messages in this JSON. Raises `ProtocolError`."""
    try:
        found = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ProtocolError(f"this is not a message of JSON-RPC: {error}") from error
    return [_message(it) for it in (found if isinstance(found, list) else [found])]


def _message(raw: _Raw) -> Message:
    number = int(raw.id) if isinstance(raw.id, float) else raw.id
    if raw.method is not None:
        params = raw.params if isinstance(raw.params, dict) else {}
        if number is None:
            return Notification(raw.method, params)
        return Request(number, raw.method, params)
    if raw.error is not None:
        return Response(number, failure=raw.error)
    if raw.result is msgspec.UNSET:
        raise ProtocolError("a message has no method, no result and no error")
    return Response(number, raw.result if isinstance(raw.result, dict) else {})


def encode(message: Message) -> bytes:
    """The JSON of a message, in one line."""
    said: dict[str, Any] = {"jsonrpc": "2.0"}
    match message:
        case Request(id, method, params):
            said |= {"id": id, "method": method, "params": params}
        case Notification(method, params):
            said |= {"method": method, "params": params}
        case Response(id, _, Failure() as failure):
            said |= {"id": id, "error": {"code": failure.code, "message": failure.message}}
        case Response(id, result):
            said |= {"id": id, "result": result}
    return msgspec.json.encode(said)


def who_we_are() -> dict[str, str]:
    """How this program introduces itself."""
    from chatstream import __version__

    return {"name": "chatstream", "version": __version__}


def params_of(
    number: int, version: str | None, capabilities: dict[str, Any], params: dict[str, Any]
) -> dict[str, Any]:
    """The parameters of a request, with what this era wants in every request."""
    meta: dict[str, Any] = {"progressToken": number}
    if version == MODERN:
        meta[f"{_META}protocolVersion"] = version
        meta[f"{_META}clientInfo"] = who_we_are()
        meta[f"{_META}clientCapabilities"] = capabilities
    return {**params, "_meta": meta}


def mirrored(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, str]:
    """The headers in which a tool of this schema wants arguments repeated (`x-mcp-header`)."""
    properties = schema.get("properties")
    headers: dict[str, str] = {}
    for name, its in properties.items() if isinstance(properties, dict) else ():
        value, token = arguments.get(name), its.get(_MIRRORED) if isinstance(its, dict) else None
        if isinstance(value, dict) and isinstance(its, dict):
            headers |= mirrored(its, value)
        elif isinstance(token, str) and _TOKEN.fullmatch(token):
            if isinstance(value, bool):
                headers[f"Mcp-Param-{token}"] = "true" if value else "false"
            elif isinstance(value, str | int):
                headers[f"Mcp-Param-{token}"] = in_header(str(value))
    return headers


def in_header(value: str) -> str:
    """A value as a header can carry it: what is not plain ASCII, or padded, is wrapped."""
    plain = value.isascii() and value.isprintable() and value == value.strip()
    if plain and not value.startswith("=?base64?"):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def answer(request: Request, roots: list[dict[str, str]]) -> Response:
    """The answer to a server's own request.

    It is told the folders that the user has named for it. No server speaks to the model or to the
    user through us.
    """
    match request.method:
        case "ping":
            return Response(request.id)
        case "roots/list":
            return Response(request.id, {"roots": roots})
        case "elicitation/create":
            return Response(request.id, {"action": "decline"})
    return Response(request.id, failure=Failure(METHOD_NOT_FOUND, "chatstream does not offer this"))

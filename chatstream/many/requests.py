"""The request in each line of a batch. The fields of a line show which format it has.

    {"prompt": "…"}                       or {"messages": [{"role": "user", "content": "…"}]}
    {"custom_id": "…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}   OpenAI
    {"custom_id": "…", "params": {…}}                                                  Anthropic

1. A line names what is special about it: `model`, `system`, `temperature`, `max_tokens`, and in the
   formats of OpenAI and Anthropic any parameter of theirs, which is sent as it is. Options that the
   user gives for the whole batch take precedence. In our own format other fields are the user's.
2. The key of a request is a hash of what its line asks, with a number for repeated lines. It shows
   which answers exist already; it does not depend on the options of the batch.
3. A line that cannot be sent is a request, too; `wrong` is one sentence that names its line number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from chatstream.engine.option_pairs import check_sendable
from chatstream.engine.options import checked
from chatstream.engine.prompts import messages_of
from chatstream.errors import UsageError
from chatstream.many.inputs import Line
from chatstream.messages import Message
from chatstream.wording import encodable

_CHAT = "/chat/completions"
_OWN = ("model", "system", "temperature", "max_tokens")
_KEY_DIGITS = 16
_NAMES = {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"}
_LEFT_OUT = ("stream", "stream_options", "metadata", "store", "user", "service_tier")
"""Parameters that belong to whoever sends them: we stream, and keep what comes ourselves."""

_TOO_DEEP = "its JSON is nested too deeply"
_FORMATS = '{"prompt": …}, {"messages": …}, or a line of an OpenAI or Anthropic batch'


class Request(msgspec.Struct, frozen=True):
    """What one line asks. `index` counts from 0, `number` is that of the line.

    `id` is the line's own, or else its key. `settings` are those that the line has itself.
    """

    index: int
    number: int
    id: str
    key: str
    messages: tuple[Message, ...] = ()
    settings: dict[str, Any] = {}
    wrong: str | None = None


class _Asked(msgspec.Struct):
    messages: list[Message]
    settings: dict[str, Any]


def requests_of(lines: Iterable[Line | None]) -> Iterator[Request | None]:
    """The requests of these lines; None while nothing comes."""
    seen: Counter[bytes] = Counter()
    index = -1
    for line in lines:
        if line is None:
            yield None
            continue
        index += 1
        own, content = _content(line)
        digest = sha256(content).digest()[: _KEY_DIGITS // 2]
        seen[digest] += 1
        times = f"-{seen[digest]}" if seen[digest] > 1 else ""
        key = digest.hex() + times
        name = encodable(own or key)
        if line.wrong is not None:
            yield Request(index, line.number, name, key, wrong=_wrong(line, line.wrong))
            continue
        try:
            asked = _asked(line)
        except UsageError as error:
            why = f"{error.message}: {error.hint}" if error.hint else error.message
            yield Request(index, line.number, name, key, wrong=_wrong(line, why))
        else:
            messages = tuple(asked.messages)
            yield Request(index, line.number, name, key, messages, asked.settings)


def _wrong(line: Line, why: str) -> str:
    return f"line {line.number}: {why}"


def _content(line: Line) -> tuple[str | None, bytes]:
    """The id that a line gives itself, and what is hashed of it.

    Spaces and the order of the fields make no difference, nor does anything in our own format that
    is not asked.
    """
    if line.prompt is not None:
        return None, line.prompt.encode()
    value = _json(line) if line.json is not None else None
    if not isinstance(value, dict):
        return None, line.json or (line.wrong or "").encode()
    own = value.get("custom_id", value.get("id"))
    try:
        content = json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")
    except RecursionError:
        content = line.json or b""
    return str(own) if isinstance(own, str | int) and not isinstance(own, bool) else None, content


def _json(line: Line) -> Any:
    try:
        return json.loads(line.json or b"")
    except (ValueError, RecursionError):
        return None


def _asked(line: Line) -> _Asked:
    if line.prompt is not None:
        return _Asked(_made(line.prompt), {})
    value = _loaded(line.json or b"")
    if "body" in value:
        return _of_openai(value)
    if "params" in value:
        return _of_body(value["params"], "params")
    settings = {name: value[name] for name in _OWN if value.get(name) is not None}
    if ("prompt" in value) == ("messages" in value):
        what = "both prompt and messages" if "prompt" in value else "neither prompt nor messages"
        raise UsageError(f"it has {what}", hint=f"a line is {_FORMATS}")
    if "prompt" in value:
        if not isinstance(value["prompt"], str):
            raise UsageError("its prompt is not text")
        return _Asked(_made(value["prompt"]), checked(settings))
    return _Asked(_messages(value["messages"]), checked(settings))


def _loaded(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise UsageError(_TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"it is not UTF-8: byte 0x{data[error.start]:02x}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"it is not JSON: {error.msg} at column {error.colno}") from error
    except ValueError as error:
        raise UsageError(f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError("it is not a JSON object", hint=f"a line is {_FORMATS}")
    return value


def _of_openai(value: dict[str, Any]) -> _Asked:
    url, body = value.get("url"), value["body"]
    if isinstance(url, str) and not url.rstrip("/").endswith(_CHAT):
        raise UsageError(f"it is for {url}", hint=f"only …{_CHAT} can be asked")
    return _of_body(body, "body")


def _of_body(body: Any, where: str) -> _Asked:
    """A body as the service takes it. Its other parameters become options, sent as they are."""
    if not isinstance(body, dict):
        raise UsageError(f"its {where} is not a JSON object")
    if body.get("tools") or body.get("functions"):
        raise UsageError("it has tools", hint="a batch cannot call tools")
    fields = {_NAMES.get(name, name): it for name, it in body.items() if it is not None}
    if isinstance(system := fields.get("system"), list):
        fields["system"] = "".join(_text(it) for it in system)
    messages = _messages(fields.pop("messages", None))
    settings = {name: fields.pop(name) for name in _OWN if name in fields}
    options = {name: it for name, it in fields.items() if name not in _LEFT_OUT}
    try:
        check_sendable(options)
    except RecursionError as error:
        raise UsageError(_TOO_DEEP) from error
    except UnicodeEncodeError as error:
        raise UsageError("it contains an unpaired surrogate (invalid Unicode)") from error
    return _Asked(messages, checked({**settings, **({"options": options} if options else {})}))


def _messages(given: Any) -> list[Message]:
    if not isinstance(given, list):
        raise UsageError("its messages are not a list")
    return _made([_message(it, number) for number, it in enumerate(given, 1)])


def _made(given: Any) -> list[Message]:
    try:
        return messages_of(given)
    except UsageError as error:
        raise UsageError(error.message) from error  # its hint is for callers of the library


def _message(given: Any, number: int) -> Any:
    """A message, whose content may be a list of parts, as OpenAI and Anthropic write them."""
    if not isinstance(given, Mapping):
        return given
    message = {  # an answer that was copied has fields with nothing in them
        name: it for name, it in given.items() if it is not None and (it != [] or name == "content")
    }
    if message.get("role") == "developer":
        message["role"] = "system"
    if isinstance(message.get("content"), list):
        message["parts"] = [_part(it, f"message {number}") for it in message.pop("content")]
    return message


def _part(given: Any, where: str) -> Any:
    if isinstance(given, str):
        return given
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "text":
        return {"type": "text", "text": given.get("text")}
    if kind == "image_url" and isinstance(given.get("image_url"), Mapping):
        return {"type": "image", "url": given["image_url"].get("url")}
    if kind == "image" and isinstance(source := given.get("source"), Mapping):
        if source.get("type") == "url":
            return {"type": "image", "url": source.get("url")}
        return {
            "type": "image",
            "url": f"data:{source.get('media_type')};base64,{source.get('data')}",
        }
    raise UsageError(f"{where} has a part of type {kind!r}", hint="a part is a text or an image")


def _text(part: Any) -> str:
    if isinstance(part, Mapping) and isinstance(text := part.get("text"), str):
        return text
    raise UsageError("its system prompt is not text")

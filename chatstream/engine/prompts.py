"""What a caller asks with, as messages. Every mistake is a `UsageError` that names its place.

1. A question is a text, or a conversation: a list of messages.
2. A message is a `Message`, or a dict with its fields. Its parts are objects of
   `chatstream.messages`, dicts with a `type`, or strings.
3. A role holds only the parts that every server takes from it (`HOLDS`), and a result answers a
   call that was made before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from chatstream.errors import UsageError
from chatstream.files import read_whole
from chatstream.messages import (
    FIELDS,
    Image,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    convert,
    encode,
)
from chatstream.nearest import did_you_mean

if TYPE_CHECKING:
    from chatstream.engine import roles

Prompt = str | bytes | os.PathLike[str] | Message | Mapping[str, Any] | Sequence[Any]
"""What can be asked; `chatstream.stream` says what each is."""

HOLDS: dict[Role, tuple[type[msgspec.Struct], ...]] = {
    "system": (Text,),
    "user": (Text, Image),
    "assistant": (Text, Reasoning, ToolCall),
    "tool": (ToolResult,),
}
"""The parts that a message of each role may have."""

_KINDS: dict[str, type[Part]] = {str(it.__struct_config__.tag): it for it in get_args(Part)}
_PROMPTS = "a str, bytes in UTF-8, the pathlib.Path of a text file, or a list of messages"
_A_MESSAGE = 'a message is a chatstream.Message or a dict: {"role": "user", "content": "hi"}'
_A_PART = 'a part is a str, a dict such as {"type": "text", "text": "hi"}, or its class'
_AN_IMAGE = "give its url (https: or data:), or the sha256 and the media_type of a stored image"


def messages_of(prompt: Prompt, earlier: Sequence[Message] = ()) -> list[Message]:
    """The messages that are asked with, after those `earlier` ones. Raises `UsageError`."""
    if isinstance(prompt, str | bytes | bytearray | os.PathLike):
        text = _text(prompt, "the question")
        if not text.strip():
            raise UsageError("the question is empty")
        return [Message("user", text)]
    if isinstance(prompt, Message | Mapping):
        prompt = [prompt]
    if not isinstance(prompt, Sequence):
        raise UsageError(f"a question cannot be {type_of(prompt)}", hint=f"give {_PROMPTS}")
    if not prompt:
        raise UsageError("the conversation has no messages", hint=_A_MESSAGE)
    messages = [_message(given, f"message {number}") for number, given in enumerate(prompt, 1)]
    _check_results(messages, earlier)
    return messages


def in_role(messages: list[Message], role: roles.Role | None) -> list[Message]:
    """The messages, the last of them in the text of a role that contains the question."""
    if role is None or role.template is None:
        return messages
    *before, last = messages
    if last.role != "user":
        raise UsageError(f"role {role.name} contains the question, but the last message is not one")
    images = [it for it in last.parts if isinstance(it, Image)]
    return [*before, Message("user", [*images, role.asked(last.content)])]


def _message(given: object, where: str) -> Message:
    if isinstance(given, Message):
        fields: dict[Any, Any] = {
            "role": given.role,
            "parts": given.parts,
            "complete": given.complete,
        }
    elif isinstance(given, Mapping):
        fields = dict(given)
    else:
        raise UsageError(f"{where} is {type_of(given)}", hint=_A_MESSAGE)
    for name in fields:
        if name not in FIELDS:
            raise UsageError(f"{where} has an unknown field {name!r}", hint=nearest(name, FIELDS))
    roles = get_args(Role)
    if fields.get("role") not in roles:
        what = f"the unknown role {fields['role']!r}" if "role" in fields else "no role"
        raise UsageError(f"{where} has {what}", hint=f"a role is one of: {', '.join(roles)}")
    if "content" in fields:
        fields["content"] = _text(fields["content"], f"the content of {where}")
    parts = fields.pop("parts", None)
    try:
        message = convert(fields)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is not valid: {error}", hint=_A_MESSAGE) from error
    if parts is not None:
        message = _with_parts(message, parts, where)
    _check_parts(message, where)
    return message


def _with_parts(message: Message, given: object, where: str) -> Message:
    """The message of these parts. Its other fields, where there are any, may only repeat them."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise UsageError(f"the parts of {where} cannot be {type_of(given)}", hint="give a list")
    parts = [_part(it, f"part {number} of {where}") for number, it in enumerate(given, 1)]
    whole = Message(message.role, parts, message.complete)
    for name in ("content", "reasoning"):
        if getattr(message, name) not in ("", getattr(whole, name)):
            raise UsageError(
                f"{where} has {name} beside its parts", hint="make it one of the parts"
            )
    return whole


def _part(given: object, where: str) -> Part:
    if isinstance(given, str):
        return Text(given)
    if isinstance(given, Part):
        tag = given.__struct_config__.tag
        fields: dict[Any, Any] = {"type": tag, **msgspec.structs.asdict(given)}
    elif isinstance(given, Mapping):
        fields = dict(given)
    else:
        raise UsageError(f"{where} is {type_of(given)}", hint=_A_PART)
    kind = _KINDS.get(str(fields.get("type")))
    if kind is None:
        what = f"the unknown type {fields['type']!r}" if "type" in fields else "no type"
        raise UsageError(f"{where} has {what}", hint=nearest(fields.get("type"), list(_KINDS)))
    names = kind.__struct_fields__
    for name in fields:
        if name != "type" and name not in names:
            raise UsageError(f"{where} has an unknown field {name!r}", hint=nearest(name, names))
    try:
        part: Part = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is not valid: {error}", hint=_A_PART) from error
    return part


def _check_parts(message: Message, where: str) -> None:
    """Raises `UsageError` for parts that no server takes from this role."""
    for part in message.parts:
        if not isinstance(part, HOLDS[message.role]):
            named = " or ".join(str(it.__struct_config__.tag) for it in HOLDS[message.role])
            tag = part.__struct_config__.tag
            raise UsageError(
                f"{where} has the role {message.role!r} and cannot have a part of type {tag!r}",
                hint=f"it takes: {named}",
            )
        if isinstance(part, Image):
            _check_image(part, where)
    if message.role == "tool" and not message.parts:
        raise UsageError(f"{where} has no result", hint="give it parts of type 'tool_result'")
    try:
        encode(message)
    except UnicodeEncodeError as error:
        raise _unpaired(error, where) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{where} has provider_data that is not JSON: {error}") from error


def _check_image(image: Image, where: str) -> None:
    kept = image.sha256 is not None
    if kept == (image.url is not None):
        raise UsageError(f"{where} has an image without a place, or with two", hint=_AN_IMAGE)
    if image.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", image.sha256):
        raise UsageError(f"{where} has an image whose sha256 is not 64 hexadecimal digits")
    if kept and not image.media_type:
        raise UsageError(f"{where} has a stored image without its media_type", hint=_AN_IMAGE)
    if image.url is not None and not re.match(r"(?i)https?://|data:image/", image.url):
        raise UsageError(f"{where} has an image that is not on the web", hint=_AN_IMAGE)


def _check_results(messages: Sequence[Message], earlier: Sequence[Message]) -> None:
    """Raises `UsageError` for a result without its call."""
    called = {call.id for message in earlier for call in message.tool_calls}
    for number, message in enumerate(messages, 1):
        for part in message.parts:
            if isinstance(part, ToolCall):
                called.add(part.id)
            elif isinstance(part, ToolResult) and part.id not in called:
                raise UsageError(
                    f"message {number} has the result of the call {part.id!r}, "
                    "but no message before it makes that call",
                    hint="a result has the id of its call",
                )


def _text(given: object, where: str) -> str:
    """A text that may be in a file. Raises `UsageError`."""
    if isinstance(given, os.PathLike):
        where = os.fspath(given)
        try:
            given = read_whole(Path(given))
        except OSError as error:
            raise UsageError(f"{where} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{where!r} cannot be read: {error}") from error
    if isinstance(given, bytes | bytearray):
        try:
            return given.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            wrong = f"byte 0x{given[error.start]:02x} at offset {error.start}"
            hint = "decode it first and pass a str"
            raise UsageError(f"{where} is not valid UTF-8: {wrong}", hint=hint) from error
    if not isinstance(given, str):
        raise UsageError(
            f"{where} cannot be {type_of(given)}", hint="give a str, or bytes in UTF-8"
        )
    check_text(given, where)
    return given


def check_text(text: object, where: str) -> None:
    """Raises `UsageError` for a text that no encoding takes."""
    try:
        if isinstance(text, str):
            text.encode()
    except UnicodeEncodeError as error:
        raise _unpaired(error, where) from error


def _unpaired(error: UnicodeEncodeError, where: str) -> UsageError:
    half = f"U+{ord(error.object[error.start]):04X}"
    return UsageError(
        f"{where} contains an unpaired surrogate (invalid Unicode): {half} at offset {error.start}",
        hint="to put a question mark there, pass text.encode('utf-8', 'replace').decode()",
    )


def type_of(value: object) -> str:
    """What a value is, for an error: "None", or "of type int"."""
    return "None" if value is None else f"of type {type(value).__name__}"


def nearest(name: object, names: Sequence[str]) -> str:
    """The hint for an unknown name."""
    there = f"choose from: {', '.join(names)}"
    return did_you_mean(str(name), names, there) or there

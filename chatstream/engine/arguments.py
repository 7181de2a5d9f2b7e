"""The arguments of the Python API: what can be asked, with which options, and what is wrong.

A mistake (an empty question, an unknown option, a value of the wrong type) is a `UsageError` that
names the argument, found before anything is asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

import msgspec

from chatstream.engine.pipeline import check_sendable
from chatstream.engine.resolve import check_given, parse
from chatstream.engine.settings import FIELDS, OnDrop
from chatstream.errors import ConfigError, UsageError
from chatstream.files import read_whole
from chatstream.messages import Message, Role
from chatstream.nearest import did_you_mean

Prompt = str | bytes | os.PathLike[str] | Message | Mapping[str, Any] | Sequence[Any]
"""What can be asked; `stream` says what each is."""

_PROMPTS = "a str, bytes in UTF-8, the pathlib.Path of a text file, or a list of messages"
_A_MESSAGE = 'a message is a chatstream.Message or a dict: {"role": "user", "content": "hi"}'


class Options(TypedDict, total=False):
    """The options of `stream`, `ask`, `pieces` and `resume`; `stream` says what each means."""

    provider: str
    model: str
    base_url: str
    api_key: str
    key_variable: str
    key_command: str
    profile: str
    system: str
    temperature: float
    max_tokens: int
    options: dict[str, Any]
    retries: int
    retry_delay: float
    connect_timeout: float
    first_token_timeout: float
    idle_timeout: float
    timeout: float
    proxy: str
    ca_file: str | os.PathLike[str]
    headers: dict[str, str]
    on_drop: OnDrop
    fallback: list[str]
    fallback_on_error: bool
    strategy: str
    journal: bool
    buffer: Literal["none", "fixed", "dynamic", "sliding"]
    buffer_bytes: int
    coalesce: bool


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, a path as text.

    Raises `UsageError` for one that is wrong, and names it.
    """
    given = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in options.items()
    }
    for name, value in given.items():
        if name not in FIELDS and name != "profile":
            raise UsageError(f"unknown option {name!r}", hint=_nearest(name, _OPTIONS))
        if value is not None:
            _check_option(name, value)
    return given


def _check_option(name: str, value: Any) -> None:
    for text in value if isinstance(value, list | tuple) else [value]:
        _check_text(text, name)
    try:
        if name == "options" and isinstance(value, dict):
            check_sendable(value)
        if name != "profile":
            parse(name, value)
        elif not isinstance(value, str):
            raise UsageError(f"profile cannot be {type_name(value)}", hint="give its name, a str")
        else:
            check_given(name, value)
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error


def messages_of(prompt: Prompt) -> list[Message]:
    """The conversation that is asked with. Raises `UsageError`."""
    if isinstance(prompt, str | bytes | bytearray | os.PathLike):
        text = _text(prompt, "the question")
        if not text.strip():
            raise UsageError("the question is empty")
        return [Message("user", text)]
    if isinstance(prompt, Message | Mapping):
        prompt = [prompt]
    if not isinstance(prompt, Sequence):
        raise UsageError(f"a question cannot be {type_name(prompt)}", hint=f"give {_PROMPTS}")
    if not prompt:
        raise UsageError("the conversation has no messages", hint=_A_MESSAGE)
    return [_message(given, f"message {number}") for number, given in enumerate(prompt, 1)]


def _message(given: object, where: str) -> Message:
    if isinstance(given, Message):
        fields: dict[Any, Any] = msgspec.structs.asdict(given)
    elif isinstance(given, Mapping):
        fields = dict(given)
    else:
        raise UsageError(f"{where} is {type_name(given)}", hint=_A_MESSAGE)
    names, roles = Message.__struct_fields__, get_args(Role)
    for name in fields:
        if name not in names:
            raise UsageError(f"{where} has an unknown field {name!r}", hint=_nearest(name, names))
    if fields.get("role") not in roles:
        what = f"the unknown role {fields['role']!r}" if "role" in fields else "no role"
        raise UsageError(f"{where} has {what}", hint=f"a role is one of: {', '.join(roles)}")
    if "content" in fields:
        fields["content"] = _text(fields["content"], f"the content of {where}")
    try:
        message = msgspec.convert(fields, Message)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} is not valid: {error}", hint=_A_MESSAGE) from error
    for text in (message.reasoning, *(part for it in message.tool_calls for part in _parts(it))):
        _check_text(text, where)
    return message


def _parts(call: msgspec.Struct) -> tuple[str, ...]:
    return msgspec.structs.astuple(call)


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
            f"{where} cannot be {type_name(given)}", hint="give a str, or bytes in UTF-8"
        )
    _check_text(given, where)
    return given


def _check_text(text: object, where: str) -> None:
    """Raises `UsageError` for a text that no encoding takes."""
    try:
        if isinstance(text, str):
            text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(error.object[error.start]):04X}"
        raise UsageError(
            f"{where} contains an unpaired surrogate (invalid Unicode): "
            f"{half} at offset {error.start}",
            hint="to put a question mark there, pass text.encode('utf-8', 'replace').decode()",
        ) from error


def type_name(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _nearest(name: object, names: Sequence[str]) -> str:
    there = f"choose from: {', '.join(names)}"
    return did_you_mean(str(name), names, there) or there


_OPTIONS = tuple(Options.__annotations__)

"""Where each dialect puts text, reasoning, arguments, failures and ends; see `reader.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "reasoning", "arguments"]

_HIGHEST_INDEX = 127
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")


class Piece(NamedTuple):
    """One piece of the answer; any of `wordings` will do."""

    kind: Kind
    wordings: tuple[str, ...]
    block: object = None  # the content block that arguments belong to, in Anthropic's frames


class Choice(NamedTuple):
    """What a frame says about one choice."""

    which: int | None  # its index
    pieces: tuple[Piece, ...]
    reason: str = ""  # why this choice ended
    repeats: bool = False  # the pieces stand where whole messages do
    both: bool = False  # a whole message beside the delta


class Reading(NamedTuple):
    """What one JSON value, or one stretch that is none, says."""

    choices: tuple[Choice, ...] = ()
    failure: str = ""
    mark: bool = False  # the stream is over, says a mark in some place
    end: bool = False  # and truly so: in the place where it belongs
    restart: bool = False
    opens: object = None  # the index of a content block that is a call of a client's tool
    damaged: str = ""


def readings(dialect: str, value: object) -> tuple[Reading, ...]:
    """What a JSON value says: one reading of an object, and of each object in a list."""
    members = value if isinstance(value, list) else [value]
    read_one = {"openai": _openai, "anthropic": _anthropic, "ollama": _ollama}[dialect]
    return tuple(read_one(member) for member in members if isinstance(member, dict))


def is_frame(dialect: str, value: dict[str, Any]) -> bool:
    """Whether a value found inside a broken stretch is a frame, and not a part of one."""
    if dialect == "openai":
        return "choices" in value or "error" in value
    if dialect == "anthropic":
        return bool({"delta", "content_block", "message", "error"} & value.keys()) or (
            value.get("type") == "message_stop"
        )
    return isinstance(value.get("message"), dict) or "done" in value


def compact(value: object) -> str:
    """A JSON value in one spelling, to compare it with another."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _openai(frame: dict[str, Any]) -> Reading:
    choices = frame.get("choices")
    if choices is None and isinstance(frame.get("data"), dict):
        choices = frame["data"].get("choices")
    members = choices if isinstance(choices, list) else [choices]
    said = tuple(_openai_choice(choice) for choice in members if isinstance(choice, dict))
    return Reading(said, _failure(frame) if frame.get("error") or not said else "")


def _openai_choice(choice: dict[str, Any]) -> Choice:
    delta, message = choice.get("delta"), choice.get("message")
    index, reason = _index(choice.get("index")), _word(choice.get("finish_reason"))
    if isinstance(delta, dict):
        both = isinstance(message, dict)
        return Choice(index, tuple(_message(delta)), reason, both=both)
    if isinstance(delta, str) and delta:
        return Choice(index, (Piece("text", (delta,)),), reason)
    if isinstance(message, dict):
        return Choice(index, tuple(_message(message)), reason, repeats=True)
    return Choice(index, tuple(_texts("text", choice.get("text"))), reason)


def _message(message: dict[str, Any]) -> Iterator[Piece]:
    wordings = [
        "".join(piece.wordings[0] for piece in _texts("reasoning", message.get(name)))
        for name in (*_REASONING, "reasoning_details")
    ]
    if said := tuple(dict.fromkeys(filter(None, wordings))):
        yield Piece("reasoning", said)
    content = message.get("content")
    yield from _texts("text", message.get("text") if content is None else content)
    calls = message.get("tool_calls")
    functions = [
        call.get("function")
        for call in (calls if isinstance(calls, list) else [calls])
        if isinstance(call, dict)
    ]
    for function in [*functions, message.get("function_call")]:
        if isinstance(function, dict):
            yield from _arguments(function.get("arguments"))


def _anthropic(frame: dict[str, Any]) -> Reading:
    kind = frame.get("type")
    delta, block, message = (frame.get(name) for name in ("delta", "content_block", "message"))
    index = frame.get("index") if isinstance(frame.get("index"), int | str) else None
    pieces: list[Piece] = []
    reason, opens = "", None
    if isinstance(delta, dict):
        if kind != "message_delta":
            pieces += _texts("text", delta.get("text"))
            pieces += _texts("reasoning", delta.get("thinking"))
            pieces += _arguments(delta.get("partial_json"), index)
        reason = _word(delta.get("stop_reason"))
    if isinstance(block, dict):
        pieces += _block(block)
        if block.get("type") == "tool_use":
            opens = index
    whole = message if isinstance(message, dict) else frame if kind == "message" else {}
    content = whole.get("content")
    if isinstance(content, str):
        pieces += _texts("text", content)
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            pieces += _block(part)
    stop = kind == "message_stop"
    return Reading(
        (Choice(0, tuple(pieces), reason),),
        _failure(frame),
        mark=stop,
        end=stop,
        restart=kind == "message_start",
        opens=opens,
    )


def _block(block: dict[str, Any]) -> Iterator[Piece]:
    if not str(block.get("type")).endswith(("_use", "_result")):
        yield from _texts("text", block.get("text"))
        yield from _texts("reasoning", block.get("thinking"))


def _ollama(frame: dict[str, Any]) -> Reading:
    message = frame.get("message")
    pieces: list[Piece] = []
    if isinstance(message, dict):
        pieces += _message(message)
    pieces += _texts("reasoning", frame.get("thinking"))
    pieces += _texts("text", frame.get("response"))
    done = frame.get("done")
    return Reading(
        (Choice(0, tuple(pieces), _word(frame.get("done_reason"))),),
        _failure(frame),
        mark=bool(done),
        end=done is True,
    )


def _texts(kind: Kind, value: object) -> Iterator[Piece]:
    """The text of a value: a string, an object around one, a list of those."""
    if isinstance(value, str):
        if value:
            yield Piece(kind, (value,))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(kind, part)
    elif isinstance(value, dict):
        name = value.get("type")
        if isinstance(name, str) and name.split(".")[0] in ("thinking", "reasoning"):
            kind = "reasoning"
        for key in ("text", "content", "thinking", "reasoning"):
            if isinstance(value.get(key), str | list) and value[key]:
                inner: Kind = "reasoning" if key in ("thinking", "reasoning") else kind
                yield from _texts(inner, value[key])
                return


def _arguments(value: object, block: object = None) -> Iterator[Piece]:
    if isinstance(value, dict):
        value = compact(value)
        if value == "{}":
            return
    if isinstance(value, str) and value.strip():
        yield Piece("arguments", (value,), block)


def _failure(frame: dict[str, Any]) -> str:
    error = frame.get("error")
    if error and isinstance(error, str | dict):
        return error if isinstance(error, str) else compact(error)
    if "error" in (frame.get("object"), frame.get("type")):
        return compact(frame)
    return ""


def _word(value: object) -> str:
    return "" if value is None else str(value)


def _index(value: object) -> int | None:
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value in range(_HIGHEST_INDEX + 1) else None

"""The lenient reader: the answer that a patient human would find in the bytes of a stream.

It shares no code with `chatstream`, on purpose: it is the other opinion. It reads slowly, twice,
and with everything there, so it may look ahead where the client must decide at once.

    found = read("openai", body)
    found.pieces      text, reasoning and tool-call arguments that are surely part of the answer
    found.damaged     stretches that hold text but are not JSON
    found.failure     the words in which the server said that it failed, if it did
    found.ended       whether anything says that the answer is over
    found.late        text that came after the true end

What counts as sure:

1. Every JSON value that can be parsed is read: the data of an event, each of its lines, lines
   without `data:`, several values on one line. Comments (`: …`, `data: : …`) are not. Where a key
   comes twice, the last one holds, as in every JSON reader.
2. Text is taken from the places where dialects put it, as a string, as an object with `text` or
   `content`, or as a list of those. A renamed field is no such place.
3. The true end is `[DONE]`, `message_stop` or `"done": true`. What follows is late.
4. A choice index is a small whole number, also as text or 0.0, and 0 where it is missing;
   anything else is no index. An index that two or more frames carry, or that stands beside
   another in one frame, is an answer of its own, and the first such one is read. Any other index
   is a slip: its text belongs to the answer that is read.
5. Where a frame says its reasoning twice, either wording will do. A whole `message` is read where
   a delta is missing, unless the server sends it beside its deltas: then it repeats them.
6. A second `message_start` voids what came before it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tests.fuzz.places import Choice, Kind, Piece, Reading, is_frame, readings

_FAILED = """
    abort aborted error network_error timeout cancelled
    insufficient_system_resource malformed_function_call
"""
FAILED = frozenset(_FAILED.split())
"""Finish reasons that say that the server gave up."""

_TEXT_INSIDE = re.compile(
    r'"(?:content|text|thinking|response|reasoning\w*|partial_json|arguments)"\s*:\s*"(?!")'
)
_DONE = re.compile(r"^ *\[DONE\] *$", re.MULTILINE)
_TRIES = 60  # places in a broken stretch at which a whole frame is looked for
_FIELD = re.compile(r"(data|event|id|retry|error)(?:: ?|$)")


@dataclass
class Found:
    """What the reader has found in one body."""

    pieces: list[Piece] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    failure: str = ""
    ended: bool = False
    late: str = ""

    def text(self, kind: Kind = "text") -> str:
        """All pieces of a kind, in their first wording."""
        return "".join(piece.wordings[0] for piece in self.pieces if piece.kind == kind)


def read(dialect: str, body: bytes) -> Found:
    """The answer in a body. Never raises."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    whole = _parse(text)
    if isinstance(whole, dict | list) and (dialect != "ollama" or "\n" in text.strip()):
        found = _join(dialect, iter(readings(dialect, whole)))
        found.ended = True  # one JSON text is whole by itself
        return found
    lines = _ollama_readings(text) if dialect == "ollama" else _sse_readings(dialect, text)
    return _join(dialect, lines)


def _sse_readings(dialect: str, text: str) -> Iterator[Reading]:
    """The readings of an event stream, in order."""
    data: list[str] = []
    bare: list[str] = []
    event = ""
    lines = re.split(r"\r\n|\n|\r", text) if "\r" in text else text.split("\n")
    for line in [*lines, ""]:
        if not line:
            if data:
                yield from _payload(dialect, "\n".join(data))
                if event == "error":
                    yield Reading(failure="\n".join(data))
                elif event == "message_stop":
                    yield Reading(mark=True)
                data.clear()
            event = ""
            continue
        named = _FIELD.match(line)
        if named is None:
            if line[0] != ":":
                bare.append(line)
            continue
        if bare:
            yield from _payload(dialect, "\n".join(bare))
            bare.clear()
        name, value = named[1], line[named.end() :]
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value.strip()
        elif name == "error":
            yield Reading(failure=value)
    if bare:
        yield from _payload(dialect, "\n".join(bare))


def _ollama_readings(text: str) -> Iterator[Reading]:
    """The readings of lines of JSON; lines that are none are looked through together."""
    broken: list[str] = []
    for line in text.split("\n"):
        readings = _whole_line("ollama", line)
        if readings is None:
            broken.append(line)
            continue
        if broken:
            yield from _payload("ollama", "\n".join(broken))
            broken.clear()
        yield from readings
    yield from _payload("ollama", "\n".join(broken))


@lru_cache(maxsize=20_000)
def _whole_line(dialect: str, line: str) -> tuple[Reading, ...] | None:
    value = _parse(line)
    return readings(dialect, value) if isinstance(value, dict | list) else None


@lru_cache(maxsize=20_000)
def _payload(dialect: str, text: str) -> tuple[Reading, ...]:
    """The readings of the data of an event, or of any other stretch."""
    stripped = text.strip()
    if not stripped or stripped[0] == ":":
        return ()
    if done := _DONE.search(text):
        before, after = text[: done.start()], text[done.end() :]
        end = Reading(mark=True, end=dialect == "openai")
        return (*_payload(dialect, before), end, *_payload(dialect, after))
    value = _parse(text)
    if value is not None:
        return readings(dialect, value)
    if stripped.lower().startswith("error"):
        return (Reading(failure=stripped),)
    return tuple(_scan(dialect, text))


def _scan(dialect: str, text: str) -> Iterator[Reading]:
    """The whole values inside a stretch, and what is left of it."""
    decoder = json.JSONDecoder(strict=False, parse_int=_whole_number)
    left: list[str] = []
    at = kept = 0
    for _ in range(_TRIES):
        start = text.find("{", at)
        if start < 0:
            break
        at = start + 1
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if is_frame(dialect, value):
            left.append(text[kept:start])
            at = kept = end
            yield from readings(dialect, value)
    rest = " ".join([*left, text[kept:]])
    if "[DONE]" in rest or "message_stop" in rest:
        yield Reading(mark=True)
    if _TEXT_INSIDE.search(rest):
        yield Reading(damaged=rest)


def _parse(text: str) -> Any:
    """The JSON value of a text; None if it is none."""
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        return None
    except ValueError:
        if not re.search(r"\d{4000}", text):
            return None
    try:
        return json.loads(text, strict=False, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return None


def _whole_number(digits: str) -> int | float:
    """The standard library refuses whole numbers of thousands of digits."""
    return int(digits) if len(digits) < 4000 else float(digits)


def _join(dialect: str, readings: Iterator[Reading]) -> Found:
    """The answer that the readings make together."""
    found = Found()
    choices: list[Choice] = []
    frames: Counter[int | None] = Counter()
    opened: set[object] = set()
    over = False
    for reading in readings:
        if over:
            late = (piece for choice in reading.choices for piece in choice.pieces)
            found.late += "".join(p.wordings[0] for p in late if p.kind == "text")
            continue
        if reading.restart:
            choices.clear()
            opened.clear()
        if reading.opens is not None:
            opened.add(reading.opens)
        for choice in reading.choices:
            if dialect == "anthropic":  # a server calls tools of its own, which are not for us
                own = [p for p in choice.pieces if p.kind != "arguments" or p.block in opened]
                choice = choice._replace(pieces=tuple(own))
            choices.append(choice)
        beside = {choice.which for choice in reading.choices}
        frames.update(beside if len(beside) == 1 else [*beside] * 2)
        if reading.damaged:
            found.damaged.append(reading.damaged)
        found.failure = found.failure or reading.failure
        found.ended = found.ended or reading.mark
        over = reading.end
    # Anthropic's stop reason is not the end; elsewhere a reason will do.
    found.ended = found.ended or (dialect != "anthropic" and any(c.reason for c in choices))
    repeated = any(choice.both for choice in choices)
    answers = [index for index, seen in frames.items() if index is not None and seen > 1]
    reason = ""
    for choice in choices:
        if choice.which in answers[1:] or (choice.repeats and repeated):
            continue
        found.pieces += choice.pieces
        reason = choice.reason or ("" if choice.pieces else reason)
    if reason.strip().lower() in FAILED:
        found.failure = found.failure or reason
    return found

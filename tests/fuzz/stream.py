"""A recording in frames, so that it can be damaged in one place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.support.recordings import Recording


@dataclass(frozen=True)
class Frame:
    """One event with its blank line, one line of NDJSON, or a whole body."""

    head: str  # what stands before the JSON text
    text: str  # the JSON text; empty if there is none
    tail: str

    def __str__(self) -> str:
        return self.head + self.text + self.tail

    def value(self) -> Any:
        """The decoded text; None if it is not a JSON object."""
        if not self.text:
            return None
        try:
            value = json.loads(self.text, strict=False)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True)
class Stream:
    """A body in frames."""

    dialect: str
    streamed: bool
    frames: tuple[Frame, ...]

    @classmethod
    def of(cls, case: Recording) -> Stream:
        """The frames of a recording. What is no UTF-8 becomes surrogates, and bytes again."""
        text = case.body.decode("utf-8", "surrogateescape")
        ollama = case.provider == "ollama"
        if case.kind == "nonstream" or (text.lstrip().startswith("{") and not ollama):
            return cls(case.provider, False, (_frame(text, lines=False),))
        parts = re.split(r"(?<=\n)" if ollama else r"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)", text)
        return cls(case.provider, True, tuple(_frame(p, lines=not ollama) for p in parts if p))

    def body(self) -> bytes:
        """The bytes."""
        return "".join(map(str, self.frames)).encode("utf-8", "surrogateescape")

    def but(self, at: int, *frames: Frame) -> Stream:
        """The stream with other frames in place of one."""
        return replace(self, frames=(*self.frames[:at], *frames, *self.frames[at + 1 :]))


def _frame(text: str, *, lines: bool) -> Frame:
    if not lines:
        stripped = text.strip()
        at = text.find(stripped)
        return Frame(text[:at], stripped, text[at + len(stripped) :])
    found = re.findall(r"^data: ?", text, re.MULTILINE)
    if len(found) != 1:
        return Frame(text, "", "")
    match = re.search(r"^data: ?([^\r\n]*)", text, re.MULTILINE)
    assert match is not None
    return Frame(text[: match.start(1)], match[1], text[match.end(1) :])


@dataclass(frozen=True)
class Step:
    """One change."""

    stream: Stream
    told: str
    harmless: bool = False
    counts: bool = True  # whether the usage is still what it was


Mutator = Callable[[Stream, Random], Step | None]
"""Changes a stream in one place; None if it finds nothing to change."""


def any_frame(stream: Stream, random: Random) -> int:
    """A frame: any, or one near the beginning or the end, where most of the meaning is."""
    count = len(stream.frames)
    if count > 7 and random.random() < 0.5:
        return random.choice([0, 1, 2, count - 4, count - 3, count - 2, count - 1])
    return random.randrange(count) if count else 0


def encodable(text: str) -> bool:
    return text.isascii() or re.search("[\ud800-\udfff]", text) is None

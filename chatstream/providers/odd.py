"""The frames of a response that nobody understood: kept, counted, and never passed over in silence.

1. The first few are kept, shortened, with the protocol that they look like; all are counted.
2. Where the rest of the response was understood, a frame that held text is a `warning`, and a
   frame without any is passed over.
3. Where nothing was understood, what came is the failure: in the server's own words if it
   describes an error, else quoted.
"""

from __future__ import annotations

import re
from typing import Any

from chatstream.errors import ChatstreamError, ProtocolError
from chatstream.events import Event, Warn
from chatstream.providers.failures import error_in
from chatstream.providers.lenient import broke_off, object_of, values_in
from chatstream.wording import excerpt

QUOTED_FRAMES = 3
"""Warnings that quote what was skipped; the others are counted."""

_SHOWN_CHARACTERS = 80  # of a frame in a warning
_QUOTED_CHARACTERS = 300  # in an error
_READ_CHARACTERS = 16_384  # of them all that are kept
_SURE_FRAMES = 3  # frames of another protocol, and nothing else, are enough to say so

# All patterns here are compiled by their first use: most answers have no odd frame.
_HOLDS_TEXT = (
    r"(?i)content|text|output|answer|message|response|token|completion|delta|part|chunk|reasoning|"
    r"think|refusal|arguments"
)
_KINDS = ("type", "id", "role", "object")  # words about a piece, not words of it
_PIECE = r'"(content|text|reasoning\w*|thinking|arguments|partial_json)"\s*:\s*"[^"]'
_ERROR = r'\{\s*"(error|detail|message|code|type)"'

_FIELD = r"[A-Za-z][\w-]{0,30}:"

_ANTHROPIC = r"message_(start|delta|stop)|content_block_\w+"


def protocol_of(value: dict[str, Any]) -> tuple[str, str] | None:
    """The protocol that a frame belongs to, and what to do about it; None if it shows none."""
    kind = value.get("type")
    if isinstance(kind, str) and re.fullmatch(_ANTHROPIC, kind):
        return "Anthropic's protocol", "use -p anthropic"
    if isinstance(kind, str) and kind.startswith("response."):
        return "OpenAI's Responses protocol", "use -p openai-responses"
    if isinstance(value.get("candidates"), list):
        return "Gemini's own protocol", "use -p gemini, or an address that ends in /openai"
    if isinstance(value.get("choices"), list):
        return "OpenAI's protocol", "use -p openai"
    if "done" in value and ("message" in value or "response" in value):
        return "Ollama's protocol", "use -p ollama"
    return None


def holds_text(value: object, *, named: bool = False) -> bool:
    """Whether this may be a piece of an answer: words under a name that answers have.

    `named`: the name that it stands under is one of those.
    """
    if isinstance(value, str):
        return named and bool(value)
    if isinstance(value, list):
        return any(holds_text(item, named=named) for item in value)
    fields = object_of(value)
    return any(
        holds_text(item, named=named or bool(re.search(_HOLDS_TEXT, name)))
        for name, item in fields.items()
        if name not in _KINDS
    )


def error_inside(text: str) -> ChatstreamError | None:
    """The failure that a server wrote into the middle of something else."""
    for found in re.finditer(_ERROR, text):
        values, _ = values_in(text[found.start() :])
        if values and (failure := error_in(values[0])) is not None:
            return failure
    return None


class Oddities:
    """What was not understood of one response."""

    def __init__(self) -> None:
        self.count = 0
        self._raw: list[str] = []
        self._size = 0
        self._notes: list[str] = []  # warnings that are due
        self._warned = 0
        self._protocol: tuple[str, str] | None = None
        self._of_protocol = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self, text: str, *, skipped: bool) -> None:
        """A frame. `skipped`: it held text, or nobody can tell."""
        self._keep(text)
        if skipped:
            self._note(f"skipped: {excerpt(text, _SHOWN_CHARACTERS)}")

    def add_value(self, value: object, text: str) -> None:
        """A frame that is JSON, and not of this dialect."""
        found = protocol_of(object_of(value))
        if found is not None:
            self._protocol = self._protocol or found
            self._of_protocol += 1
        self.add(text, skipped=not isinstance(value, dict | list) or holds_text(value))

    def left_out(self, names: list[str], text: str) -> None:
        """Fields of a frame that did not fit, while the rest of it counts."""
        self._keep(text)
        self._note(f"ignored {', '.join(names[:QUOTED_FRAMES])}: not of the expected type")

    def _keep(self, text: str) -> None:
        self.count += 1
        if self._size < _READ_CHARACTERS:
            self._raw.append(text[:_READ_CHARACTERS])
            self._size += len(self._raw[-1])

    def _note(self, message: str) -> None:
        self._warned += 1
        if self._warned <= QUOTED_FRAMES:
            self._notes.append(message)

    @property
    def is_another_protocol(self) -> bool:
        """Whether enough came to be sure that the server speaks another protocol."""
        return self._of_protocol >= _SURE_FRAMES and self._of_protocol == self.count

    @property
    def shows_a_protocol(self) -> bool:
        """Whether what came looks like a protocol that we know."""
        return self._protocol is not None

    def take(self, t: float) -> list[Event]:
        """The warnings that are due."""
        if not self._notes:
            return []
        notes, self._notes = self._notes, []
        return [Warn("malformed_frame", note, t=t) for note in notes]

    def summary(self) -> list[Event]:
        """At the end: how many more there were than have been shown."""
        more = self._warned - QUOTED_FRAMES
        return [Warn("malformed_frame", f"skipped {more} more like these")] if more > 0 else []

    def quoted(self) -> str:
        """What came, on one line."""
        return excerpt(" ".join(self._raw), _QUOTED_CHARACTERS)

    def failure(self) -> ChatstreamError:
        """The failure of a response in which nothing was understood."""
        if self._protocol is not None:
            name, remedy = self._protocol
            return ProtocolError(f"the server speaks {name}", hint=remedy)
        values, _ = values_in("\n".join(self._raw))
        failure = next(filter(None, map(error_in, values)), None)
        return failure or ProtocolError(
            f"the server sent something that is not an answer: {self.quoted()}"
        )


def holds_a_piece(cut: str) -> bool:
    """Whether a frame that broke off had begun to bring a piece of the answer."""
    return re.search(_PIECE, cut) is not None


def is_cut(text: str) -> bool:
    """Whether a text is JSON that broke off: the end of a cut response, and not a bad frame."""
    return text.lstrip()[:1] in {"{", "["} and broke_off(text)


def is_unknown_field(line: str) -> bool:
    """Whether a line is a field of an event stream by its form; the rules ignore unknown ones."""
    return re.match(_FIELD, line) is not None

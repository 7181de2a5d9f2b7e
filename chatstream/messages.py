"""What we send: messages made of parts, and the request.

1. A message is a role and its parts, in the order they came. A string stands for one `Text`.
2. What a server gave with a part (`ProviderData`) goes back unchanged to that server, and to no
   other.
3. As JSON, a message has the fields `role`, `content`, `reasoning`, `tool_calls` and `complete`,
   each left out where it is at its default: `{"role":"user","content":"hi"}`. A message that these
   fields cannot express also has `parts`, which then hold; the fields repeat what they can, for
   readers that know no parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar

import msgspec

T = TypeVar("T")

ContinuationMethod = Literal[
    "prefill", "stripped_prefill", "continue_final_message", "prefix", "stream", "user_turn"
]
"""How a server is asked to continue an answer that broke off (WIRE, resuming).

    prefill                  the text is the last message, the assistant's
    stripped_prefill         the same; white space at the end of the text is refused
    continue_final_message   the same, with vLLM's two flags
    prefix                   the same, with `"prefix": true` in that message
    stream                   llama.cpp still has the stream itself, and sends it again
    user_turn                the model is asked in words
"""

Effort = Literal["none", "low", "medium", "high"]
"""How much a model should think before it answers."""

Role = Literal["system", "user", "assistant", "tool"]


class ProviderData(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields that a server wants back with a part, such as the signature of its thinking.

    `provider` and `base_url` (its secrets masked) say whose they are.
    """

    provider: str
    data: dict[str, Any]
    base_url: str | None = None


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """A part of a message."""


class Text(_Part, frozen=True, tag="text"):
    """Text: a question, an answer, a system prompt.

    `foreign`: it may contain what others have written, as the summary of such a conversation may.
    """

    text: str
    foreign: bool = False


class Image(_Part, frozen=True, tag="image", kw_only=True):
    """An image: `sha256` names bytes that are stored here, or `url` says where they are.

    An image that is stored here needs its `media_type`, such as "image/png".
    """

    sha256: str | None = None
    url: str | None = None
    media_type: str | None = None


class Reasoning(_Part, frozen=True, tag="reasoning"):
    """The model's thinking. The text is empty where the server keeps it to itself."""

    text: str
    provider_data: ProviderData | None = None


class ToolCall(_Part, frozen=True, tag="tool_call"):
    """A call that the model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str
    provider_data: ProviderData | None = None


NO_OUTPUT = "(no output)"
"""The content of a result that has none: some servers refuse an empty text."""


class ToolResult(_Part, frozen=True, tag="tool_result"):
    """What became of the call with this `id`; `is_error`: the tool did not do its work.

    `foreign`: others have written it, such as the author of a page.
    """

    id: str
    name: str
    content: str
    is_error: bool = False
    foreign: bool = False


Part = Text | Image | Reasoning | ToolCall | ToolResult


class Message:
    """One turn of a conversation: a value, which nobody changes.

    `complete` is False when the answer broke off; its parts are then exactly what arrived.
    `has_calls`: some of the parts are calls.
    """

    __slots__ = ("_size", "complete", "has_calls", "parts", "role")

    def __init__(
        self, role: Role, parts: str | Iterable[str | Part] = (), complete: bool = True
    ) -> None:
        given = ([parts] if parts else []) if isinstance(parts, str) else parts
        self.role: Role = role
        self.parts: tuple[Part, ...] = tuple(
            Text(it) if isinstance(it, str) else it for it in given
        )
        self.complete = complete
        self.has_calls = any(isinstance(it, ToolCall) for it in self.parts)
        self._size: int | None = None  # once it is known

    @classmethod
    def plain(
        cls,
        role: Role,
        content: str = "",
        reasoning: str = "",
        tool_calls: Iterable[ToolCall] = (),
        complete: bool = True,
    ) -> Message:
        """A message in the order in which models write: reasoning, text, calls."""
        thought = [Reasoning(reasoning)] if reasoning else []
        text = [Text(content)] if content else []
        return cls(role, [*thought, *text, *tool_calls], complete)

    @property
    def content(self) -> str:
        """The text of the message."""
        return "".join(it.text for it in self.parts if isinstance(it, Text))

    @property
    def reasoning(self) -> str:
        """All of the model's thinking."""
        return "".join(it.text for it in self.parts if isinstance(it, Reasoning))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls that the model asks for."""
        return [it for it in self.parts if isinstance(it, ToolCall)]

    @property
    def texts(self) -> Iterator[str]:
        """What a server reads of it: text, calls and results. Most do not want thinking back."""
        for part in self.parts:
            match part:
                case Text(text=text):
                    yield text
                case ToolCall(name=name, arguments=arguments):
                    yield name
                    yield arguments
                case ToolResult(content=content):
                    yield content

    @property
    def size(self) -> int:
        """The UTF-8 bytes of these texts. Counted once: every later request has them too."""
        if self._size is None:
            self._size = sum(map(_bytes, self.texts))
        return self._size

    @property
    def foreign(self) -> bool:
        """Whether it contains a result or a text that others have written."""
        return any(isinstance(it, ToolResult | Text) and it.foreign for it in self.parts)

    @property
    def is_answer(self) -> bool:
        """Whether something can follow it: it has text, or is whole and has calls."""
        return bool(self.content.strip() or (self.complete and self.tool_calls))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # what a server gave may be anything

    def __repr__(self) -> str:
        cut = "" if self.complete else ", complete=False"
        return f"Message({self.role!r}, {list(self.parts)!r}{cut})"

    def _fields(self) -> tuple[Role, tuple[Part, ...], bool]:
        return self.role, self.parts, self.complete


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


TOOL_NAME = "[a-zA-Z0-9_-]{1,64}"
"""A pattern of the names of tools that every service takes."""


class ToolDefinition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool as the model sees it. `parameters` is the JSON Schema of an object.

    The name fits `TOOL_NAME`.
    """

    name: str
    description: str
    parameters: dict[str, Any]


def own_id(number: int) -> str:
    """An id for a call that has none of its own: nine letters and digits, as Mistral wants them."""
    return f"call{number:05d}"


LARGE_BYTES = 4096
"""A smaller request fits every usual window, of 2,048 tokens or more: few have only one byte."""


class ChatRequest(msgspec.Struct, frozen=True):
    """One question to a model.

    `tools` are those that it may call. `may_call` False: they are still sent, because
    servers require them where the conversation has calls, but the model has to answer in words.

    `effort` is how much to think; None leaves that to the model. `schema` is the JSON Schema that
    the answer has to fit, if any. `logprobs` asks for the probability of each token, where a server
    tells it. `options` are sent as they are, by the server's own names.
    `without` names parameters that this server has refused; they are left out of the body.

    `partial` is the beginning of the answer, which the server is asked to continue by `method`.
    `stream_id` is the name under which a server that keeps streams keeps this one. `load_image`
    reads a stored image by its SHA-256.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = True
    temperature: float | None = None
    max_tokens: int | None = None
    options: dict[str, Any] = {}
    without: frozenset[str] = frozenset()
    partial: str = ""
    stream_id: str | None = None
    method: ContinuationMethod | None = None
    load_image: Callable[[str], bytes] | None = None
    tools: tuple[ToolDefinition, ...] = ()
    may_call: bool = True
    effort: Effort | None = None
    schema: dict[str, Any] | None = None
    logprobs: bool = False

    @property
    def is_large(self) -> bool:
        """Whether the window of a local server may be too small for it."""
        return "num_ctx" in self.options or sum(it.size for it in self.messages) >= LARGE_BYTES

    @property
    def form(self) -> dict[str, Any] | None:
        """The schema to send. With one, a server would begin an answer again, not continue it."""
        return None if self.partial else self.schema


# ---- as JSON


class _Call(msgspec.Struct):
    """A call where messages have no parts."""

    id: str
    name: str
    arguments: str


class _Fields(msgspec.Struct, omit_defaults=True):
    """A message as JSON has it; the third rule above."""

    role: Role
    content: str = ""
    reasoning: str = ""
    tool_calls: list[_Call] = []
    complete: bool = True
    parts: tuple[Part, ...] = ()


FIELDS = _Fields.__struct_fields__
"""The names of a message's fields in JSON."""


def encode(value: object) -> bytes:
    """A value as JSON, with the messages in it."""
    return msgspec.json.encode(value, enc_hook=_to_fields)


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder of JSON with messages in it. What it decodes raises `msgspec.ValidationError`."""
    return msgspec.json.Decoder(kind, dec_hook=_from_fields)


def convert(fields: dict[Any, Any]) -> Message:
    """The message of these fields, which are JSON's. Raises `msgspec.ValidationError`."""
    return msgspec.convert(fields, Message, dec_hook=_from_fields)


def _to_fields(value: Any) -> _Fields:
    if not isinstance(value, Message):
        raise TypeError(f"a {type(value).__name__} is not JSON")
    calls = [_Call(it.id, it.name, it.arguments) for it in value.tool_calls]
    fields = _Fields(value.role, value.content, value.reasoning, calls, value.complete)
    if _message(fields) != value:
        fields.parts = value.parts
    return fields


def _from_fields(kind: type, value: Any) -> Message:
    if kind is not Message:
        raise TypeError(f"JSON makes no {kind.__name__}")
    return _message(msgspec.convert(value, _Fields))


def _message(fields: _Fields) -> Message:
    if fields.parts:
        return Message(fields.role, fields.parts, fields.complete)
    calls = [ToolCall(it.id, it.name, it.arguments) for it in fields.tool_calls]
    return Message.plain(fields.role, fields.content, fields.reasoning, calls, fields.complete)

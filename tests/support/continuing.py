"""A model on loopback that always writes the same text, and goes on with it where it is told to.

    with Continuing(TEXT, faults=[cut_short(100)]) as server, ...:
        ... server.url, every protocol ...
    assert server.strays == []

The text comes in tokens of a few characters each, whose bounds are the server's own: they go
through emoji and combining marks. A request that ends with a message of the assistant (also when
a turn of the user follows, that asks to go on) is answered with what comes after that text, to
the character; any other one with all of it. A text that is no beginning of the answer is a stray:
it is refused and kept in `strays`.

What the server itself does wrong is a `Fault`, one for each request in order, and none after the
last. What the network does wrong is the business of `FaultProxy`.
"""

from __future__ import annotations

import itertools
import json
import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.support.answers import ending, frames, headers
from tests.support.loopback import JSON, Framing, Reply, Request, Script

PATHS = {
    "/api/chat": "ollama",
    "/v1/chat/completions": "openai",
    "/v1/messages": "anthropic",
    "/v1/responses": "openai-responses",
}
OVERLOADED = "the model is overloaded, try again later"
NO_PREFILL = (
    "This model does not support assistant message prefill. "
    "The conversation must end with a user message."
)
PAGE = b"<html><head><title>Please log in</title></head><body>No model here.</body></html>\n"

_PASSAGES = (
    "# Report № {n}\n\nStreaming **every** token: café, naïve, 5\u00a0€, “quoted”. ",
    "你好\uff0c世界。日本語の文章も混ざります。한국어도 있습니다 — {n}.\n\n",
    "Families 👨‍👩‍👧‍👦 and flags 🇫🇷🇩🇪, thumbs 👍🏽, hearts ❤️, "
    "e\u0301 and n\u0303o\u0308 combined. ",
    "He laughed: ha ha ha ha ha ha ha ha ha, and again: ha ha ha ha. ",
    "\n\n| name | value |\n|------|-------|\n| 0 | 0 | 0 | 0 | 0 |\n| 0 | 0 | 0 | 0 | 0 |\n"
    "| 0 | 0 | 0 | 0 | 0 |\n\n",
    "```python\nfor n in range({n}):\n    print(n)\n\n    print(n)\n    print(n)\n```\n\n",
    '{rule}\n- one\n- two\n  - nested  \n\n1. `code`\n2. <b>&amp;</b> \\n "x" \\u0041\n\n',
)


def long_text(count: int, seed: int = 5) -> str:
    """A text of at least `count` tokens, out of everything that is hard at a seam."""
    parts: list[str] = []
    for number in itertools.count(1):
        if len(tokens_of("".join(parts), seed)) >= count:
            break
        passage = _PASSAGES[(number - 1) % len(_PASSAGES)]
        parts.append(passage.replace("{n}", str(number)).replace("{rule}", "=" * 30))
    return "".join(parts)


def tokens_of(text: str, seed: int = 5) -> list[str]:
    """The text in pieces of 1 to 6 characters."""
    sizes, pieces, at = random.Random(seed), [], 0
    while at < len(text):
        size = sizes.randint(1, 6)
        pieces.append(text[at : at + size])
        at += size
    return pieces


@dataclass(frozen=True)
class RequestRecord:
    """One request, understood: `there` is the text to go on with, "" for a new answer."""

    number: int
    dialect: str
    there: str
    in_words: bool  # a turn of the user follows the text

    def __str__(self) -> str:
        return f"{self.number}: {self.dialect} after {len(self.there)} characters"


Fault = Callable[["Continuing", RequestRecord], Reply]
"""What a request gets instead of its reply."""


class Continuing(Script):
    """The server; see above. `asked` grows with the requests."""

    def __init__(
        self,
        text: str,
        *,
        faults: Sequence[Fault | None] = (),
        framing: Framing = "chunked",
        per_write: int = 1,
        pace: float = 0.0,
        seed: int = 5,
    ) -> None:
        """`per_write` tokens go out at once, `pace` seconds before the next."""
        super().__init__(Reply())
        self.text = text
        self.asked: list[RequestRecord] = []
        self.strays: list[str] = []
        self.faults = list(faults)
        self._framing = framing
        self._per_write = per_write
        self._pace = pace
        ends = itertools.accumulate(len(token) for token in tokens_of(text, seed))
        self._ends = list(ends)

    def take(self, request: Request) -> Reply:
        """Record the request; the reply that it is due."""
        if _path(request) not in PATHS:
            return Reply.json({"error": "there is no such page"}, 404)
        with self._changed:
            number = len(self.requests)
            asked = _understood(number, request)
            self.requests.append(request)
            self.asked.append(asked)
            self._changed.notify_all()
        if not self.text.startswith(asked.there):
            self.strays.append(asked.there)
            return Reply.json({"error": {"message": "that is not what I said"}}, 400)
        fault = self.faults[number] if number < len(self.faults) else None
        return fault(self, asked) if fault else self.reply(asked)

    def reply(self, asked: RequestRecord) -> Reply:
        """What follows the text that is there."""
        return self.reply_from(asked, len(asked.there))

    def reply_from(self, asked: RequestRecord, start: int, text: str | None = None) -> Reply:
        """The answer, or another `text`, from a character on."""
        words = self.words(start) if text is None else tokens_of(text[start:])
        body = [*frames(asked.dialect, words), *ending(asked.dialect)]
        return self.stream(asked, body)

    def stream(self, asked: RequestRecord, body: Iterable[bytes]) -> Reply:
        """A stream of these frames, at the server's pace."""
        return Reply(
            _joined(list(body), self._per_write),
            headers=headers(asked.dialect),
            framing=self._framing,
            pace=self._pace,
        )

    def words(self, start: int = 0) -> list[str]:
        """The tokens after so many characters; the first may be the rest of one."""
        begins = [start, *(end for end in self._ends if end > start)]
        return [self.text[a:b] for a, b in itertools.pairwise(begins)]


def _joined(body: list[bytes], count: int) -> list[bytes]:
    return [b"".join(body[at : at + count]) for at in range(0, len(body), count)]


def _understood(number: int, request: Request) -> RequestRecord:
    messages: list[dict[str, Any]] = request.json.get("messages") or request.json["input"]
    roles = [message["role"] for message in messages]
    in_words = roles[-2:] == ["assistant", "user"]
    there = messages[-2] if in_words else messages[-1]
    text = there["content"] if there["role"] == "assistant" else ""
    if isinstance(text, list):  # parts, of the Responses API
        text = "".join(part["text"] for part in text)
    return RequestRecord(number, PATHS[_path(request)], text, in_words)


def _path(request: Request) -> str:
    return request.path.partition("?")[0]


# ---- what a server may do wrong


def status(code: int, fields: Mapping[str, str] | None = None, *, page: bool = False) -> Fault:
    """An error before the stream, as JSON or as a gateway's page."""

    def fault(_: Continuing, asked: RequestRecord) -> Reply:
        if page:
            body = f"<html><h1>{code} Bad Gateway</h1></html>\n".encode()
            return Reply(body, code, {"Content-Type": "text/html", **(fields or {})}, "length")
        kind = {429: "rate_limit_error", 529: "overloaded_error"}.get(code, "api_error")
        error: object = {"type": kind, "message": f"status {code}"}
        if asked.dialect == "ollama":
            error = f"status {code}"
        return Reply.json({"type": "error", "error": error}, code, fields)

    return fault


def overloaded(after: int) -> Fault:
    """The protocol's own error frame after so many tokens, and the end of the connection."""

    def fault(server: Continuing, asked: RequestRecord) -> Reply:
        words = server.words(len(asked.there))[:after]
        body = [*frames(asked.dialect, words), failure_frame(asked.dialect)]
        return server.stream(asked, body)

    return fault


def failure_frame(dialect: str, kind: str = "overloaded_error", message: str = OVERLOADED) -> bytes:
    """How a protocol tells in mid-stream that it is overloaded, or something else."""
    error = {"type": kind, "message": message}
    match dialect:
        case "ollama":
            return json.dumps({"error": message}).encode() + b"\n"
        case "openai":
            return b"data: " + json.dumps({"error": {**error, "code": 503}}).encode() + b"\n\n"
        case "openai-responses":
            failed = {"code": kind, "message": message}
            data = json.dumps({"type": "error", **failed})
            return f"event: error\ndata: {data}\n\n".encode()
        case _:
            data = json.dumps({"type": "error", "error": error})
            return f"event: error\ndata: {data}\n\n".encode()


def garbage(after: int) -> Fault:
    """Frames that are none, between two tokens; nothing is missing."""

    def fault(server: Continuing, asked: RequestRecord) -> Reply:
        words = server.words(len(asked.there))
        body = [*frames(asked.dialect, words), *ending(asked.dialect)]
        line = b'{"message": {"content": "lo\x00st\xff\n'
        body.insert(after, line if asked.dialect == "ollama" else b"data: " + line + b"\n")
        return server.stream(asked, body)

    return fault


def gzipped(cut: int | None = None) -> Fault:
    """Compressed by a proxy that nobody asked, each write flushed; cut after so many bytes."""

    def fault(server: Continuing, asked: RequestRecord) -> Reply:
        reply = server.reply(asked)
        fields = {**reply.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return replace(reply, body=list(_gzip(reply.writes())), headers=fields, cut_after=cut)

    return fault


def _gzip(writes: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for write in writes:
        yield packer.compress(write) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def page(server: Continuing, asked: RequestRecord) -> Reply:
    """A web page where a stream should be, with status 200: a portal, a wrong address."""
    return Reply(PAGE, 200, {"Content-Type": "text/html"}, "length")


def refuses_prefill(server: Continuing, asked: RequestRecord) -> Reply:
    """Anthropic's refusal, since 4.6, of a request that ends with the assistant's words."""
    if not asked.there or asked.in_words:
        return server.reply(asked)
    error = {"type": "invalid_request_error", "message": NO_PREFILL}
    return Reply.json({"type": "error", "error": error}, 400, JSON)


def begins_anew(server: Continuing, asked: RequestRecord) -> Reply:
    """The text that is there is ignored: the whole answer comes again."""
    return server.reply_from(asked, 0)


def says_something_else(text: str) -> Fault:
    """The text that is there is ignored, and another answer comes."""
    return lambda server, asked: server.reply_from(asked, 0, text)


def repeats(characters: int = 40) -> Fault:
    """The last characters of the text that is there come once more."""
    return lambda server, asked: server.reply_from(asked, max(0, len(asked.there) - characters))


def half(after: int, *, rst: bool = False) -> Fault:
    """The server ends its own side of the connection after so many bytes of the body."""
    return lambda server, asked: replace(server.reply(asked), cut_after=after, rst=rst)

"""What the mock server says: its little language, the texts, and the three wire formats.

A script is `t=10000,rate=0,size=5`, as the name of a model or as a query string:

    t=100       tokens                      size=5      characters a token
    kind=prose  prose, md, code or cjk      think=0     so many leading tokens are reasoning
    rate=0      tokens a second, 0 is as fast as possible
    first=0     milliseconds before the first token
    chunk=1     tokens in one HTTP chunk and, when paced, in one send
    batch=65536 unpaced: bytes joined into one send; 0 is one send for each HTTP chunk
    body=chunked, or close: the body ends with the connection
    ascii=0     1: everything outside ASCII is escaped as \\uXXXX

Every byte is a function of the protocol and the script: there is no clock and no randomness in
a body, so two runs are byte-identical.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal
from urllib.parse import parse_qsl

Api = Literal["ollama", "openai", "anthropic"]

MODEL = "mock-1"
MOST_TOKENS = 2_000_000


@dataclass(frozen=True)
class Spec:
    """A script; the module's docstring says what the words mean."""

    t: int = 100
    rate: float = 0.0
    size: int = 5
    chunk: int = 1
    kind: str = "prose"
    body: str = "chunked"
    first: float = 0.0
    batch: int = 65536
    ascii: int = 0
    think: int = 0

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in sorted(asdict(self).items()))


TYPES = {name: type(value) for name, value in asdict(Spec()).items()}


def parse_spec(model: str, query: str = "") -> Spec:
    """The script of a model's name and a query string, which wins. Unknown words are ignored."""
    pairs = [item.split("=", 1) for item in model.split(",") if "=" in item]
    words = {name.strip(): value for name, value in [*pairs, *parse_qsl(query)]}
    values = {name: TYPES[name](value) for name, value in words.items() if name in TYPES}
    spec = Spec(**values)
    return replace(spec, t=min(spec.t, MOST_TOKENS), chunk=max(1, spec.chunk))


# ---- texts

SENTENCE = (
    "the model streams every token over one socket and a careful client prints it at once "
    "while latency stays low memory stays flat and no line is ever lost even when chunks "
    'split words numbers or quotes "like this" in odd places'
)
WORDS = SENTENCE.split()
CJK = (
    "大型语言模型逐字输出文本\uff0c客户端必须立即显示。日本語の文章も混ざります。한국어도 있습니다 "
)
EMOJI = ("😀", "🚀", "👩‍💻", "🇫🇷", "👍🏽", "❤️", "🧪", "👨‍👩‍👧‍👦")


def tokens(spec: Spec) -> list[str]:
    """The answer, reasoning first, token by token."""
    text = _text(spec.kind, spec.t * spec.size)
    return [text[start : start + spec.size] for start in range(0, spec.t * spec.size, spec.size)]


@functools.lru_cache(maxsize=64)
def _text(kind: str, size: int) -> str:
    match kind:
        case "md":
            return _first(size, map(_section, itertools.count(1)))
        case "code":
            return "```python\n" + _first(size - 15, map(_code_line, itertools.count())) + "\n```\n"
        case "cjk":
            return _first(size, map(_glyphs, itertools.count()))
    return _prose(size)


def _first(size: int, parts: Iterator[str]) -> str:
    """The first `size` characters of endless parts."""
    found: list[str] = []
    length = 0
    while length < size:
        found.append(next(parts))
        length += len(found[-1])
    return "".join(found)[: max(0, size)]


def _prose(size: int, seed: int = 7) -> str:
    return _first(size, _words(seed))


def _words(seed: int) -> Iterator[str]:
    for number in itertools.count(1):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        end = ".\n\n" if number % 90 == 0 else ". " if number % 13 == 0 else " "
        yield WORDS[(seed >> 8) % len(WORDS)] + end


def _code_line(number: int) -> str:
    lines = (
        f"def step_{number}(items, limit={number % 97}):",
        f'    """Return what passes step {number}."""',
        "    total = 0",
        "    for index, item in enumerate(items):",
        f"        if item.value > limit and index % {number % 7 + 2} == 0:",
        f"            total += item.value * {number % 13}  # weight",
        "    return total",
        "",
    )
    return lines[number % len(lines)] + "\n"


def _section(number: int) -> str:
    """A section of Markdown with everything in it."""
    items = (
        f"- item {row} of section {number}: {WORDS[(number + row) % len(WORDS)]} "
        f"with **weight {row}**\n"
        for row in range(5)
    )
    rows = (
        f"| row {row} | {number * row} | `{WORDS[(number * 3 + row) % len(WORDS)]}` |\n"
        for row in range(4)
    )
    code = map(_code_line, range(number * 16, number * 16 + 16))
    return (
        f"## Section {number}: how it works\n\n{_prose(420, number).strip()} **bold words** "
        f"and *some emphasis* with `inline_code({number})` "
        f"and a [link](https://example.org/{number}).\n\n{''.join(items)}\n"
        f"{_prose(260, number + 1000).strip()}\n\n"
        f"| name | value | note |\n|------|------:|------|\n{''.join(rows)}\n"
        f"```python\n{''.join(code)}```\n\n"
        f"1. first\n2. second\n   - nested {number}\n3. third\n\n"
        f"> A quoted remark number {number}.\n\n"
    )


def _glyphs(number: int) -> str:
    text = CJK[(number * 7) % len(CJK) :][:9] + EMOJI[number % len(EMOJI)]
    return text + "\n" if number % 12 == 11 else text


# ---- wire formats


@dataclass(frozen=True)
class Frames:
    """A streamed body without HTTP's framing: one item of `tokens` for each token."""

    head: bytes
    tokens: list[bytes]
    tail: bytes


def _frames(api: Api, spec: Spec, usage: bool) -> Frames:
    match api:
        case "ollama":
            return _ollama(spec)
        case "openai":
            return _openai(spec, usage)
        case "anthropic":
            return _anthropic(spec)


def _ollama(spec: Spec) -> Frames:
    def line(number: int, message: str, rest: str) -> bytes:
        seconds, nanoseconds = number // 50, number * 19_999_983 % 10**9
        at = f"12:{seconds // 60 % 60:02}:{seconds % 60:02}.{nanoseconds:09}"
        start = (
            f'{{"model":"{MODEL}","created_at":"2026-11-20T{at}Z","message":{{"role":"assistant",'
        )
        return f'{start}"content":{message}}},{rest}}}\n'.encode()

    told = [
        line(number, f'"","thinking":{text}' if number < spec.think else text, '"done":false')
        for number, text in enumerate(_dumped(spec))
    ]
    end = (
        '"done_reason":"stop","done":true,"total_duration":2000000000,"load_duration":1000000,'
        '"prompt_eval_count":11,"prompt_eval_duration":20000000,'
        f'"eval_count":{spec.t},"eval_duration":1900000000'
    )
    return Frames(b"", told, line(spec.t, '""', end))


def _openai(spec: Spec, usage: bool) -> Frames:
    start = (
        'data: {"id":"chatcmpl-mock0001","object":"chat.completion.chunk","created":1795176000,'
        f'"model":"{MODEL}","system_fingerprint":"fp_mock","choices":['
    )

    end = '],"usage":null}\n\n' if usage else "]}\n\n"

    def chunk(delta: str, finish: str = "null") -> bytes:
        choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}'
        return f"{start}{choice}{end}".encode()

    def told_as(number: int) -> str:
        return "reasoning_content" if number < spec.think else "content"

    told = [chunk(f'{{"{told_as(number)}":{text}}}') for number, text in enumerate(_dumped(spec))]
    tail = chunk("{}", '"stop"')
    if usage:
        tail += f'{start}],"usage":{_dump(_openai_usage(spec), spec)}}}\n\n'.encode()
    return Frames(chunk('{"role":"assistant","content":""}'), told, tail + b"data: [DONE]\n\n")


def _anthropic(spec: Spec) -> Frames:
    def event(name: str, **fields: object) -> bytes:
        return f"event: {name}\ndata: {_dump({'type': name, **fields}, spec)}\n\n".encode()

    def start(index: int, kind: str) -> bytes:
        empty = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
        return event("content_block_start", index=index, content_block=empty)

    def delta(index: int, kind: str, text: str) -> bytes:
        inner = f'{{"type":"{kind}_delta","{kind}":{text}}}'
        data = f'{{"type":"content_block_delta","index":{index},"delta":{inner}}}'
        return f"event: content_block_delta\ndata: {data}\n\n".encode()

    last = int(spec.think > 0)  # the index of the text's block
    told = [
        delta(0, "thinking", text) if number < spec.think else delta(last, "text", text)
        for number, text in enumerate(_dumped(spec))
    ]
    if 0 < spec.think < spec.t:
        told[spec.think] = (
            event("content_block_stop", index=0) + start(1, "text") + told[spec.think]
        )
    head = event("message_start", message=_anthropic_message(spec, [], None, 1))
    head += start(0, "thinking" if spec.think else "text") + event("ping")
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    tail = event("content_block_stop", index=last)
    tail += event("message_delta", delta=stop, usage={"output_tokens": spec.t})
    return Frames(head, told, tail + event("message_stop"))


def whole(api: Api, spec: Spec) -> bytes:
    """The answer to a request that does not stream; without reasoning."""
    text = "".join(tokens(spec))
    message = {"role": "assistant", "content": text}
    match api:
        case "ollama":
            answer: dict[str, object] = {
                "model": MODEL,
                "created_at": "2026-11-20T12:00:00Z",
                "message": message,
                "done_reason": "stop",
                "done": True,
                "prompt_eval_count": 11,
                "eval_count": spec.t,
                "eval_duration": 1900000000,
            }
        case "openai":
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            answer = {
                "id": "chatcmpl-mock0001",
                "object": "chat.completion",
                "created": 1795176000,
                "model": MODEL,
                "choices": [choice],
                "usage": _openai_usage(spec),
            }
        case "anthropic":
            content: list[object] = [{"type": "text", "text": text}]
            answer = _anthropic_message(spec, content, "end_turn", spec.t)
    return _dump(answer, spec).encode()


def _openai_usage(spec: Spec) -> dict[str, int]:
    return {"prompt_tokens": 11, "completion_tokens": spec.t, "total_tokens": spec.t + 11}


def _anthropic_message(
    spec: Spec, content: list[object], stop_reason: str | None, output_tokens: int
) -> dict[str, object]:
    return {
        "id": "msg_mock0001",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": output_tokens},
    }


def _dump(value: object, spec: Spec) -> str:
    return json.dumps(value, ensure_ascii=bool(spec.ascii), separators=(",", ":"))


def _dumped(spec: Spec) -> list[str]:
    return [_dump(token, spec) for token in tokens(spec)]


# ---- HTTP's framing


@dataclass(frozen=True)
class Writes:
    """A streamed body as it goes on the socket: one item of `groups` for `chunk` tokens."""

    head: bytes
    groups: list[bytes]
    tail: bytes


@functools.lru_cache(maxsize=48)
def writes(api: Api, spec: Spec, usage: bool) -> Writes:
    """The body in HTTP chunks, or plainly when it ends with the connection."""
    frames, step, chunked = _frames(api, spec, usage), spec.chunk, spec.body == "chunked"

    def framed(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data) if chunked and data else data

    groups = [
        framed(b"".join(frames.tokens[start : start + step])) for start in range(0, spec.t, step)
    ]
    return Writes(framed(frames.head), groups, framed(frames.tail) + b"0\r\n\r\n" * chunked)


@functools.lru_cache(maxsize=24)
def batches(api: Api, spec: Spec, usage: bool) -> list[tuple[bytes, int]]:
    """The body in sends of about `batch` bytes, each with the number of its tokens."""
    body = writes(api, spec, usage)
    found: list[tuple[bytes, int]] = []
    joined, size, count = [body.head], len(body.head), 0
    for start, group in zip(range(0, spec.t, spec.chunk), body.groups, strict=True):
        joined.append(group)
        size += len(group)
        count += min(spec.chunk, spec.t - start)
        if size >= spec.batch:
            found.append((b"".join(joined), count))
            joined, size, count = [], 0, 0
    found.append((b"".join([*joined, body.tail]), count))
    return found

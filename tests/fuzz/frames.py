"""Damage to frames and bytes: their order, their framing, and what comes between them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from random import Random

from tests.fuzz.stream import Frame, Step, Stream, any_frame, encodable


def swapped(stream: Stream, random: Random) -> Step | None:
    """Two neighbours change places."""
    if len(stream.frames) < 2:
        return None
    at = min(any_frame(stream, random), len(stream.frames) - 2)
    frames = list(stream.frames)
    frames[at : at + 2] = frames[at + 1], frames[at]
    return Step(replace(stream, frames=tuple(frames)), f"frames {at} and {at + 1} swapped")


def repeated(stream: Stream, random: Random) -> Step | None:
    """A frame comes twice."""
    at = any_frame(stream, random)
    if not stream.frames:
        return None
    return Step(stream.but(at, *[stream.frames[at]] * 2), f"frame {at} twice")


def lost(stream: Stream, random: Random) -> Step | None:
    """A frame never comes."""
    at = any_frame(stream, random)
    return Step(stream.but(at), f"frame {at} lost") if len(stream.frames) > 1 else None


def joined(stream: Stream, random: Random) -> Step | None:
    """The blank line after an event, or the line end after a line, is missing."""
    at = any_frame(stream, random)
    if not stream.frames or not stream.streamed:
        return None
    frame = stream.frames[at]
    end = "" if stream.dialect == "ollama" or random.random() < 0.3 else "\n"
    tail = frame.tail or frame.head if not frame.text else frame.tail
    kept = tail.rstrip("\r\n") + end
    new = replace(frame, tail=kept) if frame.text else replace(frame, head=kept)
    return Step(stream.but(at, new), f"frame {at} ends with {end!r}")


def bare(stream: Stream, random: Random) -> Step | None:
    """JSON without `data: `; in NDJSON, with it."""
    at = any_frame(stream, random)
    if not stream.frames or not stream.streamed or not stream.frames[at].text:
        return None
    frame = stream.frames[at]
    if stream.dialect == "ollama":
        new = replace(frame, head="data: ")
    else:
        kept = re.sub(r"data: ?$", "", frame.head) if random.random() < 0.7 else ""
        new = replace(frame, head=kept + random.choice(["", "", " ", "dat: ", "Data: ", "> "]))
    return Step(stream.but(at, new), f"frame {at} begins with {new.head!r}")


def interrupted(stream: Stream, random: Random) -> Step | None:
    """Something that is no part of the answer comes between."""
    if not stream.streamed:
        return None
    first = 1 if stream.body().startswith(b"\xef\xbb\xbf") else 0  # a BOM stays where it is
    at = random.randint(first, len(stream.frames))
    harmless, texts = _BETWEEN["ollama" if stream.dialect == "ollama" else "sse"]
    is_harmless = random.random() < 0.5
    text = random.choice(harmless if is_harmless else texts)
    if is_harmless and at and not str(stream.frames[at - 1]).endswith(("\n\n", "\r\n\r\n")):
        is_harmless = stream.dialect == "ollama" and str(stream.frames[at - 1]).endswith("\n")
    frames = (*stream.frames[:at], Frame(text, "", ""), *stream.frames[at:])
    told = f"before frame {at}: {text!r}"
    return Step(replace(stream, frames=frames), told, harmless=is_harmless)


_BETWEEN: dict[str, tuple[list[str], list[str]]] = {
    "sse": (
        [": ping\n\n", ":\n\n", ": keep-alive\n", "\n", "\n\n", "data:\n\n", "event: ping\n\n",
         "id: 7\n\n", "retry: 100\n\n", 'event: ping\ndata: {"type": "ping"}\n\n',
         "data: : keepalive\n\n", "x-field: 1\n\n"],
        ["upstream is slow\n\n", "data: processing\n\n", "<html>busy</html>\n\n", "data: null\n\n",
         "data: []\n\n", "data: {}\n\n", "data: 7\n\n", 'data: "text"\n\n', "data: {\n\n",
         'event: x\ndata: {"type": "x", "y": 1}\n\n', '{"note": "x"}\n\n', "\0\n\n", "\ufeff\n\n",
         'data: {"error": {"message": "it broke", "code": 500}}\n\n', "data: [DONE]\n\n",
         'event: error\ndata: {"message": "it broke"}\n\n', '{"error": "it broke"}\n\n',
         "error: it broke\n\n", "data: error: it broke\n\n"],
    ),
    "ollama": (
        ["\n", "\r\n", "  \n"],
        ["null\n", "[]\n", "{}\n", "7\n", "upstream is slow\n", "{\n", '{"note": "x"}\n', "\0\n",
         ": ping\n", '{"error": "it broke"}\n', '{"error": {"message": "it broke"}}\n'],
    ),
}  # fmt: skip


def reframed(stream: Stream, random: Random) -> Step | None:
    """The same stream in another dress: line ends, space after the colon, event and id lines."""
    if not stream.streamed or stream.dialect == "ollama":
        return None
    text = stream.body().decode("utf-8", "surrogateescape")
    way = random.choice(["crlf", "cr", "bom", "space", "event", "id"])
    if way in ("crlf", "cr"):
        text = re.sub(r"\r\n|\r|\n", "\r\n" if way == "crlf" else "\r", text)
    elif way == "bom":
        text = "\ufeff" + text.removeprefix("\ufeff")
    elif way == "space":
        text = re.sub(r"^data: ", "data:", text, flags=re.MULTILINE)
    elif way == "event":
        text = re.sub(r"^event:.*(\r\n|\n|\r)", "", text, flags=re.MULTILINE)
    else:
        text = re.sub(r"^data:", "id: 7\ndata:", text, flags=re.MULTILINE)
    frames = (Frame(text, "", ""),)
    return Step(replace(stream, frames=frames), f"all frames: {way}", harmless=True)


def respelled(stream: Stream, random: Random) -> Step | None:
    """The same value in another spelling of JSON."""
    at = any_frame(stream, random)
    frame = stream.frames[at] if stream.frames else Frame("", "", "")
    value = frame.value()
    if value is None or not encodable(frame.text):
        return None
    way = random.choice(["spaces", "escapes", "order", "lines"])
    if way == "escapes":
        text = json.dumps(value)
    elif way == "order":
        text = json.dumps(dict(reversed(value.items())))
    elif way == "lines" and frame.head.endswith(("data: ", "data:")):
        text = json.dumps(value, indent=1).replace("\n", "\ndata: ")
    else:
        text = "  " + json.dumps(value, separators=("  , ", "\t:  ")) + "  "
    return Step(stream.but(at, replace(frame, text=text)), f"frame {at}: {way}", harmless=True)


def bitten(stream: Stream, random: Random) -> Step | None:
    """A byte or a few are changed, lost or put in between."""
    body = stream.body()
    if not body:
        return None
    at = random.randrange(len(body))
    size = random.choice([0, 1, 1, 1, 2, 5, 40])
    new = random.choice([b"", b"", b"\0", b"\n", b"\xff", b'"', b"{", b"}", b"\\", b" ", b"x"])
    body = body[:at] + new + body[at + size :]
    frames = (Frame(body.decode("utf-8", "surrogateescape"), "", ""),)
    told = f"byte {at}: {size} bytes became {new!r}"
    return Step(replace(stream, frames=frames), told)


def cut(stream: Stream, random: Random) -> Step | None:
    """The body ends early."""
    body = stream.body()
    at = random.randrange(len(body) + 1)
    frames = (Frame(body[:at].decode("utf-8", "surrogateescape"), "", ""),)
    return Step(replace(stream, frames=frames), f"cut after {at} bytes")

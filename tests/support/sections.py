"""A loopback server that writes documents: it knows which section it is asked for.

with Sections({1: says("one"), 2: says("two")}) as server:
    ... chatstream compose ...
assert server.asked == [1, 2]
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.answers import ending, frames
from tests.support.byrequest import ByRequest
from tests.support.loopback import NDJSON, Reply, Request

OUTLINE = 0


def says(*words: str, **more: Any) -> Reply:
    """An answer of Ollama."""
    return Reply([*frames("ollama", [*words]), *ending("ollama")], headers=NDJSON, **more)


def outline(*headings: str, title: str = "Title", words: int = 20) -> Reply:
    """An outline by the schema, with these sections."""
    sections = [{"heading": it, "notes": f"about {it}", "words": words} for it in headings]
    return says(json.dumps({"title": title, "sections": sections}))


Continued = Callable[[Reply, str], Reply]


def rest_of(reply: Reply, begun: str) -> Reply:
    """What comes after this text, at the same pace; a refusal if it is not the beginning."""
    if reply.status != 200:
        return reply
    frames_of = [json.loads(line) for line in reply.whole().splitlines()]
    words = [it["message"]["content"] for it in frames_of]
    if not "".join(words).startswith(begun):
        return REFUSAL
    left, size = [], len(begun)
    for word in words:
        left.append(word[size:])
        size = max(0, size - len(word))
    end = ending("ollama") if frames_of[-1]["done"] else []
    return Reply([*frames("ollama", [*filter(None, left)]), *end], headers=NDJSON, pace=reply.pace)


def refused(_reply: Reply, _begun: str) -> Reply:
    """The server does not continue an answer."""
    return REFUSAL


def ignored(reply: Reply, _begun: str) -> Reply:
    """The server answers from the beginning, whatever there is."""
    return reply


REFUSAL = Reply.json({"error": "the last message must be a question"}, 400)


class Sections(ByRequest):
    """The server; `replies` by the number of the section, 0 for the outline.

    A request with a part of the text is answered by `continued`, from the reply and that part.
    """

    def __init__(self, replies: Mapping[int, Reply], continued: Continued = rest_of) -> None:
        super().__init__(self._reply_to)
        self.replies = dict(replies)
        self.continued = continued

    @property
    def asked(self) -> list[int]:
        """The sections that were asked for, in the order of the requests."""
        return [number_of(it) for it in self.requests]

    @property
    def begun(self) -> list[tuple[int, str]]:
        """The same, each with the text that it was to continue."""
        return [(number_of(it), begun_in(it)) for it in self.requests]

    def _reply_to(self, request: Request) -> Reply:
        reply, begun = self.replies[number_of(request)], begun_in(request)
        return self.continued(reply, begun) if begun else reply


def number_of(request: Request) -> int:
    """The section that a request asks for."""
    said = "".join(it["content"] for it in request.json["messages"])
    found = re.search(r"Write only section (\d+),", said)
    return int(found[1]) if found else OUTLINE


def begun_in(request: Request) -> str:
    """The text that a request wants to be continued, also in words; "" for a new answer."""
    last = [it for it in request.json["messages"] if it["role"] == "assistant"]
    return str(last[-1]["content"]) if last else ""

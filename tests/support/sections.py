"""A loopback server that writes documents: it knows which section it is asked for.

with Sections({1: says("one"), 2: says("two")}) as server:
    ... chatstream compose ...
assert server.asked == [1, 2]
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
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


class Sections(ByRequest):
    """The server; `replies` by the number of the section, 0 for the outline."""

    def __init__(self, replies: Mapping[int, Reply]) -> None:
        super().__init__(lambda request: self.replies[number_of(request)])
        self.replies = dict(replies)

    @property
    def asked(self) -> list[int]:
        """The sections that were asked for, in the order of the requests."""
        return [number_of(it) for it in self.requests]


def number_of(request: Request) -> int:
    """The section that a request asks for."""
    found = re.search(r"Write only section (\d+),", request.json["messages"][-1]["content"])
    return int(found[1]) if found else OUTLINE

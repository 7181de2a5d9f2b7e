"""A page of results, taken apart."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from chatstream.bench.result import Result, decode

VOID = {"meta"}


class Page(HTMLParser):
    """Elements, text, and whether every element was closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data

    @property
    def seen(self) -> str:
        """All text that a reader sees."""
        hidden = ("style", "script")
        return "\n".join(text for tag, text in self.text.items() if tag not in hidden)

    def count(self, tag: str) -> int:
        return sum(it == tag for it, _ in self.elements)


def figures(text: str) -> list[ElementTree.Element]:
    """The SVGs, each parsed as XML."""
    return [ElementTree.fromstring(it) for it in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]


def plots(text: str) -> dict[str, ElementTree.Element]:
    """The plots by their titles."""
    parsed = [it for it in figures(text) if it.get("role") == "img"]
    return {it.findtext("title") or "": it for it in parsed}


def paths(plot: ElementTree.Element, kind: str) -> list[str]:
    return [
        it.get("d") or "" for it in plot.iter("path") if kind in (it.get("class") or "").split()
    ]


def data_of(text: str) -> Result:
    """What the page holds for programs."""
    return decode(Page(text).text["script"])

"""The kind of a body from a web server, by its headers, and the text of an HTML page.

1. The text of a page is that of its HTML, without scripts, styles and layout. The extraction is
   simple: blocks become lines, links are followed by their addresses, and no part of a page is
   considered unimportant. As much as possible of broken HTML is read.
2. A charset counts only if Python knows it and it is for text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin

_TEXT = re.compile(r"text/.*|application/(.*\+)?(json|xml|yaml|javascript|x-ndjson|toml)")
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Python's own encodings. Some always raise, and one takes hours."""

_DECLARED_WITHIN = 1024
"""The bytes at the beginning of a page in which it may declare its charset (HTML, 4.2.5.4)."""

_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset"),
        *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header"),
        *("hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul", "title"),
    }
)
_KEPT = "\xa0"  # a space that is not joined with others, such as in front of a line of code
_CELLS = frozenset({"td", "th"})


def kind_of(headers: Mapping[str, str]) -> tuple[str, str | None]:
    """The media type of a body in lower case, "" without one, and its charset; None without one.

    The names of the headers are in lower case.
    """
    kind, _, parameters = headers.get("content-type", "").partition(";")
    return kind.strip().lower(), _charset_in(parameters)


def length_of(headers: Mapping[str, str]) -> float | None:
    """The length of a body in bytes, if its headers say so."""
    length = headers.get("content-length", "")
    return float(length) if length.isdigit() and len(length) < 16 else None


def is_text(kind: str) -> bool:
    """Whether a body of this media type is text."""
    return bool(_TEXT.fullmatch(kind))


def is_html(kind: str, data: bytes) -> bool:
    """Whether this is an HTML page; without a media type its beginning decides."""
    return kind in _HTML or (not kind and data.lstrip()[:1] == b"<")


def declared_charset(page: bytes) -> str | None:
    """The charset that a page itself declares."""
    return _charset_in(page[:_DECLARED_WITHIN].decode("latin-1"))


def _charset_in(text: str) -> str | None:
    found = _CHARSET.search(text)
    try:
        codec = codecs.lookup(found[1]) if found else None
    except LookupError:
        return None
    if codec is None or not codec._is_text_encoding or codec.name in _NO_CHARSETS:
        return None
    return codec.name


def text_of(html: str, address: str, look: Callable[[], None] = lambda: None) -> str:
    """The text of the page at this address.

    `look` is called at each tag and each text, and may raise: a page can be made to take hours to
    read.
    """
    page = _Page(address, look)
    page.feed(html)
    page.close()
    lines = (re.sub(r"[ \t\r\f\v]+", " ", it).strip(" ") for it in "".join(page.said).split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
    return text.replace(_KEPT, " ").strip()


class _Page(HTMLParser):
    def __init__(self, address: str, look: Callable[[], None]) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._address = address
        self._look = look
        self._silent: list[str] = []
        self._preformatted = 0
        self._link: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look()
        if tag in _SILENT:
            self._silent.append(tag)
        if tag in _BLOCKS:
            self.said.append("\n- " if tag == "li" else "\n")
        elif tag in _CELLS:
            self.said.append("\t")
        self._preformatted += tag == "pre"
        if tag == "a" and (target := dict(attrs).get("href")):
            self._link = target

    def handle_endtag(self, tag: str) -> None:
        self._look()
        if tag in self._silent:
            while self._silent.pop() != tag:
                pass
        if tag in _BLOCKS:
            self.said.append("\n")
        self._preformatted -= tag == "pre" and self._preformatted > 0
        if tag == "a" and self._link is not None:
            target, self._link = self._link, None
            if not target.startswith(("#", "javascript:", "data:")) and not self._silent:
                self.said.append(f" ({_joined(self._address, target)})")

    def handle_data(self, data: str) -> None:
        self._look()
        if not self._silent:
            in_code = self._preformatted > 0
            self.said.append(data.replace(" ", _KEPT) if in_code else re.sub(r"\s+", " ", data))


def _joined(address: str, target: str) -> str:
    try:
        return urljoin(address, target.strip())
    except ValueError:
        return target

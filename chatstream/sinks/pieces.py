"""The pieces of a Markdown text: what `blocks` hands out and `markdown` draws."""

from __future__ import annotations

from typing import NamedTuple


class Quote(NamedTuple):
    """A block quote."""

    number: int  # no two containers of a text have the same


class Item(NamedTuple):
    """An item of a list. Its content begins `offset` columns after its container's."""

    number: int
    offset: int
    marker: str  # "-", or the number as it counts: "3."; of a task "☑" or "3. ☑"


Container = Quote | Item


class Where(NamedTuple):
    """Where a piece stands. It is the first one in the containers from `fresh` on."""

    containers: tuple[Container, ...]
    fresh: int
    gap: bool  # whether there are empty lines before it


class Paragraph(NamedTuple):
    where: Where
    text: str
    joined: bool = False  # the next paragraph goes on in the same line
    part: bool = False  # it continues the paragraph before it


class Heading(NamedTuple):
    where: Where
    level: int
    text: str


class Formula(NamedTuple):
    """A line of a display formula, as it is written."""

    where: Where
    text: str
    joined: bool = False  # the next one goes on in the same line
    part: bool = False  # it continues the formula before it


class Rule(NamedTuple):
    where: Where


class Code(NamedTuple):
    """A code block begins; its lines follow."""

    where: Where
    info: str


class CodeLine(NamedTuple):
    text: str
    joined: bool = False  # the next one goes on in the same line


class Table(NamedTuple):
    """A table begins; its rows follow. Each column is "left", "right", "center" or "default"."""

    where: Where
    columns: tuple[str, ...]
    header: tuple[str, ...]


class Row(NamedTuple):
    cells: tuple[str, ...]


class End(NamedTuple):
    """The code block or the table ends."""


class Blank(NamedTuple):
    """An item of a list with nothing in it."""

    where: Where


class Verbatim(NamedTuple):
    """A line that may become markup, as it stands. Only while it is not whole."""

    text: str


Piece = (
    Paragraph | Heading | Formula | Rule | Code | CodeLine | Table | Row | End | Blank | Verbatim
)

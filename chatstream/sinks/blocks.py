"""Markdown that is still being written, split into pieces that no later text can change.

1. Each line is looked at once, when it is whole, as CommonMark's own algorithm does (spec 0.31,
   appendix "A parsing strategy"), with GitHub's tables. Memory is the open paragraph and line.
2. A piece is handed out as soon as nothing can change it: a line of code, of a display formula or
   of a table when the line ends, a paragraph when it ends. A later `===` makes a heading of a
   paragraph, and a `|---|` makes a table of its last line.
3. A paragraph longer than `MAX_PARAGRAPH_CHARACTERS` is handed out in parts, cut where
   no markup is open if there is such a place, and so is an endless line of code or of a formula;
   `joined` parts go on in the same line. Such a paragraph stays one. Any other line of more than
   `MAX_LINE_CHARACTERS` is taken as two. The cuts depend on the text alone, never on how
   it was fed.
4. Some things differ from CommonMark, because text that is on the screen cannot be taken back, or
   to bound the cost. There are no link definitions: `[a][b]` and `[b]: http://…` stay as they are
   written. HTML is text. Empty lines between the items of a list are a matter of each item, not of
   the list. Within `MAX_CONTAINERS` quotes and items, a marker of another is text. An empty line of
   indented code has no white space. What a row has too much stands in its last cell.
5. Where a formula is open (`tex`), a line of its container is a line of the formula, whatever it
   looks like. An empty line ends it.
6. Nothing is lost: what is no markup is text.

Lines end with LF; `escape` sees to that.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

from chatstream.fences import BLANKS, MAX_CONTAINERS, Fence, opening
from chatstream.sinks import tex
from chatstream.sinks.numbering import NO_LIST, Numbering
from chatstream.sinks.paragraphs import Display, Text
from chatstream.sinks.pieces import (
    Blank,
    Code,
    CodeLine,
    Container,
    End,
    Formula,
    Heading,
    Item,
    Paragraph,
    Piece,
    Quote,
    Row,
    Rule,
    Table,
    Verbatim,
    Where,
)
from chatstream.sinks.scan import (
    Cursor,
    Marker,
    box_of,
    cells_of,
    columns_of,
    cut_of,
    heading_of,
    is_rule,
    is_undecided,
    marker_of,
    row_of,
    underline_of,
)

MAX_PARAGRAPH_CHARACTERS = 2000
"""Characters of a paragraph, or of a line of code, that are held back at most."""
MAX_LINE_CHARACTERS = 8 * MAX_PARAGRAPH_CHARACTERS
"""Characters of any other line, such as a row of a table."""


class _Fenced(NamedTuple):
    fence: Fence
    indent: int


class _Indented(NamedTuple):
    blanks: int = 0  # empty lines; they belong to the block only when code follows


class _Grid(NamedTuple):
    columns: int


class Blocks:
    """Feed it the text as it comes."""

    def __init__(self) -> None:
        # All but `_out` is immutable, so that a copy is cheap and apart.
        self._line = ""  # the line that has no end yet
        self._midline = False  # whose beginning was taken, as text or code
        self._probe = MAX_PARAGRAPH_CHARACTERS  # how long it must get for that to be tried
        self._containers: tuple[Container, ...] = ()
        self._shown = 0  # containers that a piece was handed out of
        self._bare = False  # the last container is an item, and its first line was empty
        self._lists: tuple[Numbering, ...] = ()  # the last item of the list at each depth
        self._leaf: Text | _Fenced | _Indented | Display | _Grid | None = None
        self._gap = False
        self._number = 0
        self._out: list[Piece] = []

    @property
    def is_whole(self) -> bool:
        """Whether nothing is open that what is handed out next belongs to."""
        leaf = self._leaf
        return leaf is None or (isinstance(leaf, Text) and not leaf.begun)

    def feed(self, delta: str) -> list[Piece]:
        """Take the next characters; the pieces that are final now."""
        first, *others = delta.split("\n")
        self._add(first)
        for part in others:
            self._end_line()
            self._add(part)
        return self._take()

    def finish(self) -> list[Piece]:
        """The text is at its end: all that is left."""
        if self._line or self._midline:
            self._end_line()
        self._close_to(0)
        self._lists, self._gap = (), False
        return self._take()

    def open(self) -> list[Piece]:
        """What `finish` would give, as far as one can tell from half a line."""
        rest = self._copy()
        line, leaf = rest._line, rest._leaf
        verbatim = isinstance(leaf, Display) or (isinstance(leaf, Text) and leaf.formula != "")
        if isinstance(leaf, _Fenced):
            mark, levels = leaf.fence.mark, leaf.fence.levels
            if not levels and line.strip(" \t>")[:1] == mark[0] and not line.strip(" \t>`~"):
                rest._line = ""  # the end of the code, most likely
        elif not (rest._midline or verbatim) and is_undecided(line):
            rest._line = ""
            return [*rest.finish(), *([Verbatim(line)] if line.strip(" \t>") else [])]
        return rest.finish()

    def _take(self) -> list[Piece]:
        pieces, self._out = self._out, []
        return pieces

    def _copy(self) -> Blocks:
        other = copy(self)
        other._out = []
        return other

    # ---- lines that are not whole

    def _add(self, text: str) -> None:
        """Take more of the line. The steps keep what is held, and is copied, short."""
        for start in range(0, len(text), MAX_PARAGRAPH_CHARACTERS):
            step = text[start : start + MAX_PARAGRAPH_CHARACTERS]
            if self._midline:
                self._go_on(step)
                continue
            self._line += step
            while len(self._line) > self._probe:
                self._begin_line()

    def _begin_line(self) -> None:
        """Take the beginning of an endless line, if it is text or code, or else all of it."""
        beginning, rest = self._line[: self._probe], self._line[self._probe :]
        probe = self._copy()
        probe._take_line(beginning, whole=False)
        leaf = probe._leaf
        if (
            isinstance(leaf, Text | Display)
            or (isinstance(leaf, _Fenced) and leaf is self._leaf)
            or (isinstance(leaf, _Indented) and not leaf.blanks)
        ):
            probe._out = [*self._out, *probe._out]
            self.__dict__ = probe.__dict__
            self._line, self._midline = "", True
            if rest:
                self._go_on(rest)
        elif self._probe < MAX_LINE_CHARACTERS:
            self._probe *= 2
        else:
            self._take_line(beginning)
            self._line, self._probe = rest, MAX_PARAGRAPH_CHARACTERS

    def _go_on(self, text: str) -> None:
        if isinstance(self._leaf, Text):
            self._leaf = self._parted(self._leaf._replace(text=self._leaf.text + text))
        elif isinstance(self._leaf, Display):
            self._out.append(Formula(self._where(), text, joined=True, part=True))
        else:
            self._out.append(CodeLine(text, joined=True))

    def _end_line(self) -> None:
        line, self._line, self._probe = self._line, "", MAX_PARAGRAPH_CHARACTERS
        if not self._midline:
            self._take_line(line)
        elif isinstance(self._leaf, Text):
            self._leaf = self._leaf.with_line_ended()
        elif isinstance(self._leaf, Display):
            self._out.append(Formula(self._where(), "", part=True))
            self._leaf = None
        else:
            self._out.append(CodeLine(""))
        self._midline = False

    # ---- whole lines

    def _take_line(self, line: str, *, whole: bool = True) -> None:
        at = Cursor(line)
        matched = self._match(at)
        self._bare = began = False
        inside = matched == len(self._containers)
        if inside and self._verbatim(at, whole=whole):
            return
        leaf = self._leaf if isinstance(self._leaf, Text | Display) else None  # may go on in it
        while content := at.content:
            if at.indent >= 4:
                if leaf:
                    break
                self._begin_code(at, matched, whole=whole)
                return
            if content[0] == ">" and matched < MAX_CONTAINERS:
                self._close_to(matched)
                self._open_quote(at)
            elif (
                isinstance(leaf, Text) and inside and self._underlined(leaf, content)
            ) or self._is_block(content, matched, at.indent, whole=whole):
                return
            elif (
                matched < MAX_CONTAINERS
                and (marker := marker_of(content))
                and (marker.interrupts or not (leaf and inside))
            ):
                self._close_to(matched)
                self._open_item(at, marker)
            else:
                break
            matched += 1
            leaf, inside, began = None, True, True
        if content:
            self._take_text(content, matched, leaf, header=at.indent < 4)
        elif began:
            self._bare = isinstance(self._containers[-1], Item)
        else:
            self._close_to(matched)
            self._gap = True

    def _match(self, at: Cursor) -> int:
        """Go to what the open containers leave of a line; how many of them go on in it."""
        for matched, container in enumerate(self._containers):
            if isinstance(container, Quote):
                if at.indent > 3 or at.content[:1] != ">":
                    return matched
                at.pass_over(1)
                at.skip(1)
            elif at.content:
                if at.indent < container.offset:
                    return matched
                at.skip(container.offset)
            elif self._bare and matched == len(self._containers) - 1:
                return matched  # an item begins with one empty line at most
            else:
                at.skip(container.offset)
        return len(self._containers)

    def _verbatim(self, at: Cursor, *, whole: bool) -> bool:
        """Whether this is a line of the open code or formula."""
        match self._leaf:
            case _Fenced(fence, indent):
                after = fence.after(at.content, at.indent)
                if after is None:
                    self._end_leaf()
                else:
                    if after is not fence:
                        self._leaf = _Fenced(after, indent)
                    at.skip(indent)
                    self._out.append(CodeLine(at.rest, joined=not whole))
                return True
            case Text(formula=closer) if closer and at.content:
                self._take_text(at.rest, len(self._containers), self._leaf, header=False)
                return True
            case Display() if at.content:
                at.skip(self._leaf.indent)
                self._display(at.rest, self._leaf, whole=whole)
                return True
            case _Indented(blanks):
                if not at.content:
                    self._leaf = _Indented(blanks + 1)
                    return True
                if at.indent >= 4:
                    self._out += [CodeLine("")] * blanks
                    self._leaf = _Indented()
                    at.skip(4)
                    self._out.append(CodeLine(at.rest, joined=not whole))
                    return True
        return False

    def _begin_code(self, at: Cursor, matched: int, *, whole: bool) -> None:
        self._close_to(matched)
        self._out.append(Code(self._where(), ""))
        self._leaf = _Indented()
        at.skip(4)
        self._out.append(CodeLine(at.rest, joined=not whole))

    def _underlined(self, leaf: Text, content: str) -> bool:
        """Whether this line makes a table of the last line before it, or a heading of all."""
        columns = columns_of(content)
        if columns and leaf.header:
            before, end, last = leaf.text.rpartition("\n")
            header = cells_of(last, len(columns))
            if "|" in last and len(columns) == len(header) and (end or not leaf.midline):
                self._leaf = leaf._replace(text=before) if end or leaf.begun else None
                self._end_leaf()
                self._out.append(Table(self._where(), columns, header))
                self._leaf = _Grid(len(columns))
                return True
        level = 0 if leaf.begun else underline_of(content)
        if level:
            self._leaf = None
            self._out.append(Heading(self._where(), level, leaf.text.rstrip(BLANKS)))
        return level > 0

    def _is_block(self, content: str, matched: int, indent: int, *, whole: bool) -> bool:
        """Whether this line is a heading or a rule, or begins a fence or a display formula."""
        first = content[0]
        if first == "#" and (heading := heading_of(content)):
            self._close_to(matched)
            self._out.append(Heading(self._where(), *heading))
        elif first in "`~" and (fence := opening(content)):
            self._close_to(matched)
            self._out.append(Code(self._where(), fence.info))
            self._leaf = _Fenced(fence, indent)
        elif (
            first in "$\\"
            and not isinstance(self._leaf, Display)  # which ends here, most likely
            and (opener := tex.display_of(content))
        ):
            self._close_to(matched)
            formula = Display(tex.closer_of(opener), indent)
            self._display(content, formula, len(opener), whole=whole)
        elif is_rule(content):
            self._close_to(matched)
            self._out.append(Rule(self._where()))
        else:
            return False
        return True

    def _display(self, line: str, formula: Display, begun: int = 0, *, whole: bool = True) -> None:
        """A line of a display formula, whose first `begun` characters open it."""
        text, rest = formula.parted(line, begun)
        joined = not whole and rest is None
        self._out.append(Formula(self._where(), text, joined, part=not begun))
        self._leaf = formula if rest is None else self._parted(Text.of(rest)) if rest else None

    def _take_text(
        self, content: str, matched: int, leaf: Text | Display | None, *, header: bool
    ) -> None:
        if isinstance(leaf, Display):
            self._display(content, leaf)
        elif leaf:
            self._leaf = self._parted(leaf.with_line(content, header=header))
        elif isinstance(self._leaf, _Grid) and matched == len(self._containers):
            self._out.append(Row(row_of(content, self._leaf.columns)))
        else:
            self._close_to(matched)
            self._leaf = self._parted(Text.of(self._without_box(content)))

    def _without_box(self, content: str) -> str:
        """The first text of an item without the box of a task, which becomes the item's marker."""
        item = self._containers[-1] if len(self._containers) > self._shown else None
        if not isinstance(item, Item):
            return content
        box, text = box_of(content)
        if box:
            marker = box if item.marker == "-" else f"{item.marker} {box}"
            self._containers = (*self._containers[:-1], item._replace(marker=marker))
        return text

    # ---- what is open

    def _parted(self, leaf: Text) -> Text:
        """What is left of a paragraph when it has become too long."""
        while len(leaf.text) > MAX_PARAGRAPH_CHARACTERS:
            cut = cut_of(leaf.text, MAX_PARAGRAPH_CHARACTERS)
            part, rest = leaf.text[:cut], leaf.text[cut:]
            self._out.append(Paragraph(self._where(), part, joined=True, part=leaf.begun))
            leaf = leaf._replace(text=rest, begun=True, midline=not part.endswith("\n"))
        return leaf

    def _end_leaf(self) -> None:
        leaf, self._leaf = self._leaf, None
        if isinstance(leaf, Text):
            text = leaf.text.rstrip(BLANKS)
            self._out.append(Paragraph(self._where(), text, part=leaf.begun))
        elif leaf is not None and not isinstance(leaf, Display):
            self._out.append(End())
            self._gap = self._gap or (isinstance(leaf, _Indented) and leaf.blanks > 0)

    def _close_to(self, depth: int) -> None:
        """Close what is open in the containers from `depth` on, and these."""
        self._end_leaf()
        while len(self._containers) > depth:
            if len(self._containers) > self._shown and isinstance(self._containers[-1], Item):
                self._out.append(Blank(self._where()))
            self._containers = self._containers[:-1]
        self._shown = min(self._shown, depth)

    def _open_quote(self, at: Cursor) -> None:
        at.pass_over(1)
        at.skip(1)
        self._number += 1
        self._lists = (*self._lists[: len(self._containers)], NO_LIST)
        self._containers = (*self._containers, Quote(self._number))

    def _open_item(self, at: Cursor, marker: Marker) -> None:
        offset = at.indent + marker.length
        at.pass_over(marker.length)
        # Of more than four columns all but one are the indent of code.
        width = at.indent if at.content and at.indent <= 4 else 1
        at.skip(width)
        depth = len(self._containers)
        before = self._lists[depth] if len(self._lists) > depth else NO_LIST
        item = before.next(marker)
        self._number += 1
        self._lists = (*self._lists[:depth], item)
        self._containers = (*self._containers, Item(self._number, offset + width, item.shown))

    def _where(self) -> Where:
        """Where the next piece stands; what was to be told once is told with it."""
        where = Where(self._containers, self._shown, self._gap)
        self._shown, self._gap = len(self._containers), False
        self._lists = self._lists[: len(self._containers)]
        return where

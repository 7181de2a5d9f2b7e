"""Pieces of Markdown drawn as lines that the terminal itself wraps.

1. A paragraph is one line, and so is each line of code and of a display formula: a copy from the
   terminal is what the model wrote. Lists and quotes get a short marker before each line. Prose
   wraps at words (`wrapping`), tables are laid out to the terminal's width. Code stands between
   two lines of ours; in an item or a quote it has the indent of the text there, in blanks.
2. What is drawn of a piece depends on the pieces before it and not on those after it. So the lines
   of pieces drawn one by one are those of all of them drawn at once.
3. The widths of a table's columns come from its first `HELD_ROWS`; later rows are fitted in.
4. There is one empty line where the source has some, and around code and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment

from chatstream.fences import Info, info_of
from chatstream.sinks import pieces as md
from chatstream.sinks.code import Highlighter
from chatstream.sinks.inline import Inline
from chatstream.sinks.lines import Line, cropped, expanded, line_of, text_of
from chatstream.sinks.scan import alert_of
from chatstream.sinks.tables import HELD_ROWS, Cell, Grid
from chatstream.sinks.tags import is_fold
from chatstream.sinks.theme import Theme
from chatstream.sinks.words import one_line
from chatstream.sinks.wrapping import Prose, Wrap, like

_BAR = "▌ "
_RULE_CELLS = 40
_FRAME_CELLS = 30  # cells of the lines around code, if what the upper one says is no longer
_MIN_LINE_CELLS = 10  # cells for a line with words in it
_LABEL_CHARACTERS = 60  # characters of a language or a file name


@dataclass(frozen=True)
class Drawn:
    """Lines; `joined`: the next line that is drawn continues the last of these."""

    lines: list[Line]
    joined: bool


class Markdown:
    """Draws the pieces of one answer. `width` tells the cells of the terminal.

    `wrap`: "words" wraps prose at words, "terminal" leaves that to the terminal, and "none" also
    keeps the source's own lines.
    """

    def __init__(self, theme: Theme, width: Callable[[], int], wrap: Wrap = "words") -> None:
        self._theme = theme
        self._width = width
        self._words = wrap == "words"
        self._inline = Inline(theme, keep_lines=wrap == "none")
        self._whole = True  # what is drawn now is final
        self._ended = True  # the text of what is drawn now is whole; markup in it may not end later
        self._code: Highlighter | None = None
        self._margin = ""  # before each line of the code
        self._lower: Line = []  # the line below it
        self._closed = False  # and that one is due
        self._grid: Grid | None = None
        self._containers: tuple[md.Container, ...] = ()  # of the last piece
        self._block = False  # the last piece was code or a table
        self._begun = False
        self._joined = False
        self._lines: list[Line] = []

    def draw(self, pieces: Iterable[md.Piece]) -> Drawn:
        """The next lines, for good."""
        for piece in pieces:
            self._piece(piece)
        lines, self._lines = self._lines, []
        return Drawn(lines, self._joined)

    def draw_open(self, pieces: Sequence[md.Piece]) -> list[Line]:
        """How it would continue with these pieces, which may still change."""
        if not pieces:
            return []
        rest = copy(self)
        rest._whole = False
        rest._lines = []
        while len(pieces) > 1 and not isinstance(pieces[1], md.Verbatim | md.End):
            rest._piece(pieces[0])
            pieces = pieces[1:]
        rest._ended = False
        return rest.draw(pieces).lines

    def _piece(self, piece: md.Piece) -> None:
        match piece:
            case md.Paragraph(where, text, joined, part):
                style = self._theme.quote if _quoted(where.containers) else None
                if is_fold(text) and where.fresh == len(where.containers):
                    self._block = True  # nothing to draw, but what follows stands apart
                    return
                label, text = alert_of(text) if _begins_quote(where) else ("", text)
                lines = self._inline.lines(text, style, ended=self._ended)
                if label:
                    title = line_of(label, self._theme.quote + self._theme.strong)
                    lines = [title, *(lines if text else ())]
                if not part:
                    self._begin(where)
                self._add(lines, where, prose=self._words)
                self._joined = joined
            case md.Heading(where, level, text):
                self._begin(where, apart=not where.containers)
                style = self._theme.headings[level - 1]
                if "heading" in self._theme.marks:
                    text = f"{'#' * level} {text}"
                lines = self._inline.lines(text, style, ended=self._ended)
                self._add(lines, where, prose=self._words)
            case md.Rule(where):
                self._begin(where)
                before, _ = self._before(where)
                cells = min(_RULE_CELLS, max(1, self._width() - cell_len(text_of(before))))
                self._add([line_of("─" * cells, self._theme.rule)], where)
            case md.Formula(where, text, joined, part):
                if not part:
                    self._begin(where)
                self._add([line_of(text, self._theme.dim)], where, prose=self._words)
                self._joined = joined
            case md.Code(where, info):
                self._begin(where, apart=True)
                named = info_of(info)
                self._code = Highlighter(named.language, self._theme.code)
                before, following = self._before(where)
                room = self._width() - cell_len(text_of(before))
                self._add([_frame(named, room, self._theme)], where)
                self._margin = " " * cell_len(text_of(following))
                self._lower = [*following, *_frame(None, room, self._theme)]
            case md.CodeLine(text, joined):
                self._code_line(text, joined=joined)
            case md.Table(where, columns, header):
                self._begin(where, apart=True)
                titles = [
                    [*map(expanded, self._inline.lines(title, self._theme.strong))]
                    for title in header
                ]
                self._grid = Grid(columns, titles, self._before(where), self._theme)
            case md.Row(cells):
                assert self._grid is not None
                self._grid = self._grid.with_row(self._cells(cells))
                if self._grid.is_fixed or len(self._grid.rows) >= HELD_ROWS:
                    self._lay_out()
            case md.End():
                if self._grid is not None:
                    self._lay_out()
                if self._code is not None:
                    self._closed = True
                    if self._whole:  # else more of it may come
                        self._close_code()
                self._code = self._grid = None
                self._block = True
            case md.Blank(where):
                self._begin(where)
                self._add([[]], where)
            case md.Verbatim(text):
                self._close_code()
                self._add([line_of(text)])

    def _cells(self, texts: Sequence[str]) -> list[Cell]:
        """The cells of a row; of one that is still written, only the last one may go on."""
        written = max((at for at, text in enumerate(texts) if text), default=0)
        return [
            [*map(expanded, self._inline.lines(text, ended=self._ended or at != written))]
            for at, text in enumerate(texts)
        ]

    def _close_code(self) -> None:
        """The line below code that has ended."""
        if self._closed:
            self._lines.append(self._lower)
            self._closed = False

    def _lay_out(self) -> None:
        assert self._grid is not None
        lines, self._grid = self._grid.laid_out(self._width())
        self._lines += lines

    def _code_line(self, text: str, *, joined: bool) -> None:
        assert self._code is not None
        if joined or self._joined:
            line = line_of(text)  # a part of an endless line
        else:
            line = self._code.feed(text) if self._whole else self._code.peek(text)
        if line and self._margin and not self._joined:
            line = [Segment(self._margin), *expanded(line)]
        self._add([line])
        self._joined = joined

    def _add(
        self, lines: list[Line], where: md.Where | None = None, *, prose: bool = False
    ) -> None:
        """These lines, in their containers; the first may continue the line before."""
        before, following = self._before(where) if where else ([], [])
        hang = cell_len(text_of(before))
        for at, line in enumerate(lines):
            if at or not self._joined:
                line = expanded([*(following if at else before), *line])
                self._lines.append(Prose(line, hang) if prose else line)
            elif self._lines:
                self._lines[-1] = like(self._lines[-1], [*self._lines[-1], *expanded(line)])
            else:
                self._lines.append(expanded(line))
        self._joined = False

    def _begin(self, where: md.Where, *, apart: bool = False) -> None:
        """The empty line before a block, if there is one."""
        self._close_code()
        if self._begun and (where.gap or apart or self._block):
            common = [
                now
                for before, now in zip(self._containers, where.containers, strict=False)
                if before == now
            ]
            while common and not isinstance(common[-1], md.Quote):
                common.pop()
            _, bars = self._before(md.Where(tuple(common), len(common), gap=False))
            self._lines.append(bars)
        self._begun, self._block = True, False
        self._containers = where.containers

    def _before(self, where: md.Where) -> tuple[Line, Line]:
        """What stands before the first line of a piece, and before each other line."""
        first: Line = []
        other: Line = []
        for index, container in enumerate(where.containers):
            if isinstance(container, md.Quote):
                first.append(Segment(_BAR, self._theme.dim))
                other.append(first[-1])
            else:
                marker = "•" if container.marker == "-" else container.marker
                other.append(Segment(" " * (len(marker) + 1)))
                new = index >= where.fresh
                first.append(Segment(f"{marker} ", self._theme.marker) if new else other[-1])
        return first, other


def _begins_quote(where: md.Where) -> bool:
    return where.fresh < len(where.containers) and isinstance(where.containers[-1], md.Quote)


def _frame(info: Info | None, room: int, theme: Theme) -> Line:
    """The line above a block of code, which says what it is; without `info`, the one below it."""
    label = " · ".join(one_line(it, _LABEL_CHARACTERS) for it in info or () if it)
    cells = max(1, min(_FRAME_CELLS, room))
    if not label or room < _MIN_LINE_CELLS:
        return line_of("─" * cells, theme.rule)
    named = [Segment(" "), *cropped(line_of(label, theme.dim), room - 8), Segment(" ")]
    after = max(3, cells - 3 - cell_len(text_of(named)))
    return [Segment("───", theme.rule), *named, Segment("─" * after, theme.rule)]


def _quoted(containers: Iterable[md.Container]) -> bool:
    return any(isinstance(container, md.Quote) for container in containers)

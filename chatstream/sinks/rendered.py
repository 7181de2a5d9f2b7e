"""The answer drawn as on a screen, for a pager, a file or a pipe; notes go to another output.

1. Text becomes pieces (`blocks`) and pieces become lines (`markdown`), as in the live view. A row
   is written once it is final, with its line end, and never touched again: there are no cursor
   movements. What is open at the end is written by `close`.
2. Prose wraps at words, and rows carry no filler. A word that no row can hold is not cut.
3. Remote text passes `escape` first. The only escape sequences are those of colours and attributes
   (SGR), and only where `colors` says so. There are no hyperlinks (OSC 8): old versions of less
   show them as text, and a link's target stands behind it anyway.
4. Notes, and where they go, are those of `plain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rich.color import ColorSystem
from rich.segment import Segment

from chatstream import events as ev
from chatstream.escape import Escaper
from chatstream.sinks.blocks import Blocks
from chatstream.sinks.lines import Line
from chatstream.sinks.markdown import Markdown
from chatstream.sinks.output import Writer
from chatstream.sinks.pieces import Piece
from chatstream.sinks.plain import PlainSink
from chatstream.sinks.theme import Theme, escaped
from chatstream.sinks.wrapping import Prose, Wrap, like, wrapped

_LINE_END = "\n"


class RenderedSink(PlainSink):
    """Drawn Markdown on `output`, everything else on `notes`.

    `width` tells the cells of a row, `wrap` who wraps prose (see `Markdown`). `colors` is what the
    reader shows of colours; None: no escape sequences at all. `colours` are those of the notes.
    """

    def __init__(
        self,
        output: Writer,
        notes: Writer,
        *,
        theme: Theme,
        width: Callable[[], int],
        colors: ColorSystem | None,
        wrap: Wrap = "words",
        reasoning: bool,
        stats: bool,
        colours: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            output, notes, terminal=False, reasoning=reasoning, stats=stats, colours=colours
        )
        self._theme = theme
        self._width = width
        self._colors = colors
        self._wrap: Wrap = wrap
        self._begun = False  # something was written
        self._parted = False  # an empty line is due before the next text
        self._start()

    def _other(self, event: ev.Event) -> None:
        match event:
            case ev.ToolCall() | ev.ToolStart() | ev.Done() | ev.Error():
                self._end_text()
            case _ if ev.voids(event):
                self._end_text()
                self._start()
        super()._other(event)

    def _flush(self) -> None:
        """Write the rows that are final by now."""
        text = self._text.feed("".join(self._held))
        self._held.clear()
        if text:
            self._draw(self._blocks.feed(text))

    def close(self) -> None:
        """Write what is held, and what is still open."""
        self._end_text()

    def _start(self) -> None:
        self._blocks = Blocks()
        self._markdown = Markdown(self._theme, self._width, self._wrap)
        self._text = Escaper()
        self._going_on: Line | None = None  # the last row of a line that goes on

    def _end_text(self) -> None:
        """What comes next is no longer this text."""
        self._flush()
        self._draw(self._blocks.finish())
        if self._going_on is not None:
            self._put(self._escaped(self._going_on) + _LINE_END)
            self._going_on = None
        self._parted = self._begun

    def _draw(self, pieces: Iterable[Piece]) -> None:
        drawn = self._markdown.draw(pieces)
        lines = drawn.lines
        if not lines:
            return
        out: list[str] = []
        if self._going_on is not None:
            lines[0] = like(self._going_on, [*self._going_on, *lines[0]])
            self._going_on = None
        elif self._parted and lines[0]:
            out.append(_LINE_END)
        self._parted = False
        last = len(lines) - 1
        for at, line in enumerate(lines):
            *rows, tail = self._rows(line)
            out += [self._escaped(row) for row in rows]
            if drawn.joined and at == last:
                if isinstance(line, Prose):
                    self._going_on = like(line, tail)
                else:  # it is one row, however long, and so far it is final
                    self._going_on = []
                    out.append(self._escaped(tail))
            else:
                out += (self._escaped(tail), _LINE_END)
        self._put("".join(out))

    def _rows(self, line: Line) -> list[Line]:
        return wrapped(line, self._width(), _end) if isinstance(line, Prose) else [line]

    def _escaped(self, line: Line) -> str:
        unlinked = [Segment(it.text, it.style and it.style.update_link(None)) for it in line]
        return escaped(unlinked, self._colors)

    def _put(self, text: str) -> None:
        if text:
            self._begun = True
            self._end_note_line()
            self._output.write(text.encode("utf-8", "replace"))


def _end(_cells: int, _width: int) -> Segment:
    """What stands at the end of a row instead of a filler."""
    return Segment(_LINE_END)

"""What can be open of a text: a paragraph, or a display formula. Both take one line after another.

They are values: each line makes a new one.
"""

from __future__ import annotations

from typing import NamedTuple

from chatstream.sinks import tex


class Text(NamedTuple):
    """An open paragraph: what of it was not handed out."""

    text: str
    begun: bool = False  # a part was handed out
    midline: bool = False  # and this begins in the middle of that part's last line
    header: bool = True  # its last line may be the header of a table
    formula: str = ""  # what ends the formula that its last line leaves open

    @classmethod
    def of(cls, line: str) -> Text:
        """The paragraph that begins with this line."""
        return cls(line, formula=tex.open_after(line))

    def with_line(self, line: str, *, header: bool) -> Text:
        """The paragraph with one more line."""
        formula = tex.open_after(line, self.formula)
        return self._replace(text=f"{self.text}\n{line}", header=header, formula=formula)

    def with_line_ended(self) -> Text:
        """The paragraph, whose last line came in parts and is whole now."""
        return self._replace(formula=tex.open_after(self.text.rpartition("\n")[2]))


class Display(NamedTuple):
    """An open display formula, whose first line is indented by `indent` columns."""

    closer: str
    indent: int

    def parted(self, line: str, begun: int = 0) -> tuple[str, str | None]:
        """What of a line belongs to the formula, and what follows its end; None if it has none.

        The first `begun` characters of the line open the formula.
        """
        end = tex.end_of(line, self.closer, begun)
        return tex.parted(line, end) if end > 0 else (line, None)

"""Markdown that is still being written, split into finished top-level blocks and the open tail.

1. The library's parser decides, over whole lines only: what stands before the last top-level block
   is finished, for no later line can change it. The last block is always open.
2. The blocks joined are the input, character for character, and do not depend on how it was cut.
3. Blank lines belong to the block before them. Link definitions, which the parser gives no token,
   belong to the block after them, or are one at the end.
4. A long tail is parsed again only when it has grown by a sixteenth. So the parsing of a text is
   linear in its length, even when one block never ends; a block may merely be told a few lines
   late.

Lines end with LF; `escape` sees to that.
"""

from __future__ import annotations

from itertools import pairwise

from markdown_it import MarkdownIt


def dialect() -> MarkdownIt:
    """The Markdown that models write: CommonMark with tables and strike-through, HTML as text."""
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class Blocks:
    """Feed it the text as it comes."""

    def __init__(self) -> None:
        self._parser = dialect()
        self._parser.core.ruler.enableOnly(
            ["normalize", "block"]
        )  # no inline markup: half the work
        self._lines: list[str] = []  # the whole lines of the tail, each with its LF
        self._open = ""  # the line that has no end yet
        self._due = 1  # how many lines the tail must have to be parsed again

    @property
    def tail(self) -> str:
        """What is not finished."""
        return "".join(self._lines) + self._open

    def feed(self, delta: str) -> list[str]:
        """Take the next piece; the sources of the blocks that are finished now."""
        head, line_end, self._open = (self._open + delta).rpartition("\n")
        if not line_end:
            return []
        self._lines += [line + "\n" for line in head.split("\n")]
        if len(self._lines) < self._due:
            return []
        ends = self._ends()[:-1]
        blocks = self._cut(ends)
        if ends:
            del self._lines[: ends[-1]]
        self._due = len(self._lines) + 1 + len(self._lines) // 16
        return blocks

    def finish(self) -> list[str]:
        """The text is at its end: the sources of the blocks that are left, the last one too."""
        if self._open:
            self._lines.append(self._open)
        ends = self._ends()
        if self._lines and ends[-1:] != [len(self._lines)]:
            ends.append(len(self._lines))  # link definitions, or only blank lines
        blocks = self._cut(ends)
        self._lines, self._open, self._due = [], "", 1
        return blocks

    def _cut(self, ends: list[int]) -> list[str]:
        return ["".join(self._lines[start:end]) for start, end in pairwise([0, *ends])]

    def _ends(self) -> list[int]:
        """For each top-level block the line where the next one begins."""
        ends = []
        for token in self._parser.parse("".join(self._lines)):
            if token.level == 0 and token.map is not None:
                end = token.map[1]
                while end < len(self._lines) and not self._lines[end].strip(" \t\n"):
                    end += 1
                ends.append(end)
        return ends

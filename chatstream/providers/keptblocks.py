"""Blocks of an Anthropic answer that go back whole, gathered while their pieces come.

1. Blocks of other kinds than text, thinking and calls: the server's own tools with their results,
   summaries of the conversation, and what will be added. They mean nothing here.
2. Text with citations. The text itself is part of the answer all the same.
3. A block whose pieces do not fit together is left out.
"""

from __future__ import annotations

from typing import Any

from chatstream.providers.lenient import TOO_DEEP, sendable, text_of, value_of

_READ = frozenset({"", "thinking", "redacted_thinking", "tool_use"})  # kinds that others see to


class KeptBlocks:
    """Those of one answer; `open` are those that have begun and not ended, by their index."""

    def __init__(self) -> None:
        self.open: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[str]] = {}

    def start(self, index: int, block: dict[str, Any]) -> None:
        """A block begins, with all that is known of it then."""
        kind = text_of(block.get("type"))
        if kind not in _READ and (kind != "text" or "citations" in block):
            self.open[index] = dict(block)

    def write(self, index: int, piece: str) -> None:
        """More of the text of a block, or of the JSON of its input."""
        if index in self.open:
            self._pieces.setdefault(index, []).append(piece)

    def fill(self, index: int, **fields: object) -> None:
        """Fields of a block that come later; None is not there."""
        if index in self.open:
            self.open[index] |= {name: it for name, it in fields.items() if it is not None}

    def cite(self, index: int, citation: object) -> None:
        """One more citation of a text."""
        if index in self.open:
            known = self.open[index].get("citations") or []
            self.open[index]["citations"] = [*known, citation]

    def end(self, index: int) -> dict[str, Any] | None:
        """The whole block, to be sent back; None if there is nothing to send."""
        block = self.open.pop(index, None)
        pieces = "".join(self._pieces.pop(index, ()))
        if block is None:
            return None
        if block["type"] == "text":
            if not block.get("citations"):
                return None
            block["text"] = text_of(block.get("text")) + pieces
        try:
            if pieces and block["type"] != "text":
                block["input"] = value_of(pieces)
            whole: dict[str, Any] = sendable(block)
        except TOO_DEEP:
            return None
        return whole

"""Columns for people and for programs: fitted to a terminal, separated by tabs in a pipe.

Every cell becomes one line without control characters. In a pipe nothing is cut; on a terminal a
line never runs over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from chatstream.escape import clean

MAX_COLUMN_CELLS = 28
"""The width of a column before the last one; the id of a run fits."""


def table(
    rows: Iterable[Sequence[str]],
    cells: int | None,
    last: Callable[[str, int], str] | None = None,
) -> str:
    """The rows as text, each on a line. `cells` is the terminal's width, None for a pipe.

    `last` may shorten the last column itself. It gets the text and the cells that are left for it,
    and its result is used as it is.
    """
    cleaned = [[" ".join(clean(cell).split()) for cell in row] for row in rows]
    if cells is None:
        return "".join("\t".join(row) + "\n" for row in cleaned)
    from rich.cells import cell_len, set_cell_size

    widths = [min(MAX_COLUMN_CELLS, max(map(cell_len, it))) for it in zip(*cleaned, strict=True)]
    lines = []
    for *row, end in cleaned:
        columns = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=False)]
        begin = "".join(f"{column}  " for column in columns)
        left = cells - cell_len(begin)
        lines.append(begin + last(end, left) if last and left > 0 else fit(begin + end, cells))
    return "".join(f"{line}\n" for line in lines)


def fit(text: str, cells: int) -> str:
    """The text, cut with an ellipsis where it is wider than this many cells."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"

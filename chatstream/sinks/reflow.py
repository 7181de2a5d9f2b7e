"""How a terminal moves the rows on its screen when its width changes.

1. Some terminals rewrap: a line that is too long for the new width becomes several rows, and rows
   that are one line become fewer. Their variables identify some of them (`reflows`); for all other
   terminals it is unknown.
2. tmux counts a cell as written even if it was erased since, unless its whole row was erased
   (`keeps_blanks`). Others count what is there.
3. When a screen gets narrower, tmux scrolls one row out at the top for each additional row that it
   needs, even if the rows at the bottom are empty. Those rows can no longer be reached, and stay as
   they are. So a resize duplicates nothing that has at least as many rows above it on the screen as
   the resize adds: at the top of a fresh screen that is one row for a prompt.
4. tmux reports a new size to a program at once, but at most four times a second: of several
   resizes in a row, the later ones take effect up to a quarter of a second before they are
   reported. What is drawn in that time is drawn for the wrong width, and lost. So nothing is drawn
   for `settling` seconds after a change of size is seen: then all changes are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ERASE_ROW = "\x1b[2K"
# All but the first cell: at the top of its screen tmux takes more for `clear` and keeps the text.
ERASE_BELOW = "\x1b[C\x1b[J\r"
ERASE_ROWS = ERASE_ROW + ERASE_BELOW
"""Erases the row in whose first cell the cursor is, and all below."""

_TMUX_SECONDS = 0.3

# GNU screen does not rewrap, but passes their variables on. Through ssh only TERM comes.
_REFLOWING = ("TMUX", "VTE_VERSION", "KONSOLE_VERSION", "WT_SESSION")
_REFLOWING_PROGRAMS = ("iTerm.app", "Apple_Terminal", "WezTerm", "vscode")
_REFLOWING_TERMS = ("tmux", "xterm-kitty", "xterm-ghostty", "alacritty", "foot")


def reflows(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is known to rewrap its lines when its width changes."""
    return "STY" not in environ and (
        any(environ.get(name) for name in _REFLOWING)
        or environ.get("TERM_PROGRAM") in _REFLOWING_PROGRAMS
        or environ.get("TERM", "").startswith(_REFLOWING_TERMS)
    )


def keeps_blanks(environ: Mapping[str, str]) -> bool:
    """Whether the terminal rewraps cells that were erased as if they were text."""
    is_tmux = bool(environ.get("TMUX")) or environ.get("TERM", "").startswith("tmux")
    return is_tmux and reflows(environ)


def settling(environ: Mapping[str, str]) -> float:
    """Seconds after a change of size in which another one may not have been reported yet."""
    return _TMUX_SECONDS if keeps_blanks(environ) else 0.0


def rows_above(lines: Iterable[int], width: int) -> int:
    """How many rows are above the cursor after each of the lines was wrapped to this width.

    `lines` are the cells of each line; the cursor is in the last cell of the last one.
    """
    return sum(max(1, -(-cells // width)) for cells in lines) - 1

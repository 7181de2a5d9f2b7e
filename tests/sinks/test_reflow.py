"""Which terminals rewrap their rows, and where a row is after that."""

from __future__ import annotations

import pytest

from chatstream.sinks.reflow import keeps_blanks, reflows, rows_above


@pytest.mark.parametrize(
    ("environ", "rewraps", "blanks"),
    [
        ({"TERM": "xterm-256color"}, False, False),
        ({"TERM": "xterm-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, True, True),
        ({"TERM": "tmux-256color"}, True, True),  # by ssh
        ({"TERM": "screen", "TMUX": "of the tmux it is in", "STY": "1.s"}, False, False),
        ({"TERM": "xterm-kitty"}, True, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True, False),
    ],
)
def test_what_a_terminal_does_is_known_by_its_variables(
    environ: dict[str, str], rewraps: bool, blanks: bool
) -> None:
    assert (reflows(environ), keeps_blanks(environ)) == (rewraps, blanks)


@pytest.mark.parametrize(
    ("lines", "width", "rows"),
    [([1], 40, 0), ([80, 1], 40, 2), ([80, 41], 40, 3), ([0, 0, 1], 40, 2), ([3, 2], 1, 4)],
)
def test_rows_above_the_cursor(lines: list[int], width: int, rows: int) -> None:
    assert rows_above(lines, width) == rows

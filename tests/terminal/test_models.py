"""Without a terminal a download tells each step once, and then each tenth of it."""

from __future__ import annotations

import pytest

from chatstream.events import Progress
from chatstream.terminal.models import Lines


def test_a_step_is_told_at_its_beginning_and_at_each_tenth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    lines.tell(Progress("pulling manifest", 0))
    lines.tell(Progress("pulling manifest", 0))
    for percentage in (0.0, 4.0, 9.9, 12.0, 13.0, 31.0, 30.0, 100.0):
        lines.tell(Progress("pulling aa", 1, 2, percentage, f"{percentage:g} kB"))
    assert capsys.readouterr().err.splitlines() == [
        "pulling manifest",
        "pulling aa: 0 kB (0 %)",
        "pulling aa: 12 kB (10 %)",
        "pulling aa: 31 kB (30 %)",
        "pulling aa: 100 kB (100 %)",
    ]

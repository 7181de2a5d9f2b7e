"""What a hypervisor takes is told, and what is not known is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.bench.steal import Steal

pytestmark = pytest.mark.serial


def stat(path: Path, steal: int, rest: int) -> None:
    path.write_text(f"cpu  {rest} 0 0 0 0 0 0 {steal} 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")


@pytest.mark.parametrize(("steal", "share"), [(0, 0.0), (25, 0.25), (1, 0.01)])
def test_the_share_is_that_since_it_was_made(tmp_path: Path, steal: int, share: float) -> None:
    file = tmp_path / "stat"
    stat(file, 50, 1000)
    counting = Steal(file)
    stat(file, 50 + steal, 1000 + 100 - steal)
    assert counting.share == pytest.approx(share)


def test_only_what_matters_is_worth_a_word(tmp_path: Path) -> None:
    file = tmp_path / "stat"
    stat(file, 0, 0)
    counting = Steal(file)
    stat(file, 1, 99)
    assert counting.warning is None
    stat(file, 21, 79)
    assert counting.warning == "the host of this machine took away 21% of its CPU time meanwhile"


def test_a_moment_is_too_short_to_tell(tmp_path: Path) -> None:
    file = tmp_path / "stat"
    stat(file, 0, 0)
    counting = Steal(file)
    stat(file, 4, 6)
    assert counting.share == 0.0


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n", None])
def test_where_nothing_is_told_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "stat"
    if text is not None:
        file.write_text(text)
    counting = Steal(file)
    assert counting.share == 0.0
    assert counting.warning is None

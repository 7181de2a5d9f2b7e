"""Which paths a glob means."""

from __future__ import annotations

import pytest

from chatstream.tools.builtin.globs import wanted


@pytest.mark.parametrize(
    ("glob", "path", "meant"),
    [
        ("*.py", "a.py", True),
        ("*.py", "src/deep/a.py", True),
        ("*.py", "a.pyc", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/*.py", "other/src/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/x/y/a.py", True),
        ("**/test_*.py", "test_a.py", True),
        ("**/x/**", "a/x/b/c", True),
        ("**/x/**", "a/y/b/c", False),
        ("./src/*.py", "src/a.py", True),
        ("*.{js,ts}", "src/a.ts", True),
        ("*.{js,ts}", "a.tsx", False),
        ("{a,b}/{c,d}.txt", "b/c.txt", True),
        ("[ab].txt", "b.txt", True),
        ("a*", "A", False),
        ("**", "a/b/c", True),
    ],
)
def test_a_glob_means(glob: str, path: str, meant: bool) -> None:
    assert wanted(glob)(path.split("/")) is meant


def test_without_a_glob_every_file_is_wanted() -> None:
    assert wanted(None)(["a", "b"])


def test_many_stars_take_no_longer_than_a_few() -> None:
    assert not wanted("**/a/" * 60 + "x")(["a"] * 60)


def test_too_many_alternatives_are_refused() -> None:
    assert wanted("{a,b}" * 6)(["ababab"])
    with pytest.raises(ValueError, match="more than 64 alternatives"):
        wanted("{a,b}" * 7)

"""The runner tells a mutant that the tests find from one that they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mutants import Copy, Mutant

SOURCE = "def add(a, b):\n    return a + b\n\n\nUNUSED = 1\n"
TESTS = "from chatstream.sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"


def mutant(old: str, new: str) -> Mutant:
    return Mutant("it", "sums.py", old, new, ("test_sums.py",))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    project = tmp_path / "own"
    for folder, name, text in (("chatstream", "sums.py", SOURCE), ("tests", "test_sums.py", TESTS)):
        (project / folder).mkdir(parents=True)
        (project / folder / name).write_text(text)
    (project / "chatstream" / "__init__.py").write_text("")
    return Copy(project, tmp_path / "copy")


def test_each_mutant_has_its_verdict_and_leaves_nothing_behind(copy: Copy, tmp_path: Path) -> None:
    assert copy.test(mutant("a + b", "a - b")) == "killed"
    assert copy.test(mutant("UNUSED = 1", "UNUSED = 2")) == "survived"
    assert copy.test(mutant("a * b", "a - b")) == "stale"
    assert copy.test(mutant("a + b", "a +")) == "broken"
    assert copy.pytest(["test_sums.py"]) == 0
    assert (tmp_path / "own" / "chatstream" / "sums.py").read_text() == SOURCE

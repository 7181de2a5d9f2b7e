"""`grep`: what it finds, what it skips, and that no pattern and no tree holds it up."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from chatstream.errors import Cancelled
from chatstream.tools.builtin import searching
from chatstream.tools.builtin.base import MOST_CHARACTERS
from chatstream.tools.builtin.searching import Grep
from chatstream.tools.tool import InvalidArguments, ToolFailure
from tests.support.descriptors import open_descriptors
from tests.support.processes import children
from tests.support.toolcontext import Said, result


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A few files."""
    for name, text in {
        "a.py": "import os\n\ndef main():\n    return os\n",
        "src/b.py": "def other():\n    pass\n",
        "src/c.js": "function main() {}\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def lines(text: str) -> list[str]:
    return text.split("\n")


def test_matches_come_in_the_order_of_the_paths_and_are_counted(tree: Path) -> None:
    assert lines(result(Grep([tree]), pattern=r"main|def \w+")) == [
        "a.py:3:def main():",
        "src/b.py:1:def other():",
        "src/c.js:1:function main() {}",
        "[3 matches in 3 of 3 files]",
    ]


def test_a_glob_chooses_files(tree: Path) -> None:
    assert lines(result(Grep([tree]), pattern="main", glob="*.js")) == [
        "src/c.js:1:function main() {}",
        "[1 match in 1 of 1 file]",
    ]


def test_a_single_file_is_searched(tree: Path) -> None:
    assert lines(result(Grep([tree]), pattern="OTHER", path="src/b.py", ignore_case=True)) == [
        "src/b.py:1:def other():",
        "[1 match in 1 of 1 file]",
    ]


def test_context_is_shown_with_another_mark_and_gaps_are_marked(tree: Path) -> None:
    (tree / "long.txt").write_text("".join(f"{number}\n" for number in range(1, 20)))
    assert lines(result(Grep([tree]), pattern="^(3|5|12)$", path="long.txt", context=1)) == [
        *("long.txt-2-2", "long.txt:3:3", "long.txt-4-4", "long.txt:5:5", "long.txt-6-6", "--"),
        *("long.txt-11-11", "long.txt:12:12", "long.txt-13-13"),
        "[3 matches in 1 of 1 file]",
    ]


def test_nothing_found_is_said_with_the_number_of_files(tree: Path) -> None:
    assert result(Grep([tree]), pattern="nowhere") == "[no match in 3 files]"


def test_what_is_skipped(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.txt"
    outside.write_text("needle")
    for name in (".git/x", "node_modules/x.js", ".env", ".ssh/id", "src/.env.local"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("needle")
    (tree / "link").symlink_to(outside)
    (tree / "folder").symlink_to(outside.parent)
    (tree / "round").symlink_to(".")
    (tree / "binary").write_bytes(b"needle\0")
    os.mkfifo(tree / "pipe")
    text = result(Grep([tree]), pattern="needle")
    assert text == "[no match in 4 files, 1 binary file skipped]"


def test_a_folder_that_is_skipped_is_searched_if_it_is_asked_for(tree: Path) -> None:
    (tree / "node_modules").mkdir()
    (tree / "node_modules" / "x.js").write_text("needle")
    assert "node_modules/x.js:1:needle" in result(
        Grep([tree]), pattern="needle", path="node_modules"
    )


def test_many_matches_are_cut_and_said_to_be(tree: Path) -> None:
    (tree / "many.txt").write_text("needle\n" * 1000)
    *shown, last = lines(result(Grep([tree]), pattern="needle"))
    assert len(shown) == searching.MOST_MATCHES
    assert last.startswith("[stopped after 300 matches: narrow")


def test_long_matches_are_cut_before_the_model_would_lose_them(tree: Path) -> None:
    (tree / "many.txt").write_text(("needle" + "x" * 280 + "\n") * 1000)
    text = result(Grep([tree]), pattern="needle")
    assert len(text) < MOST_CHARACTERS + 200
    assert lines(text)[-1].startswith("[stopped after")


@pytest.mark.parametrize("pattern", ["(a", "*a", "[", "(?P<x", "a{2,1}", "\\"])
def test_what_is_no_pattern_is_explained(tree: Path, pattern: str) -> None:
    with pytest.raises(InvalidArguments, match="the pattern is not a valid regular expression: "):
        result(Grep([tree]), pattern=pattern)


def test_a_glob_of_too_many_alternatives_is_explained(tree: Path) -> None:
    with pytest.raises(InvalidArguments, match="more than 64 alternatives"):
        result(Grep([tree]), pattern="x", glob="{a,b}" * 10)


def test_a_pattern_that_would_take_for_ever_is_ended(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "bad.txt").write_text("a" * 50 + "!\n")
    monkeypatch.setattr(searching, "_SECONDS", 0.2)
    with pytest.raises(ToolFailure, match=r"takes too long in bad\.txt") as failure:
        result(Grep([tree]), pattern="(a+)+$", path="bad.txt")
    assert failure.value.code == "too_slow"


def test_a_pattern_that_takes_for_ever_can_be_stopped(tree: Path) -> None:
    (tree / "bad.txt").write_text("a" * 50 + "!\n")
    begun = threading.Event()

    class Telling(Said):
        def progress(
            self, done: float, total: float | None = None, message: str | None = None
        ) -> None:
            if message == "bad.txt":
                begun.set()

    said = Telling()
    ended: list[BaseException] = []

    def work() -> None:
        try:
            result(Grep([tree]), said, pattern="(a+)+$", glob="bad.txt")
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    said.token.cancel()
    thread.join(10)
    assert not thread.is_alive()
    assert len(ended) == 1


def test_a_search_stops_when_it_is_asked_to(tree: Path) -> None:
    said = Said()
    said.token.cancel()
    with pytest.raises(Cancelled):
        result(Grep([tree]), said, pattern="x")


def test_progress_has_two_stages_and_a_total(tree: Path) -> None:
    said = Said()
    result(Grep([tree]), said, pattern="x")
    assert [name for name, _ in said.planned] == ["find the files", "search"]
    assert said.reports == [(0, 3, "a.py"), (1, 3, "src/b.py"), (2, 3, "src/c.js")]


def test_matches_are_shown_file_by_file(tree: Path) -> None:
    said = Said()
    result(Grep([tree]), said, pattern="def")
    assert said.outputs == ["a.py:3:def main():\n", "src/b.py:1:def other():\n"]


def test_its_process_has_ended_with_the_call(tree: Path) -> None:
    descriptors, processes = open_descriptors(), children()
    result(Grep([tree]), pattern="def")
    assert open_descriptors() == descriptors
    assert children() <= processes


def test_a_file_that_goes_away_meanwhile_is_left_out(tree: Path) -> None:
    class Removing(Said):
        def next_stage(self) -> None:  # the files are counted
            (tree / "a.py").unlink()

    assert lines(result(Grep([tree]), Removing(), pattern="def")) == [
        "src/b.py:1:def other():",
        "[1 match in 1 of 2 files]",
    ]

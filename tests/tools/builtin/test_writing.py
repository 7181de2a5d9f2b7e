"""`write_file` and `edit_file` do what their diff shows, or say why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chatstream.tools.builtin.base import BuiltIn, share_memory
from chatstream.tools.registry import built_in
from chatstream.tools.tool import InvalidArguments, Tool, ToolFailure
from tests.support.toolcontext import result


class Files:
    """The tools of a run, and its folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.images = folder / "undo"
        names = ["read_file", "write_file", "edit_file"]
        tools = built_in(names, [self.root])
        share_memory(tools, self.images)
        self._tools: dict[str, Tool] = {it.name: it for it in tools}

    def put(self, data: bytes, name: str = "a.txt") -> None:
        (self.root / name).write_bytes(data)

    def get(self, name: str = "a.txt") -> bytes:
        return (self.root / name).read_bytes()

    def read(self, path: str = "a.txt", **more: Any) -> str:
        return result(self._tools["read_file"], path=path, **more)

    def write(self, content: str, path: str = "a.txt") -> str:
        return result(self._tools["write_file"], path=path, content=content)

    def edit(self, old: str, new: str, path: str = "a.txt", **more: Any) -> str:
        return result(self._tools["edit_file"], path=path, old_text=old, new_text=new, **more)

    def refused(self, old: str, new: str = "new", **more: Any) -> tuple[str, str]:
        with pytest.raises(ToolFailure) as failure:
            self.edit(old, new, **more)
        return failure.value.code, failure.value.message

    def preview(
        self, name: str, *, earlier: Sequence[dict[str, Any]] = (), **arguments: Any
    ) -> str | None:
        """`earlier` are the arguments of edits that come before it."""
        before = [(self._tools["edit_file"], {"path": "a.txt", **it}) for it in earlier]
        return self._tools[name].preview({"path": "a.txt", **arguments}, before)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


# ---- write_file


def test_a_file_is_made_with_its_folders(files: Files) -> None:
    assert files.write("one\ntwo\n", "x/y/b.txt") == "[made x/y/b.txt: 2 lines]"
    assert files.get("x/y/b.txt") == b"one\ntwo\n"


def test_a_file_is_replaced_and_keeps_what_a_model_cannot_see(files: Files) -> None:
    files.put(b"\xef\xbb\xbfone\r\ntwo")
    assert files.write("eins\nzwei\ndrei\n") == "[replaced a.txt: 3 lines]"
    assert files.get() == b"\xef\xbb\xbfeins\r\nzwei\r\ndrei"


def test_what_is_there_already_is_not_written(files: Files) -> None:
    files.put(b"one\n")
    assert files.write("one\n") == "[a.txt already has this content; nothing was written]"
    assert not files.images.exists()


def test_a_binary_file_is_not_replaced(files: Files) -> None:
    files.put(b"\0\1\2")
    with pytest.raises(ToolFailure, match=r"a\.txt is a binary file, not text"):
        files.write("text")
    assert files.get() == b"\0\1\2"


def test_what_would_be_too_large_is_not_written(files: Files) -> None:
    with pytest.raises(ToolFailure, match=r"would be too large: 16,777,217 bytes, and the limit"):
        files.write("x" * (16 * 1024 * 1024 + 1))
    assert list(files.root.iterdir()) == []


# ---- edit_file


def test_a_text_is_replaced_and_all_else_stays(files: Files) -> None:
    files.put(b"one\r\ntwo\r\nthree")
    assert files.edit("two\nth", "2\n2b\nth") == "[changed a.txt: line 2]"
    assert files.get() == b"one\r\n2\r\n2b\r\nthree"


def test_a_text_that_is_there_twice_is_replaced_only_on_request(files: Files) -> None:
    files.put(b"a = 1\nb\na = 1\n")
    assert files.refused("a = 1") == (
        "ambiguous",
        "old_text is in a.txt 2 times (lines 1 and 3); give more of the text around it, "
        "or replace_all",
    )
    assert files.edit("a = 1", "a = 2", replace_all=True) == "[changed a.txt: lines 1 and 3]"
    assert files.get() == b"a = 2\nb\na = 2\n"


def test_many_places_are_counted_and_the_first_ones_named(files: Files) -> None:
    files.put(b"x\n" * 1500)
    assert (
        "1,500 times (1,500 places, the first ones in lines 1, 2, 3, 4, 5)"
        in (files.refused("x")[1])
    )
    files.edit("x", "y", replace_all=True)
    assert files.get() == b"y\n" * 1500


def test_places_that_overlap_are_ambiguous_and_replaced_apart(files: Files) -> None:
    files.put(b"aaa\n")
    assert files.refused("aa")[0] == "ambiguous"
    files.edit("aa", "b", replace_all=True)
    assert files.get() == b"ba\n"


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("  def f():", "but line 2 has it with other blanks: read that line again"),
        ("def f():\n  pass", "but line 2 has it with other blanks: read that line again"),
        ("def f():\n    return", "line 2 is like its first line, but what follows is different"),
        ("def ff(x):", "did you mean line 2, 'def f():'?"),
        ("nothing of the kind", "read the file again"),
    ],
)
def test_a_text_that_is_not_there_gets_a_hint(files: Files, old: str, words: str) -> None:
    files.put(b"import os\ndef f():\n    pass\n")
    code, message = files.refused(old)
    assert code == "not_found"
    assert message.startswith("old_text is not in a.txt")
    assert message.endswith(words)


def test_a_file_that_is_not_there_is_not_edited(files: Files) -> None:
    assert files.refused("a", path="b.txt") == (
        "not_found",
        "b.txt does not exist; write_file makes a new file",
    )
    assert list(files.root.iterdir()) == []


def test_an_edit_that_changes_nothing_is_a_mistake(files: Files) -> None:
    files.put(b"a\n")
    for old, new in (("a", "a"), ("a\r\n", "a\n")):
        with pytest.raises(InvalidArguments, match="old_text and new_text are the same"):
            files.edit(old, new)
    with pytest.raises(InvalidArguments):
        files.edit("", "a")


# ---- what was seen


def test_what_somebody_has_changed_since_it_was_read_is_not_written(files: Files) -> None:
    files.put(b"one\ntwo\n")
    files.read(lines=1)
    files.put(b"one\nzwei\n")
    assert files.refused("one")[0] == "changed"
    with pytest.raises(ToolFailure, match="was changed since it was read in this run"):
        files.write("new\n")
    files.read()
    files.edit("zwei", "2")
    files.edit("2", "3")
    assert files.get() == b"one\n3\n"


def test_who_was_shown_nothing_has_not_read_it(files: Files) -> None:
    files.put(b"one\n")
    files.read()
    files.put(b"two\n")
    with pytest.raises(ToolFailure, match="has only 1 line"):
        files.read(first_line=5)
    assert files.refused("two")[0] == "changed"


def test_a_file_is_the_same_by_whatever_path_it_was_read(files: Files) -> None:
    files.put(b"one\n")
    (files.root / "link").symlink_to("a.txt")
    files.read("link")
    files.put(b"two\n")
    for path in ("a.txt", "./a.txt", "link", str(files.root / "a.txt")):
        assert files.refused("two", path=path)[0] == "changed"


def test_what_was_not_read_may_be_edited_for_its_old_text_is_named(files: Files) -> None:
    files.put(b"one\n")
    files.edit("one", "two")
    assert files.get() == b"two\n"


# ---- what a person is shown


def test_the_diff_is_what_is_done(files: Files) -> None:
    files.put(b"one\ntwo\nthree")
    diff = files.preview("edit_file", old_text="two", new_text="2")
    assert diff == (
        "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
        "\\ No newline at end of file\n"
    )
    assert files.get() == b"one\ntwo\nthree"


def test_only_line_ends_that_change_are_in_the_diff(files: Files) -> None:
    files.put(b"one\r\ntwo\r\n")
    assert "\r" not in str(files.preview("edit_file", old_text="two", new_text="2"))
    files.put(b"one\r\ntwo\n")
    assert "-one\r\n" in str(files.preview("edit_file", old_text="one\ntwo", new_text="2"))


def test_a_new_file_is_shown_whole_and_not_made(files: Files) -> None:
    assert files.preview("write_file", content="a\n", path="x/b") == (
        "--- /dev/null\n+++ b/x/b\n@@ -0,0 +1 @@\n+a\n"
    )
    assert list(files.root.iterdir()) == []


def test_what_changes_nothing_shows_nothing(files: Files) -> None:
    files.put(b"a\n")
    assert files.preview("write_file", content="a") is None


def test_what_was_shown_is_done_or_nothing_is(files: Files) -> None:
    files.put(b"one\ntwo\n")
    files.preview("edit_file", old_text="two", new_text="2")
    files.put(b"one\ntwo\nthree\n")
    assert files.refused("two", "2")[0] == "changed"
    files.preview("edit_file", old_text="two", new_text="2")
    files.edit("two", "2")


def test_changes_of_one_round_are_shown_one_after_another_and_done_like_that(files: Files) -> None:
    files.put(b"one\ntwo\n")
    changes = [("one", "1"), ("1\ntwo", "2")]
    edits: list[dict[str, Any]] = [{"old_text": old, "new_text": new} for old, new in changes]
    files.preview("edit_file", **edits[0])
    diff = files.preview("edit_file", **edits[1], earlier=[{**edits[0], "path": "./a.txt"}])
    assert "-1\n-two\n+2\n" in str(diff)
    files.edit("one", "1")
    files.edit("1\ntwo", "2")
    assert files.get() == b"2\n"


def test_what_rests_on_an_earlier_change_is_not_done_without_that(files: Files) -> None:
    files.put(b"one\ntwo\n")
    earlier: dict[str, Any] = {"old_text": "one", "new_text": "1"}
    files.preview("edit_file", **earlier)
    files.preview("edit_file", old_text="two", new_text="2", earlier=[earlier])
    assert files.refused("two", "2")[0] == "changed"
    assert files.get() == b"one\ntwo\n"


@pytest.mark.parametrize(
    "earlier",
    [
        {"old_text": "one", "new_text": "1", "path": "other.txt"},
        {"old_text": "gone", "new_text": "1"},
        {"old_text": "one", "new_text": "1", "path": "../x"},
    ],
)
def test_an_earlier_call_about_another_file_or_that_fails_changes_no_diff(
    files: Files, earlier: dict[str, Any]
) -> None:
    files.put(b"one\n")
    files.put(b"one\n", "other.txt")
    change: dict[str, Any] = {"old_text": "one", "new_text": "2"}
    assert files.preview("edit_file", **change, earlier=[earlier]) == files.preview(
        "edit_file", **change
    )


def test_the_model_is_told_which_argument_is_wrong(files: Files) -> None:
    tool = built_in(["write_file"], [files.root])[0]
    assert isinstance(tool, BuiltIn)
    with pytest.raises(InvalidArguments, match="missing required field `content`"):
        tool.check({"path": "a"})
    with pytest.raises(InvalidArguments, match=r"length >= 1"):
        tool.check({"path": "", "content": ""})

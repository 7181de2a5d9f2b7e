"""A draft outlives its chat, is taken once, and by the conversation that it belongs to."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.store.drafts import Belongs, Draft, Drafts, remove_drafts

TEXT = "one\ntwo 日本 👩‍💻"


def anything(_after: str | None) -> bool:
    return True


def text_of(drafts: Drafts, belongs: Belongs) -> str:
    """The text of the draft that is taken; "" if there is none."""
    draft = drafts.take(belongs)
    return draft.text if draft else ""


def test_a_draft_is_taken_once_when_its_chat_is_gone(tmp_path: Path) -> None:
    first, second, third = (Drafts(tmp_path) for _ in range(3))
    first.keep(Draft(TEXT))
    assert text_of(second, anything) == ""
    first.close()
    assert text_of(second, anything) == TEXT
    assert text_of(third, anything) == ""
    second.close()
    assert text_of(third, anything) == TEXT


def test_a_byte_that_is_no_text_is_kept_as_its_escape(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep(Draft("caf\udce9"))
    drafts.close()
    assert text_of(Drafts(tmp_path), anything) == r"caf\xe9"


def test_the_last_text_holds_and_an_empty_one_leaves_no_file(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    for text in ("a longer text", "short", ""):
        drafts.keep(Draft(text))
    assert list((tmp_path / "drafts").iterdir()) == []
    drafts.keep(Draft("short"))
    drafts.close()
    assert text_of(Drafts(tmp_path), anything) == "short"


def test_it_belongs_behind_its_run(tmp_path: Path) -> None:
    for after in (None, "one", "other"):
        drafts = Drafts(tmp_path)
        drafts.keep(Draft(f"after {after}", after))
        drafts.close()
    assert text_of(Drafts(tmp_path), lambda after: after == "one") == "after one"
    assert text_of(Drafts(tmp_path), lambda after: after is None) == "after None"
    assert text_of(Drafts(tmp_path), lambda after: after == "one") == ""


def test_a_process_that_is_killed_leaves_its_draft(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from chatstream.store.drafts import *\n"
        "drafts = Drafts(Path(sys.argv[1])); drafts.keep(Draft(sys.argv[2]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), TEXT], check=False)
    assert text_of(Drafts(tmp_path), anything) == TEXT


def test_a_file_that_was_not_cut_to_its_end_yet_is_read(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep(Draft("new"))
    drafts.close()
    (path,) = (tmp_path / "drafts").iterdir()
    path.write_bytes(path.read_bytes() + b'older and longer"}\n')
    assert text_of(Drafts(tmp_path), anything) == "new"


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"text": 1}\n'])
def test_what_is_no_draft_is_left_alone(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "drafts"
    folder.mkdir()
    (folder / "file.json").write_bytes(content)
    assert text_of(Drafts(tmp_path), anything) == ""
    assert (folder / "file.json").exists()


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    Drafts(tmp_path).keep(Draft(TEXT))
    (path,) = (tmp_path / "drafts").iterdir()
    modes = [stat.S_IMODE(it.stat().st_mode) for it in (path, path.parent)]
    assert modes == [0o600, 0o700]


def test_where_nothing_can_be_kept_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("a file")
    drafts = Drafts(tmp_path)
    drafts.keep(Draft(TEXT))
    assert text_of(drafts, anything) == ""
    drafts.close()
    assert [it.name for it in tmp_path.iterdir()] == ["drafts"]


def test_what_goes_with_a_text_is_kept_with_it_and_without_it(tmp_path: Path) -> None:
    for draft in (Draft("look", "run", ("/a.txt",), ("https://b/c.png",)), Draft(files=("/a",))):
        drafts = Drafts(tmp_path)
        drafts.keep(draft)
        drafts.close()
        assert Drafts(tmp_path).take(anything) == draft


def test_a_draft_is_locked_before_others_can_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    replace = Path.replace

    def placed(fresh: Path, path: Path) -> Path:
        put = replace(fresh, path)
        seen.append(Drafts(tmp_path).take(anything))
        return put

    monkeypatch.setattr(Path, "replace", placed)
    for text in ("short", "long" * 2000):
        drafts = Drafts(tmp_path)
        drafts.keep(Draft(text))
        drafts.keep(Draft("long" * 2000))
    assert seen == [None] * 4


def test_a_long_draft_is_whole_whenever_the_writing_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = "before " * 2000, "after " * 3000
    drafts = Drafts(tmp_path)
    drafts.keep(Draft(before))
    write = os.write

    def ends(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data)[:4096])
        raise OSError(errno.ENOSPC, "the disk is full")

    with monkeypatch.context() as full:
        full.setattr(os, "write", ends)
        drafts.keep(Draft(after))
    assert Drafts(tmp_path).take(anything) is None  # it still has its chat
    drafts.close()
    assert Drafts(tmp_path).take(anything) == Draft(before)


def test_what_a_kill_has_left_of_a_writing_is_cleared_away(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep(Draft("text"))
    drafts.close()
    (path,) = (tmp_path / "drafts").iterdir()
    path.with_suffix(".new").write_text("half of ")
    assert Drafts(tmp_path).take(anything) == Draft("text")
    assert [it.suffix for it in (tmp_path / "drafts").iterdir()] == [".json"]


def test_what_follows_a_run_that_is_removed_goes_with_it(tmp_path: Path) -> None:
    open_one, *others = (Drafts(tmp_path) for _ in range(3))
    for drafts, after in zip((open_one, *others), ("gone", "gone", "other"), strict=True):
        drafts.keep(Draft(f"after {after}", after))
    for drafts in others:
        drafts.close()
    remove_drafts(tmp_path, {"gone"})
    assert text_of(Drafts(tmp_path), anything) == "after other"
    open_one.close()
    assert text_of(Drafts(tmp_path), anything) == "after gone"


def test_that_there_is_one_is_known_without_taking_it(tmp_path: Path) -> None:
    drafts, others = Drafts(tmp_path), Drafts(tmp_path)
    drafts.keep(Draft("text", "run"))
    assert not others.has(anything)
    drafts.close()
    assert others.has(lambda after: after == "run")
    assert not others.has(lambda after: after is None)
    assert others.take(anything) == Draft("text", "run")

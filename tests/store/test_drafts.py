"""A draft outlives its chat, is taken once, and by the conversation that it belongs to."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chatstream.store.drafts import Drafts

TEXT = "one\ntwo 日本 👩‍💻"


def anything(_after: str | None) -> bool:
    return True


def test_a_draft_is_taken_once_when_its_chat_is_gone(tmp_path: Path) -> None:
    first, second, third = (Drafts(tmp_path) for _ in range(3))
    first.keep(TEXT, None)
    assert second.take(anything) == ""
    first.close()
    assert second.take(anything) == TEXT
    assert third.take(anything) == ""
    second.close()
    assert third.take(anything) == TEXT


def test_a_byte_that_is_no_text_is_kept_as_its_escape(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep("caf\udce9", None)
    drafts.close()
    assert Drafts(tmp_path).take(anything) == r"caf\xe9"


def test_the_last_text_holds_and_an_empty_one_leaves_no_file(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    for text in ("a longer text", "short", ""):
        drafts.keep(text, None)
    assert list((tmp_path / "drafts").iterdir()) == []
    drafts.keep("short", None)
    drafts.close()
    assert Drafts(tmp_path).take(anything) == "short"


def test_it_belongs_behind_its_run(tmp_path: Path) -> None:
    for after in (None, "one", "other"):
        drafts = Drafts(tmp_path)
        drafts.keep(f"after {after}", after)
        drafts.close()
    assert Drafts(tmp_path).take(lambda after: after == "one") == "after one"
    assert Drafts(tmp_path).take(lambda after: after is None) == "after None"
    assert Drafts(tmp_path).take(lambda after: after == "one") == ""


def test_a_process_that_is_killed_leaves_its_draft(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from chatstream.store.drafts import *\n"
        "drafts = Drafts(Path(sys.argv[1])); drafts.keep(sys.argv[2], None)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), TEXT], check=False)
    assert Drafts(tmp_path).take(anything) == TEXT


def test_a_file_that_was_not_cut_to_its_end_yet_is_read(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep("new", None)
    drafts.close()
    (path,) = (tmp_path / "drafts").iterdir()
    path.write_bytes(path.read_bytes() + b'older and longer"}\n')
    assert Drafts(tmp_path).take(anything) == "new"


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"text": 1}\n'])
def test_what_is_no_draft_is_left_alone(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "drafts"
    folder.mkdir()
    (folder / "file.json").write_bytes(content)
    assert Drafts(tmp_path).take(anything) == ""
    assert (folder / "file.json").exists()


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    Drafts(tmp_path).keep(TEXT, None)
    (path,) = (tmp_path / "drafts").iterdir()
    modes = [stat.S_IMODE(it.stat().st_mode) for it in (path, path.parent)]
    assert modes == [0o600, 0o700]


def test_where_nothing_can_be_kept_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("a file")
    drafts = Drafts(tmp_path)
    drafts.keep(TEXT, None)
    assert drafts.take(anything) == ""
    drafts.close()
    assert [it.name for it in tmp_path.iterdir()] == ["drafts"]

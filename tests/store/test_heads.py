"""The small file of a conversation: its last word holds, and no crash takes it away."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chatstream.errors import JournalError
from chatstream.store.heads import Heads, State
from tests.support.runs import run_id

ROOT = run_id(1)


def test_the_last_line_that_sets_something_holds(tmp_path: Path) -> None:
    heads = Heads(tmp_path)
    assert heads.of(ROOT) == State()
    assert heads.sizes() == {}
    with heads.locked():
        heads.append(ROOT, State(head=run_id(2)))
        heads.append(ROOT, State(name="sky"))
        heads.append(ROOT, State(head=run_id(3)))
    assert heads.of(ROOT) == State(run_id(3), "sky")
    path = heads.folder / f"{ROOT}.jsonl"
    assert heads.sizes() == {ROOT: path.stat().st_size}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(heads.folder.stat().st_mode) == 0o700


def test_a_line_that_was_cut_anywhere_loses_only_itself(tmp_path: Path) -> None:
    heads = Heads(tmp_path)
    with heads.locked():
        heads.append(ROOT, State(head=run_id(2)))
        whole = (heads.folder / f"{ROOT}.jsonl").read_bytes()
        heads.append(ROOT, State(name="sky"))
        both = (heads.folder / f"{ROOT}.jsonl").read_bytes()
    for end in range(len(whole), len(both) - 1):
        (heads.folder / f"{ROOT}.jsonl").write_bytes(both[:end])
        assert heads.of(ROOT) in (State(run_id(2)), State(run_id(2), "sky"))
        with heads.locked():
            heads.append(ROOT, State(head=run_id(3)))
        assert heads.of(ROOT).head == run_id(3)


def test_a_conversation_is_forgotten(tmp_path: Path) -> None:
    heads = Heads(tmp_path)
    with heads.locked():
        heads.append(ROOT, State(name="sky"))
    heads.remove(ROOT)
    heads.remove(ROOT)
    assert (heads.of(ROOT), heads.sizes()) == (State(), {})


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "conversations").touch()
    heads = Heads(tmp_path)
    assert heads.sizes() == {}
    with pytest.raises(JournalError, match="cannot be used"), heads.locked():
        raise AssertionError("never here")


def test_the_head_of_a_long_conversation_is_read_from_its_end(tmp_path: Path) -> None:
    heads = Heads(tmp_path)
    with heads.locked():
        heads.append(ROOT, State(name="sky"))
        for number in range(2, 2000):
            heads.append(ROOT, State(head=run_id(number)))
    assert heads.head(ROOT) == run_id(1999)
    assert heads.of(ROOT) == State(run_id(1999), "sky")
    assert heads.head(run_id(2)) is None
    (heads.folder / f"{ROOT}.jsonl").write_bytes(b"?" * 10_000 + b"\n" + b"?" * 10_000)
    assert heads.head(ROOT) is None
    assert heads.of(ROOT) == State()

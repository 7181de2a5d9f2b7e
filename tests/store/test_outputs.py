"""Long outputs of tools, and pre-images, go with the journal of their run, and no others do."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.store.history import History
from chatstream.store.outputs import images_of, outputs_of, remove_outputs, runs_with_images
from chatstream.store.retention import expire
from tests.support.runs import run_id, write_run

A_YEAR_LATER = 1.8e9


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state of two runs, each with a long output and a pre-image."""
    for number in (1, 2):
        write_run(tmp_path, run_id(number), "text")
        outputs_of(tmp_path, run_id(number)).mkdir(parents=True)
        (outputs_of(tmp_path, run_id(number)) / "grep-1.txt").write_text("long")
        images_of(tmp_path, run_id(number)).mkdir(parents=True)
        (images_of(tmp_path, run_id(number)) / "00001.json").write_text("{}")
    return tmp_path


def left(state: Path) -> list[str]:
    names = sorted(it.name for it in (state / "outputs").iterdir())
    assert runs_with_images(state) == names[::-1]
    return names


def test_who_has_no_state_has_no_pre_images(tmp_path: Path) -> None:
    assert runs_with_images(tmp_path / "gone") == []


def test_the_outputs_of_one_run_are_removed(state: Path) -> None:
    remove_outputs(state, run_id(1))
    remove_outputs(state, run_id(1))
    assert left(state) == [run_id(2)]


def test_they_go_when_the_run_is_removed_from_the_history(state: Path) -> None:
    with History(state) as history:
        history.sync()
        history.remove(history.run(run_id(2)))
    assert left(state) == [run_id(1)]


def test_they_go_when_the_journal_expires(state: Path) -> None:
    with History(state) as history:
        history.sync()
        assert expire(history, 7, 30, A_YEAR_LATER) == 2
    assert left(state) == []

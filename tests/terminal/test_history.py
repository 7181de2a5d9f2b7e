"""Claimed: the history is shown whole on any screen, and what fails or takes long is told once.

How the commands behave for a user is in `tests/cli/test_history.py`.
"""

from __future__ import annotations

import pytest

from chatstream.errors import Cancelled, UsageError
from chatstream.store.history import History
from chatstream.store.place import state_folder
from chatstream.terminal.history import ImportProgress, remove, with_history
from tests.support.runs import run_id, write_run
from tests.support.terminal import on_terminal

EVIL = "\x1b]0;evil\x07 \x9b31m \u202e"


def test_a_long_import_is_told_once_and_only_to_a_person(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    for person in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda person=person: person, raising=False)
        progress = ImportProgress(lambda: now[0])
        for seconds in (0.5, 1.5, 2.5):
            now[0] += seconds
            progress(100, 1000)
        told = capsys.readouterr().err
        assert told == "importing the journals of 1000 runs, 100 are done…\n" * person


def test_the_history_is_up_to_date_when_it_is_used() -> None:
    write_run(state_folder(), run_id(1), "text")
    seen: list[str] = []
    assert with_history(lambda history: seen.extend(it.id for it in history.runs())) == 0
    assert seen == [run_id(1)]


def test_what_goes_wrong_is_reported_and_gives_the_exit_status(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(error: Exception) -> int:
        def action(_history: History) -> None:
            raise error

        return with_history(action)

    assert fail(UsageError("no such run", hint="look again")) == 2
    assert capfd.readouterr().err == "error: no such run\nlook again\n"
    assert fail(Cancelled("stopped")) == Cancelled.exit_status
    assert fail(BrokenPipeError()) == 0, "the reader has seen enough"
    assert capfd.readouterr() == ("", "")


def test_a_mistake_in_one_id_deletes_nothing() -> None:
    for number in (1, 2):
        write_run(state_folder(), run_id(number), "text")
    with History(state_folder()) as history:
        history.sync()
        with pytest.raises(UsageError):
            remove(history, [run_id(1), "none"])
        assert len(history.runs()) == 2
        remove(history, [run_id(1)])
        assert [it.id for it in history.runs()] == [run_id(2)]


def test_two_runs_of_one_conversation_are_deleted_together() -> None:
    write_run(state_folder(), run_id(1), "half", killed=True)
    write_run(state_folder(), run_id(2), "half of it", continues=run_id(1))
    with History(state_folder()) as history:
        history.sync()
        remove(history, [run_id(1), run_id(2), run_id(2)])
        assert history.runs() == []


def test_a_narrow_screen_shows_every_run_and_every_match_on_one_line() -> None:
    for number in range(3):
        write_run(state_folder(), run_id(number), f"部署 {EVIL} " * 9, question="日本語 " * 60)
    for arguments in (["history"], ["history", "search", "部署"]):
        status, screen, written = on_terminal(arguments, columns=40)
        assert (status, len(screen.text())) == (0, 3)
        assert b"\x07" not in written

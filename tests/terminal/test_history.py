"""Claimed: the history is shown whole on any screen, and what fails or takes long is told once.

How the commands behave for a user is in `tests/cli/test_history.py`.
"""

from __future__ import annotations

import pytest

from chatstream.errors import Cancelled, UsageError
from chatstream.events import Progress
from chatstream.store.history import History
from chatstream.store.place import state_folder
from chatstream.terminal.history import Format, LongWork, export, remove, with_history
from tests.support.runs import run_id, write_run
from tests.support.terminal import on_terminal

EVIL = "\x1b]0;evil\x07 \x9b31m \u202e"


def test_long_work_is_shown_with_its_share_and_is_gone_at_the_end_of_a_stage() -> None:
    now = [0.0]
    drawn: list[tuple[str, float | None] | None] = []

    def draw(event: Progress | None) -> None:
        drawn.append((event.stage, event.percentage) if event else None)

    work = LongWork(draw, [("update", 1), ("import", 1), ("export", 3)], lambda: now[0])
    for stage, done in (("import", 0), ("import", 5), ("import", 10), ("export", 5)):
        now[0] += 1.0
        work(stage, done, 10)
    # Nothing had to be updated, so the others share all of it: 1 to 3.
    assert drawn == [("import", 0.0), ("import", 12.5), None, ("export", 62.5)]


def test_a_stage_that_nobody_expected_shares_what_is_left() -> None:
    drawn: list[Progress | None] = []
    LongWork(drawn.append, [("import", 1)], lambda: 0.0)("rebuild", 1, 2)
    (event,) = drawn
    assert event is not None
    assert (event.stage, event.percentage) == ("rebuild", 50.0)


def test_long_work_is_drawn_ten_times_a_second_at_most() -> None:
    drawn: list[Progress | None] = []
    work = LongWork(drawn.append, [("import", 1)], lambda: 5.0)
    for done in range(100):
        work("import", done, 1000)
    assert len(drawn) == 1


def test_a_long_export_into_a_file_shows_how_far_it_is_and_one_onto_a_screen_does_not(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        write_run(state_folder(), run_id(number), "text")
    seen: list[tuple[str, int, int]] = []
    with History(state_folder()) as history:
        history.sync()
        history.progress = lambda *it: seen.append(it)
        export(history, [], Format.JSON)
        assert seen == [("exporting conversations", number, 3) for number in (1, 2, 3)]
        seen.clear()
        monkeypatch.setattr("chatstream.terminal.history._on_terminal", lambda: True)
        export(history, [], Format.JSON)
        assert seen == []
    assert capfd.readouterr().err == ""


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

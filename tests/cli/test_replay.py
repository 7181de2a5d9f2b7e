"""`replay`, as a process: it shows what the run showed, and ends as the run ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from chatstream.events import Content, Done, Error, Event, Metadata, Reasoning, Stats, encode_lines
from chatstream.grammar import check
from chatstream.messages import Message
from chatstream.store.journal import Journal, RequestRecord
from chatstream.store.place import runs_folder
from chatstream.store.reading import journals
from tests.support.client import Running, run_here
from tests.support.terminal import on_terminal

DEMO = ["ask", "-p", "demo", "-m", "demo-fast"]
OPENING = Metadata(version=1, run="r", started_at="2026-01-02T03:04:05.000Z", seq=0, t=0.0)
FIRST = Content("first\n", seq=1, t=0.0)
HOUR = 3600.0
LATE = Content("late\n", seq=2, t=HOUR)
STATS = Stats(duration=1.0, chunks=2)
END = Done(finish_reason="stop", stats=STATS, attempts=1, seq=3, t=HOUR)
DONE = Done(finish_reason="stop", stats=STATS, attempts=1, seq=2, t=0.0)
LONG: list[Event] = [OPENING, FIRST, LATE, END]


@pytest.fixture
def long(tmp_path: Path) -> str:
    """A recording of an hour, most of it silence."""
    return recording(tmp_path, LONG)


def recording(folder: Path, events: list[Event]) -> str:
    path = folder / "run.jsonl"
    path.write_bytes(encode_lines(events))
    return str(path)


def last_journal() -> Path:
    return journals(runs_folder(os.environ))[0]


def test_a_journal_shows_the_bytes_that_the_run_showed() -> None:
    original = run_here([*DEMO, "--plain", "hi"])
    assert original.status == 0
    journal = last_journal()
    for source in (str(journal), journal.stem, journal.stem[:15]):
        again = run_here(["replay", source])
        assert (again.status, again.stdout, again.stderr) == (0, original.stdout, "")


def test_a_journal_is_with_json_what_the_run_wrote_with_json() -> None:
    original = run_here([*DEMO, "--json", "hi"])
    again = run_here(["replay", "--json", "--instant", str(last_journal())])
    assert (again.status, again.stdout, again.stderr) == (0, original.stdout, "")


def test_the_output_of_json_comes_again_through_a_pipe() -> None:
    original = run_here([*DEMO, "--json", "hi"])
    again = run_here(["replay", "-", "--json"], stdin=original.stdout)
    assert (again.status, again.stdout) == (0, original.stdout)
    text = "".join(event.delta for event in original.events if isinstance(event, Content))
    assert run_here(["replay", "-"], stdin=original.stdout).stdout == text.encode()


def test_the_screen_at_the_end_is_that_of_the_run() -> None:
    status, screen, _ = on_terminal([*DEMO, "hi"])
    for speed in (["--instant"], []):
        again, replayed, _ = on_terminal(["replay", *speed, last_journal().stem])
        assert (again, replayed.text()) == (status, screen.text())
        assert not replayed.cursor_hidden


@pytest.mark.usefixtures("usual_colours")
def test_reasoning_and_figures_are_shown_as_ask_shows_them(tmp_path: Path) -> None:
    thought = Reasoning("hm\n", seq=1, t=0.0)
    answer = Content("yes", seq=2, t=0.0)
    end = Done(finish_reason="stop", stats=STATS, attempts=1, seq=3, t=0.0)
    path = recording(tmp_path, [OPENING, thought, answer, end])
    done = run_here(["replay", path, "--reasoning", "show", "--stats"])
    assert (done.status, done.stdout) == (0, b"yes")
    assert done.stderr == "hm\n≈2 tokens · 1.0 s\n"
    assert run_here(["replay", path, "--reasoning", "hide", "--no-stats"]).stderr == ""


def test_events_are_shown_when_they_arrive() -> None:
    with Running(["replay", "-"], stdin=b"") as client:
        assert client.process.stdin is not None
        for event in (OPENING, FIRST):
            client.process.stdin.write(encode_lines([event]))
            client.process.stdin.flush()
        assert client.read_line() == b"first\n"  # and the pipe is still open
        late = Content("second\n", seq=2, t=0.0)
        end = Done(finish_reason="stop", stats=STATS, attempts=1, seq=3, t=0.0)
        client.process.stdin.write(encode_lines([late, end]))
        client.process.stdin.flush()
        assert client.read_line() == b"second\n"
        assert client.process.wait(10) == 0, "the run is over, whoever has the pipe open"


@pytest.mark.parametrize("pace", [["--instant"], ["--speed", "1e7"]])
def test_an_hour_need_not_take_an_hour(pace: list[str], long: str) -> None:
    done = run_here(["replay", long, *pace])
    assert (done.status, done.stdout) == (0, b"first\nlate\n")


def test_ctrl_c_ends_a_long_replay_at_once(long: str) -> None:
    with Running(["replay", long]) as client:
        assert client.read_line() == b"first\n"
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert (done.status, done.stdout, done.stderr) == (130, b"first\n", "")


def test_ctrl_c_ends_the_wait_for_standard_input() -> None:
    with Running(["replay", "-"], stdin=b"") as client:
        assert client.process.stdin is not None
        client.process.stdin.write(encode_lines([OPENING, FIRST]))
        client.process.stdin.flush()
        assert client.read_line() == b"first\n"
        client.process.send_signal(signal.SIGINT)
        assert client.process.wait(10) == 130
        assert client.finish().stderr == ""


def test_ctrl_c_on_a_terminal_leaves_the_text_and_a_sane_terminal(long: str) -> None:
    sent: list[bool] = []

    def seen(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if b"first" in written and not sent:
            sent.append(True)
            client.send_signal(signal.SIGINT)

    status, screen, _ = on_terminal(["replay", long], seen=seen)
    assert status == 130
    assert "\n".join(screen.text()).count("first") == 1
    assert not screen.cursor_hidden


def test_a_reader_that_has_seen_enough_ends_it_silently(tmp_path: Path) -> None:
    lines: list[Event] = [Content("x" * 60 + "\n", seq=seq, t=0.0) for seq in range(1, 20_000)]
    with Running(["replay", recording(tmp_path, [OPENING, *lines])]) as client:
        client.read_line()
        assert client.process.stdout is not None
        assert client.process.stderr is not None
        client.process.stdout.close()
        assert client.process.stderr.read() == b""
        assert client.process.wait(10) == 0


@pytest.mark.usefixtures("usual_colours")
@pytest.mark.parametrize(
    ("code", "status"),
    [("auth", 3), ("timeout", 4), ("truncated", 5), ("server_error", 1), ("cancelled", 130)],
)
def test_it_ends_as_the_run_ended(code: str, status: int, tmp_path: Path) -> None:
    end = Error(code, "the words of then", recoverable=False, partial=True, seq=2, t=0.0)
    done = run_here(["replay", recording(tmp_path, [OPENING, FIRST, end])])
    assert (done.status, done.stdout) == (status, b"first\n")
    assert done.stderr == ("stopped\n" if code == "cancelled" else "error: the words of then\n")


def test_the_journal_of_a_run_that_was_killed_is_shown_and_told_to_be_cut() -> None:
    writer = Journal(runs_folder(os.environ), RequestRecord((Message("user", "hi"),)))
    for event in (OPENING, FIRST):
        writer.write([event])
    writer.close()
    done = run_here(["replay", "r"])
    assert (done.status, done.stdout) == (5, b"first\n")
    assert done.stderr == "error: the recording ends before the run did\n"


def test_filtered_events_are_shown() -> None:
    done = run_here(["replay", "-", "--instant"], stdin=encode_lines([FIRST, LATE]))
    assert (done.status, done.stdout) == (5, b"first\nlate\n")


def damaged_journal() -> bytes:
    writer = Journal(runs_folder(os.environ), RequestRecord((Message("user", "hi"),)))
    for event in LONG:
        writer.write([event])
    writer.close()
    return last_journal().read_bytes().replace(b"late", b"lost")


NEWER = b'{"type":"metadata","version":9,"run":"r","seq":0,"t":0.0}\n'


def test_damage_is_told_in_one_line_after_all_that_is_sound() -> None:
    done = run_here(["replay", "-"], stdin=damaged_journal())
    assert (done.status, done.stdout) == (1, b"first\n")
    assert done.stderr == (
        "error: damaged in line 3: its checksum does not match the bytes before it\n"
    )


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (lambda: damaged_journal(), 1, "journal"),
        (lambda: encode_lines([OPENING, FIRST]), 5, "truncated"),
        (lambda: b"nonsense\n", 1, "journal"),
        (lambda: b"", 5, "truncated"),
        (lambda: NEWER, 1, "journal"),
    ],
    ids=["damaged", "cut", "no recording", "empty", "newer"],
)
def test_with_json_the_last_event_is_a_terminal_one_whatever_is_wrong(
    data: Callable[[], bytes], status: int, code: str
) -> None:
    done = run_here(["replay", "--json", "-"], stdin=data())
    assert (done.status, done.stderr) == (status, "")
    assert isinstance(done.terminal, Error)
    assert done.terminal.code == code
    check(done.events)


def test_a_mark_in_front_of_a_recording_is_no_damage() -> None:
    done = run_here(["replay", "-"], stdin=b"\xef\xbb\xbf" + encode_lines([OPENING, FIRST, DONE]))
    assert (done.status, done.stdout, done.stderr) == (0, b"first\n", "")


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", 5, "the recording ends before the run did"),
        (b"\x7fELF\x02\x01\x00\n\xff", 1, "this is not a chatstream recording: damaged in line 1"),
        (b"Hello, world", 1, "this is not a chatstream recording: damaged in line 1"),
        (NEWER, 1, "written by a newer chatstream (version 9"),
    ],
    ids=["empty", "binary", "text", "newer"],
)
def test_what_cannot_be_played_is_told_in_one_line(
    data: bytes, status: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(data)
    for done in (
        run_here(["replay", str(tmp_path / "file")]),
        run_here(["replay", "-"], stdin=data),
    ):
        assert (done.status, done.stdout) == (status, b"")
        error, *hint = done.stderr.splitlines()
        assert error.startswith(f"error: {message}")
        assert hint == (["update chatstream"] if data == NEWER else [])


def test_a_folder_cannot_be_played(tmp_path: Path) -> None:
    done = run_here(["replay", str(tmp_path)])
    assert (done.status, done.stdout) == (1, b"")
    assert done.stderr == f"error: {tmp_path} cannot be read: Is a directory\n"


MISTAKES = [
    ["nothing-of-this-name"],
    ["--speed", "0", "-"],
    ["--speed", "-1", "-"],
    ["--speed", "nan", "-"],
    ["--speed", "fast", "-"],
    ["--reasoning", "maybe", "-"],
    [],
]


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_clear_line_and_exit_2(arguments: list[str]) -> None:
    done = run_here(["replay", *arguments])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_with_json_a_mistake_is_one_error_event(arguments: list[str]) -> None:
    done = run_here(["replay", "--json", *arguments])
    assert isinstance(done.terminal, Error)
    assert done.status == 2
    assert done.terminal.code in {"usage", "config"}


def test_a_recording_can_be_heard(tmp_path: Path) -> None:
    arguments = ["replay", "--instant", "--accessible", recording(tmp_path, LONG)]
    status, screen, written = on_terminal(arguments)
    assert (status, screen.text()) == (0, ["first", "late", "Done. About 2 tokens in 1 second."])
    assert b"\x1b" not in written


@pytest.mark.parametrize("source", ["file", "-"])
def test_what_was_recorded_can_be_copied(source: str, tmp_path: Path) -> None:
    code = Content("```sh\none\n```\n", seq=1, t=0.0)
    path = recording(tmp_path, [OPENING, code, END])
    given = Path(path).read_bytes() if source == "-" else None
    copy = tmp_path / "copy"
    flags = ["--instant", "--copy-to", str(copy), "--copy-code"]
    done = run_here(["replay", *flags, "--", path if given is None else "-"], stdin=given)
    assert (done.status, done.stdout.decode()) == (0, code.delta)
    assert copy.read_text().strip() == "one"


def test_a_mistake_in_a_copy_is_told_before_anything_is_played(long: str) -> None:
    done = run_here(["replay", "--copy-code=x", long])
    assert (done.status, done.stdout) == (2, b"")
    assert "N is the number of a code block" in done.stderr

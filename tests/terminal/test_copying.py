"""Claimed: the copy is the answer byte for byte, nothing is lost or overwritten for it, and what is
said of it is true."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.errors import UsageError
from chatstream.flow import Arrival, close, events_in
from chatstream.terminal.copying import SURE_BYTES, Copying
from tests.support.arrivals import each
from tests.support.real import install
from tests.support.screen import Screen
from tests.support.unavailable import skip_unavailable

DONE = ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)
CUT = ev.Error("truncated", "cut", recoverable=True, partial=True)
ODD = "é日😀\x1b]52;c;eA==\x07\x1b[2J\r\n\x00\u202e\u2028 end"
CODE = "One:\n\n```python\nx = 1\n```\n\nTwo:\n\n- a\n  ```sh\n  ls\n    -l\n  ```\n"
NOT_WHOLE = "careful: the answer is incomplete"


def given(copying: Copying, *events: ev.Event) -> Copying:
    """Once these events have passed through its stage."""
    assert list(events_in(copying.stage(each(*events)))) == list(events)
    return copying


def finished(copying: Copying) -> tuple[bool, list[str]]:
    said: list[str] = []
    return copying.finish(said.append), said


def copied(text: str, copying: Copying) -> tuple[bool, list[str]]:
    """What comes of a whole answer."""
    copying.check()
    return finished(given(copying, ev.Metadata(), ev.Content(text), DONE))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The stage.


def test_the_stage_passes_every_arrival_on_untouched_and_at_once() -> None:
    def run() -> list[Arrival]:
        return [
            Arrival([ev.Metadata()], connected=False),
            Arrival(alive=True),
            Arrival([ev.Reasoning("r"), ev.Content("a"), ev.Content("b")], t=1.0),
            Arrival([ev.Content("c"), DONE]),
        ]

    came = run()
    pulled = []

    def source() -> Iterator[Arrival]:
        for arrival in came:
            pulled.append(arrival)
            yield arrival

    for number, arrival in enumerate(Copying(copy=True).stage(source()), 1):
        assert arrival is came[number - 1]
        assert len(pulled) == number
    assert came == run()


def test_the_stage_closes_its_source() -> None:
    closed = []

    def source() -> Iterator[Arrival]:
        try:
            while True:
                yield Arrival([ev.Content("a")])
        finally:
            closed.append(True)

    origin = source()  # kept: what nobody holds is closed anyway
    passing = Copying(copy=True).stage(origin)
    next(passing)
    assert not closed
    close(passing)
    assert closed


RESTARTS: list[ev.Event] = [
    ev.Metadata(restart=True),
    ev.Retry(attempt=2, max=2, delay=0.0, cause="busy", action="reset"),
]


@pytest.mark.parametrize("restart", RESTARTS)
def test_what_was_dropped_by_a_restart_is_not_copied(restart: ev.Event, tmp_path: Path) -> None:
    copying = Copying(copy=True, to=tmp_path / "copy")
    given(copying, ev.Content("old "), ev.Warn("dropped", "x"), restart, ev.Content("new"), DONE)
    assert finished(copying) == (True, [f"wrote 3 characters to {tmp_path}/copy"])
    assert (tmp_path / "copy").read_text() == "new"


def test_what_goes_on_after_a_retry_is_one_answer(tmp_path: Path) -> None:
    copying = Copying(copy=True, to=tmp_path / "copy")
    retry = ev.Retry(attempt=2, max=2, delay=0.0, cause="cut", action="continue")
    last = [ev.Content("b"), ev.Content("c"), DONE]
    given(copying, ev.Content("a"), ev.Reasoning("no"), retry, *last)
    assert finished(copying)[0]
    assert (tmp_path / "copy").read_text() == "abc"


@pytest.mark.parametrize("end", [[CUT], []], ids=["error", "nobody-read-on"])
def test_an_answer_that_broke_off_is_copied_and_said_not_to_be_whole(
    end: list[ev.Event], tmp_path: Path
) -> None:
    copying = Copying(copy=True, to=tmp_path / "copy", save=tmp_path / "code")
    copying.check()
    given(copying, ev.Content("```py\nhal"), *end)
    ok, said = finished(copying)
    assert (ok, said[-1], said.count(NOT_WHOLE)) == (True, NOT_WHOLE, 1)
    assert (tmp_path / "copy").read_text() == "```py\nhal"
    assert (tmp_path / "code" / "code-1.py").read_text() == "hal\n"


def test_an_answer_with_gaps_is_said_not_to_be_whole(tmp_path: Path) -> None:
    copying = Copying(copy=True, to=tmp_path / "copy")
    given(copying, ev.Content("a"), ev.Warn("dropped", "9 characters"), ev.Content("b"), DONE)
    assert finished(copying)[1][-1] == NOT_WHOLE


@pytest.mark.parametrize("last", [DONE, CUT])
def test_no_answer_is_said_and_changes_nothing(last: ev.Event, tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_text("old")
    copying = given(Copying(copy=True, to=file), ev.Reasoning("only thought"), last)
    assert finished(copying) == (False, ["there is no answer to copy"])
    assert file.read_text() == "old"


# What cannot work.


def refused(copying: Copying) -> str:
    with pytest.raises(UsageError) as failure:
        copying.check()
    assert "\n" not in failure.value.message
    return failure.value.message


def test_nothing_wanted_and_each_alone_are_fine() -> None:
    for copying in (Copying(), Copying(copy=True), Copying(code=0), Copying(code=7)):
        copying.check()


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    assert "cannot be combined" in refused(Copying(copy=True, code=0))
    assert "--copy-code -1" in refused(Copying(code=-1))
    assert "only where to copy" in refused(Copying(to=tmp_path / "copy"))


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert "it is a folder" in refused(Copying(copy=True, to=tmp_path))
    for name in ("missing/copy", "file/copy", "loop", "x" * 300):
        assert "cannot be written" in refused(Copying(copy=True, to=tmp_path / name))
    assert names(tmp_path) == ["file", "loop"]


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("file", "file/folder", "dangling", "x" * 300):
        assert "cannot be used" in refused(Copying(save=tmp_path / name))


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder of the user that the test runs as; root, who may write everywhere, is nobody."""
    folder = Path(tempfile.mkdtemp())
    root, nobody = os.geteuid() == 0, 65534
    if root:
        os.chown(folder, nobody, -1)
        os.seteuid(nobody)
    yield folder
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_what_is_read_only_is_refused(folder_of_nobody: Path) -> None:
    locked, file = folder_of_nobody / "locked", folder_of_nobody / "file"
    locked.mkdir(0o555)
    file.touch(0o444)
    Copying(copy=True, to=folder_of_nobody / "copy").check()
    assert "denied" in refused(Copying(copy=True, to=locked / "copy"))
    assert "denied" in refused(Copying(copy=True, to=file))
    assert "denied" in refused(Copying(save=locked))
    assert "denied" in refused(Copying(save=locked / "code"))


@pytest.mark.skipif(sys.platform != "linux", reason="a place where nobody may make a file")
def test_what_nobody_may_write_is_refused() -> None:
    for copying in (Copying(save=Path("/proc")), Copying(save=Path("/proc/code"))):
        assert "cannot be used" in refused(copying)
    assert "cannot be written" in refused(Copying(copy=True, to=Path("/proc/copy")))


def test_check_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    Copying(copy=True, to=tmp_path / "copy", save=tmp_path / "a" / "b").check()
    Copying(images=tmp_path / "a" / "c").check()
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["b", "c"]
    assert names(tmp_path / "a" / "b") == names(tmp_path / "a" / "c") == []


# Which block.


@pytest.mark.parametrize(("code", "block"), [(0, "ls\n  -l\n"), (1, "x = 1\n"), (2, "ls\n  -l\n")])
def test_a_block_is_copied_exactly(code: int, block: str, tmp_path: Path) -> None:
    assert copied(CODE, Copying(code=code, to=tmp_path / "copy"))[0]
    assert (tmp_path / "copy").read_text() == block


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (CODE, 3, "the answer has no code block 3, only 2 code blocks"),
        (CODE, 5, "the answer has no code block 5, only 2 code blocks"),
        (CODE, 12, "the answer has no code block 12, only 2 code blocks"),
        (CODE, 21, "the answer has no code block 21, only 2 code blocks"),
        (CODE, 111, "the answer has no code block 111, only 2 code blocks"),
        ("```\nx\n```", 2, "the answer has no code block 2, only 1 code block"),
        ("prose", 0, "the answer has no code block"),
        ("prose", 1, "the answer has no code block"),
    ],
)
def test_a_block_that_is_not_there_is_told_of(
    text: str, code: int, line: str, tmp_path: Path
) -> None:
    assert copied(text, Copying(code=code, to=tmp_path / "copy")) == (False, [line])
    assert names(tmp_path) == []


# A file.


def test_a_file_is_the_answer_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "copy"
    ok, said = copied(ODD * 1000, Copying(copy=True, to=file))
    assert (ok, said) == (True, [f"wrote {len(ODD):},000 characters to {file}"])
    assert file.read_bytes() == ODD.encode() * 1000
    assert names(tmp_path) == ["copy"]


def test_half_a_character_is_a_question_mark(tmp_path: Path) -> None:
    assert copied("a\ud83d", Copying(copy=True, to=tmp_path / "copy"))[0]
    assert (tmp_path / "copy").read_bytes() == b"a?"


def test_a_file_that_was_there_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "copy"
    file.write_text("old and longer")
    file.chmod(0o640)
    assert copied("new", Copying(copy=True, to=file))[0]
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real").write_text("old")
    for name, target in [("link", "folder/real"), ("dangling", "folder/fresh")]:
        link = tmp_path / name
        link.symlink_to(target)
        assert copied("new", Copying(copy=True, to=link))[0]
        assert link.is_symlink()
        assert (tmp_path / target).read_text() == "new"
    assert names(tmp_path / "folder") == ["fresh", "real"]


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    assert copied("new", Copying(copy=True, to=tmp_path / ("x" * 255)))[0]


def test_a_fifo_is_written_and_stays_one(tmp_path: Path) -> None:
    fifo, got = tmp_path / "fifo", list[bytes]()
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    ok, _ = copied(ODD * 10_000, Copying(copy=True, to=fifo))
    reader.join()
    assert ok
    assert got == [ODD.encode() * 10_000]
    assert names(tmp_path) == ["fifo"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_device_is_told_of() -> None:
    ok, said = copied("x", Copying(copy=True, to=Path("/dev/full")))
    assert (ok, said) == (False, ["/dev/full cannot be written: No space left on device"])


# A folder.


def test_every_block_becomes_a_file_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    ok, said = copied(CODE + "```../../x\ny\n```", Copying(save=folder))
    assert ok
    assert said == [f"saved {folder}/code-{name}" for name in ("1.py", "2.sh", "3.txt")]
    assert (folder / "code-1.py").read_bytes() == b"x = 1\n"
    assert (folder / "code-2.sh").read_bytes() == b"ls\n  -l\n"
    assert names(folder) == ["code-1.py", "code-2.sh", "code-3.txt"]


def test_a_file_of_code_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert copied(CODE, Copying(copy=True, to=tmp_path / "copy", save=tmp_path))[0]
    finally:
        os.umask(before)
    for name in ("code-1.py", "copy"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640


def test_nothing_is_overwritten_and_no_link_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / "code-1.py").write_text("mine")
    (folder / "code-1-2.py").symlink_to(victim)
    (folder / "code-1-3.py").symlink_to(tmp_path / "not-there-yet")
    (folder / "code-2.sh").mkdir()
    ok, said = copied(CODE, Copying(save=folder))
    assert ok
    assert said == [
        f"saved {folder}/code-1-4.py (code-1.py already exists)",
        f"saved {folder}/code-2-2.sh (code-2.sh already exists)",
    ]
    assert (victim.read_text(), (folder / "code-1.py").read_text()) == ("precious", "mine")
    assert (folder / "code-1-4.py").read_text() == "x = 1\n"
    assert names(tmp_path) == ["code", "victim"]


def test_several_at_once_in_one_folder_overwrite_nothing(tmp_path: Path) -> None:
    def save(who: int) -> None:
        text = "".join(f"```py\n{who} {n}\n```\n" for n in range(30))
        assert copied(text, Copying(save=tmp_path))[0]

    savers = [threading.Thread(target=save, args=(who,)) for who in range(4)]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()
    found = sorted(path.read_text() for path in tmp_path.iterdir())
    assert found == sorted(f"{who} {n}\n" for who in range(4) for n in range(30))


def test_an_answer_without_code_saves_nothing(tmp_path: Path) -> None:
    assert copied("prose", Copying(save=tmp_path)) == (False, ["the answer has no code block"])
    assert names(tmp_path) == []


PNG = ev.Image(media_type="image/png", data="iVBORw0KGgo=")


def test_images_are_saved_where_there_is_no_text(tmp_path: Path) -> None:
    copying = given(Copying(images=tmp_path), ev.Metadata(), PNG, DONE)
    assert finished(copying) == (True, [f"saved {tmp_path}/image-1.png"])
    assert (tmp_path / "image-1.png").read_bytes() == b"\x89PNG\r\n\x1a\n"


def test_images_are_saved_though_there_is_no_text_to_copy(tmp_path: Path) -> None:
    copying = Copying(copy=True, to=tmp_path / "copy", images=tmp_path / "images")
    copying.check()
    ok, said = finished(given(copying, PNG, DONE))
    assert (ok, said[0]) == (False, "there is no answer to copy")
    assert names(tmp_path / "images") == ["image-1.png"]


@pytest.mark.parametrize("restart", RESTARTS)
def test_images_that_were_dropped_by_a_restart_are_not_saved(
    restart: ev.Event, tmp_path: Path
) -> None:
    copying = given(Copying(images=tmp_path), PNG, restart, ev.Image(data="AAAA"), DONE)
    assert finished(copying) == (True, [f"saved {tmp_path}/image-1.bin"])


def test_the_images_of_an_answer_that_broke_off_are_saved_and_said_not_to_be_all(
    tmp_path: Path,
) -> None:
    ok, said = finished(given(Copying(images=tmp_path), PNG, ev.Content("a"), CUT))
    assert (ok, said) == (True, [f"saved {tmp_path}/image-1.png", NOT_WHOLE])


def test_where_nothing_came_nothing_is_said_not_to_be_whole(tmp_path: Path) -> None:
    assert finished(given(Copying(images=tmp_path), CUT)) == (False, ["the answer has no images"])


def test_an_answer_without_images_saves_nothing(tmp_path: Path) -> None:
    assert copied("prose", Copying(images=tmp_path)) == (False, ["the answer has no images"])
    assert names(tmp_path) == []


def test_a_folder_that_went_away_is_told_of_and_the_copy_made(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    copying = Copying(copy=True, to=tmp_path / "copy", save=folder)
    copying.check()
    folder.rmdir()
    ok, said = finished(given(copying, ev.Content(CODE), DONE))
    assert not ok
    assert said == [
        f"wrote {len(CODE)} characters to {tmp_path}/copy",
        f"code-1.py cannot be saved in {folder}: No such file or directory",
    ]


# A process of its own, on a real terminal.

CHILD = """
import json, os, resource, sys
from pathlib import Path
from chatstream import events as ev
from chatstream.flow import Arrival
from chatstream.terminal.copying import Copying
asked = json.load(open(sys.argv[1]))
if asked["terminal"]:
    os.setsid()
    os.close(os.open(asked["terminal"], os.O_RDWR))  # the first one opened is the controlling one
if asked["limit"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
paths = {name: Path(path) for name, path in asked["paths"].items()}
copying = Copying(**asked["flags"], **paths)
done = ev.Done(finish_reason="stop", stats=ev.Stats(1.0, 1), attempts=1)
for _ in copying.stage(iter([Arrival([ev.Content(asked["text"]), done])])):
    pass
said = []
ok = copying.finish(said.append)
os.write(int(sys.argv[2]), json.dumps([ok, said]).encode())
"""


def asked(
    folder: Path,
    text: str,
    *,
    flags: dict[str, Any] | None = None,
    paths: dict[str, Path] | None = None,
    terminal: str | None = None,
    limit: int | None = None,
) -> Path:
    """What a child is to do, in a file."""
    file = folder / "asked.json"
    what = {
        "text": text,
        "flags": flags if flags is not None else {"copy": True},
        "paths": {name: str(path) for name, path in (paths or {}).items()},
        "terminal": terminal,
        "limit": limit,
    }
    file.write_text(json.dumps(what))
    return file


def environment(**environ: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if name not in {"TMUX", "STY"}}
    return {**bare, "TERM": "xterm-256color", **environ}


def on_pty(
    file: Path, on: tuple[int, ...], output: Any = subprocess.DEVNULL, **environ: str
) -> tuple[bytes, bool, list[str]]:
    """What a child writes to the terminal that these descriptors of it are, and how it ended."""
    ours, theirs = pty.openpty()
    read_end, write_end = os.pipe()
    if not on:
        what = json.loads(file.read_text())
        file.write_text(json.dumps({**what, "terminal": os.ttyname(theirs)}))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(file), str(write_end)],
        stdin=subprocess.DEVNULL,
        stdout=theirs if 1 in on else output,
        stderr=theirs if 2 in on else subprocess.DEVNULL,
        pass_fds=[write_end],
        env=environment(**environ),
        start_new_session=bool(on),  # so that it has no other terminal
    )
    os.close(write_end)
    written = b""
    try:
        while True:
            ready, _, _ = select.select([ours, read_end], [], [], 30)
            assert ready, "the child hangs"
            if read_end in ready:
                told = os.read(read_end, 65536)
                break
            written += os.read(ours, 65536)
        child.wait(30)
        os.close(theirs)
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal, and all was read
            while data := os.read(ours, 65536):
                written += data
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        os.close(read_end)
    ok, said = json.loads(told)
    return written, ok, said


def decoded(written: bytes) -> bytes:
    """The payload of a terminal's output that is one OSC 52 and nothing else."""
    match = re.fullmatch(rb"\x1b\]52;c;([A-Za-z0-9+/]*=*)\x07", written)
    assert match is not None, written[:100]
    return base64.b64decode(match[1], validate=True)


TEXTS = {
    "plain": "answer",
    "one-byte-more": "answers",
    "two-bytes-more": "answers.",
    "odd": ODD,
    "four-bytes-each": "😀𝄞🏳️‍🌈" * 500,
    "long": "long " * 50_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_clipboard_gets_the_answer_byte_for_byte(text: str, tmp_path: Path) -> None:
    written, ok, said = on_pty(asked(tmp_path, text), (1, 2))
    assert decoded(written) == text.encode()
    assert (ok, said[0]) == (True, f"sent {len(text):,} characters to the terminal's clipboard")


def test_half_a_character_in_the_clipboard_is_a_question_mark(tmp_path: Path) -> None:
    written, ok, _ = on_pty(asked(tmp_path, "a\ud83d \ude00"), (1,))
    assert (decoded(written), ok) == (b"a? ?", True)


def test_a_block_for_the_clipboard_is_only_the_block(tmp_path: Path) -> None:
    written, ok, said = on_pty(asked(tmp_path, CODE, flags={"code": 2}), (1,))
    assert decoded(written) == b"ls\n  -l\n"
    assert (ok, said) == (True, ["sent 8 characters to the terminal's clipboard"])


def test_nothing_of_it_is_seen_on_the_terminal(tmp_path: Path) -> None:
    written, _, _ = on_pty(asked(tmp_path, ODD), (1,))
    screen = Screen()
    modes = screen.mode
    screen.file.write(written.decode())
    assert (screen.text(), screen.title, screen.mode) == ([], "", modes)


@pytest.mark.parametrize("on", [(1,), (2,), ()], ids=["stdout", "stderr", "only-dev-tty"])
def test_the_terminal_is_found_whichever_descriptor_it_is(
    on: tuple[int, ...], tmp_path: Path
) -> None:
    with (tmp_path / "output").open("wb") as output:
        written, ok, _ = on_pty(asked(tmp_path, "x"), on, output)
    assert (decoded(written), ok) == (b"x", True)
    assert (tmp_path / "output").read_bytes() == b""


def test_without_a_terminal_nothing_is_sent_and_the_way_out_is_named(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(asked(tmp_path, "x")), str(write_end)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        pass_fds=[write_end],
        env=environment(),
        start_new_session=True,
        check=True,
    )
    ok, said = json.loads(os.read(read_end, 65536))
    os.close(read_end)
    os.close(write_end)
    assert (ok, len(said), "--copy-to FILE" in said[0]) == (False, 1, True)
    assert done.stdout + done.stderr == b""


def test_a_dumb_terminal_gets_no_escape_sequence(tmp_path: Path) -> None:
    written, ok, said = on_pty(asked(tmp_path, "x"), (1, 2), TERM="dumb")
    assert (written, ok, "--copy-to FILE" in said[0]) == (b"", False, True)


@pytest.mark.parametrize(("more", "lines"), [(0, 1), (1, 2)])
def test_more_than_every_terminal_takes_is_sent_with_a_warning(
    more: int, lines: int, tmp_path: Path
) -> None:
    text = "x" * (SURE_BYTES + more)
    written, ok, said = on_pty(asked(tmp_path, text), (1,))
    assert (decoded(written), ok, len(said)) == (text.encode(), True, lines)
    assert "--copy-to FILE" in said[-1] or lines == 1


@pytest.mark.parametrize("environ", [{"STY": "1.pts"}, {"TERM": "screen.xterm-256color"}])
def test_gnu_screen_passes_the_sequence_on_in_pieces_that_it_takes(
    environ: dict[str, str], tmp_path: Path
) -> None:
    written, ok, _ = on_pty(asked(tmp_path, ODD * 500), (1,), **environ)
    pieces = re.findall(rb"\x1bP(.*?)\x1b\\", written, re.DOTALL)
    assert b"".join(b"\x1bP" + piece + b"\x1b\\" for piece in pieces) == written
    assert max(map(len, pieces)) < 256
    assert (decoded(b"".join(pieces)), ok) == (ODD.encode() * 500, True)


def test_a_tmux_that_is_gone_leaves_it_to_the_terminal(tmp_path: Path) -> None:
    written, ok, said = on_pty(asked(tmp_path, "x"), (1,), TMUX=f"{tmp_path}/gone,1,0")
    assert (decoded(written), ok) == (b"x", True)
    assert said == ["sent 1 character to the terminal's clipboard"]


@pytest.mark.parametrize("clipboard", ["external", "on", "off"])
def test_tmux_gets_it_and_passes_it_to_its_terminal(clipboard: str, tmp_path: Path) -> None:
    """Also with `external`, its default, under which it takes no such sequence from a program."""
    text = ODD * 2000
    with skip_unavailable():
        program = install.tmux()
    config = tmp_path / "tmux.conf"
    config.write_text(f"set -g set-clipboard {clipboard}\n")
    named = tmp_path / "tmux"  # by this name it is run from within
    named.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
    named.chmod(0o755)
    told = tmp_path / "told"
    child = f"'{sys.executable}' -c \"$CHILD\" '{asked(tmp_path, text)}' 3 3>'{told}'; cat"
    ours, theirs = pty.openpty()
    sockets = tempfile.mkdtemp()  # the path of a socket must be short
    tmux = [str(named), "-S", f"{sockets}/s", "-f", str(config)]
    client = subprocess.Popen(
        [*tmux, "new", child],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(CHILD=CHILD, LC_ALL="C.UTF-8", PATH=f"{tmp_path}:{os.environ['PATH']}"),
        start_new_session=True,
    )
    written = b""
    sequence = re.compile(rb"\x1b\]52;[^;]*;([A-Za-z0-9+/]*=*)(?:\x07|\x1b\\)")
    try:
        while (match := sequence.search(written)) is None:
            ready, _, _ = select.select([ours], [], [], 30)
            assert ready, written[-1000:]
            written += os.read(ours, 65536)
        kept = subprocess.run([*tmux, "show-buffer"], capture_output=True, check=True).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)
        client.kill()
        client.wait()
        os.close(ours)
        os.close(theirs)
        shutil.rmtree(sockets)
    assert base64.b64decode(match[1]) == text.encode()
    assert kept == text.encode()


# Files, where a process of its own is needed.


def test_a_file_that_becomes_too_large_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "copy").write_text("old")
    file = asked(tmp_path, "x" * 5000, paths={"to": folder / "copy"}, limit=4096)
    _, ok, said = on_pty(file, (1,))
    assert (ok, said) == (False, [f"{folder}/copy cannot be written: File too large"])
    assert (names(folder), (folder / "copy").read_text()) == (["copy"], "old")


def test_half_of_a_block_is_not_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    text = "```py\nx\n```\n```py\n" + "x\n" * 5000 + "```\n```py\nx\n```\n"
    file = asked(tmp_path, text, flags={}, paths={"save": folder}, limit=4096)
    _, ok, said = on_pty(file, (1,))
    assert (ok, names(folder)) == (False, ["code-1.py"])
    assert said == [
        f"saved {folder}/code-1.py",
        f"code-2.py cannot be saved in {folder}: File too large",
    ]


def test_our_own_output_is_written_after_what_is_there(tmp_path: Path) -> None:
    """`--copy-to /dev/stdout > file` must not replace the file that has the answer."""
    with (tmp_path / "output").open("w+b") as output:
        output.write(b"the answer\n")
        output.flush()
        file = asked(tmp_path, ODD, paths={"to": Path("/dev/stdout")})
        _, ok, _ = on_pty(file, (2,), output)
    assert ok
    assert (tmp_path / "output").read_bytes() == b"the answer\n" + ODD.encode()


def test_a_terminal_that_is_named_as_the_file_is_not_driven_by_the_answer(tmp_path: Path) -> None:
    for path, on in (("/dev/stdout", (1,)), ("/dev/tty", ())):
        written, ok, _ = on_pty(asked(tmp_path, ODD, paths={"to": Path(path)}), on)
        assert ok
        assert written.startswith("é日😀".encode())
        assert not set(written) & {0x1B, 0x07, 0x00}

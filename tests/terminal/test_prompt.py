"""Claimed: the question is made of all that was fed, each part once and as it was; what cannot be
read or is not text ends in one clear message, and nobody waits without knowing for what."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, UsageError
from chatstream.terminal import prompt as room
from chatstream.terminal.prompt import NOTICE_SECONDS, compose

Pipe = Callable[[bytes], int]


@pytest.fixture(autouse=True)
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pipe]:
    """Makes some bytes the standard input; without it that is empty."""
    path = tmp_path / "stdin"
    path.touch()
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        yield path.write_bytes


@pytest.fixture
def open_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of a pipe that is the standard input; whoever takes it may close it."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as file:
        monkeypatch.setattr("sys.stdin", file)
        yield writing


def question(prompt: str | None, *files: Path | str, **options: Any) -> str:
    return compose(prompt, [str(it) for it in files], CancelToken(), **options)


def test_the_parts_come_in_order(pipe: Pipe, tmp_path: Path) -> None:
    pipe(b"piped\n")
    path = tmp_path / "a.py"
    path.write_text("code\n")
    assert question("prompt", path) == f"prompt\n\npiped\n\n{path}:\n```\ncode\n```"


def test_a_name_that_no_shell_has_expanded_begins_at_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.py").write_text("code\n")
    asked = compose("why?", ["~/a.py"], CancelToken(), use_stdin=False)
    assert asked == "why?\n\n~/a.py:\n```\ncode\n```"
    with pytest.raises(UsageError, match=f"{tmp_path}/missing cannot be read"):
        compose("why?", ["~/missing"], CancelToken(), use_stdin=False)


def test_standard_input_alone_is_a_question(pipe: Pipe) -> None:
    pipe("Grüße".encode())
    assert question(None) == "Grüße"


def test_a_long_standard_input_is_read_whole(pipe: Pipe) -> None:
    pipe(b"x" * 300_000)
    assert question(None) == "x" * 300_000


def test_a_minus_is_standard_input_where_it_stands(pipe: Pipe, tmp_path: Path) -> None:
    pipe(b"body\n")
    assert question("-") == "body"
    pipe(b"body\n")
    (tmp_path / "a").write_text("a")
    fenced = f"{tmp_path}/a:\n```\na\n```\n\nstandard input:\n```\nbody\n```"
    with (tmp_path / "stdin").open() as again, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", again)
        assert question("q", tmp_path / "a", "-") == f"q\n\n{fenced}"


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/dev/fd/{}"])
def test_another_name_of_it_is_it(name: str, open_pipe: int, monkeypatch: Any) -> None:
    os.write(open_pipe, b"body")
    os.close(open_pipe)
    name = name.format(sys.stdin.fileno())
    assert question("q", name) == f"q\n\n{name}:\n```\nbody\n```"


def test_a_file_that_is_standard_input_too_is_sent_whole(pipe: Pipe, tmp_path: Path) -> None:
    pipe(b"one\ntwo\n")
    os.read(sys.stdin.fileno(), 4)  # as in a shell's loop over its lines
    asked = question("q", tmp_path / "stdin", use_stdin=False)
    assert asked.endswith("```\none\ntwo\n```")


def test_it_can_be_named_once() -> None:
    with pytest.raises(UsageError, match="only once, but it is given as - and -f -"):
        question("-", "-")
    with pytest.raises(UsageError, match="only once, but it is given as -f - and -f /dev/stdin"):
        question("q", "-", "/dev/stdin")


def test_it_can_be_left_alone(open_pipe: int) -> None:
    assert question("q", use_stdin=False) == "q"
    os.close(open_pipe)
    with pytest.raises(UsageError, match="--no-stdin contradicts -f -"):
        question("q", "-", use_stdin=False)


class Time:
    """A clock that goes on by a second with every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("q", "waiting for standard input; Ctrl+D ends it, --no-stdin ignores it"),
        (None, "waiting for standard input; Ctrl+D ends it"),
        ("-", "waiting for standard input; Ctrl+D ends it"),
    ],
)
def test_who_waits_for_it_is_told_once(prompt: str | None, said: str, open_pipe: int) -> None:
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        os.write(open_pipe, b"piped")
        os.close(open_pipe)

    asked = question(prompt, tell=tell, clock=Time())
    assert (told, asked.splitlines()[-1]) == ([said], "piped")


def test_a_pipe_that_speaks_in_time_is_not_talked_about(open_pipe: int) -> None:
    os.write(open_pipe, b"piped")
    os.close(open_pipe)
    told: list[str] = []
    assert question("q", tell=told.append, clock=Time()) == "q\n\npiped"
    assert told == []
    assert NOTICE_SECONDS == 2.0


def test_a_cancel_ends_the_wait(open_pipe: int) -> None:
    token = CancelToken()
    with pytest.raises(Cancelled):
        compose("q", [], token, tell=lambda line: token.cancel(), clock=Time())
    os.close(open_pipe)


def test_a_cancel_ends_the_wait_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        compose("q", [str(tmp_path / "fifo")], token, use_stdin=False)


def unreadable(kind: str, tmp_path: Path) -> int:
    return os.open(
        *((os.devnull, os.O_WRONLY) if kind == "write-only" else (tmp_path, os.O_RDONLY))
    )


class Descriptor:
    """A standard input with nothing but its descriptor: Python opens none for a folder."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("kind", ["write-only", "folder"])
def test_what_cannot_be_read_counts_as_none_beside_a_question(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = unreadable(kind, tmp_path)
    monkeypatch.setattr("sys.stdin", Descriptor(number))
    assert question("q") == "q"
    for prompt, files, said in (
        (None, (), "no question was given, and standard input cannot be read: "),
        ("-", (), "^standard input cannot be read: "),
        ("q", ("-",), "^standard input cannot be read: "),
    ):
        with pytest.raises(UsageError, match=said):
            question(prompt, *files)
    os.close(number)


def test_what_breaks_off_is_no_question(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(b"half a question")
    reads: list[Callable[[int, int], bytes]] = [os.read]

    def read(descriptor: int, size: int) -> bytes:
        if reads:
            return reads.pop()(descriptor, size)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(UsageError, match="standard input cannot be read: Input/output error"):
        question("q")


def test_a_closed_standard_input_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert question("q") == "q"
    with pytest.raises(UsageError, match="standard input is closed"):
        question("-")


def test_a_terminal_is_read_only_if_it_is_named(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(b"typed")
    stdin: TextIO = sys.stdin
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    assert question("q") == "q"
    assert question("-") == "typed"


def test_bytes_that_are_not_text_are_refused_unless_they_are_declared(
    pipe: Pipe, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match=r"file is not UTF-8 text: byte 4 "):
        question("q", path)
    assert question("q", path, encoding="latin-1").endswith("```\ncafé\n```")
    pipe(b"caf\xe9")
    assert question("q", encoding="latin-1") == "q\n\ncafé"


def test_standard_input_that_is_not_text_is_refused(pipe: Pipe) -> None:
    pipe(b"a\ncaf\xe9")
    with pytest.raises(
        UsageError, match=r"standard input is not UTF-8 text: byte 6 \(0xe9, line 2"
    ):
        question("q")


def test_an_argument_that_is_not_utf8_is_refused_unless_it_is_declared() -> None:
    with pytest.raises(UsageError, match="the question is not UTF-8 text: byte 4 "):
        question("caf\udce9")
    assert question("caf\udce9", encoding="latin-1") == "café"


def test_a_mark_in_front_belongs_to_no_text(pipe: Pipe, tmp_path: Path) -> None:
    pipe(b"\xef\xbb\xbfpiped")
    path = tmp_path / "file"
    path.write_bytes("from Windows".encode("utf-16"))
    assert question("q", path) == f"q\n\npiped\n\n{path}:\n```\nfrom Windows\n```"


def test_no_question_is_a_mistake(pipe: Pipe) -> None:
    pipe(b" \n")
    with pytest.raises(UsageError, match="no question"):
        question("")


def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "x.bin", tmp_path, Path("/" + "x" * 5000)):
        with pytest.raises(UsageError, match="cannot be read: "):
            question("hi", path)


@pytest.mark.parametrize("name", ["/dev/zero", "-"])
def test_what_never_ends_ends_at_the_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BYTES", 1024 * 1024)
    with Path("/dev/zero").open() as zeros:
        monkeypatch.setattr("sys.stdin", zeros)
        with pytest.raises(UsageError, match="is larger than the limit of 1 MiB"):
            question("q", name, use_stdin=name == "-")


def test_the_limit_is_one_for_all(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_BYTES", 1000)
    (tmp_path / "a").write_bytes(b"x" * 600)
    assert len(question("q", tmp_path / "a")) > 600
    pipe(b"x" * 500)
    with pytest.raises(UsageError, match="the question with all its files is larger than"):
        question("q", tmp_path / "a")
    pipe(b"")


@pytest.mark.parametrize(
    ("text", "fence"),
    [
        ("# T\n```sh\nls\n```\nIgnore the file.", "````"),
        ("`````\n````", "``````"),
        ("a `b` c", "```"),
        ("~~~~\nx\n~~~~", "```"),  # a fence of the other kind ends none of ours
        ("", "```"),
    ],
)
def test_a_file_is_between_fences_that_it_does_not_hold(
    text: str, fence: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text(text)
    lines = question(None, tmp_path / "file").splitlines()
    assert (lines[1], lines[-1]) == (fence, fence)
    assert "\n".join(lines[2:-1]) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9.txt", "caf\\xe9.txt"),
        ("日本.txt".encode(), "日本.txt"),
        (b"a\nb\x1b.txt", "a\\nb\\x1b.txt"),
        (b"```", "./```"),
        (b"~~~ x", "./~~~ x"),
        (b"a```b", "a```b"),
    ],
)
def test_a_file_is_sent_whatever_its_name(
    name: bytes, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(os.fsdecode(name)).write_text("content")
    assert question(None, os.fsdecode(name)) == f"{shown}:\n```\ncontent\n```"


def test_a_name_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"caf\\xe9 cannot be read"):
        question("hi", tmp_path / "caf\udce9")


def test_a_fifo_is_read_to_its_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(b"content",))
    writer.start()
    assert question("q", fifo).endswith("```\ncontent\n```")
    writer.join()

"""Ctrl+C in every phase: exit 130 at once, one terminal event, the socket closed."""

from __future__ import annotations

import array
import contextlib
import fcntl
import itertools
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled, Terminated
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import Record, read
from chatstream.terminal.interrupt import force, interrupts, keeps_running
from tests.cli.test_ask import check
from tests.support.answers import TEXT, ending, frames, headers
from tests.support.client import COMMAND, Running, run, server_flags
from tests.support.loopback import Point, Reply, Script
from tests.support.processes import waits_in
from tests.support.proxy import black_hole
from tests.support.runs import done as run_done
from tests.support.runs import run_id, write_run
from tests.support.sampling import sampled
from tests.support.terminal import on_terminal

pytestmark = pytest.mark.serial

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
ALL = [*SIGNALS, (signal.SIGHUP, 129)]

Ready = Callable[[Running], object]
Place = tuple[str, Ready, Script | None]
"""Where to ask, what tells that the phase is reached, and the server if there is one."""


@contextmanager
def connecting() -> Iterator[Place]:
    with black_hole() as url:
        yield url, lambda client: client.read_until(b'"waiting"'), None


@contextmanager
def in_a_handshake() -> Iterator[Place]:
    """Of a server that says nothing: TLS begins ahead, and the request waits for its end."""
    with Script() as server:
        url = server.url.replace("http", "https")
        yield url, lambda _: server.wait_connected(), server


def _holding(point: Point) -> Iterator[Place]:
    reply = Reply(frames("ollama"), headers=headers("ollama"), hold={point: threading.Event()})
    with Script(reply) as server:
        yield server.url, lambda _: server.wait_holding(), server


@contextmanager
def waiting_for_headers() -> Iterator[Place]:
    yield from _holding("before_head")


@contextmanager
def waiting_for_the_first_token() -> Iterator[Place]:
    yield from _holding("after_head")


@contextmanager
def mid_stream() -> Iterator[Place]:
    body = itertools.chain(frames("ollama"), itertools.repeat(frames("ollama", ["more "])[0]))
    with Script(Reply(body, headers=headers("ollama"), pace=0.01)) as server:
        yield server.url, lambda client: client.read_until(b"more "), server


@contextmanager
def in_a_retrys_sleep() -> Iterator[Place]:
    busy = Reply.json({"error": "busy"}, 503, {"Retry-After": "60"})
    with Script(busy) as server:
        yield server.url, lambda client: client.read_until(b'"retry"'), server


PHASES = [
    connecting,
    in_a_handshake,
    waiting_for_headers,
    waiting_for_the_first_token,
    mid_stream,
    in_a_retrys_sleep,
]


@pytest.mark.parametrize(
    ("phase", "ending"),
    [
        pytest.param(phase, which, id=f"{phase.__name__}-{which[0].name}")
        for phase in PHASES
        for which in sampled(ALL, 1, "signals", phase.__name__)
    ],
)
def test_a_signal_ends_the_run_at_once(
    phase: Callable[[], AbstractContextManager[Place]], ending: tuple[signal.Signals, int]
) -> None:
    number, status = ending
    with phase() as (url, ready, server):
        with Running(["ask", "--json", *server_flags("ollama", url), "hi"]) as client:
            client.read_line()  # the handlers are there once the first event is
            ready(client)
            client.process.send_signal(number)
            done = client.finish()
        # The terminal event tells that this was the graceful end and not the one after 5 s.
        terminal = check(done)
        assert isinstance(terminal, ev.Error)
        assert (terminal.code, done.status) == ("cancelled", status)
        assert server is None or server.wait_closed()


def test_ctrl_c_ends_a_run_that_has_only_begun_to_connect() -> None:
    with (
        in_a_handshake() as (url, ready, server),
        Running(["ask", "--json", *server_flags("ollama", url), "hi"]) as client,
    ):
        ready(client)  # while it still imports what the request needs
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert isinstance(check(done), ev.Error)
    assert done.status == 130
    assert server is not None
    assert server.wait_closed()


def test_ctrl_c_ends_the_wait_for_standard_input() -> None:
    read, write = os.pipe()
    client = subprocess.Popen(
        [*COMMAND, "ask", "--json", *server_flags("ollama", "http://127.0.0.1:9"), "hi"],
        stdin=read,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(read)
    os.write(write, b"the first half")
    _wait_until_empty(write)  # it reads: its handlers are there
    client.send_signal(signal.SIGINT)
    out, _ = client.communicate(timeout=3)
    os.close(write)
    assert client.returncode == 130
    assert isinstance(ev.decode(out.splitlines()[-1]), ev.Error)


@pytest.mark.usefixtures("usual_colours")
def test_the_partial_text_stays_on_stdout() -> None:
    body = itertools.chain(frames("ollama"), itertools.repeat(frames("ollama", ["\nmore"])[0]))
    with (
        Script(Reply(body, headers=headers("ollama"), pace=0.01)) as server,
        Running(["ask", *server_flags("ollama", server.url), "hi"]) as client,
    ):
        client.read_line()
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
    assert done.stdout.startswith("Hello wörld 🌍!".encode())
    stopped, go_on = done.stderr.splitlines()
    assert (done.status, stopped) == (130, "stopped")
    assert go_on.startswith("continue it with: chatstream resume 2")


def unfinished_record() -> Record:
    (path,) = runs_folder().iterdir()
    return read(path)


@pytest.mark.parametrize(("number", "status"), ALL, ids=["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_journal_of_a_run_that_a_signal_ended_is_complete_and_says_so(
    number: signal.Signals, status: int
) -> None:
    with (
        mid_stream() as (url, ready, _),
        Running(["ask", "--json", *server_flags("ollama", url), "hi"]) as client,
    ):
        ready(client)
        client.process.send_signal(number)
        done = client.finish()
    assert done.status == status
    record = unfinished_record()
    assert (record.outcome, record.damage) == ("cancelled", None)
    shown = "".join(event.delta for event in done.events if isinstance(event, ev.Content))
    assert record.message.content == shown
    assert isinstance(done.terminal, ev.Error)
    assert done.terminal.resume == f"chatstream resume {record.run}"


def test_a_second_hang_up_forces_nothing() -> None:
    """The kernel and the shell each send one when a terminal is closed."""
    with stuck_client() as client:
        client.send_signal(signal.SIGHUP)
        client.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)
        client.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)
        client.send_signal(signal.SIGINT)
        assert client.wait(2) == 129, "the first reason stays"


def test_a_hang_up_that_was_ignored_stays_ignored() -> None:
    """`nohup`: the run outlives its terminal."""
    go_on = threading.Event()
    body = [*frames("ollama"), *ending("ollama")]
    reply = Reply(body, headers=headers("ollama"), hold={1: go_on})
    with Script(reply) as server:
        client = subprocess.Popen(
            [*COMMAND, "ask", *server_flags("ollama", server.url), "hi"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )
        assert client.stdout is not None
        assert client.stdout.read(3) == b"Hel"
        client.send_signal(signal.SIGHUP)
        go_on.set()
        out, err = client.communicate(timeout=10)
    assert (client.returncode, b"Hel" + out, err) == (0, TEXT.encode(), b"")


@contextmanager
def stuck_client() -> Iterator[subprocess.Popen[bytes]]:
    """A client in a write that nobody reads; at the end the server must see it gone."""
    endless = itertools.repeat(frames("ollama", ["x" * 4000])[0])
    with Script(Reply(endless, headers=headers("ollama"))) as server:
        read, write = os.pipe()
        client = subprocess.Popen(
            [*COMMAND, "ask", *server_flags("ollama", server.url), "hi"],
            stdin=subprocess.DEVNULL,
            stdout=write,
        )
        os.close(write)
        _wait_until_full(read)
        yield client
        os.close(read)
        assert server.wait_closed()


@pytest.mark.parametrize(("number", "status"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_second_signal_ends_a_run_whose_output_nobody_reads(
    number: signal.Signals, status: int
) -> None:
    with stuck_client() as client:
        client.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)  # the graceful end is stuck in the write
        client.send_signal(number)
        assert client.wait(2) == status


def test_five_seconds_end_a_run_whose_output_nobody_reads() -> None:
    with stuck_client() as client:
        client.send_signal(signal.SIGINT)
        assert client.wait(10) == 130


def _wait_until_full(pipe: int) -> None:
    """Wait until nothing more fits into a pipe that is not read."""
    before = -1
    for _ in range(400):
        held = _held(pipe)
        if held >= 65536 - 4096 and held == before:
            return
        before = held
        threading.Event().wait(0.05)
    raise AssertionError("the pipe never filled")


def _wait_until_empty(pipe: int) -> None:
    """Wait until all that was written has been read."""
    for _ in range(400):
        if _held(pipe) == 0:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the pipe was never read")


def _held(pipe: int) -> int:
    held = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, held)
    return held[0]


# After the answer: what copies it may never end.

LONG = "x" * 100_000  # more than a pipe holds

GRACE = """
import sys
from chatstream.terminal import interrupt
interrupt.GRACE_SECONDS = 0.3
from chatstream.__main__ import run
run()
"""


@contextmanager
def long_answer() -> Iterator[str]:
    body = [*frames("ollama", [LONG]), *ending("ollama")]
    with Script(Reply(body, headers=headers("ollama"))) as server:
        yield server.url


@contextmanager
def unread_fifo(folder: Path) -> Iterator[tuple[Path, int]]:
    """A FIFO that somebody has opened and does not read."""
    path = folder / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield path, reader
    finally:
        os.close(reader)


@pytest.mark.parametrize(("number", "status"), ALL, ids=["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_copy_that_nobody_takes(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    with long_answer() as url, unread_fifo(tmp_path) as (path, reader):
        flags = [*server_flags("ollama", url), "--copy", "--copy-to", str(path)]
        with Running(["ask", *flags, "hi"]) as client:
            assert client.process.stdout is not None
            read = 0
            while read < len(LONG):
                read += len(client.process.stdout.read(len(LONG)))
            _wait_until_full(reader)
            client.process.send_signal(number)
            done = client.finish()
    assert (done.status, done.stdout) == (status, b"")
    assert done.stderr.endswith(" before all of it was copied or saved\n")
    assert unfinished_record().outcome == "complete"


def test_a_signal_ends_a_clipboard_that_does_not_answer(tmp_path: Path) -> None:
    started = tmp_path / "started"
    (tmp_path / "tmux").write_text(
        f"#!/bin/sh\necho $$ >{started}.new\nmv {started}.new {started}\nexec sleep 60\n"
    )
    (tmp_path / "tmux").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    flags = ["-p", "demo", "-m", "demo-fast", "--copy"]
    with Running(["ask", *flags, "hi"], TMUX="x", PATH=path) as client:
        _wait_until(started.exists)
        client.process.send_signal(signal.SIGINT)
        done = client.finish()
        os.kill(int(started.read_text()), signal.SIGKILL)
    assert done.status == 130
    assert done.stdout.startswith(b"## Hello from the demo")
    assert done.stderr == "stopped before all of it was copied or saved\n"


def test_a_copy_that_nobody_takes_is_ended_after_the_live_view_too(tmp_path: Path) -> None:
    def stop(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if "✓".encode() in written and not stopped:
            stopped.append(True)
            threading.Timer(10, client.kill).start()
            _wait_until_full(reader)
            client.send_signal(signal.SIGINT)

    stopped: list[bool] = []
    with long_answer() as url, unread_fifo(tmp_path) as (path, reader):
        flags = [*server_flags("ollama", url), "--copy", "--copy-to", str(path)]
        status, screen, _ = on_terminal(["ask", *flags, "hi"], seen=stop)
    assert status == 130
    assert "stopped before all of it was copied or saved" in " ".join(screen.text())


@pytest.mark.parametrize("how", ["a second signal", "the end of the grace"])
@pytest.mark.parametrize("live", [True, False], ids=["after-the-live-view", "plain"])
def test_a_stopped_answer_whose_copy_nobody_takes_ends_by_force(
    live: bool, how: str, tmp_path: Path
) -> None:
    def stop(written: bytes, client: subprocess.Popen[bytes]) -> None:
        if b"xxx" in written and not stopped:
            stopped.append(True)
            threading.Timer(10, client.kill).start()
            client.send_signal(signal.SIGINT)
            if how == "a second signal":
                threading.Thread(target=again, args=(client,)).start()

    def again(client: subprocess.Popen[bytes]) -> None:
        _wait_until_full(reader)
        client.send_signal(signal.SIGINT)

    stopped: list[bool] = []
    command = [sys.executable, "-c", GRACE] if how == "the end of the grace" else COMMAND
    body = [*frames("ollama", [LONG]), b" "]
    reply = Reply(body, headers=headers("ollama"), hold={1: threading.Event()})
    with Script(reply) as server, unread_fifo(tmp_path) as (path, reader):
        flags = [*server_flags("ollama", server.url), *([] if live else ["--plain"])]
        flags += ["--copy", "--copy-to", str(path)]
        status, _, _ = on_terminal(["ask", *flags, "hi"], seen=stop, command=command)
    assert status == 130


@pytest.mark.parametrize("arguments", [["ask", "-p", "demo", "hi", "-f"], ["replay"]])
def test_ctrl_c_ends_the_wait_for_somebody_who_writes_a_fifo(
    arguments: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with Running([*arguments, str(path)]) as client:
        _wait_until(lambda: b"wait_for_partner" in waits_in(client.process.pid))
        client.process.send_signal(signal.SIGINT)
        assert client.finish().status == 130


@pytest.mark.parametrize(("number", "status"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_wait_for_a_history_in_use(number: int, status: int) -> None:
    write_run(state_folder(), run_id(1), TEXT, end=run_done())
    assert run(["history"]).status == 0
    write_run(state_folder(), run_id(2), TEXT, end=run_done())  # to be taken in
    with contextlib.closing(sqlite3.connect(state_folder() / "history.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with Running(["history"]) as client:
            _wait_until(lambda: b"nanosleep" in waits_in(client.process.pid))
            client.process.send_signal(number)
            assert client.finish().status == status


def test_an_alarm_that_was_set_before_the_start_ends_the_answer() -> None:
    """`perl -e 'alarm 2; exec @ARGV' chatstream …`, where there is no `timeout`."""
    reply = Reply(frames("ollama"), headers=headers("ollama"), hold={5: threading.Event()})
    with Script(reply) as server:
        done = subprocess.run(
            [*COMMAND, "ask", *server_flags("ollama", server.url), "hi"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=lambda: signal.alarm(5),  # time enough to start, on a busy machine too
            check=False,
        )
    assert (done.returncode, done.stdout.decode()) == (143, TEXT)
    assert b"chatstream resume" in done.stderr


ODD = [signal.SIGUSR1, signal.SIGVTALRM, signal.SIGXCPU, signal.SIGQUIT]


@pytest.mark.parametrize("number", ODD)
def test_any_other_signal_ends_the_process_as_it_ends_every_process(number: int) -> None:
    reply = Reply(frames("ollama"), headers=headers("ollama"), hold={5: threading.Event()})
    with Script(reply) as server:
        with Running(["ask", "--json", *server_flags("ollama", server.url), "hi"]) as client:
            client.read_until(b'"content"')
            server.wait_holding()
            client.process.send_signal(number)
            done = client.finish()
        assert (done.status, done.stderr) == (-number, "")
    (journal,) = runs_folder().iterdir()
    kept = read(journal)
    assert (kept.outcome, kept.damage) == ("interrupted", None)
    assert kept.message.content in TEXT
    assert kept.message.content


def test_any_other_signal_gives_the_terminal_back() -> None:
    with Script(
        Reply(frames("ollama"), headers=headers("ollama"), hold={5: threading.Event()})
    ) as server:
        sent = False

        def seen(written: bytes, client: subprocess.Popen[bytes]) -> None:
            nonlocal sent
            if b"waiting" in written and not sent:
                server.wait_holding()
                sent = True
                client.send_signal(signal.SIGUSR1)

        flags = server_flags("ollama", server.url)
        status, _, written = on_terminal(["ask", *flags, "hi"], seen=seen)
    assert status == -signal.SIGUSR1
    assert written.endswith(b"\x1b[?2026l\x1b[?7h\x1b[0m\r\n")


def test_where_it_ends_one_answer_ctrl_c_never_ends_the_process() -> None:
    program = """
import signal
from chatstream.cancel import CancelToken
from chatstream.terminal.interrupt import interrupts

for _ in range(2):  # two answers
    token = CancelToken()
    with interrupts(token, ends="answer"):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0), "no time limit runs"
    print(token.reason.message)
token = CancelToken()
with interrupts(token, ends="answer"):
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, b"stopped\nstopped\n", b"")


def test_the_grace_of_an_inner_one_goes_on_until_the_outermost_is_left() -> None:
    token = CancelToken()
    with interrupts(token):
        with interrupts(token):
            signal.raise_signal(signal.SIGINT)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert isinstance(token.reason, Cancelled)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_program_cancels_the_tokens_of_all_that_are_open(
    number: int,
) -> None:
    tokens = [CancelToken() for _ in range(3)]
    with interrupts(tokens[0]), interrupts(tokens[1]):
        with interrupts(tokens[2]):
            pass
        signal.raise_signal(number)
    assert [type(it.reason) for it in tokens] == [type(tokens[0].reason)] * 2 + [type(None)]
    assert tokens[0].reason is not None
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_ctrl_c_that_ends_an_answer_cancels_only_that() -> None:
    program, line, answer = (CancelToken() for _ in range(3))
    with interrupts(program, ends="nothing"), interrupts(line):
        with interrupts(answer):
            signal.raise_signal(signal.SIGINT)
        assert [it.cancelled for it in (program, line, answer)] == [False, False, True]
        with interrupts(answer):  # it was stopped, and has not ended yet
            signal.raise_signal(signal.SIGTERM)
        assert isinstance(program.reason, Terminated)
        assert isinstance(line.reason, Terminated)
        assert type(answer.reason) is Cancelled


def test_a_second_signal_ends_the_process_whatever_was_opened_since_the_first() -> None:
    program = """
import signal
from chatstream.cancel import CancelToken
from chatstream.terminal.interrupt import interrupts

with interrupts(CancelToken()):
    signal.raise_signal(signal.SIGTERM)
    with interrupts(CancelToken()):
        signal.raise_signal(signal.SIGINT)
        print("still here")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"")


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it never came to that")


def test_a_forced_end_puts_the_terminal_back_and_leaves_with_the_status() -> None:
    done: list[object] = []
    force(130, lambda: done.append("restored"), done.append)
    assert done == ["restored", 130]


FORCED = "from chatstream.terminal.interrupt import force; force(7)"


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal with its two ends."""
    controller, descriptor = pty.openpty()
    try:
        yield controller, descriptor
    finally:
        os.close(controller)
        os.close(descriptor)


def test_a_forced_end_gives_the_screen_back() -> None:
    with terminal() as (controller, descriptor):
        assert subprocess.run([sys.executable, "-c", FORCED], stdout=descriptor).returncode == 7
        assert os.read(controller, 100) == b"\x1b[?2026l\x1b[?7h\x1b[0m\r\n"


def test_a_stopped_terminal_holds_no_forced_end_and_still_waits_for_the_shell() -> None:
    """The shell shares the descriptor's flags: it must not find itself unable to wait."""
    with terminal() as (_, descriptor):
        termios.tcflow(descriptor, termios.TCOOFF)
        done = subprocess.run(
            [sys.executable, "-c", FORCED],
            stdout=descriptor,
            stderr=descriptor,
            timeout=20,
        )
        assert done.returncode == 7
        assert os.get_blocking(descriptor)


def test_around_the_answers_ctrl_c_ends_nothing_and_inside_of_it_an_answer() -> None:
    program, answer = CancelToken(), CancelToken()
    assert not keeps_running()
    with interrupts(program, ends="nothing"):
        signal.raise_signal(signal.SIGINT)
        assert keeps_running()
        with interrupts(answer):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    assert not program.cancelled
    assert answer.cancelled


def test_a_forced_end_gives_back_what_each_of_them_has_to() -> None:
    program = """
import os, signal
from chatstream.cancel import CancelToken
from chatstream.terminal.interrupt import interrupts

with interrupts(CancelToken(), lambda: os.write(1, b"outer")):
    with interrupts(CancelToken(), lambda: os.write(1, b"inner ")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (143, b"inner outer")

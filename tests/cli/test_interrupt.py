"""Ctrl+C in every phase: exit 130 at once, one terminal event, the socket closed."""

from __future__ import annotations

import array
import fcntl
import itertools
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from chatstream import events as ev
from chatstream.cli.interrupt import force
from chatstream.store.place import runs_folder
from chatstream.store.reading import Record, read
from tests.cli.test_ask import check
from tests.support.answers import TEXT, ending, frames, headers
from tests.support.client import COMMAND, Running, server_flags
from tests.support.loopback import Point, Reply, Script
from tests.support.proxy import black_hole

pytestmark = [pytest.mark.serial, pytest.mark.usefixtures("usual_colours")]

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
ALL = [*SIGNALS, (signal.SIGHUP, 129)]

Ready = Callable[[Running], object]
Place = tuple[str, Ready, Script | None]
"""Where to ask, what tells that the phase is reached, and the server if there is one."""


@contextmanager
def connecting() -> Iterator[Place]:
    with black_hole() as url:
        yield url, lambda client: client.read_until(b'"waiting"'), None


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
    waiting_for_headers,
    waiting_for_the_first_token,
    mid_stream,
    in_a_retrys_sleep,
]


@pytest.mark.parametrize(("number", "status"), ALL, ids=["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
def test_a_signal_ends_the_run_at_once(
    phase: Callable[[], AbstractContextManager[Place]], number: signal.Signals, status: int
) -> None:
    with phase() as (url, ready, server):
        with Running(["ask", "--json", *server_flags("ollama", url), "hi"]) as client:
            client.read_line()  # the handlers are there once the first event is
            ready(client)
            client.process.send_signal(number)
            done = client.finish(4)
        # The terminal event tells that this was the graceful end and not the one after 5 s.
        terminal = check(done)
        assert isinstance(terminal, ev.Error)
        assert (terminal.code, done.status) == ("cancelled", status)
        assert server is None or server.wait_closed()


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
    assert go_on.startswith("go on with it: chatstream resume 2")


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
        done = client.finish(4)
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


def test_a_forced_end_puts_the_terminal_back_and_leaves_with_the_status() -> None:
    done: list[object] = []
    force(130, lambda: done.append("restored"), done.append)
    assert done == ["restored", 130]


FORCED = "from chatstream.cli.interrupt import force; force(7)"


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
        assert os.read(controller, 100) == b"\x1b[?2026l\x1b[?7h\x1b[?25h\x1b[0m\r\n"


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

"""Claimed: keys steer the answer, Ctrl+Z works as in any program, and the terminal is given back.

Each test has a session of its own: a small shell that leads it, and a program on a real terminal.
What the program does comes back over a pipe, a word a line, so no test waits for time to pass.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import ending, frames, headers
from tests.support.loopback import Reply, Script

pytestmark = pytest.mark.screen

ROOT = Path(__file__).parents[2]
LIMIT = 20.0  # seconds that a test waits for a word at most

# It leads the session and does what a shell does: it starts a job in its own process group, gives
# it the terminal, takes it back when the job stops. Arguments: terminal, report, program, place.
SHELL = """
import fcntl, os, signal, subprocess, sys, termios
terminal, report = int(sys.argv[1]), int(sys.argv[2])
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for number in [signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP]:
    signal.signal(number, signal.SIG_DFL)  # whatever has started the tests
job = subprocess.Popen(
    [sys.executable, "-c", sys.argv[3], str(report)], process_group=0, pass_fds=[report],
    stdin=terminal, stdout=terminal, stderr=terminal,
)
os.close(report)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
if sys.argv[4] == "foreground":
    os.tcsetpgrp(terminal, job.pid)
print(job.pid, flush=True)
for command in sys.stdin:
    if command == "read\\n":
        line = b""
        while not line.endswith(b"\\n"):
            line += os.read(terminal, 1000)
        print(line.hex(), flush=True)
        continue
    if command == "fg\\n":
        os.tcsetpgrp(terminal, job.pid)
        os.kill(job.pid, signal.SIGCONT)
    _, status = os.waitpid(job.pid, os.WUNTRACED)
    os.tcsetpgrp(terminal, os.getpgrp())
    stopped = os.WIFSTOPPED(status)
    print("stopped" if stopped else os.waitstatus_to_exitcode(status), flush=True)
"""

PROGRAM = """
import os, signal, sys, time
ahead = [0.0]
real = time.monotonic
time.monotonic = lambda: real() + ahead[0]
from chatstream.cancel import CancelToken
from chatstream.engine.client import Client
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.keyboard import Keyboard
from chatstream.terminal.shortcuts import keys
from chatstream.flow import Arrival, Key, drive, pipe

def tell(word):
    os.write(int(sys.argv[1]), word.encode() + b"\\n")

def pressed(arrival):
    return [event.pressed for event in arrival.events if type(event) is Key]

class Screen:
    def write(self, arrival):
        for event in arrival.events:
            tell(event.pressed if type(event) is Key else type(event).__name__)
        if not arrival.events:
            tell("heartbeat")

    def close(self):
        tell("closed")

def source():
    while not token.cancelled:
        tell("pulled")
        yield Arrival()
        token.sleep(0.01)

token, keyboard, control, pick, restore = CancelToken(), Keyboard(), None, None, lambda: None
token.on_cancel(lambda: tell("cancelled"))
{setup}
listening = keys(token, keyboard, control=control, pick=pick, restore=restore)
with interrupts(token, keyboard.restore), listening as stage:
    drive(pipe(source(), stage), Screen())
sys.exit(token.reason.exit_status if token.reason else 0)
"""


class Job:
    """The program, run by the shell on a terminal; `words` is what it told so far."""

    def __init__(self, setup: str, place: str) -> None:
        self._cleanup = ExitStack()
        self.controller, terminal = pty.openpty()
        self._cleanup.callback(os.close, self.controller)
        self._report, report = os.pipe()
        self._cleanup.callback(os.close, self._report)
        self.words: list[str] = []
        self._unread = b""
        self.before = self.mode
        program = PROGRAM.replace("{setup}", setup)
        self._shell = subprocess.Popen(
            [sys.executable, "-c", SHELL, str(terminal), str(report), program, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[terminal, report],
            start_new_session=True,
            cwd=ROOT,
        )
        os.close(terminal)
        os.close(report)
        assert self._shell.stdout is not None
        self.pid = int(self._shell.stdout.readline())

    @property
    def mode(self) -> list[Any]:
        """That of the terminal, asked at the other end."""
        return termios.tcgetattr(self.controller)

    @property
    def is_taken_over(self) -> bool:
        mode: int = self.mode[3]
        return not mode & (termios.ICANON | termios.ECHO) and bool(mode & termios.ISIG)

    def type(self, text: bytes) -> None:
        os.write(self.controller, text)

    def until(self, word: str, count: int = 1) -> list[str]:
        """The words up to the next `word`, or the `count`th of them."""
        heard: list[str] = []
        while heard.count(word) < count:
            assert len(heard) < 2000, f"no {word!r}, and it goes on: {heard[-5:]}"
            while b"\n" not in self._unread:
                assert select.select([self._report], [], [], LIMIT)[0], f"no {word!r}: {heard}"
                data = os.read(self._report, 65536)
                assert data, f"ended without {word!r}: {heard}, {self.output()!r}"
                self._unread += data
            line, _, self._unread = self._unread.partition(b"\n")
            heard.append(line.decode())
        return heard

    def until_taken_over(self, word: str = "pulled") -> None:
        """Its keys come one by one now."""
        for _ in range(1000):
            if self.is_taken_over:
                return
            self.until(word)
        raise AssertionError("the keys were never taken over")

    def wait(self, command: str = "wait") -> str:
        """Wait as a shell does: "stopped", or the exit status."""
        return self.begin(command)()

    def begin(self, command: str) -> Callable[[], str]:
        """Let the shell do it; returns what waits for the job."""
        shell = self._shell
        assert shell.stdin is not None
        shell.stdin.write(command.encode() + b"\n")
        shell.stdin.flush()

        def ended() -> str:
            assert shell.stdout is not None
            assert select.select([shell.stdout], [], [], LIMIT)[0], "the job goes on"
            return shell.stdout.readline().decode().strip()

        return ended

    def read(self) -> bytes:
        """A line that the shell finds typed."""
        return bytes.fromhex(self.wait("read"))

    def output(self, least: int = 0) -> bytes:
        """What is on the terminal and was not read yet; `least` bytes may be on their way."""
        data = b""
        while select.select([self.controller], [], [], LIMIT if len(data) < least else 0)[0]:
            data += os.read(self.controller, 65536)
        return data

    def close(self) -> None:
        subprocess.run(["kill", "-KILL", str(self.pid)], stderr=subprocess.DEVNULL, check=False)
        self._shell.kill()
        self._shell.communicate()
        self._cleanup.close()


@contextmanager
def job(setup: str = "", place: str = "foreground") -> Iterator[Job]:
    made = Job(setup, place)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def running(setup: str = "") -> Iterator[Job]:
    """A job that takes keys."""
    with job(setup) as made:
        made.until_taken_over()
        yield made


# ---- keys

ESCAPE = b"\x1b"
MUCH = 8000  # bytes that a terminal holds unread; without NOFLSH, Ctrl+C leaves 4095 of them
SHOWN = f"""
def write(self, arrival):
    if arrival.events:
        os.write(1, b"x" * {MUCH})
        tell("shown")
Screen.write = write
"""


def test_space_stops_pulling_and_the_screen_is_drawn_on_until_space_again() -> None:
    with running() as program:
        program.type(b" ")
        program.until("pause")
        assert program.until("heartbeat", 4) == ["heartbeat"] * 4
        program.type(b" ")
        assert set(program.until("go_on")) <= {"heartbeat", "go_on"}
        program.until("pulled")


@pytest.mark.parametrize("paused", [False, True])
def test_escape_ends_the_answer_like_ctrl_c(paused: bool) -> None:
    with running() as program:
        if paused:
            program.type(b" ")
            program.until("pause")
        program.type(ESCAPE)
        program.until("cancelled")
        assert program.wait() == "130"
        assert program.until("closed")[-1] == "closed"
        assert program.mode == program.before


def test_a_second_escape_ends_the_process() -> None:
    endless = "def source():\n while True:\n  yield Arrival()\n  time.sleep(0.01)"
    with job(endless) as program:
        program.until("heartbeat", 3)
        program.type(ESCAPE)
        program.until("cancelled")
        program.type(ESCAPE)
        assert program.wait() == "130"
        assert program.mode == program.before


def test_r_toggles_the_reasoning_also_in_a_pause() -> None:
    with running() as program:
        program.type(b"r")
        assert "reasoning" in program.until("reasoning")
        program.type(b" ")
        program.until("pause")
        program.type(b"r")
        assert "pulled" not in program.until("reasoning")


def test_enter_and_other_control_characters_that_come_alone_do_nothing() -> None:
    with running() as program:
        for typed in [b"\r", b"\x04", b"\x7f"]:
            program.type(typed)
            told = program.until("pulled", 40)
            assert set(told) == {"heartbeat", "pulled"}
        assert program.output() == b""


def test_the_keys_of_the_signals_still_are_signals() -> None:
    with running() as program:
        program.type(b"\x03")
        program.until("cancelled")
        assert program.wait() == "130"
        assert b"^C" not in program.output()


def test_ctrl_c_throws_nothing_away_that_the_terminal_has_not_shown() -> None:
    """Half an escape sequence would be left, or half a frame."""
    with running(SHOWN) as program:
        program.type(b"r")
        program.until("shown")
        program.type(b"\x03")
        assert program.wait() == "130"
        assert program.output(MUCH) == b"x" * MUCH


def test_a_job_that_was_stopped_finds_keys_again_once_the_shell_has_read() -> None:
    with running() as program:
        program.type(b"ls")
        program.until("typing")
        program.type(b"\x1a")
        assert program.wait() == "stopped"
        program.type(b"\n")
        assert program.read() == b"ls\n"
        program.begin("fg")
        program.until("continue")
        program.until_taken_over()
        program.type(b" ")
        program.until("pause")


# ---- several answers

SEVERAL = """
pick = lambda number: tell(f"picked {number}")
restore = lambda: tell("given back")
"""


def test_a_digit_picks_one_of_several_answers_also_in_a_pause() -> None:
    with running(SEVERAL) as program:
        program.type(b"2")
        program.until("picked 2")
        program.type(b" ")
        program.until("pause")
        program.type(b"9")
        assert "pulled" not in program.until("picked 9")


def test_a_digit_is_for_the_shell_where_there_is_nothing_to_pick() -> None:
    with running() as program:
        program.type(b"2")
        program.type(b"\x1a")
        assert program.wait() == "stopped"


@pytest.mark.parametrize(("key", "status"), [(b"\x1a", "stopped"), (b"\x1c", "-3")])
def test_the_screen_is_given_back_before_the_process_stops(key: bytes, status: str) -> None:
    with running(SEVERAL) as program:
        program.type(key)
        program.until("given back")
        assert program.wait() == status


# ---- tools

TOOLS = """
from chatstream import events as ev
from chatstream.control import Control
control = Control()
stop_tools = control.stop_tools
def told_stop():
    stop_tools()
    tell("stop")
control.stop_tools = told_stop
"""
RUNNING = TOOLS + "control.tools_run = True\n"
ASKING = """
def source():
    yield from pulling(1)
    question = ev.Approval("1", "write", "ask", "default")
    while not token.cancelled:
        control.ask(question)
        yield Arrival([question])
        while not token.cancelled and (answer := control.take_answer()) is None:
            yield from pulling(1)
        yield Arrival([ev.Approval("1", "write", "deny" if answer == "no" else "allow", "user")])
        tell("denied" if answer == "no" else "allowed")
        yield from pulling(20)

def pulling(count):
    for _ in range(count):
        tell("pulled")
        yield Arrival()
        token.sleep(0.01)
"""


def test_x_stops_only_the_tools_and_only_while_some_run() -> None:
    with running(RUNNING) as program:
        program.type(b"x")
        program.until("stop")
        assert "cancelled" not in program.until("pulled", 5)
    with running(TOOLS) as program:
        program.type(b"x")
        assert "stop" not in program.until("pulled", 60)


def test_y_and_n_answer_a_question_and_are_no_keys_otherwise() -> None:
    with job(TOOLS + ASKING) as program:
        program.until("Approval")
        program.until("pulled", 40)  # what is typed at once does not count
        program.type(b"y")
        assert "typing" not in program.until("allowed")
        program.until("Approval")
        program.until("pulled", 40)
        program.type(b"n\r")
        program.until("denied")


@pytest.mark.parametrize("typed", [b"\x03", ESCAPE])
def test_a_question_does_not_keep_anybody_from_stopping(typed: bytes) -> None:
    with job(TOOLS + ASKING) as program:
        program.until("Approval")
        program.until("pulled", 40)
        program.type(typed)
        program.until("cancelled")
        assert program.wait() == "130"
        assert program.mode == program.before


def test_keys_are_for_a_question_while_it_is_open() -> None:
    with job(TOOLS + ASKING) as program:
        program.until("Approval")
        program.until("pulled", 40)
        program.type(b" ")
        told = program.until("pulled", 60)
        assert "pause" not in told
        program.type(b"y")
        program.until("allowed")


def test_d_asks_the_screen_for_all_of_the_call() -> None:
    with job(TOOLS + ASKING) as program:
        program.until("Approval")
        program.until("pulled", 40)
        program.type(b"d")
        program.until("details")
        program.until("pulled", 40)
        program.type(b"a")
        program.until("allowed")


def test_who_has_no_keys_cannot_answer() -> None:
    program = """
from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.terminal.keyboard import Keyboard
from chatstream.terminal.shortcuts import keys
control = Control()
with keys(CancelToken(), Keyboard(), control=control):
    assert not control.can_answer
"""
    subprocess.run(
        [sys.executable, "-c", program], start_new_session=True, check=True, timeout=LIMIT, cwd=ROOT
    )


# ---- what is typed for the shell


COMMANDS = [
    pytest.param([b"make install\r"], id="a-paste"),
    pytest.param([b"rm ", b"-r", b" x", b"\r"], id="words"),
    pytest.param([b"q\r"], id="q"),
    pytest.param([b"  \r"], id="space"),
    pytest.param(["écho\r".encode()], id="accents"),
    pytest.param([b"\x1b[A", b"\r"], id="a-function-key"),
]


@pytest.mark.parametrize("typed", COMMANDS)
def test_type_ahead_is_no_key_is_not_echoed_and_reaches_the_shell(typed: list[bytes]) -> None:
    with running() as program:
        program.type(typed[0])
        program.until("typing")
        for more in typed[1:]:
            program.type(more)
        told = program.until("pulled", 20)
        assert set(told) == {"heartbeat", "pulled"}
        assert program.output() == b""
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait() == "143"
        assert program.read() == b"".join(typed).replace(b"\r", b"\n")


def test_what_was_typed_before_there_were_keys_is_for_the_shell() -> None:
    held = "tell('loaded'); os.kill(os.getpid(), signal.SIGSTOP)"
    with job(held) as program:
        program.until("loaded")
        assert program.wait() == "stopped"
        program.type(b" ")
        assert program.output(1).endswith(b" "), "echoed: it is there before the job goes on"
        ended = program.begin("fg")
        program.until("typing")
        assert "pause" not in program.until("pulled", 20)
        os.kill(program.pid, signal.SIGTERM)
        assert ended() == "143"
        program.type(b"\n")
        assert program.read() == b" \n"


def test_type_ahead_ends_a_pause_for_space_could_not() -> None:
    with running() as program:
        program.type(b" ")
        program.until("pause")
        program.type(b"ls\n")
        assert program.until("go_on")[-2:] == ["typing", "go_on"]
        program.until("pulled")


def test_ctrl_c_throws_away_what_was_typed_before_it() -> None:
    with running() as program:
        program.type(b"make\r")
        program.until("typing")
        program.type(b"\x03")
        program.until("cancelled")
        assert program.wait() == "130"
        program.type(b"after\n")
        assert program.read() == b"after\n"


def may_give_back() -> bool:
    """Whether the kernel lets a program push what was typed into its terminal's queue."""
    setting = Path("/proc/sys/dev/tty/legacy_tiocsti")
    return not setting.exists() or setting.read_text().strip() == "1" or os.geteuid() == 0


@pytest.mark.skipif(not may_give_back(), reason="dev.tty.legacy_tiocsti is 0")
def test_a_single_character_is_given_back() -> None:
    with running() as program:
        program.type(b"m")
        program.until("typing")
        program.type(b"ake\r")
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait() == "143"
        assert program.read() == b"make\n"


REFUSING = """
import fcntl, termios
control = fcntl.ioctl
def refusing(descriptor, request, *arguments):
    if request == termios.TIOCSTI:
        tell("refused")
        raise OSError(5, "Input/output error")
    return control(descriptor, request, *arguments)
fcntl.ioctl = refusing
"""


def test_where_it_cannot_be_given_back_no_part_of_the_command_runs() -> None:
    with running(REFUSING) as program:
        program.type(b"m")
        program.until("refused")
        program.type(b"ake\r")
        program.until("pulled", 30)
        program.type(b" ")  # there are still keys
        program.until("pause")
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait() == "143"
        program.type(b"after\n")
        assert program.read() == b"after\n"


def test_ctrl_c_gets_through_a_paste_that_fills_the_terminals_queue() -> None:
    with running() as program:
        program.type(b"x" * 4096 + b"\x03")
        program.until("cancelled")
        assert program.wait() == "130"


# ---- the mode is put back

STUCK = """
import termios
def source():
    while termios.tcgetattr(0)[3] & termios.ECHO:
        yield Arrival()
        time.sleep(0.01)
    tell("stuck")
    while True:  # not signal.pause(): the handler of a signal just before it would wait for another
        time.sleep(0.05)
"""
BROKEN = """
def broken(self, arrival):
    if arrival.events: raise ZeroDivisionError
Screen.write = broken
"""
LEAVING = """
def leaving(self, arrival):
    if arrival.events: raise SystemExit(7)
Screen.write = leaving
"""
ONCE = """
go_on = iter(source())
def source():
    yield from (next(go_on) for _ in range(20))
"""


GRACEFUL = [
    pytest.param("", [b"\x03"], "130", id="ctrl-c"),
    pytest.param("", [b"\x13", ESCAPE], "130", id="stopped-by-ctrl-s"),
    pytest.param(BROKEN, [b"r"], "1", id="exception-in-the-sink"),
    pytest.param(LEAVING, [b"r"], "7", id="system-exit"),
    pytest.param(ONCE, [], "0", id="end"),
]
AT_ONCE = [
    pytest.param(STUCK, [b"\x03", b"\x03"], "130", id="forced"),
    pytest.param("", [b"\x1c"], "-3", id="sigquit"),
    pytest.param("", [b" ", b"\x1c"], "-3", id="sigquit-in-a-pause"),
    pytest.param(STUCK, [b"\x1c"], "-3", id="sigquit-while-stuck"),
    pytest.param(STUCK, [b"\x13", b"\x1c"], "-3", id="sigquit-stopped-by-ctrl-s"),
]


def leave(program: Job, setup: str, typed: list[bytes]) -> str:
    """Type that, as soon as the keys are taken; the status it ended with."""
    program.until("stuck" if setup == STUCK else "pulled")
    if setup not in {STUCK, ONCE}:
        program.until_taken_over()
    ended = program.begin("wait")
    answers = {b"\x03": "cancelled", b" ": "pause"}
    for key in typed:
        program.type(key)
        if key in answers:
            program.until(answers.pop(key))
    return ended()


@pytest.mark.parametrize(("setup", "typed", "status"), [*GRACEFUL, *AT_ONCE])
def test_every_way_out_puts_the_mode_back(setup: str, typed: list[bytes], status: str) -> None:
    with job(setup) as program:
        assert leave(program, setup, typed) == status
        assert program.mode == program.before


@pytest.mark.parametrize(("setup", "typed", "status"), AT_ONCE)
def test_an_end_at_once_gives_back_the_whole_screen(
    setup: str, typed: list[bytes], status: str
) -> None:
    with job(setup) as program:
        leave(program, setup, typed)
        given_back = b"\x1b[?2026l\x1b[?7h\x1b[0m\r\n"
        assert program.output(len(given_back)) == given_back


# ---- job control


def test_ctrl_z_takes_the_drawing_away_and_stops_and_fg_goes_on() -> None:
    with running() as program:
        ended = program.begin("wait")
        for _ in range(2):
            program.type(b"\x1a")
            assert ended() == "stopped"
            assert program.mode == program.before
            assert program.until("suspend")[-1] == "suspend"
            ended = program.begin("fg")
            assert program.until("continue") == ["continue"]
            program.until_taken_over()
        program.type(b"r")
        program.until("reasoning")


def test_ctrl_z_in_a_pause_comes_back_to_the_pause() -> None:
    with running() as program:
        program.type(b" ")
        program.until("pause")
        program.type(b"\x1a")
        assert program.wait() == "stopped"
        assert program.mode == program.before
        program.begin("fg")
        program.until("continue")
        assert program.until("heartbeat", 3) == ["heartbeat"] * 3
        program.type(b" ")
        program.until("go_on")


def test_a_second_ctrl_z_stops_what_has_no_heartbeat() -> None:
    """The note of the first one waits for an arrival that does not come."""
    noted = "first = signal.signal\n" + STUCK
    noted += (
        "def handling(number, handler):\n"
        " def told(*arguments):\n  handler(*arguments); tell('noted')\n"
        " return first(number, told if number == signal.SIGTSTP and callable(handler)"
        " and handler != signal.SIG_DFL else handler)\n"
        "signal.signal = handling\n"
    )
    with job(noted) as program:
        program.until("stuck")
        program.type(b"\x1a")
        program.until("noted")
        program.type(b"\x1a")
        assert program.wait() == "stopped"
        assert program.mode == program.before
        assert b"\x1b[?7h" in program.output(19)


def test_a_second_ctrl_z_while_the_drawing_is_taken_away_stops_once() -> None:
    """A terminal that is not read may hold that up."""
    held = """
taken = []
signal.signal(signal.SIGUSR1, lambda *_: taken.append(True))
write = Screen.write
def held(self, arrival):
    write(self, arrival)
    while "suspend" in pressed(arrival) and not taken:
        time.sleep(0.01)
Screen.write = held
"""
    with running(held) as program:
        program.type(b"\x1a")
        program.until("suspend")
        program.type(b"\x1a")
        assert program.wait() == "stopped"
        assert program.mode == program.before
        ended = program.begin("fg")
        os.kill(program.pid, signal.SIGUSR1)
        program.until("continue")
        program.until_taken_over()
        program.type(ESCAPE)
        assert ended() == "130"


def test_a_stop_that_nobody_announced_is_told_when_it_is_over() -> None:
    """`kill -STOP`: what was drawn last may be gone."""
    with running() as program:
        os.kill(program.pid, signal.SIGSTOP)
        assert program.wait() == "stopped"
        program.begin("fg")
        told = program.until("continue")
        assert "suspend" not in told


def test_a_job_in_the_background_leaves_the_terminal_alone_until_it_comes_forward() -> None:
    with job(place="background") as program:
        program.until("pulled", 20)
        assert program.mode == program.before
        ended = program.begin("fg")
        program.until_taken_over()
        program.type(ESCAPE)
        assert ended() == "130"
        assert program.mode == program.before


def test_a_job_in_the_background_reads_no_keys() -> None:
    with job(place="background") as program:
        program.type(b"q\n")
        assert "cancelled" not in program.until("pulled", 20)


def test_a_mode_that_the_shell_has_set_meanwhile_is_the_one_put_back() -> None:
    with running() as program:
        program.type(b"\x1a")
        assert program.wait() == "stopped"
        mode = program.mode
        mode[0] &= ~termios.IXON
        termios.tcsetattr(program.controller, termios.TCSANOW, mode)
        ended = program.begin("fg")
        program.until("continue")
        program.until_taken_over()
        program.type(ESCAPE)
        assert ended() == "130"
        assert program.mode == mode


def test_a_stop_signal_that_was_ignored_stays_ignored() -> None:
    with running("signal.signal(signal.SIGTSTP, signal.SIG_IGN)") as program:
        program.type(b"\x1a")
        program.type(ESCAPE)
        told = program.until("cancelled")
        assert "suspend" not in told
        assert program.wait() == "130"


def test_a_job_of_a_shell_without_job_control_takes_no_keys() -> None:
    """Such a shell runs `chatstream … &` in its own process group, with SIGINT ignored."""
    with job("signal.signal(signal.SIGINT, signal.SIG_IGN)") as program:
        program.type(b"q\n")
        assert "cancelled" not in program.until("pulled", 20)
        assert program.mode == program.before


# ---- without a terminal


def test_without_a_terminal_everything_passes_as_it_is() -> None:
    """In a session of its own there is none."""
    program = """
import signal
from chatstream.cancel import CancelToken
from chatstream.terminal.keyboard import Keyboard
from chatstream.terminal.shortcuts import keys
keyboard, events = Keyboard(), iter(())
keyboard.restore()
with keys(CancelToken(), keyboard) as stage:
    assert stage(events) is events
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
assert keyboard.key() == ""
"""
    subprocess.run(
        [sys.executable, "-c", program], start_new_session=True, check=True, timeout=LIMIT, cwd=ROOT
    )


def test_a_terminal_that_hangs_up_in_a_pause_ends_the_pause() -> None:
    """Where SIGHUP is ignored (`nohup`) the answer goes on without anyone at the keys."""
    with running("signal.signal(signal.SIGHUP, signal.SIG_IGN)") as program:
        program.type(b" ")
        program.until("pause")
        hung_up, other = pty.openpty()
        os.dup2(hung_up, program.controller)  # closes the controller of the job's terminal
        program.until("go_on")
        program.until("pulled", 3)
        os.close(hung_up)
        os.close(other)


def test_the_handlers_that_were_there_are_put_back() -> None:
    setup = """
mine = lambda *_: None
numbers = [signal.SIGTSTP, signal.SIGCONT, signal.SIGQUIT]
for number in numbers:
    signal.signal(number, mine)
import atexit
atexit.register(lambda: tell(str([signal.getsignal(n) is mine for n in numbers])))
"""
    with running(setup) as program:
        program.type(ESCAPE)
        program.until("[True, True, True]")


# ---- the silence of a pause


@pytest.mark.parametrize("seconds", [10.0, 1e6])
def test_a_pause_is_no_silence_of_the_server(seconds: float) -> None:
    """Through the whole pipeline, with limits of 5 s between tokens and 8 s in all."""
    go_on = threading.Event()
    body = [*frames("ollama"), *ending("ollama")]
    with Script(Reply(body, headers=headers("ollama"), hold={1: go_on})) as server:
        setup = f"""
def source():
    flags = dict(provider="ollama", model="m", base_url={server.url!r}, journal=False,
                 retries=0, idle_timeout=5.0, timeout=8.0)
    return Client(**flags).run("hi", token=token).arrivals
write = Screen.write
def paused(self, arrival):
    if "pause" in pressed(arrival):
        ahead[0] += {seconds}
    write(self, arrival)
Screen.write = paused
"""
        with job(setup) as program:
            program.until("Content")
            program.until_taken_over("heartbeat")
            program.type(b" ")
            program.until("pause")
            program.until("heartbeat", 2)
            program.type(b" ")
            program.until("go_on")
            program.until("heartbeat", 3)  # the server is looked at, and still silent
            go_on.set()
            assert "Error" not in program.until("Done")
            assert program.wait() == "0"

"""The process of a tools file, from its start to its end, as this side sees it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatstream.errors import UsageError
from chatstream.tools.process import Gone, Process
from chatstream.tools.protocol import Call, Check, Checked, Ended, Output, Ready
from tests.support.toolcalls import LIMIT

CODE = """
import os, signal, sys, time
stubborn = False

def who():
    return [os.getpid(), os.getpgrp(), os.getsid(0)]

def open_files():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return found

def path():
    return sys.path

def wait():
    sys.stdout.write("waiting\\n")  # at once: print writes twice
    time.sleep(1000)

def stays():
    import atexit
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer = lambda *_: None
    atexit.register(time.sleep, 1000)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    path = tmp_path / "own_tools.py"
    path.write_text(CODE)
    made = Process(path)
    assert isinstance(made.loaded.get(LIMIT), Ready)
    yield made
    made.close()


def call(process: Process, name: str) -> object:
    _, answers = process.ask(lambda number: Call(number, name, {}, "c"))
    ended = answers.get(LIMIT)
    assert isinstance(ended, Ended)
    return ended.value


def test_it_has_a_session_of_its_own(process: Process) -> None:
    found = call(process, "who")
    assert isinstance(found, list)
    pid, group, session = found
    assert pid == group == session != os.getpid()


def test_it_imports_from_where_this_program_does(process: Process) -> None:
    found = call(process, "path")
    assert isinstance(found, list)
    assert found[1:] == sys.path  # the first one is the folder of the file


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_it_inherits_nothing_that_is_open_here(tmp_path: Path) -> None:
    path = tmp_path / "own_tools.py"
    path.write_text(CODE)
    with socket.socket() as ours, path.open() as file:
        os.set_inheritable(ours.fileno(), True)
        os.set_inheritable(file.fileno(), True)
        process = Process(path)
        process.loaded.get(LIMIT)
        found = call(process, "open_files")
        process.close()
    assert isinstance(found, list)
    assert not [it for it in found if it.startswith("socket:") or it == str(path)]


def test_answers_go_to_those_who_asked(process: Process) -> None:
    asked = [process.ask(lambda number: Check(number, "who", {})) for _ in range(50)]
    assert len({number for number, _ in asked}) == 50
    for number, answers in asked:
        assert answers.get(LIMIT) == Checked(number, None)


def test_what_nobody_waits_for_any_more_is_dropped(process: Process) -> None:
    number, answers = process.ask(lambda number: Call(number, "who", {}, "c"))
    process.forget(number)
    process.forget(number)
    assert call(process, "who")
    assert answers.empty()


def test_the_end_is_told_to_everybody_once(process: Process) -> None:
    number, answers = process.ask(lambda number: Call(number, "wait", {}, "c"))
    assert answers.get(LIMIT) == Output(number, "waiting\n")
    process.signal(signal.SIGKILL)
    gone = Gone("it was killed by SIGKILL")
    assert answers.get(LIMIT) == gone
    assert process.gone == gone
    _, late = process.ask(lambda number: Check(number, "who", {}))
    assert late.get(LIMIT) == gone
    process.signal(signal.SIGKILL)  # reaches nobody
    process.close()


def test_what_is_no_report_is_the_end(tmp_path: Path) -> None:
    path = tmp_path / "own_tools.py"
    path.write_text(
        "import os\n"
        "def writes():\n    for pipe in range(3, 20):\n        try:\n"
        "            os.write(pipe, b'no report\\n')\n        except OSError:\n            pass\n"
    )
    process = Process(path)
    process.loaded.get(LIMIT)
    _, answers = process.ask(lambda number: Call(number, "writes", {}, "c"))
    gone = answers.get(LIMIT)
    assert isinstance(gone, Gone)
    assert gone.why.startswith("it was killed by SIGKILL")  # its last words may be that text
    process.close()


def test_closing_it_ends_its_calls_and_leaves_no_thread(process: Process) -> None:
    before = {it for it in threading.enumerate() if it.name.startswith("tools file")}
    assert len(before) == 2
    _, answers = process.ask(lambda number: Call(number, "wait", {}, "c"))
    answers.get(LIMIT)
    process.close()
    for thread in before:
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert isinstance(answers.get(LIMIT), Gone)
    process.close()


def test_what_does_not_end_by_itself_is_killed(process: Process) -> None:
    assert call(process, "stays") is None
    process.close()
    assert process.gone == Gone("it was killed by SIGKILL")


def test_closing_from_several_threads_is_closing_once(process: Process) -> None:
    threads = [threading.Thread(target=process.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()
    assert process.gone is not None


def test_no_process_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UsageError, match="no process for tools can be started"):
        Process(tmp_path / "own_tools.py")


def test_an_order_that_the_process_never_reads_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "own_tools.py"
    path.write_text("import os, signal\ndef a(text: str = ''): ...\n")
    process = Process(path)
    process.loaded.get(LIMIT)
    process.signal(signal.SIGSTOP)

    def large(number: int) -> Check:
        return Check(number, "a", {"text": "x" * 1_000_000})

    answers = [process.ask(large)[1] for _ in range(3)]  # more than a pipe holds
    process.signal(signal.SIGKILL)
    for it in answers:
        assert isinstance(it.get(LIMIT), Gone)
    process.close()

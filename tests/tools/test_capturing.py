"""Whose the output is, while several functions of one process print."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.toolcalls import LIMIT, FromFile

Make = Callable[[str], FromFile]

HEAD = f"""
import asyncio, os, subprocess, sys, threading
from chatstream import Context
both = threading.Barrier(2)

def meet():
    both.wait({LIMIT})
"""


def test_calls_that_overlap_are_told_apart(from_file: Make) -> None:
    file = from_file(
        f"""{HEAD}
def prints(word: str) -> None:
    for number in range(100):
        meet()
        print(word, number)
        print(word, "error", number, file=sys.stderr)
"""
    )
    calls = {word: file.start("prints", word=word) for word in ("left", "right")}
    for word, call in calls.items():
        call.end()
        assert call.said.text == "".join(f"{word} {n}\n{word} error {n}\n" for n in range(100))


def test_an_asyncio_task_prints_for_its_call(from_file: Make) -> None:
    file = from_file(
        f"""{HEAD}
async def prints(word: str) -> None:
    async def inner():
        await asyncio.sleep(0)
        sys.stdout.write(f"task {{word}}\\n")  # in one piece: both belong to one call
    def blocking():
        meet()
        sys.stdout.write(f"thread {{word}}\\n")
    await asyncio.gather(inner(), asyncio.to_thread(blocking))
    meet()
"""
    )
    calls = {word: file.start("prints", word=word) for word in ("left", "right")}
    for word, call in calls.items():
        call.end()
        assert sorted(call.said.text.splitlines()) == [f"task {word}", f"thread {word}"]


WAYS = {
    "write": "os.write(1, b'here\\n')",
    "error": "os.write(2, b'here\\n')",
    "program": "subprocess.run(['echo', 'here'])",
    "shell": "os.system('echo here >&2')",
    "given": "subprocess.run(['echo', 'here'], stdout=sys.stdout, stderr=sys.stderr)",
    "buffer": "sys.stdout.buffer.write(b'here\\n')",
    "original": "os.write(sys.__stdout__.fileno(), b'here\\n')",
    "thread": "run_thread()",
    "fork": "run_fork()",
}
MORE = """
def run_thread():
    thread = threading.Thread(target=print, args=["here"])
    thread.start()
    thread.join()

def run_fork():
    if (child := os.fork()) == 0:
        print("here", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("way", WAYS)
def test_what_goes_around_python_is_the_only_call_s(from_file: Make, way: str) -> None:
    file = from_file(f"{HEAD}{MORE}\ndef work():\n    {WAYS[way]}\n    return 'end'\n")
    call = file.start("work")
    assert call.end() == "end"
    assert call.said.text == "here\n"


def test_what_a_program_writes_comes_before_what_is_printed_after_it(from_file: Make) -> None:
    file = from_file(
        f"""{HEAD}
def work():
    for number in range(20):
        print("before", number)
        subprocess.run(["echo", "program"])
        print("after", number)
"""
    )
    call = file.start("work")
    call.end()
    assert call.said.text == "".join(f"before {n}\nprogram\nafter {n}\n" for n in range(20))


def test_what_could_be_anybody_s_goes_to_the_log(
    from_file: Make, caplog: pytest.LogCaptureFixture
) -> None:
    file = from_file(
        f"""{HEAD}
def writes():
    meet()
    os.write(1, b"whose is it?\\n")
    meet()
"""
    )
    with caplog.at_level("INFO", "chatstream.tools"):
        calls = [file.start("writes"), file.start("writes")]
        for call in calls:
            call.end()
            assert call.said.text == ""
    assert "printed by no call: whose is it?" in caplog.text


def test_what_a_file_prints_while_it_is_loaded_goes_to_the_log(
    from_file: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "chatstream.tools"):
        file = from_file("print('loading')\ndef work(): ...\n")
        file.call("work")
    assert "printed by no call: loading" in caplog.text


def test_a_thread_that_outlives_its_call_prints_for_no_call(
    from_file: Make, caplog: pytest.LogCaptureFixture
) -> None:
    file = from_file(
        f"""{HEAD}
go_on, done = threading.Event(), threading.Event()

def leaves(told: Context):
    def later():
        go_on.wait({LIMIT})
        told.output("too late")
        print("later")
        done.set()
    threading.Thread(target=later).start()

def lets():
    go_on.set()
    return done.wait({LIMIT})
"""
    )
    left = file.start("leaves")
    left.end()
    other = file.start("lets")
    assert other.end() is True
    assert left.said.text == ""
    assert other.said.text == "later\n"  # it was the only call that ran


def test_standard_output_is_no_terminal_and_takes_text_alone(from_file: Make) -> None:
    file = from_file(
        f"""{HEAD}
def work():
    try:
        sys.stdout.write(b"bytes")
    except TypeError as error:
        print(error)
    sys.stdout.writelines(["a", "b"])
    sys.stdout.flush()
    return [sys.stdout.isatty(), sys.stdout.writable(), sys.stdout.encoding, sys.stdin.read()]
"""
    )
    call = file.start("work")
    assert call.end() == [False, True, "utf-8", ""]
    assert call.said.text == "write() argument must be str, not bytes\nab"

"""How a call is heard: in its order, in large lines, and within bounds."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.errors import Cancelled
from chatstream.tools import protocol
from chatstream.tools.protocol import BATCH, WINDOW, Advanced, Ended, Output, Report
from chatstream.tools.speaking import Speaker, Voice
from tests.support.toolcalls import LIMIT


class Pipe:
    """A speaker, and the other end of its pipe."""

    def __init__(self) -> None:
        end, start = os.pipe()
        self.speaker = Speaker(start)
        self.start = start
        self.reports = os.fdopen(end, "rb")

    def read(self) -> Report:
        return protocol.decode_report(self.reports.readline())


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.reports.close()
    os.close(made.start)


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_what_a_call_says_arrives_in_its_order(pipe: Pipe) -> None:
    voice = Voice(1, pipe.speaker, CancelToken())
    voice.output("a")
    voice.say(Advanced(1, 0.5, None, None))
    voice.output("b")
    voice.end(Ended(1, "c"))
    text = ""
    while not isinstance(report := pipe.read(), Ended):
        text += report.text if isinstance(report, Output) else "|"
    assert (text, report) == ("a|b", Ended(1, "c"))


def test_texts_are_joined_while_the_pipe_is_busy(pipe: Pipe) -> None:
    voice = Voice(1, pipe.speaker, CancelToken())
    voice.output("x" * BATCH)  # more than the pipe holds with its quotes: the speaker waits
    for _ in range(1000):
        voice.output("y")
    voice.end(Ended(1))
    sizes = []
    while isinstance(report := pipe.read(), Output):
        sizes.append(report.size)
    assert sum(sizes) == BATCH + 1000
    assert len(sizes) <= 4
    assert max(sizes) <= BATCH


def test_a_call_waits_while_too_much_is_under_way(pipe: Pipe) -> None:
    voice = Voice(1, pipe.speaker, CancelToken())
    thread = in_thread(lambda: voice.output("x" * 4 * WINDOW))
    read = taken = 0
    while read < 4 * WINDOW:
        if read - taken >= WINDOW:  # nothing more comes until some of it is taken
            assert thread.is_alive()
            voice.taken(read - taken)
            taken = read
        report = pipe.read()
        assert isinstance(report, Output)
        read += report.size
        assert read - taken <= WINDOW + BATCH
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_a_call_that_waits_holds_up_no_other(pipe: Pipe) -> None:
    first, second = (Voice(number, pipe.speaker, CancelToken()) for number in (1, 2))
    thread = in_thread(lambda: first.output("x" * 2 * WINDOW))
    read = 0
    while read < WINDOW:
        report = pipe.read()
        assert isinstance(report, Output)
        read += report.size
    second.output("heard")
    assert pipe.read() == Output(2, "heard")
    first.end()
    thread.join(LIMIT)


def test_a_stop_ends_the_wait_with_its_reason(pipe: Pipe) -> None:
    token = CancelToken()
    voice = Voice(1, pipe.speaker, token)
    raised = []

    def flood() -> None:
        try:
            voice.output("x" * 2 * WINDOW)
        except Cancelled as error:
            raised.append(error.message)

    thread = in_thread(flood)
    read = 0
    while read < WINDOW:
        report = pipe.read()
        assert isinstance(report, Output)
        read += report.size
    token.cancel(Cancelled("stopped"))
    thread.join(LIMIT)
    assert raised == ["stopped"]
    with pytest.raises(Cancelled):
        voice.output("more")


def test_after_its_end_a_call_is_silent(pipe: Pipe) -> None:
    voice = Voice(1, pipe.speaker, CancelToken())
    voice.end(Ended(1))
    voice.output("a thread that it left behind")
    voice.say(Advanced(1, 1.0, None, None))
    pipe.speaker.say(Ended(2))
    assert [pipe.read(), pipe.read()] == [Ended(1), Ended(2)]


def test_the_end_of_a_call_ends_the_wait_of_its_threads(pipe: Pipe) -> None:
    voice = Voice(1, pipe.speaker, CancelToken())
    thread = in_thread(lambda: voice.output("x" * 2 * WINDOW))
    read = 0
    while read < WINDOW:
        report = pipe.read()
        assert isinstance(report, Output)
        read += report.size
    voice.end()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_text_that_no_encoding_takes_is_spelled_out(pipe: Pipe) -> None:
    Voice(1, pipe.speaker, CancelToken()).output("a\ud800b\udce9c\r\n")
    assert pipe.read() == Output(1, "a\\ud800b\\xe9c\r\n")


def test_progress_without_end_is_held_back_too(pipe: Pipe) -> None:
    voice = Voice(1, pipe.speaker, CancelToken())
    said = []

    def report() -> None:
        for number in range(WINDOW):
            voice.say(Advanced(1, number, None, None))
            said.append(number)

    thread = in_thread(report)
    size, done = 0, 0.0
    while size < WINDOW:
        told = pipe.read()
        assert isinstance(told, Advanced)
        size, done = size + told.size, told.done
    voice.end()
    thread.join(LIMIT)
    assert done < 2000


def test_a_reader_that_is_gone_ends_the_speaker_quietly() -> None:
    end, start = os.pipe()
    os.close(end)
    before = set(threading.enumerate())
    speaker = Speaker(start)
    (thread,) = set(threading.enumerate()) - before
    speaker.say(Ended(1))
    thread.join(LIMIT)
    assert not thread.is_alive()
    os.close(start)


def test_an_interrupt_while_it_takes_its_lock_leaves_no_lock_taken(pipe: Pipe) -> None:
    """An exception can be raised wherever a Python function is entered or left."""

    def interrupt(frame: FrameType, event: str, arg: object) -> Any:
        if event == "return" and frame.f_code.co_name == "__enter__":
            raise KeyboardInterrupt
        return interrupt

    voice = Voice(1, pipe.speaker, CancelToken())
    interrupted, over = threading.Event(), threading.Event()

    def say() -> None:
        with suppress(KeyboardInterrupt):
            sys.settrace(interrupt)
            voice.output("text")
        sys.settrace(None)
        interrupted.set()
        over.wait(LIMIT)  # the lock would count as that of the next thread with the same number

    saying = in_thread(say)
    assert interrupted.wait(LIMIT)
    other = in_thread(lambda: voice.taken(0))
    other.join(LIMIT)
    is_stuck = other.is_alive()
    over.set()
    saying.join(LIMIT)
    assert not is_stuck

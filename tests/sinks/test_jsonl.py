"""Claimed: every event is one line of JSON, written with the read that it came with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chatstream.events import AnyEvent, Content, Event, Metadata, decode
from chatstream.flow import Pulse, drive
from chatstream.sinks.jsonl import JsonlSink
from chatstream.sinks.output import Output


class Reader:
    """The other end of the sink's pipe."""

    def __init__(self) -> None:
        self.end, self._write_end = os.pipe()
        os.set_blocking(self.end, False)
        self.output = Output(self._write_end)

    def new(self) -> bytes:
        """What was written since the last look."""
        try:
            return os.read(self.end, 65_536)
        except BlockingIOError:
            return b""

    def leave(self) -> None:
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def close(self) -> None:
        self.leave()
        os.close(self._write_end)


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


def events_of(lines: bytes) -> list[AnyEvent]:
    assert lines.endswith(b"\n")
    return [decode(line) for line in lines[:-1].split(b"\n")]


def test_events_wait_for_the_flush_and_come_in_order(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Metadata(seq=0))
    sink.write(Content("a\nb", seq=1))
    assert reader.new() == b""
    sink.flush()
    assert events_of(reader.new()) == [Metadata(seq=0), Content("a\nb", seq=1)]


def test_a_flush_of_nothing_writes_nothing(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.flush()
    sink.close()
    assert reader.new() == b""


def test_close_writes_what_is_held_once_and_leaves_the_output_open(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Content("a"))
    sink.close()
    sink.close()
    assert events_of(reader.new()) == [Content("a")]
    reader.output.write(b"still open")
    assert reader.new() == b"still open"


def test_a_pulse_is_never_a_line(reader: Reader) -> None:
    events: list[Event] = [Content("a"), Pulse(), Content("b"), Pulse(), Pulse()]
    drive(iter(events), JsonlSink(reader.output))
    assert events_of(reader.new()) == [Content("a"), Content("b")]


def test_control_characters_and_u2028_are_inside_one_line(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Content("\x1b[31m\r\n\u2028\u0085\x00"))
    sink.close()
    line = reader.new()
    assert b"\x1b" not in line
    assert events_of(line) == [Content("\x1b[31m\r\n\u2028\u0085\x00")]


def test_what_a_broken_pipe_refused_is_not_tried_again(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Content("a"))
    reader.leave()
    with pytest.raises(BrokenPipeError):
        sink.flush()
    sink.close()

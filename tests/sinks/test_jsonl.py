"""Claimed: every event is one line of JSON, written with the read that it came with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chatstream.events import AnyEvent, Content, Metadata, decode
from chatstream.flow import Arrival, drive
from chatstream.sinks.jsonl import JsonlSink
from chatstream.sinks.output import Output
from tests.support.arrivals import each


class Counted(Output):
    """Counts the calls."""

    calls = 0

    def write(self, data: bytes) -> None:
        self.calls += 1
        super().write(data)


class Reader:
    """The other end of the sink's pipe."""

    def __init__(self) -> None:
        self.end, self._write_end = os.pipe()
        os.set_blocking(self.end, False)
        self.output = Counted(self._write_end)

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


def test_an_arrival_is_written_at_once_in_order_and_with_one_call(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Arrival([Metadata(seq=0), Content("a\nb", seq=1)]))
    assert events_of(reader.new()) == [Metadata(seq=0), Content("a\nb", seq=1)]
    assert reader.output.calls == 1


def test_a_run_of_nothing_writes_nothing(reader: Reader) -> None:
    drive(each(Arrival()), JsonlSink(reader.output))
    assert (reader.new(), reader.output.calls) == (b"", 0)


def test_close_writes_nothing_again_and_leaves_the_output_open(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Arrival([Content("a")]))
    sink.close()
    sink.close()
    assert events_of(reader.new()) == [Content("a")]
    reader.output.write(b"still open")
    assert reader.new() == b"still open"


def test_a_heartbeat_is_never_a_line(reader: Reader) -> None:
    run = each(Content("a"), Arrival(), Content("b"), Arrival(), Arrival(alive=True))
    drive(run, JsonlSink(reader.output))
    assert events_of(reader.new()) == [Content("a"), Content("b")]


def test_control_characters_and_u2028_are_inside_one_line(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    sink.write(Arrival([Content("\x1b[31m\r\n\u2028\u0085\x00")]))
    sink.close()
    line = reader.new()
    assert b"\x1b" not in line
    assert events_of(line) == [Content("\x1b[31m\r\n\u2028\u0085\x00")]


def test_what_a_broken_pipe_refused_is_not_tried_again(reader: Reader) -> None:
    sink = JsonlSink(reader.output)
    reader.leave()
    with pytest.raises(BrokenPipeError):
        sink.write(Arrival([Content("a")]))
    sink.close()

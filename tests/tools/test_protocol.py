"""The messages between a tools file's process and its parent: one line each, and whole."""

from __future__ import annotations

import json

import msgspec
import pytest

from chatstream.messages import ToolDefinition
from chatstream.tools import protocol
from chatstream.tools.protocol import (
    Advanced,
    Call,
    Check,
    Checked,
    Defined,
    Ended,
    Interrupt,
    NextStage,
    Order,
    Output,
    Planned,
    Ready,
    Report,
    Said,
    Stop,
    Taken,
    Unusable,
)

ORDERS: list[Order] = [
    Check(1, "f", {"a": [1, {"b": None}]}),
    Call(2, "f", {}, "call00001"),
    Taken(3, 65536),
    Stop(4),
    Interrupt(5),
]
REPORTS: list[Report] = [
    Ready(0, (Defined(ToolDefinition("f", "", {"type": "object"}), "read"),)),
    Unusable(0, "line 3: it is wrong", None, "Traceback"),
    Checked(1, None),
    Checked(1, "Expected `int`"),
    Output(2, "two\nlines\u2028and more"),
    Advanced(2, 0.5, 1.0, None),
    Planned(2, (("a", 1.0), ("b", 2.0))),
    NextStage(2),
    Ended(2, {"any": "thing"}),
    Ended(2, error="ValueError: bad"),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda it: type(it).__name__)
def test_an_order_arrives_as_it_was_sent(order: Order) -> None:
    line = protocol.encode(order)
    assert b"\n" not in line
    assert protocol.decode_order(line) == order
    assert json.loads(line)[:2] == [type(order).__name__, order.number]


@pytest.mark.parametrize("report", REPORTS, ids=lambda it: type(it).__name__)
def test_a_report_arrives_as_it_was_sent(report: Report) -> None:
    line = protocol.encode(report)
    assert b"\n" not in line
    assert protocol.decode_report(line) == report
    assert json.loads(line)[:2] == [type(report).__name__, report.number]


def test_an_order_is_no_report() -> None:
    with pytest.raises(msgspec.ValidationError):
        protocol.decode_report(protocol.encode(Stop(1)))


@pytest.mark.parametrize("said", [it for it in REPORTS if isinstance(it, Said)], ids=repr)
def test_whatever_a_tool_can_repeat_takes_room(said: Said) -> None:
    assert 0 < said.size <= protocol.BATCH

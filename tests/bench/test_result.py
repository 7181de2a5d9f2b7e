"""What is exported can be read again."""

from __future__ import annotations

import math

import msgspec
import pytest

from chatstream.bench.result import Result, Sample, Stall, decode, encode
from tests.support.results import result


def test_a_result_that_was_written_can_be_read_again() -> None:
    told = result(n=5, arms=2)
    assert decode(encode(told)) == told


def test_a_result_is_one_event_of_one_line() -> None:
    line = encode(result(n=3))
    assert b"\n" not in line
    assert msgspec.json.decode(line)["type"] == "result"


def test_an_infinite_figure_is_none_in_json() -> None:
    sample = Sample(number=0, arm="m", ttft=math.inf)
    again = decode(
        encode(Result(version=1, chatstream="1", started_at="", target="", samples=[sample]))
    )
    assert again.samples[0].ttft is None


def test_fields_of_a_later_version_are_ignored() -> None:
    later = msgspec.json.decode(encode(result(n=1))) | {"new": {"field": 1}}
    assert decode(msgspec.json.encode(later)).samples


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"type":"done"}', '{"type":"result"}', "nonsense"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a result"):
        decode(text)


def test_a_sample_knows_its_gaps_and_its_connecting() -> None:
    sample = Sample(number=0, arm="m", arrivals=[0.5, 0.75, 1.75], dns=0.25, tcp=0.5)
    assert sample.gaps == [0.25, 1.0]
    assert sample.connect == 0.75
    assert Sample(number=0, arm="m").connect is None
    assert Sample(number=0, arm="m", stalls=[Stall(0.5, 1.0)]).gaps == []

"""Claimed: every event survives its own JSON, and the published schema describes it."""

from __future__ import annotations

import json
from typing import Any, get_args

import jsonschema
import pytest

from chatstream import events as ev

COUNTS = ev.Counts(1, 2, 3, 4, 0.5)
STATS = ev.Stats(1.5, 3, 0.5, 2.0, ev.ServerTimes(1.0, 0.1, 0.2, 0.7))
BARE = ev.Stats(0.0, 0)

SAMPLES: list[ev.AnyEvent] = [
    ev.Metadata(seq=0, t=0.0, version=1, run="r", started_at="2026-01-01T00:00:00.000Z"),
    ev.Metadata(provider="p", model="m", request_id="q", attempt=2, restart=True),
    ev.Metadata(run="r", labels=ev.Labels(project="p", agent="a")),
    ev.Content("a", stream="qwen3:4b"),
    ev.Content("é日😀\u2028\x1b\x00\n"),
    ev.Reasoning("r", seq=7, t=1.25),
    ev.ReasoningData(provider_data={"signature": "é=="}),
    ev.ToolCallDelta("i", "n", '{"x":'),
    ev.ToolCall("i", "n", "{}", {"extra_content": {"x": [1, None]}}),
    ev.ToolCall("i", "n", "{}"),
    ev.Citation("https://a.example/1", "A", 1),
    ev.Citation("u"),
    ev.Image("image/png", "iVBORw0KGgo="),
    ev.Image(url="https://a.example/i.png"),
    ev.Approval("i", "n", "allow", "user", {"x": [1, None]}),
    ev.Approval("i", "n", "ask", "default", replayed=True),
    ev.ToolStart("i", "n", {"x": [1, None, {"y": "z"}]}, "write"),
    ev.ToolStart("i", "n"),
    ev.ToolProgress("i", "n", 50.0, "half", 1.5),
    ev.ToolProgress("i", "n", message="stopping"),
    ev.ToolOutput("i", "n", "o"),
    ev.ToolComplete("i", "n", "r", 0.5),
    ev.ToolComplete("i", "n", "r", 0.5, "ok", 2),
    ev.ToolError("i", "n", "e", 0.5),
    ev.ToolError("i", "n", "e", 0.5, "unknown", "interrupted", "longer"),
    ev.Progress("s", 1.0),
    ev.Progress("s", 1.0, 2.0, 50.0, "m", 3.0, 4.0),
    ev.Waiting("first_token", 1.5, 5.0, True),
    ev.Waiting("connect", 1.0),
    ev.Retry(attempt=2, max=3, delay=0.5, cause="c", status=429, emitted_chars=1, action="reset"),
    ev.Retry(attempt=2, max=3, delay=0.5, cause="c", action="continue"),
    ev.Fallback("a", "b", "c"),
    ev.Analysis(ev.TextFigures(words=2, keywords={"é": 2}, plugins={"p": {"a": [1]}}), final=True),
    ev.Context(window=8192, used=7000, left_out=2),
    ev.Warn("c", "m"),
    ev.Usage(1, 2, 3, 4, 0.5),
    ev.Usage(),
    ev.Done(
        finish_reason="length", raw_finish_reason="r", usage=COUNTS, stats=STATS, attempts=2
    ),
    ev.Done(finish_reason="stop", stats=BARE, attempts=1),
    ev.Error("c", "m", True, True, 500, "h", "chatstream resume r", "q", STATS),
    ev.Error("c", "m", recoverable=False, partial=False),
]  # fmt: skip
VALIDATOR = jsonschema.Draft202012Validator(ev.json_schema())


def tag(event: ev.Event) -> str:
    return str(event.__struct_config__.tag)


def loads(line: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(line)
    return value


def test_there_is_a_sample_of_every_type() -> None:
    assert {type(sample) for sample in SAMPLES} == set(get_args(ev.AnyEvent))


@pytest.mark.parametrize("event", SAMPLES, ids=tag)
def test_an_event_survives_its_own_json(event: ev.AnyEvent) -> None:
    assert ev.decode(ev.encode(event)) == event
    assert ev.decode(ev.encode(event).decode()) == event


@pytest.mark.parametrize("event", SAMPLES, ids=tag)
def test_an_event_is_one_line_that_any_json_reader_takes(event: ev.AnyEvent) -> None:
    line = ev.encode(event)
    assert b"\n" not in line
    assert loads(line)["type"] == tag(event)


@pytest.mark.parametrize("event", SAMPLES, ids=tag)
def test_the_schema_describes_every_event(event: ev.AnyEvent) -> None:
    VALIDATOR.validate(loads(ev.encode(event)))


def test_the_schema_is_one_and_tells_its_version() -> None:
    schema = ev.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["version"] == ev.SCHEMA_VERSION
    assert json.loads(json.dumps(schema)) == schema


NO_EVENTS: list[dict[str, Any]] = [
    {},
    {"type": "content"},
    {"type": "content", "delta": 1},
    {"type": "content", "delta": None},
    {"type": "unheard_of"},
    {"type": "waiting", "phase": "lunch", "silent_for": 1.0},
    {"type": "retry", "attempt": 1, "max": 1, "delay": 0.0, "cause": "c", "action": "skip"},
    {"type": "done", "finish_reason": "why", "stats": {"duration": 0, "chunks": 0}, "attempts": 1},
    {"type": "error", "code": "c", "message": "m", "partial": False},
    {"delta": "a"},
]  # fmt: skip


@pytest.mark.parametrize("value", NO_EVENTS, ids=json.dumps)
def test_what_is_no_event_is_refused_by_codec_and_schema(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not an event"):
        ev.decode(json.dumps(value))
    assert not VALIDATOR.is_valid(value)


@pytest.mark.parametrize("line", ["", "{", "[]", "null", "oops", '{"type": "usage"} x', b"\xff"])
def test_what_is_no_json_object_is_a_value_error(line: str | bytes) -> None:
    with pytest.raises(ValueError, match="not an event"):
        ev.decode(line)


@pytest.mark.parametrize("event", SAMPLES, ids=tag)
def test_a_field_of_a_later_version_is_ignored(event: ev.AnyEvent) -> None:
    value = {**loads(ev.encode(event)), "from_the_future": {"x": 1}}
    assert ev.decode(json.dumps(value)) == event
    VALIDATOR.validate(value)


def test_a_field_at_its_default_is_left_out() -> None:
    assert ev.encode(ev.Content("a")) == b'{"type":"content","delta":"a"}'
    assert ev.encode(ev.Content("a", seq=3, t=0.5)) == (
        b'{"type":"content","delta":"a","seq":3,"t":0.5}'
    )
    assert loads(ev.encode(ev.Metadata(seq=0, t=0.0))) == {"type": "metadata", "seq": 0, "t": 0.0}


def test_a_fallback_says_from_and_to() -> None:
    value = {"type": "fallback", "from": "a", "to": "b", "cause": "c"}
    assert loads(ev.encode(ev.Fallback("a", "b", "c"))) == value


def test_lines_are_events_ended_by_lf() -> None:
    lines = ev.encode_lines(SAMPLES)
    assert lines.endswith(b"\n")
    assert [ev.decode(line) for line in lines.splitlines()] == SAMPLES
    assert ev.encode_lines([]) == b""


def test_two_events_never_share_their_parameters() -> None:
    ev.ToolStart("i", "n").parameters["x"] = 1
    assert ev.ToolStart("i", "n").parameters == {}


@pytest.mark.parametrize(
    ("image", "label"),
    [
        (ev.Image(), "image"),
        (ev.Image(media_type="image/png", data=""), "image/png, 0 bytes"),
        (ev.Image(data="A" * 1332), "image, 999 bytes"),
        (ev.Image(data="A" * 1336), "image, 1 KB"),
        (ev.Image(data="A" * 1_332_000), "image, 999 KB"),
        (ev.Image(data="A" * 1_332_800), "image, 1.0 MB"),
        (
            ev.Image(media_type="x" * 1000, url="https://a.example/"),
            f"{'x' * 60} at https://a.example/",
        ),
    ],
)
def test_an_image_is_told_in_a_few_words(image: ev.Image, label: str) -> None:
    assert image.label == label

"""Mutators change one place, the same one for the same seed, and know what has a meaning."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from tests.fuzz.mutate import MUTATORS, mutate
from tests.fuzz.stream import Stream
from tests.support.recordings import Dialect, Kind, Recording, recordings, requires_shared

OPENAI = b"".join(
    b"data: %b\n\n" % json.dumps(frame).encode()
    for frame in (
        {"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hé"}}]},
        {"id": "x", "choices": [{"index": 0, "delta": {"content": "llo"}}]},
        {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    )
)


def recording(body: bytes, provider: Dialect = "openai", kind: Kind = "recorded") -> Recording:
    return Recording(kind, "made/here", provider, body, 200, {}, {}, {}, (), {})


def stream(body: bytes = OPENAI, provider: Dialect = "openai") -> Stream:
    return Stream.of(recording(body, provider))


def values(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]


@requires_shared
def test_the_frames_of_a_recording_are_its_bytes() -> None:
    for case in recordings("recorded", "constructed", "nonstream"):
        assert Stream.of(case).body() == case.body


@pytest.mark.parametrize("body", [OPENAI.replace(b"\n", b"\r\n"), b"data: \xff\n\n", b""])
def test_odd_bytes_survive_the_split(body: bytes) -> None:
    assert stream(body).body() == body


@pytest.mark.parametrize("kind", MUTATORS)
def test_every_kind_changes_the_bytes(kind: str) -> None:
    made = [mutate(stream(), Random(seed), kind) for seed in range(50)]
    assert all(mutant.kinds == (kind,) * len(mutant.told) for mutant in made)
    assert sum(mutant.body != OPENAI for mutant in made) >= 20


def test_the_same_seed_is_the_same_mutant() -> None:
    for seed in range(100):
        assert mutate(stream(), Random(seed)) == mutate(stream(), Random(seed))


@pytest.mark.parametrize("kind", ["add", "respell"])
def test_what_is_harmless_by_itself_keeps_every_known_field(kind: str) -> None:
    def known(value: Any, by: Any) -> Any:
        if isinstance(by, dict):
            return {key: known(value[key], by[key]) for key in by}
        if isinstance(by, list):
            return [known(a, b) for a, b in zip(value, by, strict=True)]
        return value

    for seed in range(200):
        mutant = mutate(stream(), Random(seed), kind)
        assert mutant.harmless
        frames = [
            json.loads(f.text.replace("\ndata: ", "\n"))
            for f in stream(mutant.body).frames
            if f.text
        ]
        if len(frames) == 3:  # JSON over several lines is no single line any more
            assert known(frames, values(OPENAI)) == values(OPENAI)


@pytest.mark.parametrize("kind", ["drop", "null", "rename", "retype", "double", "number"])
def test_a_change_is_harmless_exactly_where_the_field_means_nothing(kind: str) -> None:
    harmless: set[str] = set()
    harmful: set[str] = set()
    for seed in range(400):
        mutant = mutate(stream(), Random(seed), kind)
        if len(mutant.told) == 1:
            place = mutant.told[0].split(": ")[0].split(".", 1)[1]
            (harmless if mutant.harmless else harmful).add(place)
    assert harmless == {"id", "choices[0].delta.role"}
    assert {"choices[0].delta", "choices[0].delta.content", "choices[0].finish_reason"} <= harmful


def test_a_doubled_key_stands_twice_in_the_text() -> None:
    made = [mutate(stream(), Random(seed), "double") for seed in range(100)]
    assert any(mutant.body.count(b'"finish_reason":') == 2 for mutant in made)
    assert not any(b"\\u0000" in mutant.body for mutant in made)


def test_odd_numbers_are_written_as_literals() -> None:
    made = b"".join(mutate(stream(), Random(seed), "number").body for seed in range(400))
    for literal in (b":NaN", b":Infinity", b":1e308", b":-1e999", b"9" * 5000):
        assert literal in made


def test_what_a_model_wrote_gets_no_new_field() -> None:
    call = {"function": {"name": "f", "arguments": {"city": "Rome"}}}
    body = json.dumps({"message": {"tool_calls": [call]}}).encode() + b"\n"
    for seed in range(200):
        mutant = mutate(stream(body, "ollama"), Random(seed), "add")
        [frame] = stream(mutant.body, "ollama").frames
        assert frame.value()["message"]["tool_calls"][0]["function"]["arguments"] == {
            "city": "Rome"
        }


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("body", [b"", b"\n", b"[]\n", b"{}\n\n", b"data: {}\n\n", b"\xff"])
def test_any_body_can_be_damaged(dialect: Dialect, body: bytes) -> None:
    for seed in range(300):
        mutate(stream(body, dialect), Random(seed))

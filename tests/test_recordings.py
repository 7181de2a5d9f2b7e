"""Recorded answers of real servers over a real socket: whole, in pieces, and cut.

Every claim is checked with both framings, since a close-delimited body hides its own end.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from tests.support.client import Answer, ask
from tests.support.loopback import Reply, Script
from tests.support.recordings import Recording, recordings, requires_shared

pytestmark = requires_shared

STREAMS = list(recordings("recorded", "constructed"))
WHOLE = [case for case in STREAMS if case.outcomes == {"complete"}]
FRAMINGS = ["chunked", "close"]
LAST_BYTES = 300

# Every cut of every recording takes minutes: CI does that, elsewhere an even sample will do.
EVERY_CUT = os.environ.get("EVERY_CUT") == "1"
FRAME_CUTS = 10_000 if EVERY_CUT else 8
BYTE_STEP = 1 if EVERY_CUT else 11


@pytest.fixture(scope="module")
def server() -> Iterator[Script]:
    with Script() as script:
        yield script


def replay(server: Script, case: Recording, **how: Any) -> Answer:
    server.play(Reply(case.body, case.status, case.headers, **how))
    answer = ask(case.provider, server.url)
    grammar.check(answer.events)
    return answer


def tool_calls(answer: Answer) -> list[tuple[str, str, Any]]:
    return [(call_id, name, _parsed(arguments)) for call_id, name, arguments in answer.tool_calls]


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return None


def _same_call(got: tuple[str, str, Any], wanted: dict[str, Any]) -> bool:
    """Arguments that never came are null in the recordings and an empty object for a tool."""
    call_id, name, arguments = got
    return (
        name == wanted["name"]
        and wanted.get("id") in {None, "", call_id}
        and (arguments == wanted["arguments"] or (wanted["arguments"], arguments) == (None, {}))
    )


def expected_text(case: Recording) -> tuple[str, str]:
    """Text and reasoning; some servers left tags of the thinking in the text.

    Three have both tags. In others the prompt had opened the thinking: of the closing tag, which
    stands on a line of its own, no more than itself is dropped.
    """
    text, reasoning = case.expected["text"], case.expected["reasoning"]
    if tagged := re.fullmatch(r"<think>(.*?)</think>(.*)", text, re.DOTALL):
        return tagged.group(2), tagged.group(1)
    return re.sub(r"^</think>$", "", text, count=1, flags=re.MULTILINE), reasoning


def assert_as_expected(case: Recording, answer: Answer) -> None:
    wanted = case.expected
    assert answer.outcome in case.outcomes
    assert (answer.text, answer.reasoning) == expected_text(case)
    calls = tool_calls(answer)
    assert len(calls) == len(wanted["tool_calls"])
    for got, call in zip(calls, wanted["tool_calls"], strict=True):
        assert _same_call(got, call)
    if isinstance(answer.terminal, ev.Done):
        assert answer.terminal.raw_finish_reason == wanted["finish_reason"]
    for name, count in (wanted["usage"] or {}).items():
        assert getattr(answer.usage, name, None) == count
    refusals = [e.message for e in answer.events if isinstance(e, ev.Warn) and e.code == "refusal"]
    assert "".join(refusals) == wanted["refusal"]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("split", [None, 1, 7, 64])
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_recording_gives_what_it_gave(
    server: Script, case: Recording, split: int | None, framing: str
) -> None:
    cut = len(case.body) if case.http.get("end", "").startswith("abrupt") else None
    answer = replay(server, case, split=split, framing=framing, cut_after=cut)
    assert_as_expected(case, answer)


@pytest.mark.parametrize("case", [c for c in STREAMS if c.recorded_reads], ids=str)
def test_the_reads_of_the_recording_give_what_it_gave(server: Script, case: Recording) -> None:
    reads, at = [], 0
    for size in case.recorded_reads:
        reads.append(case.body[at : at + size])
        at += size
    server.play(Reply([*reads, case.body[at:]], case.status, case.headers))
    assert_as_expected(case, ask(case.provider, server.url))


def decided_at(case: Recording) -> int:
    """The offset at which the end mark is there; told without the code under test."""
    at = 0
    for end in case.frame_ends():
        frame = case.body[at:end]
        if _is_end_mark(case.provider, frame):
            return at + len(frame.rstrip(b"\r\n"))  # its line need not be ended
        at = end
    return len(case.body.rstrip())


def _is_end_mark(provider: str, frame: bytes) -> bool:
    for line in frame.splitlines():
        data = line.strip() if provider == "ollama" else line.partition(b":")[2].strip()
        if data == b"[DONE]":
            return True
        try:
            value = json.loads(data)
        except ValueError:
            continue
        if not isinstance(value, dict):
            continue
        if value.get("done") is True or value.get("type") == "message_stop":
            return True
        if any(c.get("finish_reason") and not c.get("index") for c in value.get("choices") or ()):
            return True
    return False


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_a_cut_before_the_end_mark_is_truncated(
    server: Script, case: Recording, framing: str
) -> None:
    decided = decided_at(case)
    ends = [end for end in case.frame_ends() if end < decided]
    cuts = {*ends[:: 1 + len(ends) // FRAME_CUTS], *ends[-2:], decided - 1}
    cuts |= set(range(max(0, decided - LAST_BYTES), decided, BYTE_STEP))
    for cut in sorted(cuts):
        answer = replay(server, case, framing=framing, cut_after=cut)
        assert isinstance(answer.terminal, ev.Error), f"cut at {cut} of {decided}"
        assert answer.terminal.code == "truncated"
        assert expected_text(case)[0].startswith(answer.text)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_a_cut_after_the_end_mark_is_none(server: Script, case: Recording, framing: str) -> None:
    answer = replay(server, case, framing=framing, cut_after=decided_at(case))
    assert answer.outcome == "complete"
    if "finish-many" not in case.about.get("tags", ()):  # a further one may follow more text
        assert answer.text == expected_text(case)[0]


@pytest.mark.parametrize("case", list(recordings("nonstream")), ids=str)
def test_a_whole_body_where_a_stream_was_asked_for_is_the_answer(
    server: Script, case: Recording
) -> None:
    answer = replay(server, case, framing="length")
    assert answer.outcome == "complete"
    assert (answer.text, answer.reasoning) == expected_text(case)
    assert len(answer.tool_calls) == len(case.expected["tool_calls"])
    for name, count in (case.expected["usage"] or {}).items():
        assert getattr(answer.usage, name) == count


@pytest.mark.parametrize("case", list(recordings("errors")), ids=str)
def test_an_error_body_is_told_in_the_servers_words(server: Script, case: Recording) -> None:
    answer = replay(server, case, framing="length")
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.status == case.status
    said = " ".join(case.expected["message"].split()).replace("sk-fake-key", "***")
    if b'"raw"' in case.body:  # OpenRouter's; the words of the provider behind it follow
        inside = json.loads(case.body)["error"]["metadata"]
        said = f"{said} ({inside['provider_name']}): {inside['raw']}"
    assert answer.terminal.message == said
    assert answer.terminal.recoverable == case.expected["retryable_per_sdk"]

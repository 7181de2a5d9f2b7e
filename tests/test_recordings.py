"""Recorded answers of real servers: whole, in pieces of every size, and cut at every frame.

All of it is tried in memory, and a sample of it over real sockets (`support.sampling`). Every
claim is checked with both framings, since a close-delimited body hides its own end.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from tests.support.client import Answer, ask
from tests.support.figures import Figures
from tests.support.loopback import Framing, Reply, Script
from tests.support.memory import ask_in_memory
from tests.support.recordings import Recording, recordings, requires_shared
from tests.support.sampling import by_size, chosen, sampled, seeded

pytestmark = requires_shared

STREAMS = list(recordings("recorded", "constructed"))
WHOLE = [case for case in STREAMS if case.outcomes == {"complete"}]
FRAMINGS: list[Framing] = ["chunked", "close"]
SPLITS = [None, 1, 7, 64]  # bytes of a read
WAYS = list(itertools.product(FRAMINGS, SPLITS))
LAST_BYTES = 300  # before the end mark, where every byte may decide
READ_AGAIN = 1_000_000  # bytes that the cuts of one recording make us read, in a sample
ANYWHERE = by_size(5, 100)  # further cuts of each recording, at bytes of no importance


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


def in_memory(case: Recording, reads: Iterable[bytes], *, cut: bool) -> Answer:
    answer = ask_in_memory(case.provider, reads, status=case.status, headers=case.headers, cut=cut)
    grammar.check(answer.events)
    return answer


def is_abrupt(case: Recording) -> bool:
    """Whether the connection of the recording itself broke inside the body."""
    end: str = case.http.get("end", "")
    return end.startswith("abrupt")


def pieces(body: bytes, size: int | None) -> list[bytes]:
    """The body in reads of that size."""
    return [body[at : at + (size or len(body))] for at in range(0, len(body), size or len(body))]


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_recording_gives_what_it_gave(case: Recording) -> None:
    for split in sampled(SPLITS, 2, "splits", case.name):
        for cut in {is_abrupt(case), False}:
            assert_as_expected(case, in_memory(case, pieces(case.body, split), cut=cut))


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_reads_of_any_size_give_the_same(case: Recording) -> None:
    for number in range(by_size(1, 10)):
        chance = seeded("reads", case.name, number)
        count = chance.randrange(1, min(200, len(case.body)))
        ends = sorted(chance.sample(range(1, len(case.body)), count))
        reads = [case.body[a:b] for a, b in itertools.pairwise([0, *ends, len(case.body)])]
        assert_as_expected(case, in_memory(case, reads, cut=is_abrupt(case)))


@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_a_recording_gives_the_same_over_a_socket(server: Script, case: Recording) -> None:
    for framing, split in sampled(WAYS, 1, "ways", case.name):
        cut = len(case.body) if is_abrupt(case) else None
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


def cuts_of(case: Recording) -> list[int]:
    """The offsets that matter, and some that should not: all of them before the end mark."""
    decided = decided_at(case)
    ends = [end for end in case.frame_ends() if end < decided]
    last = range(max(0, decided - LAST_BYTES), decided)
    return sorted({*ends, *last, *chosen(range(decided), ANYWHERE, "anywhere", case.name)})


def assert_truncated(case: Recording, answer: Answer, cut: int) -> None:
    assert isinstance(answer.terminal, ev.Error), f"cut at {cut}"
    assert answer.terminal.code == "truncated", f"cut at {cut}"
    for whole, part in zip(expected_text(case), (answer.text, answer.reasoning), strict=True):
        assert whole.startswith(part), f"cut at {cut}"


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_a_cut_before_the_end_mark_is_truncated(case: Recording, figures: Figures) -> None:
    arrived = 0
    enough = max(20, READ_AGAIN // decided_at(case))  # all of them but for the largest recordings
    cuts = sampled(cuts_of(case), enough, "memory", case.name)
    for cut in cuts:
        answer = in_memory(case, [case.body[:cut]], cut=True)
        assert_truncated(case, answer, cut)
        size = len(answer.text) + len(answer.reasoning)
        assert size >= arrived, f"cut at {cut}: text that had arrived before is gone"
        arrived = size
    closed = sampled(cuts, len(cuts) // 8, "close", case.name)
    figures.count("cuts in memory", len(cuts) + len(closed))
    for cut in closed:
        assert_truncated(case, in_memory(case, [case.body[:cut]], cut=False), cut)
    is_one_token = len("".join(expected_text(case))) < 20  # which may come with the end mark
    assert arrived > 0 or is_one_token


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_so_it_is_over_a_socket(server: Script, case: Recording, figures: Figures) -> None:
    cuts = sampled(list(itertools.product(cuts_of(case), FRAMINGS)), 3, "cuts", case.name)
    figures.count("cuts over sockets", len(cuts))
    for cut, framing in cuts:
        assert_truncated(case, replay(server, case, framing=framing, cut_after=cut), cut)


def assert_whole(case: Recording, answer: Answer) -> None:
    assert answer.outcome == "complete"
    if "finish-many" not in case.about.get("tags", ()):  # a further one may follow more text
        assert answer.text == expected_text(case)[0]


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_a_cut_after_the_end_mark_is_none(server: Script, case: Recording) -> None:
    decided = decided_at(case)
    for broken in (True, False):
        assert_whole(case, in_memory(case, [case.body[:decided]], cut=broken))
    for framing in sampled(FRAMINGS, 1, "after", case.name):
        assert_whole(case, replay(server, case, framing=framing, cut_after=decided))


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
    hopeless = "requires --jinja flag" in said  # the server has to be started in another way
    assert answer.terminal.recoverable == (case.expected["retryable_per_sdk"] and not hopeless)

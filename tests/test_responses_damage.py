"""Claimed: whatever is damaged in a stream of the Responses API, an answer that ends without a
warning is the answer.

The mutators are those of the fuzz. Each stream says everything twice, in pieces and at the end of
each item, so what is lost in one place can be read, or missed, in the other.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatstream import events as ev
from chatstream import grammar
from tests.fuzz import fields
from tests.fuzz.mutate import mutate
from tests.fuzz.stream import Frame, Stream
from tests.support.client import Answer
from tests.support.memory import ask_in_memory
from tests.support.sampling import by_size, seeded

TEXT = "Hello wörld 🌍!"
CALL = ("call_1", "f", '{"a":1}')
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "I think."}],
    "encrypted_content": "xyz",
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
}
CALLED = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": CALL[0],
    "name": CALL[1],
    "arguments": CALL[2],
}
NUMBER = by_size(600, 20_000)
SAID_TWICE = {"repeat", "swap", "move"}
"""What a server may say like this: in another order, or twice. So may two changes at once."""


def frame(kind: str, **values: Any) -> Frame:
    text = json.dumps({"type": f"response.{kind}", **values}, ensure_ascii=False)
    return Frame(f"event: response.{kind}\ndata: ", text, "\n\n")


def stream(*, numbered: bool) -> Stream:
    """Reasoning, a text and a call; `numbered`: with the places of the items."""

    def item(kind: str, place: int, **values: Any) -> Frame:
        return frame(kind, **({"output_index": place} if numbered else {}), **values)

    def pieces(kind: str, place: int, name: str, *found: str) -> list[Frame]:
        return [item(f"{kind}.delta", place, item_id=name, delta=it) for it in found]

    items = [THOUGHT, MESSAGE, CALLED]
    begun = [THOUGHT | {"summary": []}, MESSAGE | {"content": []}, CALLED | {"arguments": ""}]
    parts = [
        pieces("reasoning_summary_text", 0, "rs_1", "I ", "think."),
        pieces("output_text", 1, "msg_1", "Hel", "lo ", "wörld", " 🌍", "!"),
        pieces("function_call_arguments", 2, "fc_1", '{"a"', ":1}"),
    ]
    frames = [frame("created", response={"id": "r", "status": "in_progress"})]
    for place in range(3):
        frames.append(item("output_item.added", place, item=begun[place]))
        frames += parts[place]
        frames.append(item("output_item.done", place, item=items[place]))
    usage = {"input_tokens": 3, "output_tokens": 5}
    whole = {"id": "r", "status": "completed", "output": items, "usage": usage}
    return Stream("openai-responses", True, (*frames, frame("completed", response=whole)))


def asked(body: bytes, size: int) -> Answer:
    reads = [body[at : at + size] for at in range(0, len(body), size)]
    return ask_in_memory("openai-responses", reads)


def calls_of(answer: Answer) -> list[tuple[str, str, str]]:
    found = [it for it in answer.events if isinstance(it, ev.ToolCall)]
    return [(it.id, it.name, it.arguments) for it in found]


@pytest.mark.parametrize("numbered", [True, False])
def test_undamaged_it_is_the_answer_whatever_the_reads_are(numbered: bool) -> None:
    body = stream(numbered=numbered).body()
    for size in (1, 2, 3, 7, 64, len(body)):
        answer = asked(body, size)
        assert (answer.text, answer.reasoning, calls_of(answer)) == (TEXT, "I think.", [CALL])
        assert not any(isinstance(it, ev.Warn) for it in answer.events)


@pytest.mark.parametrize("numbered", [True, False])
def test_cut_at_any_byte_before_its_end_mark_it_is_truncated(numbered: bool) -> None:
    body = stream(numbered=numbered).body()
    for end in range(0, len(body) - 2, by_size(13, 1)):
        answer = ask_in_memory("openai-responses", [body[:end]])
        assert isinstance(answer.terminal, ev.Error), end
        assert answer.terminal.code == "truncated"
        assert TEXT.startswith(answer.text)
        assert calls_of(answer) == []


def test_no_damage_is_passed_over_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fields.HARMLESS, "openai-responses", frozenset())
    bases = [stream(numbered=it) for it in (True, False)]
    ended = set()
    for number in range(NUMBER):
        random = seeded("damage", number)
        mutant = mutate(bases[number % 2], random)
        answer = asked(mutant.body, random.choice([1, 7, 64, 1_000_000]))
        grammar.check(answer.events)
        warned = any(isinstance(it, ev.Warn) for it in answer.events)
        code = answer.terminal.code if isinstance(answer.terminal, ev.Error) else ""
        ended.add(code)
        assert code != "internal", (number, mutant.told)
        told_twice = len(mutant.kinds) > 1 or SAID_TWICE & {*mutant.kinds}
        if code or warned or told_twice or _ends_early(mutant.body):
            continue
        arguments = [it for _, _, it in calls_of(answer)]  # a changed name is as good as any
        assert (answer.text, arguments) == (TEXT, [CALL[2]]), (number, mutant.told)
    assert ended >= {"", "truncated", "server_error", "protocol"}


def _ends_early(body: bytes) -> bool:
    """Whether a frame in the middle has become an end mark, which nobody can doubt."""
    ends = (b'"response.completed"', b'"response.incomplete"')
    return sum(map(body.count, ends)) > 1

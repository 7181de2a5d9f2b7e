"""What the fuzz has found, as small bodies: each is told honestly, whatever is wrong with it."""

from __future__ import annotations

import json

import pytest

from tests.fuzz import oracle
from tests.fuzz.reader import read
from tests.support.memory import ask_in_memory


def sse(*frames: object) -> str:
    """Frames as events; text stands as it is."""
    return "".join(f if isinstance(f, str) else f"data: {json.dumps(f)}\n\n" for f in frames)


def chunk(content: object = None, index: object = 0, **choice: object) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": {"content": content}, **choice}]}


def block(kind: object = "content_block_delta", **delta: object) -> dict[str, object]:
    return {"type": kind, "index": 0, "delta": delta}


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


DONE = "data: [DONE]\n\n"
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
END = {"type": "message_stop"}
CALL = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
UNFRAMED = json.dumps(chunk("Hi")) + "\n\n"
DEEP = "[" * 3000 + "]" * 3000

CASES: dict[str, tuple[str, str, str]] = {  # name -> dialect, body, the text that is in it
    "a frame without data:": ("openai", sse(UNFRAMED, STOP, DONE), "Hi"),
    "a frame after another field name": ("openai", sse("dat: " + UNFRAMED, STOP, DONE), "Hi"),
    "a frame after Data:": ("openai", sse("Data: " + UNFRAMED, STOP, DONE), "Hi"),
    "a frame after a mark": ("openai", sse(chunk("Oh "), "> " + UNFRAMED, STOP, DONE), "Oh Hi"),
    "a frame with a byte before it": ("openai", sse("}" + sse(chunk("Hi")), STOP, DONE), "Hi"),
    "two frames on one line": (
        "openai",
        sse(sse(chunk("Hel")).rstrip(), sse(chunk("lo")), STOP, DONE),
        "Hello",
    ),
    "a frame without its last bracket": (
        "openai",
        sse(chunk("Hel"), sse(chunk("lo")).replace("}\n", "\n"), STOP, DONE),
        "Hel",
    ),
    "the first index is another one": (
        "openai",
        sse(chunk("", 1), chunk("Hel"), chunk("lo"), STOP, DONE),
        "Hello",
    ),
    "one index is another one": (
        "openai",
        sse(chunk("a"), chunk("b", 5), chunk("c"), STOP, DONE),
        "abc",
    ),
    "an index that is null comes first": (
        "openai",
        sse(chunk("a", None), chunk("b"), STOP, DONE),
        "ab",
    ),
    "the only index is 1": ("openai", sse(chunk("a", 1), chunk("b", 1), DONE), "ab"),
    "an index larger than any": ("openai", sse(chunk("a", 9007199254740993), STOP, DONE), "a"),
    "content as parts of bare text": ("openai", sse(chunk(["Hi"]), STOP, DONE), "Hi"),
    "content as an object": ("openai", sse(chunk({"text": "Hi"}), STOP, DONE), "Hi"),
    "the delta is the text": ("openai", sse(chunk(delta="Hi"), STOP, DONE), "Hi"),
    "reasoning only in the details": (
        "openai",
        sse(
            chunk(delta={"reasoning": 7, "reasoning_details": [{"text": "Hm"}]}),
            chunk("Hi"),
            STOP,
            DONE,
        ),
        "Hi",
    ),
    "one wording of the reasoning is true": (
        "openai",
        sse(chunk(delta={"reasoning": "Hm", "reasoning_content": True}), chunk("Hi"), STOP, DONE),
        "Hi",
    ),
    "the last reason is a failure": ("openai", sse(chunk("Hi", finish_reason="ABORT"), DONE), "Hi"),
    "an error event in other words": (
        "openai",
        sse(chunk("Hi"), 'event: error\ndata: {"message": "it broke"}\n\n', STOP, DONE),
        "Hi",
    ),
    "an error without data:": (
        "openai",
        sse(chunk("Hi"), '{"error": "it broke"}\n\n', STOP, DONE),
        "Hi",
    ),
    "an error field before the end": (
        "openai",
        sse(chunk("Hi"), STOP, "error: it broke\n\n", DONE),
        "Hi",
    ),
    "a value too deep to be read": (
        "openai",
        f'{{"id": {DEEP}, "choices": [{{"message": {{"content": "Hi"}}}}]}}',
        "",
    ),
    "a frame that is cut off after a reason": (
        "openai",
        sse(chunk("Hi", finish_reason="length"), sse(chunk(" there"))[:60]),
        "Hi",
    ),
    "an error of one word": ("openai", sse(chunk("Hi"), {"error": "ping"}, DONE), "Hi"),
    "an index that is null once, with a role everywhere": (
        "openai",
        sse(
            chunk(delta={"role": "assistant", "content": "Hi "}),
            chunk(delta={"role": "assistant", "content": "you"}, index=None, finish_reason="stop"),
            DONE,
        ),
        "Hi you",
    ),
    "the first index is another one, with a role everywhere": (
        "openai",
        sse(
            chunk(delta={"role": "assistant", "content": ""}, index=2),
            chunk(delta={"role": "assistant", "content": "Hi"}, finish_reason="stop"),
            DONE,
        ),
        "Hi",
    ),
    "a frame of no type": ("anthropic", sse({"delta": {"text": "Hi"}, "index": 0}, END), "Hi"),
    "a frame whose type is a list": ("anthropic", sse(block([[]], text="Hi"), END), "Hi"),
    "a delta whose type is an object": (
        "anthropic",
        sse({**block(), "delta": {"type": {}, "signature": "x"}}, block(text="Hi"), END),
        "Hi",
    ),
    "a ping that carries text": ("anthropic", sse(block("ping", text="Hi"), END), "Hi"),
    "an end that carries text": ("anthropic", sse(block("message_stop", text="Hi")), "Hi"),
    "an end that carries an error": (
        "anthropic",
        sse({**END, "error": {"message": "it broke"}}),
        "",
    ),
    "a start that carries a delta": (
        "anthropic",
        sse(block("content_block_start", text="Hi"), END),
        "Hi",
    ),
    "thinking as an object": (
        "anthropic",
        json.dumps({"type": "message", "content": [{"thinking": {"text": "Hm"}}, {"text": "Hi"}]}),
        "Hi",
    ),
    "a delta without its type": ("anthropic", sse(block(text="Hi"), END), "Hi"),
    "the text of a delta as a list": ("anthropic", sse(block(text=["Hi"]), END), "Hi"),
    "a frame of Anthropic without data:": (
        "anthropic",
        sse(json.dumps(block(text="Hi")) + "\n\n", END),
        "Hi",
    ),
    "a block of no type": (
        "anthropic",
        json.dumps({"type": "message", "content": [{"text": "Hi"}], "stop_reason": "end_turn"}),
        "Hi",
    ),
    "a message whose content is text": (
        "anthropic",
        sse({"type": "message_start", "message": {"content": "Hi"}}, END),
        "Hi",
    ),
    "a call that has no start": (
        "anthropic",
        sse(
            {"type": None, "index": 0, "content_block": CALL},
            block(partial_json='{"a": 1}'),
            block(text="Hi"),
            END,
        ),
        "Hi",
    ),
    "an error event of Anthropic in other words": (
        "anthropic",
        sse(block(text="Hi"), 'event: error\ndata: {"message": "it broke"}\n\n', END),
        "Hi",
    ),
    "an error field of Anthropic": (
        "anthropic",
        sse(block(text="Hi"), "error: it broke\n\n", END),
        "Hi",
    ),
    "content of Ollama as parts": (
        "ollama",
        lines({"message": {"content": [{"type": "text", "text": "Hi"}]}}, {"done": True}),
        "Hi",
    ),
    "the response as an object": (
        "ollama",
        lines({"response": {"text": "Hi"}}, {"done": True}),
        "Hi",
    ),
    "thinking beside the message": (
        "ollama",
        lines({"message": {"content": "Hi"}, "thinking": "Hm"}, {"done": True}),
        "Hi",
    ),
    "done is a word": (
        "ollama",
        lines({"message": {"content": "H"}, "done": "no"}, {"message": {"content": "i"}}),
        "Hi",
    ),
    "Ollama's reason is a failure": (
        "ollama",
        lines({"message": {"content": "Hi"}}, {"done": True, "done_reason": "error"}),
        "Hi",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_passed_over_in_silence(name: str) -> None:
    dialect, body, text = CASES[name]
    found = read(dialect, body.encode())
    assert found.text() == text
    answer = ask_in_memory(dialect, [body.encode()])
    assert not list(oracle.faults(found, answer, []))


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_other_line_ends_change_nothing(end: str) -> None:
    body = sse(": wait\n\n", chunk("Hi"), STOP, DONE).replace("\n", end)
    answer = ask_in_memory("openai", [body.encode()])
    assert (oracle.outcome(answer, []), answer.text) == ("done", "Hi")

"""A model on loopback that calls tools, round after round, and says what their results were.

    with Summing([[Call("add", {"n": 1}), Call("look")], [Call("add", {"n": 2})]]) as server:
        ... server.url, all protocols ...

It keeps nothing between requests: what it says follows from the messages that it is sent, so that
it answers a client that was killed, and continues, as it answers any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chatstream.providers.continuing import GO_ON
from tests.support.answers import ending, frames, headers
from tests.support.continuing import PATHS
from tests.support.loopback import Reply, Request, Script
from tests.support.strict import Exchange


@dataclass(frozen=True)
class Call:
    """What it calls. Arguments that are a text go out as they are, whatever they are."""

    name: str
    arguments: Mapping[str, object] | str = field(default_factory=dict)


class Summing(Script):
    """The server. `pace` is the time between the writes of an answer, in seconds."""

    def __init__(self, rounds: Sequence[Sequence[Call]], *, pace: float = 0.0) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []  # but for those that continue a text
        self._rounds = rounds
        self._pace = pace

    def take(self, request: Request) -> Reply:
        """Answer what was asked, and record it."""
        dialect = PATHS[request.path]
        messages = messages_in(request.json)
        number = sum(map(_has_calls, messages))
        if number == len(self._rounds):
            text = sum_of(results_in(messages))[len(_begun(messages)) :]
            words = [text[at : at + 8] for at in range(0, len(text), 8)]
            body = [*frames(dialect, words), *ending(dialect)]
        else:
            body = _calls(dialect, number, self._rounds[number])
        with self._changed:
            self.requests.append(request)
            if all(it["role"] != "assistant" or _has_calls(it) for it in messages):
                self.exchanges.append(Exchange(request.json, b"".join(body)))
            self._changed.notify_all()
        return Reply(body, headers=headers(dialect), pace=self._pace)


def messages_in(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The messages of a request. The Responses API has a call, and a result, beside them."""
    if "messages" in body:
        return list(body["messages"])
    found: list[dict[str, Any]] = []
    for item in body["input"]:
        match item.get("type"):
            case "function_call" if found and "tool_calls" in found[-1]:
                found[-1]["tool_calls"].append(item)
            case "function_call":
                found.append({"role": "assistant", "content": "", "tool_calls": [item]})
            case "function_call_output":
                found.append({"role": "tool", "content": item["output"]})
            case _:
                content = item["content"]
                text = content if isinstance(content, str) else _text(content)
                found.append({"role": item["role"], "content": text})
    return found


def sum_of(results: Sequence[str]) -> str:
    """What it says once it has all results."""
    return f"the results: {'; '.join(' '.join(it.split()) for it in results)}."


def results_in(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The results of tools among the messages of a request, in order."""
    found = []
    for message in messages:
        if message["role"] == "tool":
            found.append(message["content"])
        elif isinstance(message["content"], list):
            parts = [it for it in message["content"] if it["type"] == "tool_result"]
            found += [_text(it["content"]) for it in parts]
    return found


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(it["text"] for it in content)


def _has_calls(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return bool(message.get("tool_calls")) or any(it["type"] == "tool_use" for it in blocks)


def _begun(messages: Sequence[Mapping[str, Any]]) -> str:
    """The beginning of the answer that it is to continue."""
    last = messages[-1]
    if last["role"] == "user" and last["content"] == GO_ON:
        last = messages[-2]
    if last["role"] != "assistant" or _has_calls(last):
        return ""
    return _text(last["content"])


def _calls(dialect: str, number: int, calls: Sequence[Call]) -> list[bytes]:
    """The frames of an answer that makes these calls; the arguments come in pieces."""
    match dialect:
        case "ollama":
            made = [{"function": {"name": it.name, "arguments": it.arguments}} for it in calls]
            lines = [{"message": {"content": "", "tool_calls": [it]}, "done": False} for it in made]
            return [*(json.dumps(it).encode() + b"\n" for it in lines), *ending("ollama")]
        case "openai":
            deltas: list[dict[str, object]] = []
            for at, call in enumerate(calls):
                first, second = _halves(call)
                head = {"index": at, "id": f"r{number}c{at}", "type": "function"}
                deltas.append({**head, "function": {"name": call.name, "arguments": first}})
                deltas.append({"index": at, "function": {"arguments": second}})
            chunks = [{"index": 0, "delta": {"tool_calls": [it]}} for it in deltas]
            chunks.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
            return [*(_event({"choices": [it]}) for it in chunks), b"data: [DONE]\n\n"]
        case "openai-responses":
            items = []
            frames_: list[dict[str, object]] = [{"type": "response.created", "response": {}}]
            for at, call in enumerate(calls):
                item = {"type": "function_call", "id": f"fc_{at}", "call_id": f"r{number}c{at}"}
                item |= {"name": call.name, "arguments": ""}
                place = {"output_index": at, "item_id": item["id"]}
                frames_.append({"type": "response.output_item.added", **place, "item": item})
                piece = {"type": "response.function_call_arguments.delta", **place}
                frames_ += [{**piece, "delta": half} for half in _halves(call)]
                items.append({**item, "arguments": "".join(_halves(call))})
                done = {"type": "response.output_item.done", **place, "item": items[-1]}
                frames_.append(done)
            response = {"status": "completed", "output": items}
            frames_.append({"type": "response.completed", "response": response})
            return [_event(it) for it in frames_]
        case _:
            message: dict[str, object] = {"content": [], "usage": {}}
            events: list[dict[str, object]] = [{"type": "message_start", "message": message}]
            for at, call in enumerate(calls):
                block = {
                    "type": "tool_use",
                    "id": f"r{number}c{at}",
                    "name": call.name,
                    "input": {},
                }
                its: dict[str, object] = {"index": at}
                events.append({**its, "type": "content_block_start", "content_block": block})
                for half in _halves(call):
                    delta = {"type": "input_json_delta", "partial_json": half}
                    events.append({**its, "type": "content_block_delta", "delta": delta})
                events.append({**its, "type": "content_block_stop"})
            stop = {"stop_reason": "tool_use"}
            events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}})
            events.append({"type": "message_stop"})
            return [_event(it) for it in events]


def _halves(call: Call) -> tuple[str, str]:
    given = call.arguments
    text = given if isinstance(given, str) else json.dumps(given)
    return text[: len(text) // 2], text[len(text) // 2 :]


def _event(value: Mapping[str, object]) -> bytes:
    name = f"event: {value['type']}\n" if "type" in value else ""
    return f"{name}data: {json.dumps(value)}\n\n".encode()

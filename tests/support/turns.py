"""What an answer says, read from its bytes without the program under test.

    blocks_of(answer)   the blocks of an Anthropic message
    message_of(answer)  the message of an OpenAI-compatible server, or of Ollama
    items_of(answer)    the items of a response of OpenAI's Responses API

Streams and whole answers are taken. Nothing is forgiven that these servers do not do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any


@dataclass
class Call:
    """A call as its server wrote it; `beside` are fields that it wants back."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    beside: dict[str, Any] = field(default_factory=dict)


@dataclass
class Said:
    """A message. `given` are fields of the message that its server wants back."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    open: dict[int, Call] = field(default_factory=dict)  # calls by their index


def frames(answer: bytes) -> Iterator[dict[str, Any]]:
    """The JSON of the frames of a stream, or the one of a whole answer."""
    lines = answer.decode().splitlines()
    if any(line.startswith("data:") for line in lines):
        texts = [line[5:].strip() for line in lines if line.startswith("data:")]
        yield from (json.loads(it) for it in texts if it not in ("", "[DONE]"))
        return
    try:
        yield json.loads(answer)
    except ValueError:
        yield from (json.loads(line) for line in lines if line.strip())


# ---- Anthropic


def blocks_of(answer: bytes) -> list[dict[str, Any]]:
    """The blocks that go back: not thinking without a signature, and citations if there are any."""
    blocks: dict[int, dict[str, Any]] = {}
    for frame in frames(answer):
        if "content" in frame:
            blocks = dict(enumerate(frame["content"]))
        elif frame["type"] == "content_block_start":
            blocks[frame["index"]] = frame["content_block"] | {"json": ""}
        elif frame["type"] == "content_block_delta":
            _add(blocks[frame["index"]], frame["delta"])
    return [it for it in map(_whole, blocks.values()) if it]


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]
    if delta["type"] == "compaction_delta":
        block |= {name: it for name, it in delta.items() if name != "type"}
    if "citation" in delta:
        block["citations"].append(delta["citation"])
    block["json"] += delta.get("partial_json", "")


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    whole = {name: it for name, it in block.items() if name != "json"}
    if block.get("json"):
        try:
            given = json.loads(block["json"])
        except ValueError:
            given = None
        whole["input"] = given if isinstance(given, dict) else {"INVALID_JSON": block["json"]}
    if not whole.get("citations", True):
        del whole["citations"]
    return {} if block["type"] == "thinking" and not block.get("signature") else whole


def joined(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Texts without citations that follow one another are one text."""
    found: list[dict[str, Any]] = []
    for is_text, group in groupby(blocks, key=lambda it: it.keys() == {"type", "text"}):
        if is_text:
            text = "".join(it["text"] for it in group)
            found += [{"type": "text", "text": text}] if text.strip() else []
        else:
            found += group
    return found


def stop_reason(answer: bytes) -> str | None:
    """Why an Anthropic message ended."""
    reason = None
    for frame in frames(answer):
        reason = frame.get("stop_reason") or frame.get("delta", {}).get("stop_reason") or reason
    return reason


# ---- OpenAI and Ollama


def message_of(answer: bytes) -> Said:
    """The first choice of an OpenAI-compatible answer, or what Ollama says."""
    said = Said()
    for frame in frames(answer):
        for choice in frame.get("choices") or []:
            _take(said, choice.get("delta") or choice.get("message") or {})
        if "message" in frame:
            _take(said, frame["message"])
    return said


def _take(said: Said, piece: dict[str, Any]) -> None:
    said.text += piece.get("content") or ""
    for name in ("reasoning_content", "thinking"):
        if piece.get(name) is not None:
            said.given[name] = said.given.get(name, "") + piece[name]
    if piece.get("extra_content", {}).get("google", {}).get("thought_signature"):
        said.given["extra_content"] = piece["extra_content"]
    for part in piece.get("tool_calls") or []:
        function = part["function"]
        call = said.open.get(part["index"]) if "index" in part else None
        if call is None:  # without an index they come whole
            call = Call()
            said.calls.append(call)
            if "index" in part:
                said.open[part["index"]] = call
        call.id = call.id or part.get("id") or ""
        call.name = call.name or function.get("name") or ""
        arguments = function.get("arguments") or ""
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)
        if "extra_content" in part:
            call.beside["extra_content"] = part["extra_content"]


# ---- the Responses API


def items_of(answer: bytes) -> list[dict[str, Any]]:
    """The items that go back: texts, calls, and reasoning that is encrypted.

    Not every server repeats an item that came in pieces when it ends.
    """
    items: dict[str, dict[str, Any]] = {}
    for frame in frames(answer):
        response = frame.get("response") or frame
        if response.get("output"):
            items = {it.get("id", str(n)): it for n, it in enumerate(response["output"])}
        match frame.get("type"):
            case "response.output_item.added" | "response.output_item.done":
                items[frame["item"].get("id", "")] = frame["item"]
            case "response.output_text.delta":
                item = items.setdefault(frame["item_id"], {"type": "message"})
                item["content"] = [{"text": _written(item) + frame["delta"]}]
            case "response.function_call_arguments.delta":
                item = items[frame["item_id"]]
                item["arguments"] = (item.get("arguments") or "") + frame["delta"]
    found = gathered(items.values())
    while found and found[-1]["type"] == "reasoning":  # the API refuses it without what follows
        found.pop()
    return found


def gathered(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items, sent or received, in one form; texts that follow one another are one."""
    found: list[dict[str, Any]] = []
    for item in items:
        match item["type"]:
            case "message" if text := _written(item):
                if found and found[-1]["type"] == "message":
                    found[-1]["text"] += text
                else:
                    found.append({"type": "message", "text": text})
            case "reasoning" if item.get("encrypted_content"):
                found.append({k: v for k, v in item.items() if k != "status" and v is not None})
            case "function_call":
                found.append({k: item.get(k) for k in ("type", "call_id", "name", "arguments")})
    return found


def _written(message: dict[str, Any]) -> str:
    content = message.get("content") or []
    return content if isinstance(content, str) else "".join(it.get("text", "") for it in content)

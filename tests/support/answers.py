"""Small answers in each dialect, as the bytes of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.support.loopback import NDJSON, SSE, Reply

DIALECTS = ("ollama", "openai", "anthropic")
ALL_DIALECTS = (*DIALECTS, "openai-responses")
"""The shapes of the benchmark, and the server that it is measured with, know no responses."""

WORDS = ["Hel", "lo ", "wörld", " 🌍", "!"]
TEXT = "".join(WORDS)


def frames(dialect: str, words: list[str] | None = None) -> list[bytes]:
    """One frame a word, after what opens an answer and before `ending`."""
    words = WORDS if words is None else words
    match dialect:
        case "ollama":
            return [_line({"message": {"content": word}, "done": False}) for word in words]
        case "openai":
            role: Mapping[str, object] = {
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]
            }
            deltas = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
            return [_event(chunk) for chunk in (role, *deltas)]
        case "openai-responses":
            item: Mapping[str, object] = {"type": "message", "id": "msg_1", "role": "assistant"}
            pieces = [{"item_id": "msg_1", "output_index": 0, "delta": word} for word in words]
            return [
                _response("created", response={"id": "resp_1", "status": "in_progress"}),
                _response("output_item.added", output_index=0, item=item),
                *(_response("output_text.delta", **piece) for piece in pieces),
            ]
        case _:
            start: Mapping[str, object] = {
                "type": "message_start",
                "message": {"content": [], "usage": {}},
            }
            block = {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }
            return [
                _event(start),
                _event(block),
                *(_anthropic_delta(word) for word in words),
            ]


def ending(dialect: str) -> list[bytes]:
    """The frames that make an answer whole, the end mark last."""
    match dialect:
        case "ollama":
            done = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
            return [_line({**done, "prompt_eval_count": 3, "eval_count": 5})]
        case "openai":
            finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            usage: Mapping[str, object] = {
                "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 5},
            }
            return [_event(finish), _event(usage), b"data: [DONE]\n\n"]
        case "openai-responses":
            usage = {"input_tokens": 3, "output_tokens": 5}
            return [_response("completed", response={"status": "completed", "usage": usage})]
        case _:
            counts = {"input_tokens": 3, "output_tokens": 5}
            stop = {"stop_reason": "end_turn"}
            return [
                _event({"type": "content_block_stop", "index": 0}),
                _event({"type": "message_delta", "delta": stop, "usage": counts}),
                _event({"type": "message_stop"}),
            ]


def failure(dialect: str) -> bytes:
    """The frame of a failure in the middle of a stream."""
    match dialect:
        case "ollama":
            return _line({"error": "the model crashed"})
        case "openai":
            return _event({"error": {"message": "the model crashed", "code": 500}})
        case "openai-responses":
            error = {"code": "server_error", "message": "the model crashed"}
            return _response("failed", response={"status": "failed", "error": error})
        case _:
            error = {"type": "api_error", "message": "the model crashed"}
            return _event({"type": "error", "error": error})


def headers(dialect: str) -> dict[str, str]:
    """The Content-Type of a stream."""
    return NDJSON if dialect == "ollama" else SSE


def as_one_body(dialect: str) -> dict[str, object]:
    """The answer as one JSON body."""
    match dialect:
        case "ollama":
            return {"message": {"content": TEXT}, "done": True, "done_reason": "stop"}
        case "openai":
            return {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}
        case "openai-responses":
            content = [{"type": "output_text", "text": TEXT}]
            return {"status": "completed", "output": [{"type": "message", "content": content}]}
        case _:
            return {"content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"}


def whole(dialect: str, **options: object) -> Reply:
    """A reply with a whole answer; `options` are those of `Reply`."""
    return Reply([*frames(dialect), *ending(dialect)], headers=headers(dialect), **options)  # type: ignore[arg-type]


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _event(value: Mapping[str, object]) -> bytes:
    name = f"event: {value['type']}\n" if "type" in value else ""
    return f"{name}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _response(name: str, **fields: object) -> bytes:
    return _event({"type": f"response.{name}", **fields})


def _anthropic_delta(word: str) -> bytes:
    delta = {"type": "text_delta", "text": word}
    return _event({"type": "content_block_delta", "index": 0, "delta": delta})

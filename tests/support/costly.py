"""Answers of OpenAI's protocol whose server tells what they cost."""

from __future__ import annotations

import json
from typing import Any

from tests.support.loopback import SSE, Reply


def costs(dollars: float, text: str = "text", **more: Any) -> Reply:
    """An answer that costs so much."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost": dollars}
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": text}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
    ]
    lines = [f"data: {json.dumps(it)}\n\n".encode() for it in chunks]
    return Reply([*lines, b"data: [DONE]\n\n"], headers=SSE, **more)

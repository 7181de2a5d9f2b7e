"""What servers really send, as public reports about other clients tell, and what is right.

Each situation is named for what is odd about it; a new one is one more row.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.situation import (
    HOLD,
    Situation,
    Step,
    anthropic,
    call,
    chunk,
    head,
    json_body,
    said,
    sse,
    stream,
)

HELLO = (chunk("Hello"), chunk(" world"))
PNG = "data:image/png;base64,iVBORw0KGgo="


def _with(word: str, **expected: Any) -> Situation:
    return Situation(stream(chunk("Hello wor"), chunk(reason=word)), "Hello wor", **expected)


def _gave_up(word: str) -> Situation:
    return _with(word, error="server_error", status=1, says=("gave up", word))


def _fails(
    response: tuple[Step, ...], error: str, status: int, *says: str, text: str = "", **more: Any
) -> Situation:
    return Situation(response, text, error=error, status=status, says=says, **more)


NO_ANSWER: dict[str, Any] = {"warnings": ("no_answer",)}
LIMIT: dict[str, Any] = {"reason": "length", "says": ("token limit",)}
FILTER: dict[str, Any] = {"reason": "content_filter", "says": ("content filter",)}

SITUATIONS: dict[str, Situation] = {
    # A finish reason that comes too early is no end.
    "stop on the first chunk": Situation(
        (
            head(),
            sse(chunk("", "stop", delta={"role": "assistant"})),
            1.2,
            sse(chunk("Hello")),
            0.3,
            sse(chunk(" world"), chunk(reason="stop"), "data: [DONE]\n\n"),
        ),
        "Hello world",
    ),
    "stop on every chunk": Situation(
        (
            head(),
            sse(chunk("Hello", "stop")),
            0.6,
            sse(chunk(" wor", "stop")),
            0.6,
            sse(chunk("ld", "stop"), "data: [DONE]\n\n"),
        ),
        "Hello world",
    ),
    "stop on every chunk of the thinking": Situation(
        (
            head(),
            sse(chunk(reason="stop", delta={"reasoning_content": "t0 "})),
            0.6,
            sse(chunk(reason="stop", delta={"reasoning_content": "t1"})),
            0.6,
            sse(chunk("Four."), chunk(reason="stop"), "data: [DONE]\n\n"),
        ),
        "Four.",
        reasoning="t0 t1",
    ),
    "tokens after a reason, then a cut": Situation(
        stream(chunk("Hello", "stop"), chunk(" wor"), done=False),
        "Hello wor",
        error="truncated",
        status=5,
    ),
    # Finish reasons that say that the server gave up, in many words.
    **{
        f"given up: {word}": _gave_up(word)
        for word in (
            *("abort", "network_error", "ERROR", "TIMEOUT", "cancelled"),
            *("insufficient_system_resource", "MALFORMED_FUNCTION_CALL"),
        )
    },
    "given up by Anthropic": Situation(
        anthropic("Hello", "error"),
        "Hello",
        "anthropic",
        error="server_error",
        status=1,
        says=("gave up",),
    ),
    "given up by Ollama": Situation(
        (
            head(media="application/x-ndjson"),
            b'{"message":{"content":"Hello"},"done":false}\n{"done":true,"done_reason":"abort"}\n',
        ),
        "Hello",
        "ollama",
        error="server_error",
        status=1,
        says=("gave up",),
    ),
    # The token limit or the filter, in other words.
    "limit: max_tokens": _with("max_tokens", **LIMIT),
    "limit: model_length": _with("model_length", **LIMIT),
    "limit: model_context_window_exceeded": _with("model_context_window_exceeded", **LIMIT),
    "limit: MAX_TOKENS and no text": Situation(
        stream(chunk(reason="MAX_TOKENS", delta={"role": "assistant"})), **LIMIT, **NO_ANSWER
    ),
    "filter: sensitive": _with("sensitive", **FILTER),
    "filter: SAFETY and no text": Situation(stream(chunk(reason="SAFETY")), **FILTER, **NO_ANSWER),
    "filter: after a prefix": Situation(
        stream(chunk(reason="content_filter: PROHIBITED_CONTENT")), **FILTER, **NO_ANSWER
    ),
    "an unknown reason": _with("novel", warnings=("finish_reason",), says=("'novel'",)),
    # Ends that break the rules of event streams.
    "no empty line after the last event": Situation(
        stream(*HELLO, f"data: {json.dumps(chunk(reason='stop'))}\n", done=False), "Hello world"
    ),
    "no line end after the last event": Situation(
        stream(HELLO[0], f"data: {json.dumps(chunk(' world', 'stop'))}", done=False), "Hello world"
    ),
    "one line end between events": Situation(
        stream(
            "".join(f"data: {json.dumps(it)}\n" for it in (*HELLO, chunk(reason="stop")))
            + "data: [DONE]\n",
            done=False,
        ),
        "Hello world",
    ),
    "one line end between the pieces of a call": Situation(
        stream(
            chunk("Hi"),
            "".join(
                f"data: {json.dumps(it)}\n"
                for it in (
                    call(0, "c1", "f"),
                    call(0, None, None, '{"a":'),
                    call(0, None, None, "1}"),
                )
            )
            + "\n",
            chunk(reason="tool_calls"),
        ),
        "Hi",
        calls=(("f", '{"a":1}'),),
        reason="tool_calls",
    ),
    "events without `data:`": Situation(
        (head(), *(f"{json.dumps(it)}\n\n".encode() for it in (*HELLO, chunk(reason="stop")))),
        "Hello world",
    ),
    "two events on one line": Situation(
        stream(f"data: {json.dumps(HELLO[0])}{json.dumps(HELLO[1])}\n\n", chunk(reason="stop")),
        "Hello world",
    ),
    # A turn that is not finished, and no answer at all.
    "paused: pause_turn": Situation(
        anthropic("Searching", "pause_turn"),
        "Searching",
        "anthropic",
        reason="paused",
        says=("paused",),
    ),
    "paused: compaction": Situation(
        anthropic("Hello", "compaction"), "Hello", "anthropic", reason="paused", says=("paused",)
    ),
    "nothing at all": Situation(
        stream(chunk(""), chunk(reason="stop")), **NO_ANSWER, says=("wrote no answer",)
    ),
    "only thinking": Situation(
        stream(chunk(delta={"reasoning_content": "It is 4."}), chunk(reason="stop")),
        reasoning="It is 4.",
        **NO_ANSWER,
        says=("--reasoning show",),
    ),
    "Ollama only loaded the model": Situation(
        (
            head(media="application/x-ndjson"),
            b'{"message":{"content":""},"done":true,"done_reason":"load"}\n',
        ),
        "",
        "ollama",
        **NO_ANSWER,
    ),
    # One field of an odd type costs itself.
    "the index is text": Situation(
        stream(chunk("Hello", index="0"), chunk(reason="stop", index="0")), "Hello"
    ),
    "the index is a float": Situation(
        stream(chunk("Hello", index=0.0), chunk(reason="stop", index=0.0)), "Hello"
    ),
    "the index of a call is text": Situation(
        stream(
            chunk("Hi "),
            chunk(
                "there",
                delta={
                    "tool_calls": [
                        {"index": "0", "id": "a", "function": {"name": "f", "arguments": "{}"}}
                    ]
                },
            ),
            chunk(reason="tool_calls"),
        ),
        "Hi there",
        calls=(("f", "{}"),),
        reason="tool_calls",
    ),
    "the id of a call is a number": Situation(
        stream(
            chunk(
                "there",
                delta={
                    "tool_calls": [
                        {"index": 0, "id": 123, "function": {"name": "f", "arguments": "{}"}}
                    ]
                },
            ),
            chunk(reason="tool_calls"),
        ),
        "there",
        calls=(("f", "{}"),),
        reason="tool_calls",
    ),
    "arguments are an object": Situation(
        stream(call(0, "a", "f", {"x": 1}), chunk(reason="tool_calls")),
        calls=(("f", '{"x":1}'),),
        reason="tool_calls",
    ),
    "calls are an empty object": Situation(
        said("", chunk("Hello", delta={"tool_calls": {}})), "Hello"
    ),
    "content is an object": Situation(
        said("", chunk(delta={"content": {"type": "text", "text": "Hello"}})), "Hello"
    ),
    "content is a number": Situation(
        said("Hello", chunk(delta={"content": 42})),
        "Hello",
        warnings=("malformed_frame",),
        says=("content",),
    ),
    "the text has another name": Situation(
        said("Hello", chunk(delta={"content_text": " world"})),
        "Hello",
        warnings=("malformed_frame",),
    ),
    # The choice that came first is followed.
    "the index counts tokens": Situation(
        stream(chunk("Hello", index=1), chunk(" world", index=2), chunk(reason="stop", index=3)),
        "Hello world",
    ),
    "the only index is 1, in one JSON body": Situation(
        json_body(
            {
                "choices": [
                    {
                        "index": 1,
                        "message": {"role": "assistant", "content": "Hello"},
                        "finish_reason": "stop",
                    }
                ]
            }
        ),
        "Hello",
    ),
    "a message where a delta is expected": Situation(
        said("Hello", {"choices": [{"index": 0, "message": {"content": " world"}}]}), "Hello world"
    ),
    "a text where a delta is expected": Situation(
        said("Hello", {"choices": [{"index": 0, "text": " world"}]}), "Hello world"
    ),
    "choices inside data": Situation(said("Hello", {"data": chunk(" world")}), "Hello world"),
    # Images and sources.
    "an image and nothing else": Situation(
        said("", chunk("", delta={"images": [{"type": "image_url", "image_url": {"url": PNG}}]})),
        images=1,
        warnings=("image",),
        says=("--save-images",),
    ),
    "an image among the parts": Situation(
        said(
            "",
            chunk(
                delta={
                    "content": [
                        {"type": "text", "text": "Here: "},
                        {"type": "image_url", "image_url": {"url": PNG}},
                    ]
                }
            ),
        ),
        "Here: ",
        images=1,
        warnings=("image",),
        says=("--save-images",),
    ),
    "sources in a list": Situation(
        stream(
            {
                "citations": ["https://a.example/1", "https://b.example/2"],
                **chunk("A test [1][2]."),
            },
            chunk(reason="stop"),
        ),
        "A test [1][2].",
        citations=("https://a.example/1", "https://b.example/2"),
        says=("https://b.example/2",),
    ),
    "sources as annotations": Situation(
        said(
            "A test.",
            chunk(
                "",
                delta={
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {"url": "https://a.example/1", "title": "A"},
                        }
                    ]
                },
            ),
        ),
        "A test.",
        citations=("https://a.example/1",),
        says=("https://a.example/1",),
    ),
    # Figures that are none.
    **{
        f"figures: {name}": Situation(
            (head(), sse(*HELLO, chunk(reason="stop"), f"data: {frame}\n\n", "data: [DONE]\n\n")),
            "Hello world",
            flags=("--stats",),
        )
        for name, frame in {
            "a cost of 401 digits": '{"choices":[],"usage":{"completion_tokens":2,"cost":1'
            + "0" * 400
            + "}}",
            "a cost of 5000 digits": '{"choices":[],"usage":{"completion_tokens":2,"cost":1'
            + "0" * 5000
            + "}}",
            "an infinite cost": '{"choices":[],"usage":{"completion_tokens":2,"cost":1e999}}',
            "a cost that is true": '{"choices":[],"usage":{"completion_tokens":2,"cost":true}}',
            "a huge time": '{"choices":[],"timings":{"prompt_ms":1'
            + "0" * 400
            + ',"predicted_ms":0}}',
            "a subnormal time": '{"choices":[],"timings":{"predicted_ms":1e-320}}',
        }.items()
    },
    # HTTP.
    "103 before the response": Situation(
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", *said("Hello")), "Hello"
    ),
    "102 twice before the response": Situation(
        (b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n", *said("Hello")),
        "Hello",
    ),
    "120 header lines": Situation(
        (
            head("200 OK", "text/event-stream", *(f"X-H{n}: v" for n in range(120))),
            *said("Hello")[1:],
        ),
        "Hello",
    ),
    "204": _fails((b"HTTP/1.1 204 No Content\r\n\r\n",), "protocol", 1, "204 No Content"),
    "a refusal whose body never ends": _fails(
        (
            b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'41\r\n{"error":{"message":"invalid key","type":"authentication_error"}}\r\n',
            HOLD,
        ),
        "auth",
        3,
        "invalid key",
    ),
    "an answer in JSON whose body never ends": Situation(
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
            json.dumps(
                {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
            ).encode(),
            HOLD,
        ),
        "Hello",
    ),
    "not streamed: JSON on several lines": Situation(
        (
            head(media="application/json"),
            json.dumps(
                {"message": {"content": "Hello"}, "done": True, "done_reason": "stop"}, indent=2
            ).encode(),
        ),
        "Hello",
        "ollama",
        ("--no-stream",),
    ),
    "not streamed: a comment, then JSON": Situation(
        (
            head(media="application/json"),
            b": PROCESSING\n\n",
            json.dumps(
                {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
            ).encode(),
        ),
        "Hello",
        flags=("--no-stream",),
    ),
    "not streamed, and streamed all the same": Situation(
        said("Hello"), "Hello", flags=("--no-stream",)
    ),
    # Where a question goes.
    "an environment with a proxy for loopback": Situation(
        (
            head(media="application/x-ndjson"),
            b'{"message":{"content":"Hello"},"done":false}\n{"done":true,"done_reason":"stop"}\n',
        ),
        "Hello",
        "ollama",
        environ={"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    ),
    "an environment with a SOCKS proxy, and this machine in NO_PROXY": Situation(
        said("Hello"),
        "Hello",
        environ={"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "127.0.0.1"},
    ),
    "a base address with a query": Situation(
        said("Hello"),
        "Hello",
        address="/openai/deployments/x?api-version=2024-10-21",
        path="/openai/deployments/x/chat/completions?api-version=2024-10-21",
    ),
    "the address of the call": Situation(
        said("Hello"), "Hello", address="/v1/chat/completions", path="/v1/chat/completions"
    ),
    # Reasoning.
    "a tag in the middle of the text": Situation(
        said("Use the <think> tag. ", chunk("Then close it.")),
        "Use the <think> tag. Then close it.",
    ),
    "a pair of tags in the middle of the text": Situation(
        said("Write <think>a plan</think> first."), "Write <think>a plan</think> first."
    ),
    "reasoning and content in one delta": Situation(
        stream(
            chunk(delta={"reasoning_content": "Let me think. "}),
            chunk("The answer", delta={"reasoning_content": "Done."}),
            chunk(" is 4."),
            chunk(reason="stop"),
        ),
        "The answer is 4.",
        reasoning="Let me think. Done.",
    ),
    "reasoning in details only": Situation(
        said(
            "",
            chunk(delta={"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}),
            chunk("Four."),
        ),
        "Four.",
        reasoning="Hm.",
    ),
    **{
        f"thinking in {opening}": Situation(
            said(f"{opening}Let me reason.{closing}Four."), "Four.", reasoning="Let me reason."
        )
        for opening, closing in {
            "<think>": "</think>",
            "<thought>": "</thought>",
            "[THINK]": "[/THINK]",
            "<seed:think>": "</seed:think>",
            "<|channel|>analysis<|message|>": "<|end|><|channel|>final<|message|>",
        }.items()
    },
    "a lone closing tag": Situation(
        said("Let me reason.", chunk("\n</think>\n\nFour.")), "Let me reason.\n\n\nFour."
    ),
    # Tool calls.
    "the id of a call changes once": Situation(
        stream(
            call(0, "a", "f"),
            call(0, "b", None, '{"a":'),
            call(0, "b", None, "1}"),
            chunk(reason="tool_calls"),
        ),
        calls=(("f", '{"a":1}'),),
        reason="tool_calls",
    ),
    "the id of a call changes with each chunk": Situation(
        stream(
            call(0, "x1", "f"),
            call(0, "x2", None, '{"a":'),
            call(0, "x3", None, "1}"),
            chunk(reason="tool_calls"),
        ),
        calls=(("f", '{"a":1}'),),
        reason="tool_calls",
    ),
    "two whole calls of one name without ids": Situation(
        stream(
            call(0, None, "f", '{"a":1}'), call(0, None, "f", '{"a":2}'), chunk(reason="tool_calls")
        ),
        calls=(("f", '{"a":1}'), ("f", '{"a":2}')),
        reason="tool_calls",
    ),
    "one call at two indexes": Situation(
        stream(call(0, "a", "f", '{"a":'), call(1, "a", None, "1}"), chunk(reason="tool_calls")),
        calls=(("f", '{"a":1}'),),
        reason="tool_calls",
    ),
    "an empty function call": Situation(
        stream(
            chunk("Hello"),
            chunk("", "stop", delta={"function_call": {"name": "", "arguments": ""}}),
        ),
        "Hello",
    ),
    "an empty tool call": Situation(
        stream(
            chunk("Hello"),
            chunk(
                "",
                "stop",
                delta={"tool_calls": [{"index": 0, "function": {"name": "", "arguments": ""}}]},
            ),
        ),
        "Hello",
    ),
    # Errors in other words, with HTTP 200.
    "error: an event with a message": _fails(
        stream(
            chunk("Hel"), 'event: error\ndata: {"message":"it exploded","code":502}\n\n', done=False
        ),
        "server_error",
        1,
        "it exploded",
        text="Hel",
    ),
    "error: an event with words": _fails(
        stream("event: error\ndata: it exploded\n\n", done=False), "server_error", 1, "it exploded"
    ),
    "error: detail": _fails(
        stream(chunk("Hel"), {"detail": "it exploded"}, done=False),
        "server_error",
        1,
        "it exploded",
        text="Hel",
    ),
    "error: message and status": _fails(
        stream({"message": "Rate limit exceeded", "status": 429}, done=False),
        "rate_limited",
        1,
        "Rate limit exceeded",
    ),
    "error: code and msg": _fails(
        stream({"code": 401, "msg": "token expired", "success": False}, done=False),
        "auth",
        3,
        "token expired",
    ),
    "error: base_resp": _fails(
        stream(
            {
                "id": "",
                "choices": None,
                "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"},
            },
            done=False,
        ),
        "quota",
        3,
        "insufficient balance",
    ),
    "error: a list": _fails(
        stream(
            {
                "success": False,
                "errors": [{"code": 10000, "message": "Authentication error"}],
                "result": None,
            },
            done=False,
        ),
        "auth",
        3,
        "Authentication error",
    ),
    "error: inside the choice": _fails(
        stream(chunk("Hel"), chunk(error={"message": "upstream died", "code": 502}), done=False),
        "server_error",
        1,
        "upstream died",
        text="Hel",
    ),
    "error: after the end": Situation(
        said("Hello", chunk(reason="stop"), {"error": {"message": "too late", "code": 500}}),
        "Hello",
        warnings=("late_error",),
        says=("too late",),
    ),
    "bare JSON after the first chunk": _fails(
        (
            head(),
            sse(chunk(delta={"role": "assistant"})),
            b'{"error":{"code":400,"message":"the context size is exceeded"}}',
        ),
        "context_length",
        3,
        "the context size is exceeded",
    ),
    "bare JSON after a comment": _fails(
        (head(), b": PROCESSING\n\n", b'{"error":{"message":"Provider timed out","code":504}}'),
        "server_error",
        1,
        "Provider timed out",
    ),
    "an error written into an open event": _fails(
        (
            head(),
            sse(chunk("Hel")),
            b'data: {"choices": [{"del{"error": {"message": "it broke", "code": 502}}\n\n',
        ),
        "server_error",
        1,
        "it broke",
        text="Hel",
    ),
    "plain text": _fails(
        (head(media="text/plain"), b"Internal Server Error"), "protocol", 1, "Internal Server Error"
    ),
    "plain text as events": _fails(
        (head(), b"upstream connect error\n"), "protocol", 1, "upstream connect error"
    ),
    "plain text after some of the answer": _fails(
        (head(), sse(chunk("Hel")), b"upstream connect error\n"),
        "truncated",
        5,
        "upstream connect error",
        text="Hel",
        warnings=("malformed_frame",),
    ),
    "Anthropic's events": _fails(
        anthropic("Hello", "end_turn"), "protocol", 1, "Anthropic's protocol", "-p anthropic"
    ),
    "events of the Responses protocol": _fails(
        stream(
            {"type": "response.created", "response": {}},
            {"type": "response.output_text.delta", "delta": "Hello"},
            done=False,
        ),
        "protocol",
        1,
        "Responses protocol",
    ),
    "OpenAI's chunks where Anthropic is expected": _fails(
        said("Hello"), "protocol", 1, "-p openai", dialect="anthropic"
    ),
    "OpenAI's chunks where Ollama is expected": _fails(
        said("Hello"), "protocol", 1, "-p openai", dialect="ollama"
    ),
    # Failures and their class.
    "the reason in metadata.raw, as text": _fails(
        json_body(
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 429,
                    "metadata": {
                        "raw": "z/glm is rate-limited upstream",
                        "provider_name": "BaseTen",
                    },
                }
            },
            "429 Too Many Requests",
        ),
        "rate_limited",
        1,
        "BaseTen",
        "z/glm is rate-limited upstream",
    ),
    "the reason in metadata.raw, as JSON": _fails(
        json_body(
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {
                        "raw": '{"error": {"message": "at most 1 image"}}',
                        "provider_name": "X",
                    },
                }
            },
            "400 Bad Request",
        ),
        "bad_request",
        3,
        "at most 1 image",
    ),
    "a 500 that speaks of a model": _fails(
        json_body(
            {"error": {"message": "model runner crashed: library not found"}},
            "500 Internal Server Error",
        ),
        "server_error",
        1,
        "model runner crashed",
    ),
    "a 403 of a bot protection": _fails(
        (
            head("403 Forbidden", "text/html", "cf-mitigated: challenge"),
            b"<html><title>Just a moment...</title></html>",
        ),
        "refused",
        3,
        "Just a moment",
    ),
    "a 403 for a region": _fails(
        json_body(
            {
                "error": {
                    "code": "unsupported_country_region_territory",
                    "message": "Country not supported",
                }
            },
            "403 Forbidden",
        ),
        "refused",
        3,
        "Country not supported",
    ),
    "a 400 for a key": _fails(
        json_body(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid.",
                        "status": "INVALID_ARGUMENT",
                        "details": [{"reason": "API_KEY_INVALID"}],
                    }
                }
            ],
            "400 Bad Request",
        ),
        "auth",
        3,
        "API key not valid",
    ),
    "a 400 for a model that is gone": _fails(
        json_body(
            {
                "error": {
                    "message": "The model `x` has been decommissioned.",
                    "code": "model_decommissioned",
                }
            },
            "400 Bad Request",
        ),
        "model_not_found",
        3,
        "decommissioned",
    ),
    "a wait that nobody waits": _fails(
        json_body(
            {"error": {"message": "The usage limit has been reached", "resets_in_seconds": 9568}},
            "429 Too Many Requests",
        ),
        "rate_limited",
        1,
        "2 h 39 min",
        flags=("--retries", "3"),
    ),
}

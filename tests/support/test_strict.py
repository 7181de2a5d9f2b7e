"""Claimed: the judge takes a run that keeps every rule, and refuses one mutant for each of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.strict import RULES, SENTINEL, Broken, Exchange, check

Path = tuple[str | int, ...]
Change = Callable[[Any], Any]
GONE = object()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
BAD = '{"city": "Be'


def sse(*values: object) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(it).encode() for it in values)


# ---- runs that keep the rules


def block(index: int, *deltas: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": fields},
        *({"type": "content_block_delta", "index": index, "delta": it} for it in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def arguments(text: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": text}


def anthropic(*, paused: bool = False) -> list[Exchange]:
    """Thinking of both kinds, the server's own search, then two calls; the next one is bad."""
    search = {"type": "server_tool_use", "id": "srv_1", "name": "search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
    thinking = {"type": "thinking", "thinking": ""}
    pieces = [
        *block(0, {"type": "thinking_delta", "thinking": "hm"}, **thinking, signature=""),
        *block(1, type="redacted_thinking", data="d"),
        *block(2, {"type": "text_delta", "text": "I look."}, type="text", text=""),
        *block(3, arguments('{"q": 1}'), **search),
        *block(4, **found),
        *block(5, arguments('{"city":"Bern"}'), type="tool_use", id="a", name="f", input={}),
        *block(6, type="tool_use", id="b", name="g", input={}),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    pieces.insert(2, {"type": "content_block_delta", "index": 0})
    pieces[2]["delta"] = {"type": "signature_delta", "signature": "s"}
    turn = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "I look."},
        {**search, "input": {"q": 1}},
        found,
        {"type": "tool_use", "id": "a", "name": "f", "input": {"city": "Bern"}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    results = [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": True},
    ]
    body = {
        "thinking": {"type": "enabled"},
        "tools": [{"name": it, "description": "", "input_schema": SCHEMA} for it in "fg"],
        "messages": [{"role": "user", "content": "hi"}],
    }
    if paused:
        pieces = [*pieces[:-7], {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}}]
        return grown(body, [(sse(*pieces), [{"role": "assistant", "content": turn[:5]}])])
    bad = [*block(0, arguments(BAD), type="tool_use", id="a", name="f", input={})]
    again = {"type": "tool_use", "id": "own000001", "name": "f", "input": {"INVALID_JSON": BAD}}
    answered = {"type": "tool_result", "tool_use_id": "own000001", "content": "no JSON"}
    return grown(
        body,
        [
            (
                sse(*pieces),
                [{"role": "assistant", "content": turn}, {"role": "user", "content": results}],
            ),
            (
                sse(*bad),
                [
                    {"role": "assistant", "content": [again]},
                    {"role": "user", "content": [answered, {"type": "text", "text": "and?"}]},
                ],
            ),
        ],
    )


def openai(service: str = "") -> list[Exchange]:
    """Two calls in pieces, then one that is bad and repeats an id."""
    signed = {"google": {"thought_signature": "s"}}
    first: dict[str, Any] = {
        "index": 0,
        "id": "aaaaaaaa1",
        "function": {"name": "f", "arguments": '{"city":'},
    }
    extra = {"extra_content": signed} if service == "gemini" else {}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "I look.", "reasoning_content": "hm"},
        {"tool_calls": [first | extra]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Bern"}'}}]},
        {"tool_calls": [{"index": 1, "id": "aaaaaaaa2", "function": {"name": "g"}}]},
    ]
    bad = {"index": 0, "id": "aaaaaaaa1", "function": {"name": "f", "arguments": BAD}}

    def call(call_id: str, name: str, text: str, **beside: Any) -> dict[str, Any]:
        function = {"name": name, "arguments": text}
        return {"id": call_id, "type": "function", "function": function, **beside}

    def result(call_id: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": call_id, "content": ""}

    turn = {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "hm",
        "tool_calls": [
            call("aaaaaaaa1", "f", '{"city":"Bern"}', **extra),
            call("aaaaaaaa2", "g", "{}"),
        ],
    }
    wrapped = call("own000001", "f", json.dumps({"INVALID_JSON": BAD}))
    sentinel = {"extra_content": {"google": {"thought_signature": SENTINEL}}}
    again: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "tool_calls": [wrapped | (sentinel if service == "gemini" else {})],
        **({"reasoning_content": ""} if service == "deepseek" else {}),
    }
    functions = [
        {"type": "function", "function": {"name": it, "parameters": SCHEMA}} for it in "fg"
    ]
    body = {
        "reasoning_effort": "low",
        "tools": functions,
        "messages": [{"role": "user", "content": "hi"}],
        **({"parallel_tool_calls": True} if service == "llamacpp" else {}),
    }
    return grown(
        body,
        [
            (
                sse(*({"choices": [{"index": 0, "delta": it}]} for it in deltas)),
                [turn, result("aaaaaaaa1"), result("aaaaaaaa2")],
            ),
            (sse({"choices": [{"delta": {"tool_calls": [bad]}}]}), [again, result("own000001")]),
        ],
    )


def ollama() -> list[Exchange]:
    """Thinking and two calls without ids; then a last round without tools."""

    def call(call_id: str, name: str) -> dict[str, Any]:
        return {"id": call_id, "function": {"name": name, "arguments": {"city": name}}}

    def result(call_id: str, name: str) -> dict[str, Any]:
        return {"role": "tool", "tool_name": name, "tool_call_id": call_id, "content": "1"}

    lines: list[dict[str, Any]] = [
        {"message": {"thinking": "h"}},
        {"message": {"thinking": "m"}},
        *({"message": {"tool_calls": [{"function": call("", it)["function"]}]}} for it in "fg"),
        {"message": {"content": ""}, "done": True},
    ]
    answer = b"".join(json.dumps(it).encode() + b"\n" for it in lines)
    turn = {
        "role": "assistant",
        "content": "",
        "thinking": "hm",
        "tool_calls": [call("own000001", "f"), call("own000002", "g")],
    }
    functions = [
        {"type": "function", "function": {"name": it, "parameters": SCHEMA}} for it in "fg"
    ]
    body = {
        "think": True,
        "tools": functions,
        "truncate": False,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return grown(body, [(answer, [turn, result("own000001", "f"), result("own000002", "g")])])


def responses() -> list[Exchange]:
    """Encrypted reasoning, a text in pieces and two calls; then a bad call that repeats an id."""

    def call(call_id: str, name: str, text: str) -> dict[str, Any]:
        return {"type": "function_call", "call_id": call_id, "name": name, "arguments": text}

    def result(call_id: str) -> dict[str, Any]:
        return {"type": "function_call_output", "call_id": call_id, "output": ""}

    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
    text = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    piece: dict[str, Any] = {"type": "response.output_text.delta", "item_id": "msg_1"}
    part: dict[str, Any] = {
        "type": "response.function_call_arguments.delta",
        "item_id": "fc_1",
    }
    began, done = "response.output_item.added", "response.output_item.done"
    first = [
        {"type": began, "item": {**thought, "encrypted_content": None, "status": "in_progress"}},
        {"type": done, "item": {**thought, "status": None}},
        {"type": began, "item": text},
        *({**piece, "delta": it} for it in ("I ", "look.")),
        {"type": began, "item": {**call("a", "f", ""), "id": "fc_1"}},
        *({**part, "delta": it} for it in ('{"city":', '"Bern"}')),
        {"type": done, "item": {**call("b", "g", ""), "id": "fc_2"}},
        {"type": "response.completed", "response": {"status": "completed"}},
    ]
    bad = {"type": "response.completed", "response": {"output": [call("a", "f", BAD)]}}
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "I look."}],
    }
    wrapped = call("own000001", "f", json.dumps({"INVALID_JSON": BAD}))
    body = {
        "store": False,
        "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": it, "parameters": SCHEMA} for it in "fg"],
        "input": [{"role": "user", "content": "hi"}],
    }
    calls = [call("a", "f", '{"city":"Bern"}'), call("b", "g", "{}")]
    return grown(
        body,
        [
            (sse(*first), [thought, said, *calls, result("a"), result("b")]),
            (sse(bad), [wrapped, result("own000001"), {"role": "user", "content": "and?"}]),
        ],
    )


def grown(body: dict[str, Any], rounds: list[tuple[bytes, list[dict[str, Any]]]]) -> list[Exchange]:
    """The exchanges of a run: each request has what was answered, and what follows it."""
    exchanges = []
    its = "input" if "input" in body else "messages"
    for answer, more in rounds:
        exchanges.append(Exchange(copy.deepcopy(body), answer))
        body = {**body, its: [*body[its], *more]}
    return [*exchanges, Exchange(copy.deepcopy(body), b"{}")]


RUNS: dict[str, Callable[[], list[Exchange]]] = {
    "anthropic": anthropic,
    "paused": lambda: anthropic(paused=True),
    "openai": openai,
    **{it: lambda it=it: openai(it) for it in ("mistral", "deepseek", "gemini", "llamacpp")},  # type: ignore[misc]
    "ollama": ollama,
    "openai-responses": responses,
}


def judge(run: str, exchanges: list[Exchange]) -> None:
    own = {"ollama", "anthropic", "openai-responses"}
    check({"paused": "anthropic"}.get(run, run if run in own else "openai"), exchanges, run)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_that_keeps_the_rules_is_taken(run: str) -> None:
    judge(run, RUNS[run]())


def test_a_request_may_be_asked_again_and_the_last_round_of_ollama_has_no_tools() -> None:
    first, *rest = openai()
    judge("openai", [first, first, *rest])
    *earlier, last = ollama()
    del last.body["tools"]
    judge("ollama", [*earlier, last])


# ---- mutants of single requests

AGAIN = {"role": "user", "content": "again"}
MUTANTS: dict[str, list[tuple[str, Path, Any]]] = {
    "tools-unchanged": [
        ("anthropic", ("tools", 0, "description"), "x"),
        ("openai", ("tools", 0, "function", "parameters", "type"), "x"),
        ("ollama", ("tools",), lambda it: it[::-1]),
        ("openai-responses", ("tools", 0, "parameters", "type"), "x"),
    ],
    "append-only": [
        ("anthropic", ("messages", 0, "content"), "x"),
        ("anthropic", ("system",), "x"),
        ("openai", ("messages",), lambda it: it[1:]),
        ("ollama", ("messages", 0, "content"), "x"),
        ("openai-responses", ("input", 0, "content"), "x"),
        ("openai-responses", ("instructions",), "x"),
    ],
    "one-thinking-configuration": [
        ("anthropic", ("thinking", "type"), "disabled"),
        ("openai", ("reasoning_effort",), "high"),
        ("ollama", ("think",), GONE),
        ("openai-responses", ("reasoning", "effort"), "high"),
    ],
    "turn-echoed": [
        ("anthropic", ("messages", 1, "content", 2, "text"), "I looked."),
        ("anthropic", ("messages", 1, "content", 5, "input", "city"), "Basel"),
        ("anthropic", ("messages", 1, "content"), lambda it: [*it[:2], *it[3:]]),
        ("anthropic", ("messages", 1, "content"), lambda it: [it[2], *it[:2], *it[3:]]),
        ("anthropic", ("messages", 1), AGAIN),
        ("openai", ("messages", 1, "content"), None),
        ("openai", ("messages", 1, "tool_calls", 0, "function", "arguments"), '{"city": "Bern"}'),
        ("openai", ("messages", 1, "tool_calls", 0, "function", "name"), "g"),
        ("openai", ("messages", 1, "tool_calls", 1), GONE),
        ("ollama", ("messages", 1, "tool_calls", 0, "function", "arguments"), {}),
        ("openai-responses", ("input", 2, "content", 0, "text"), "I looked."),
        ("openai-responses", ("input", 2), GONE),
        ("openai-responses", ("input", 3, "arguments"), "{}"),
        ("openai-responses", ("input", 3, "arguments"), '{"city": "Bern"}'),
        ("openai-responses", ("input", 3, "name"), "g"),
        ("openai-responses", ("input",), lambda it: [*it[:4], *it[5:]]),
        ("openai-responses", ("input",), lambda it: [*it[:2], it[3], it[2], *it[4:]]),
    ],
    "thinking-echoed": [
        ("anthropic", ("messages", 1, "content", 0, "signature"), "x"),
        ("anthropic", ("messages", 1, "content", 0, "thinking"), ""),
        ("anthropic", ("messages", 1, "content"), lambda it: [it[0], *it[2:]]),
        ("openai", ("messages", 1, "reasoning_content"), GONE),
        ("ollama", ("messages", 1, "thinking"), "h"),
        ("gemini", ("messages", 1, "tool_calls", 0, "extra_content"), GONE),
        ("openai-responses", ("input", 1, "encrypted_content"), "x"),
        ("openai-responses", ("input", 1, "id"), GONE),
        ("openai-responses", ("input", 1), GONE),
    ],
    "server-blocks-echoed": [
        ("anthropic", ("messages", 1, "content", 3, "input"), {}),
        ("anthropic", ("messages", 1, "content", 4), GONE),
    ],
    "pause-sent-back": [("paused", ("messages",), lambda it: [*it, AGAIN])],
    "bad-arguments-wrapped": [
        ("anthropic", ("messages", 3, "content", 0, "input"), {}),
        ("openai", ("messages", 4, "tool_calls", 0, "function", "arguments"), "{}"),
        ("openai-responses", ("input", 7, "arguments"), "{}"),
    ],
    "id-kept": [
        ("anthropic", ("messages", 1, "content", 5, "id"), "own000001"),
        ("anthropic", ("messages", 3, "content", 0, "id"), "a"),
        ("openai", ("messages", 1, "tool_calls", 0, "id"), "own000001"),
        ("ollama", ("messages", 1, "tool_calls", 0, "id"), "call_1"),
        ("openai-responses", ("input", 3, "call_id"), "own000001"),
        ("openai-responses", ("input", 7, "call_id"), "a"),
    ],
    "roles-alternate": [
        ("openai-responses", ("input",), lambda it: [*it, AGAIN, AGAIN]),
        ("openai-responses", ("input",), lambda it: [*it, it[2]]),
    ],
    "ids-distinct": [
        ("anthropic", ("messages", 3, "content", 0, "id"), "a"),
        ("openai", ("messages", 4, "tool_calls", 0, "id"), "aaaaaaaa1"),
        ("openai-responses", ("input", 7, "call_id"), "a"),
    ],
    "result-for-each-call": [
        ("anthropic", ("messages", 2, "content", 1), GONE),
        ("anthropic", ("messages",), lambda it: it[:2]),
        ("openai", ("messages", 3), GONE),
        ("ollama", ("messages", 3), GONE),
        ("openai-responses", ("input", 6), GONE),
    ],
    "results-in-order": [
        ("anthropic", ("messages", 2, "content"), lambda it: it[::-1]),
        ("openai", ("messages",), lambda it: [*it[:2], it[3], it[2], *it[4:]]),
        ("ollama", ("messages",), lambda it: [*it[:2], it[3], it[2]]),
        ("openai-responses", ("input",), lambda it: [*it[:5], it[6], it[5], *it[7:]]),
    ],
    "no-result-without-call": [
        ("openai", ("messages",), lambda it: [*it, it[2] | {"tool_call_id": "x"}]),
        ("openai", ("messages",), lambda it: [it[2], *it]),
        ("anthropic", ("messages",), lambda it: [it[2], *it]),
        ("openai-responses", ("input",), lambda it: [it[5], *it]),
    ],
    "names": [
        ("anthropic", ("messages", 1, "content", 5, "name"), "f.g"),
        ("openai", ("tools", 0, "function", "name"), "n" * 65),
        ("openai-responses", ("input", 3, "name"), "f.g"),
    ],
    "arguments-object": [
        ("anthropic", ("messages", 1, "content", 5, "input"), "{}"),
        ("openai", ("messages", 1, "tool_calls", 0, "function", "arguments"), BAD),
        ("ollama", ("messages", 1, "tool_calls", 0, "function", "arguments"), "{}"),
        ("openai-responses", ("input", 3, "arguments"), BAD),
    ],
    "results-before-text": [
        ("anthropic", ("messages", 2, "content"), lambda it: [{"type": "text", "text": "x"}, *it]),
    ],
    "tools-defined": [("anthropic", ("tools",), GONE)],
    "id-characters": [("anthropic", ("messages", 1, "content", 5, "id"), "f:0")],
    "error-with-words": [("anthropic", ("messages", 2, "content", 1, "content"), " ")],
    "no-blank-text": [
        ("anthropic", ("messages", 1, "content", 2, "text"), " "),
        ("anthropic", ("messages", 0, "content"), ""),
    ],
    "result-is-a-message": [
        ("openai", ("messages", 2, "content"), None),
        ("openai-responses", ("input", 5, "output"), None),
    ],
    "id-length": [
        (
            "openai",
            ("messages",),
            lambda it: json.loads(json.dumps(it).replace("aaaaaaaa1", "a" * 41)),
        )
    ],
    "call-type": [("openai", ("messages", 1, "tool_calls", 0, "type"), GONE)],
    "mistral-id": [
        ("mistral", ("messages",), lambda it: json.loads(json.dumps(it).replace("aa1", "call_1")))
    ],
    "deepseek-reasoning": [("deepseek", ("messages", 4, "reasoning_content"), GONE)],
    "gemini-signature": [
        ("gemini", ("messages", 1, "tool_calls", 0, "extra_content"), GONE),
        ("gemini", ("messages", 4, "tool_calls", 0, "extra_content"), GONE),
    ],
    "llamacpp-parallel": [("llamacpp", ("parallel_tool_calls",), GONE)],
    "both-names": [
        ("ollama", ("messages", 2, "tool_name"), GONE),
        ("ollama", ("messages", 2, "tool_name"), "g"),
        ("ollama", ("messages", 2, "tool_call_id"), GONE),
    ],
    "not-truncated": [("ollama", ("truncate",), GONE)],
    "reasoning-followed": [
        ("openai-responses", ("input",), lambda it: it[:2]),
        ("openai-responses", ("input",), lambda it: [*it[:2], AGAIN]),
    ],
    "not-stored": [("openai-responses", ("store",), GONE)],
}
"""For each rule what may be wrong in a request: whose run, where, and what stands there."""

OF_GROWTH = frozenset(list(RULES)[:10])  # these compare a request with what came before it


def changed(body: dict[str, Any], path: Path, value: Any) -> None:
    """Change what stands at the path; `value` may be made of what it was."""
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value(place[path[-1]]) if callable(value) else value


def first_with(exchanges: list[Exchange], path: Path) -> int:
    """The number of the first request, after the first of all, that has this message."""
    match path:
        case ("messages" | "input" as name, int(at), *_):
            return next(n for n, it in enumerate(exchanges) if n and len(it.body[name]) > at)
    return 1


def mutants() -> list[Any]:
    return [
        pytest.param(rule, *mutant, id=f"{rule}-{mutant[0]}-{number}")
        for rule, found in MUTANTS.items()
        for number, mutant in enumerate(found)
    ]


def test_every_rule_has_a_mutant() -> None:
    assert list(MUTANTS) == list(RULES)


@pytest.mark.parametrize(("rule", "run", "path", "value"), mutants())
def test_a_mutant_is_refused_by_its_rule(rule: str, run: str, path: Path, value: Any) -> None:
    exchanges = RUNS[run]()
    if rule in OF_GROWTH:
        number = first_with(exchanges, path)
    else:
        exchanges, number = exchanges[-1:], 0
    changed(exchanges[number].body, path, value)
    with pytest.raises(Broken) as error:
        judge(run, exchanges)
    assert error.value.rule == rule

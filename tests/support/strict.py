"""A strict judge of what is sent to a server: the rules of the wire for conversations with tools.

    check("anthropic", [Exchange(body, answer), Exchange(body, answer)])

The exchanges are those of one run, in order: the body of each request, and the bytes that the
server answered. The first rule that a request breaks is raised as `Broken`, by its name in `RULES`.
`service` is the one that is asked, where it has rules of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.turns import (
    Call,
    Said,
    blocks_of,
    gathered,
    items_of,
    joined,
    message_of,
    stop_reason,
)

Body = dict[str, Any]

RULES = {
    "tools-unchanged": "the tools are the same in every request of a run",
    "append-only": "each request has the messages of the one before it, and more behind them",
    "one-thinking-configuration": "how the model thinks is configured once for a run",
    "turn-echoed": "the assistant's turn goes back exactly as it was received",
    "thinking-echoed": "thinking goes back exactly as it was received, redacted or not",
    "server-blocks-echoed": "the server's own calls and their results go back in their place",
    "pause-sent-back": "a turn that the server paused is sent back without a turn of the user",
    "bad-arguments-wrapped": "arguments that are no object go back as {'INVALID_JSON': text}",
    "id-kept": "an id that is given, new and taken by the server is kept, else it is 9 characters",
    "roles-alternate": "behind a turn of the assistant, and its results, stands one of the user",
    "ids-distinct": "an id stands for one call",
    "result-for-each-call": "each call has its result in what follows it at once",
    "results-in-order": "results stand in the order of the calls",
    "no-result-without-call": "a result belongs to a call of the turn before it",
    "names": "names of tools and calls have 1 to 64 characters of a-z A-Z 0-9 _ -",
    "arguments-object": "the arguments of a call are a JSON object",
    "results-before-text": "results stand before any text of the user",
    "tools-defined": "a conversation with calls defines tools",
    "id-characters": "an id has the characters a-z A-Z 0-9 _ -",
    "error-with-words": "the result of a failure is not empty",
    "no-blank-text": "a block of text is not blank",
    "result-is-a-message": "a result is a message of its own, of the role tool, with text",
    "id-length": "an id has at most 40 characters",
    "call-type": "a call says that it is a function",
    "mistral-id": "an id has exactly 9 letters and digits",
    "deepseek-reasoning": "reasoning_content comes back on each turn with calls, be it empty",
    "gemini-signature": "the first call of a turn has a signature, or the word for having none",
    "llamacpp-parallel": "several calls at once are asked for",
    "both-names": "a result names its tool and its call",
    "not-truncated": "the server may not cut off the beginning of the conversation",
    "reasoning-followed": "reasoning stands before text or a call of the same turn",
    "not-stored": "the conversation is not stored at the server",
}

SENTINEL = "skip_thought_signature_validator"
_OWN_ID = r"[a-zA-Z0-9]{9}"
_NAME = r"[a-zA-Z0-9_-]{1,64}"
_IDS = {
    "anthropic": r"[a-zA-Z0-9_-]+",
    "ollama": ".+",
    "openai": ".{1,40}",
    "mistral": _OWN_ID,
    "openai-responses": ".{1,64}",
}


@dataclass(frozen=True)
class Exchange:
    """The body of a request, and the bytes that were answered."""

    body: Body
    answer: bytes


class Broken(AssertionError):
    """A request breaks a rule."""

    def __init__(self, rule: str, found: object = "") -> None:
        super().__init__(f"{rule}: {RULES[rule]}: {str(found)[:500]}")
        self.rule = rule


def check(dialect: str, exchanges: Sequence[Exchange], service: str = "") -> None:
    """Raises `Broken` for the first request of a run that its server should refuse."""
    before: Exchange | None = None
    for exchange in exchanges:
        if before is not None:
            form = _IDS.get(service, _IDS[dialect])
            _check_growth(dialect, before, exchange.body, form)
        match dialect:
            case "anthropic":
                _check_anthropic(exchange.body)
            case "ollama":
                _check_ollama(exchange.body)
            case "openai-responses":
                _check_responses(exchange.body)
            case _:
                _check_openai(exchange.body, service)
        before = exchange


def _hold(rule: str, holds: object, found: object = "") -> None:
    if not holds:
        raise Broken(rule, found)


# ---- from one request to the next


def _check_growth(dialect: str, before: Exchange, body: Body, form: str) -> None:
    list_, system = (
        ("input", "instructions") if dialect == "openai-responses" else ("messages", "system")
    )
    earlier = before.body[list_]
    if dialect != "ollama" or "tools" in body:  # the last round of Ollama has none
        _hold("tools-unchanged", body.get("tools") == before.body.get("tools"), body.get("tools"))
    for name in ("thinking", "think", "reasoning_effort", "reasoning"):
        same = body.get(name) == before.body.get(name)
        _hold("one-thinking-configuration", same, body.get(name))
    messages = body[list_]
    is_longer = messages[: len(earlier)] == earlier
    is_longer = is_longer and body.get(system) == before.body.get(system)
    _hold("append-only", is_longer, messages[: len(earlier)])
    if len(messages) == len(earlier):
        return  # asked again, where the answer broke off
    if dialect == "openai-responses":
        _check_items(earlier, messages[len(earlier) :], before.answer, form)
        return
    turn, *rest = messages[len(earlier) :]
    _hold("turn-echoed", turn["role"] == "assistant", turn)
    used = [call.id for it in earlier for call in _calls_in(dialect, it)]
    if dialect == "anthropic":
        _check_blocks(turn, blocks_of(before.answer), used, form)
        if stop_reason(before.answer) == "pause_turn":
            _hold("pause-sent-back", not rest, rest)
    else:
        _check_message(dialect, turn, message_of(before.answer), used, form)


def _check_blocks(
    turn: dict[str, Any], received: list[dict[str, Any]], used: list[str], form: str
) -> None:
    sent = turn["content"]
    sent = [{"type": "text", "text": sent}] if isinstance(sent, str) else sent
    for kinds, rule in (
        ({"thinking", "redacted_thinking"}, "thinking-echoed"),
        ({"server_tool_use", "web_search_tool_result", "mcp_tool_use"}, "server-blocks-echoed"),
    ):
        both = [[it for it in blocks if it["type"] in kinds] for blocks in (sent, received)]
        _hold(rule, both[0] == both[1], both[0])
    calls = [[it for it in blocks if it["type"] == "tool_use"] for blocks in (sent, received)]
    _check_wrapped([it["input"] for it in calls[0]], [it["input"] for it in calls[1]])
    _check_ids([it["id"] for it in calls[0]], [it["id"] for it in calls[1]], used, form)
    _hold("turn-echoed", _alike(sent) == _alike(received), sent)


def _alike(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks without the ids of calls; plain texts that follow one another are one."""
    return [it | {"id": ""} if it["type"] == "tool_use" else it for it in joined(blocks)]


def _check_message(
    dialect: str, turn: dict[str, Any], received: Said, used: list[str], form: str
) -> None:
    sent = _calls_in(dialect, turn)
    for name, value in received.given.items():
        if sent or name == "extra_content":
            _hold("thinking-echoed", turn.get(name) == value, turn)
    arguments = [json.loads(it.arguments) for it in sent]
    _check_wrapped(arguments, [_object_of(it.arguments) for it in received.calls])
    _check_ids([it.id for it in sent], [it.id for it in received.calls], used, form)
    for one, other in zip(sent, received.calls, strict=False):
        _hold("thinking-echoed", other.beside.items() <= one.beside.items(), one)
        _hold("turn-echoed", one.name == other.name, one)
        if dialect != "ollama" and "INVALID_JSON" not in one.arguments:
            _hold("turn-echoed", one.arguments == (other.arguments or "{}"), one)
    _hold("turn-echoed", (turn["content"] or "") == received.text, turn)
    _hold("turn-echoed", len(sent) == len(received.calls), turn)


def _check_items(earlier: list[Body], later: list[Body], answer: bytes, form: str) -> None:
    """The items of the turn that was answered, then results, then a turn of the user."""
    end = next((n for n, it in enumerate(later) if not _of_assistant(it)), len(later))
    sent, received = gathered(later[:end]), items_of(answer)
    both = [[it for it in items if it["type"] == "reasoning"] for items in (sent, received)]
    _hold("thinking-echoed", both[0] == both[1], both[0])
    calls = [[it for it in items if it["type"] == "function_call"] for items in (sent, received)]
    _hold("turn-echoed", len(calls[0]) == len(calls[1]), sent)
    arguments = [json.loads(it["arguments"]) for it in calls[0]]
    _check_wrapped(arguments, [_object_of(it["arguments"]) for it in calls[1]])
    used = [it["call_id"] for it in earlier if it.get("type") == "function_call"]
    ids = [[it["call_id"] for it in its] for its in calls]
    _check_ids(ids[0], ids[1], used, form)
    for one, other in zip(*calls, strict=True):
        if "INVALID_JSON" not in one["arguments"]:
            _hold("turn-echoed", one["arguments"] == (other["arguments"] or "{}"), one)
    free: Body = {"call_id": "", "arguments": ""}
    bare = [
        [it | free if it["type"] == "function_call" else it for it in items]
        for items in (sent, received)
    ]
    _hold("turn-echoed", bare[0] == bare[1], sent)
    rest = [it for it in later[end:] if it.get("type") != "function_call_output"]
    _hold("roles-alternate", len(rest) <= 1 and not any(map(_of_assistant, rest)), rest)


def _of_assistant(item: Body) -> bool:
    return item.get("role") == "assistant" or item.get("type") in {"reasoning", "function_call"}


def _object_of(text: str) -> Any:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": text}


def _check_wrapped(sent: list[Any], received: list[Any]) -> None:
    for one, other in zip(sent, received, strict=False):
        if "INVALID_JSON" in other:
            _hold("bad-arguments-wrapped", one == other, one)
        else:
            _hold("turn-echoed", one == other, one)


def _check_ids(sent: list[str], given: list[str], used: list[str], form: str) -> None:
    taken = set(used)
    for one, other in zip(sent, given, strict=False):
        is_good = re.fullmatch(form, other) and other not in taken
        kept = one == other if is_good else re.fullmatch(_OWN_ID, one)
        _hold("id-kept", kept, one)
        taken.add(one)


# ---- one request


def _calls_in(dialect: str, message: dict[str, Any]) -> list[Call]:
    if dialect == "anthropic":
        content = message["content"]
        blocks = content if isinstance(content, list) else []
        uses = [it for it in blocks if it["type"] == "tool_use"]
        return [Call(it["id"], it["name"], json.dumps(it["input"])) for it in uses]
    calls = []
    for it in message.get("tool_calls") or []:
        function = it["function"]
        arguments = function["arguments"]
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        beside = {k: v for k, v in it.items() if k not in {"id", "type", "function"}}
        calls.append(Call(it["id"], function["name"], text, beside))
    return calls


def _check_calls(dialect: str, body: Body) -> None:
    _check_named([call for it in body["messages"] for call in _calls_in(dialect, it)], body)


def _check_named(calls: Sequence[Call], body: Body) -> None:
    """What holds for the calls and the names of every dialect."""
    ids = [it.id for it in calls]
    _hold("ids-distinct", len(set(ids)) == len(ids), ids)
    for call in calls:
        _hold("names", re.fullmatch(_NAME, call.name), call)
        try:
            value = json.loads(call.arguments)
        except ValueError:
            value = None
        _hold("arguments-object", isinstance(value, dict), call)
    for tool in body.get("tools", ()):
        _hold("names", re.fullmatch(_NAME, tool.get("function", tool)["name"]), tool)


def _check_results(calls: list[str], results: list[str]) -> None:
    missing = set(calls) - set(results)
    _hold("result-for-each-call", not missing, missing)
    unknown = set(results) - set(calls)
    _hold("no-result-without-call", not unknown, unknown)
    _hold("results-in-order", calls == results, results)


def _check_anthropic(body: Body) -> None:
    _check_calls("anthropic", body)
    messages = body["messages"]
    calls: list[str] = []
    for place, message in enumerate(messages):
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for block in blocks:
            if block["type"] == "text":
                _hold("no-blank-text", block["text"].strip(), blocks)
        kinds = [it["type"] == "tool_result" for it in blocks]
        results = [it for it in blocks if it["type"] == "tool_result"]
        if message["role"] == "assistant":
            calls = [it.id for it in _calls_in("anthropic", message)]
            for call_id in calls:
                _hold("id-characters", re.fullmatch("[a-zA-Z0-9_-]+", call_id), call_id)
            _hold("result-for-each-call", not calls or place + 1 < len(messages), calls)
            continue
        _check_results(calls, [it["tool_use_id"] for it in results])
        _hold("results-before-text", kinds == sorted(kinds, reverse=True), blocks)
        for result in results:
            words = not result.get("is_error") or result["content"].strip()
            _hold("error-with-words", words, result)
        calls = []
    used = any(_calls_in("anthropic", it) for it in messages)
    _hold("tools-defined", not used or body.get("tools"))


def _rounds(dialect: str, body: Body) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each turn with calls, and the messages of the role tool behind it; the same for no turn."""
    turn: dict[str, Any] = {}
    results: list[dict[str, Any]] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            results.append(message)
            continue
        yield turn, results
        turn, results = message, []
    yield turn, results


def _check_openai(body: Body, service: str) -> None:
    _check_calls("openai", body)
    for turn, results in _rounds("openai", body):
        for result in results:
            is_message = isinstance(result.get("content"), str) and result.get("tool_call_id")
            _hold("result-is-a-message", is_message, result)
        calls = _calls_in("openai", turn) if turn else []
        _check_results([it.id for it in calls], [it["tool_call_id"] for it in results])
        for call in calls:
            _hold("id-length", len(call.id) <= 40, call)
            if service == "mistral":
                _hold("mistral-id", re.fullmatch(_OWN_ID, call.id), call)
        for it in turn.get("tool_calls") or []:
            _hold("call-type", it.get("type") == "function", it)
        if calls and service == "deepseek":
            _hold("deepseek-reasoning", isinstance(turn.get("reasoning_content"), str), turn)
        if calls and service == "gemini":
            google = calls[0].beside.get("extra_content", {}).get("google", {})
            _hold("gemini-signature", google.get("thought_signature"), turn)
    if service == "llamacpp" and "tools" in body:
        _hold("llamacpp-parallel", body.get("parallel_tool_calls") is True)


def _check_ollama(body: Body) -> None:
    for message in body["messages"]:
        for it in message.get("tool_calls") or []:
            is_object = isinstance(it["function"]["arguments"], dict)
            _hold("arguments-object", is_object, it)
    _check_calls("ollama", body)
    for turn, results in _rounds("ollama", body):
        calls = _calls_in("ollama", turn) if turn else []
        for result in results:
            _hold("both-names", {"tool_name", "tool_call_id"} <= result.keys(), result)
        _check_results([it.id for it in calls], [it["tool_call_id"] for it in results])
        _hold("both-names", [it.name for it in calls] == [it["tool_name"] for it in results])
    if "tools" in body:
        _hold("not-truncated", body.get("truncate") is False)


def _check_responses(body: Body) -> None:
    """Calls and results are items of their own: those of a turn, and then their results."""
    _hold("not-stored", body.get("store") is False, body.get("store"))
    for item, following in zip(body["input"], [*body["input"][1:], {}], strict=True):
        if item.get("type") == "reasoning":
            _hold("reasoning-followed", _of_assistant(following), item)
    kinds = {"function_call", "function_call_output"}
    items = [it for it in body["input"] if it.get("type") in kinds or it.get("role") == "user"]
    made = [it for it in items if it.get("type") == "function_call"]
    _check_named([Call(it["call_id"], it["name"], it["arguments"]) for it in made], body)
    calls: list[str] = []
    results: list[str] = []
    for item in [*items, {}]:
        kind = item.get("type")
        if kind == "function_call_output":
            _hold("result-is-a-message", isinstance(item.get("output"), str), item)
            results.append(item["call_id"])
            continue
        if kind != "function_call" or results:  # what comes before it is settled
            _check_results(calls, results)
            calls, results = [], []
        if kind == "function_call":
            calls.append(item["call_id"])

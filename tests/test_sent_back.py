"""Claimed: what a server gives with an answer goes back to it byte for byte, and to no other.

Each recording is read, made into messages, kept as JSON and read again; then the body of the next
request is made, and compared with the bytes that the server had sent.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

import chatstream
from chatstream.messages import ChatRequest, Message, decoder, encode
from chatstream.providers import Endpoint, dialect, find
from chatstream.transcript import Transcript
from chatstream.transport import Transport
from tests.support.answers import headers, whole
from tests.support.loopback import Reply, Script
from tests.support.memory import ask_in_memory
from tests.support.recordings import Recording, recordings, requires_shared
from tests.support.turns import blocks_of, frames, joined

HERE = "http://127.0.0.1:9"  # where `ask_in_memory` asks
GIVEN = re.compile(rb'"(?:signature|data|thought_signature)":\s*"[^"]{9,}"')  # nobody reads these


def answer_of(provider: str, body: bytes) -> Message:
    """The answer that these bytes make, after a stay in a journal."""
    transcript = Transcript()
    for event in ask_in_memory(provider, [body]).events:
        transcript.add(event)
    return decoder(Message).decode(encode(transcript.message))


def sent(provider: str, answer: Message, address: str = HERE) -> bytes:
    """The body of the request that follows this answer."""
    asked = (Message("user", "hi"), answer, Message("user", "and?"))
    place = dialect(find(provider))(Endpoint(provider, address), Transport())
    return msgspec.json.encode(place.body(ChatRequest("m", asked)))


def turn(body: bytes) -> dict[str, Any]:
    """The assistant's turn in a body; an empty one makes none for Anthropic."""
    found = [it for it in json.loads(body)["messages"] if it["role"] == "assistant"]
    assert len(found) <= 1
    return dict(found[0]) if found else {"content": ""}


def chosen(provider: str) -> list[Recording]:
    return [
        it
        for it in recordings("recorded", "constructed", "nonstream")
        if it.provider == provider
        and it.expected.get("outcome", "complete") == "complete"
        and (provider == "anthropic" or b"reasoning_details" in it.body)
    ]


# ---- Anthropic


@requires_shared
@pytest.mark.parametrize("recording", chosen("anthropic"), ids=str)
def test_the_blocks_of_anthropic_go_back_as_they_came(recording: Recording) -> None:
    body = sent("anthropic", answer_of("anthropic", recording.body))
    expected = joined(blocks_of(recording.body))
    if all(it.keys() == {"type", "text"} for it in expected):
        assert turn(body)["content"] == "".join(it["text"] for it in expected)
        return
    assert turn(body)["content"] == expected
    assert set(GIVEN.findall(recording.body)) == set(GIVEN.findall(body))


# ---- OpenAI and its relatives


def details_of(recording: Recording) -> tuple[str, list[dict[str, Any]]]:
    """The text of OpenRouter's details, and those that are encrypted, as they were sent."""
    text, encrypted = "", []
    for frame in frames(recording.body):
        for choice in frame.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            for detail in said.get("reasoning_details") or ():
                if detail["type"] == "reasoning.encrypted":
                    encrypted.append(detail)
                text += detail.get("text") or detail.get("summary") or ""
    return text, encrypted


@requires_shared
@pytest.mark.parametrize("recording", chosen("openai"), ids=str)
def test_the_details_of_openrouter_go_back_as_they_came(recording: Recording) -> None:
    answer = answer_of("openrouter", recording.body)
    body = sent("openrouter", answer)
    given = GIVEN.findall(recording.body)
    assert all(it in body for it in given)
    text, encrypted = details_of(recording)
    details = turn(body).get("reasoning_details", [])
    if given or answer.tool_calls:
        assert "".join(it.get("text", "") or it.get("summary", "") for it in details) == text
        assert [it for it in details if it["type"] == "reasoning.encrypted"] == encrypted
        assert all(msgspec.json.encode(it) in body for it in encrypted)
    else:
        assert details == []  # the text alone is no part of the next request


def reasoning_content_of(recording: Recording) -> str:
    found = ""
    for frame in frames(recording.body):
        for choice in frame.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            found += said.get("reasoning_content") or ""
    return found


@requires_shared
@pytest.mark.parametrize(
    "recording",
    [
        it
        for it in recordings("recorded", "nonstream")
        if b'"reasoning_content"' in it.body
        and it.expected.get("outcome", "complete") == "complete"
    ],
    ids=str,
)
def test_reasoning_content_goes_back_where_the_answer_calls_tools(recording: Recording) -> None:
    answer = answer_of("deepseek", recording.body)
    again = turn(sent("deepseek", answer))
    if answer.tool_calls:
        assert again["reasoning_content"] == reasoning_content_of(recording)
        assert [it["id"] for it in again["tool_calls"]] == [it.id for it in answer.tool_calls]
    else:
        assert again == {"role": "assistant", "content": answer.content}


CALL_OF_GEMINI = (
    b'{"extra_content":{"google":{"thought_signature":"EjQKMgEMOdbHJChLX75Q/+=="}},'
    b'"function":{"arguments":"{\\"query\\":\\"\xe6\x9d\xad\xe5\xb7\x9e\\"}","name":"search_web"},'
    b'"id":"jm4owj31","type":"function"}'
)
SIGNED_TEXT = b'{"google":{"thought_signature":"EocDCoQDAb4+9vsa3G=="}}'


def gemini(*deltas: bytes) -> bytes:
    """A stream as Gemini's compatible address sends it: whole calls without an index."""
    chunk = b'data: {"choices":[{"delta":%s,"index":0}],"object":"chat.completion.chunk"}\n\n'
    end = b'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}]}\n\ndata: [DONE]\n\n'
    return b"".join(chunk % delta for delta in deltas) + end


def test_a_call_of_gemini_goes_back_with_its_signature() -> None:
    thought = b'{"content":"<thought>hm","extra_content":{"google":{"thought":true}}}'
    body = gemini(thought, b'{"role":"assistant","tool_calls":[%s]}' % CALL_OF_GEMINI)
    again = sent("gemini", answer_of("gemini", body))
    assert turn(again)["tool_calls"] == [json.loads(CALL_OF_GEMINI)]
    assert turn(again).keys() == {"role", "content", "tool_calls"}
    assert GIVEN.findall(body) == GIVEN.findall(again)


@pytest.mark.parametrize(
    "deltas",
    [
        [b'{"content":"seven"}', b'{"content":"","extra_content":%s}' % SIGNED_TEXT],
        [b'{"content":"seven","extra_content":%s}' % SIGNED_TEXT],
    ],
    ids=["alone", "with-text"],
)
def test_a_text_of_gemini_goes_back_with_its_signature(deltas: list[bytes]) -> None:
    answer = answer_of("gemini", gemini(*deltas))
    again = turn(sent("gemini", answer))
    extra = json.loads(SIGNED_TEXT)
    assert again == {"role": "assistant", "content": "seven", "extra_content": extra}
    assert SIGNED_TEXT in sent("gemini", answer)


# ---- Ollama


def test_the_thinking_of_ollama_goes_back_with_its_calls() -> None:
    call = '{"function":{"name":"add","arguments":{"a":1}}}'
    lines = '{"message":{"thinking":"h"}}\n{"message":{"thinking":"m\\u00e9"}}\n'
    end = '{"message":{"content":""},"done":true,"done_reason":"stop"}\n'
    with_call = answer_of(
        "ollama", f'{lines}{{"message":{{"tool_calls":[{call}]}}}}\n{end}'.encode()
    )
    without = answer_of("ollama", f'{lines}{{"message":{{"content":"1"}}}}\n{end}'.encode())
    assert turn(sent("ollama", with_call))["thinking"] == "hmé"
    assert turn(sent("ollama", without)) == {"role": "assistant", "content": "1"}


# ---- to no other

STREAMS = {
    "anthropic": b"".join(
        b"data: %s\n\n" % frame
        for frame in (
            b'{"type":"message_start","message":{"content":[]}}',
            b'{"type":"content_block_start","index":0,"content_block":'
            b'{"type":"thinking","thinking":"","signature":""}}',
            b'{"type":"content_block_delta","index":0,"delta":'
            b'{"type":"thinking_delta","thinking":"private"}}',
            b'{"type":"content_block_delta","index":0,"delta":'
            b'{"type":"signature_delta","signature":"EuYBCkQ/private=="}}',
            b'{"type":"content_block_stop","index":0}',
            b'{"type":"content_block_start","index":1,"content_block":'
            b'{"type":"redacted_thinking","data":"EpMGCkg/private=="}}',
            b'{"type":"content_block_stop","index":1}',
            b'{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"a"}}',
            b'{"type":"message_stop"}',
        )
    ),
    "gemini": gemini(
        b'{"reasoning_content":"private","content":"a"}',
        b'{"reasoning_details":[{"type":"reasoning.encrypted","data":"private"}]}',
        b'{"tool_calls":[%s],"extra_content":%s}' % (CALL_OF_GEMINI, SIGNED_TEXT),
    ).replace(b"EjQKMgEMOdbHJChLX75Q", b"private"),
}


@pytest.mark.parametrize("provider", STREAMS)
def test_what_a_server_gave_goes_to_no_other(provider: str) -> None:
    answer = answer_of(provider, STREAMS[provider])
    assert b"private" in sent(provider, answer)
    for other in ("anthropic", "openai", "gemini", "ollama"):
        address = HERE if other != provider else "http://127.0.0.1:10"  # the same name elsewhere
        body = sent(other, answer, address)
        assert b"private" not in body
        assert not {"extra_content", "reasoning_content", "reasoning_details"} & turn(body).keys()
        assert len(turn(body).get("tool_calls", "")) == (
            0 if other == "anthropic" else len(answer.tool_calls)
        )


# ---- in a conversation


def test_the_next_question_sends_it_back_from_memory_and_from_the_journal() -> None:
    signed = Reply([STREAMS["anthropic"]], headers=headers("anthropic"))
    key: dict[str, Any] = {"model": "m", "api_key": "k"}
    with Script(signed) as server, Script(whole("anthropic")) as other:
        here: dict[str, Any] = {"provider": "anthropic", "base_url": server.url, **key}
        with chatstream.Client(**here) as client:
            conversation = client.conversation()
            conversation.ask("hi")
            conversation.ask("and?")
        with chatstream.Client(**here) as client:
            client.conversation(at=conversation.head).ask("and then?")
        with chatstream.Client(provider="anthropic", base_url=other.url, **key) as client:
            client.conversation(at=conversation.head).ask("and what do you say?")
        blocks = [
            {"type": "thinking", "thinking": "private", "signature": "EuYBCkQ/private=="},
            {"type": "redacted_thinking", "data": "EpMGCkg/private=="},
            {"type": "text", "text": "a"},
        ]
        turns = [[it["content"] for it in sent.json["messages"]] for sent in server.requests]
        assert turns == [
            ["hi"],
            ["hi", blocks, "and?"],
            ["hi", blocks, "and?", blocks, "and then?"],
        ]
        assert b"private" not in other.requests[0].body

"""OpenAI's Responses API: what is asked, and the frames that differ between servers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.errors import ServerError
from chatstream.providers.responses import ResponsesReply
from tests.support.answers import TEXT, whole
from tests.support.client import ask
from tests.support.loopback import SSE, Reply, Script

URL = "https://a.example/"


def frame(kind: str, **fields: Any) -> str:
    name = kind if kind == "error" else f"response.{kind}"
    return json.dumps({"type": name, **fields})


def events(*data: str) -> tuple[list[ev.Event], ResponsesReply]:
    reply = ResponsesReply()
    found = reply.feed("".join(f"data: {one}\n\n" for one in data).encode(), 1.0)
    return [*found, *reply.totals()], reply


def text(found: list[ev.Event]) -> str:
    return "".join(it.delta for it in found if isinstance(it, ev.Content))


def thought(found: list[ev.Event]) -> str:
    return "".join(it.delta for it in found if isinstance(it, ev.Reasoning))


def over(**response: Any) -> str:
    return frame("completed", response={"status": "completed", **response})


MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "content": [
        {
            "type": "output_text",
            "text": "Hello.",
            "annotations": [{"type": "url_citation", "url": URL, "title": "A"}],
        }
    ],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}


def test_the_request_is_that_of_the_api() -> None:
    with Script(whole("openai-responses")) as server:
        answer = ask("openai-responses", server.url, temperature=0.5, max_tokens=9)
    assert answer.text == TEXT
    (request,) = server.requests
    assert request.path == "/v1/responses"
    assert request.headers["authorization"] == "Bearer test-key"
    assert request.json == {
        "model": "m",
        "input": [{"role": "user", "content": "hi"}],
        "store": False,
        "stream": True,
        "temperature": 0.5,
        "max_output_tokens": 9,
    }


def test_what_came_in_pieces_is_not_shown_twice() -> None:
    piece = frame("output_text.delta", item_id="msg_1", delta="Hello.")
    done = frame("output_text.done", item_id="msg_1", text="Hello.")
    item = frame("output_item.done", item=MESSAGE)
    found, reply = events(piece, done, item, over(output=[MESSAGE]))
    assert text(found) == "Hello."
    assert [it.url for it in found if isinstance(it, ev.Citation)] == [URL]
    assert (reply.complete, reply.ended, reply.finish().reason) == (True, True, "stop")


@pytest.mark.parametrize(
    "data", [[frame("output_item.done", item=MESSAGE), over()], [over(output=[MESSAGE])]]
)
def test_what_did_not_come_in_pieces_is_shown_at_the_end(data: list[str]) -> None:
    assert text(events(*data)[0]) == "Hello."


@pytest.mark.parametrize("places", [True, False], ids=["numbered", "by their ids"])
def test_calls_are_put_together_by_their_items(places: bool) -> None:
    other = CALL | {"id": "fc_2", "call_id": "call_2", "name": "g", "arguments": ""}
    at = [{"output_index": n} if places else {} for n in (0, 1)]
    found, reply = events(
        frame("output_item.added", item=CALL, **at[0]),
        frame("output_item.added", item=other, **at[1]),
        frame("function_call_arguments.delta", item_id="fc_2", delta='{"b":', **at[1]),
        frame("function_call_arguments.delta", item_id="fc_1", delta='{"a":1}', **at[0]),
        frame("function_call_arguments.delta", item_id="fc_2", delta="2}", **at[1]),
        frame("function_call_arguments.done", item_id="fc_1", arguments='{"a":1}', **at[0]),
        frame("output_item.done", item=CALL | {"arguments": '{"a":1}'}, **at[0]),
        over(),
    )
    calls = [(it.id, it.name, it.arguments) for it in found if isinstance(it, ev.ToolCall)]
    assert calls == [("call_1", "f", '{"a":1}'), ("call_2", "g", '{"b":2}')]
    assert reply.finish().reason == "tool_calls"


@pytest.mark.parametrize(
    "data",
    [
        [frame("output_item.added", item=CALL), frame("output_item.done", item=CALL)],
        [frame("output_item.done", item=CALL)],
        [],
    ],
    ids=["begun", "only done", "only at the end"],
)
def test_a_call_without_pieces_is_whole_at_its_end(data: list[str]) -> None:
    given = CALL | {"arguments": '{"a":1}'}
    data = [it.replace('"arguments": ""', '"arguments": "{\\"a\\":1}"') for it in data]
    found, _ = events(*data, over(output=[given]))
    assert [it.arguments for it in found if isinstance(it, ev.ToolCall)] == ['{"a":1}']


def test_a_call_without_arguments_has_none() -> None:
    found, _ = events(frame("output_item.added", item=CALL), over(output=[CALL]))
    assert [it.arguments for it in found if isinstance(it, ev.ToolCall)] == ["{}"]


def test_a_loop_of_tools_sends_the_call_and_its_result_back() -> None:
    def add(a: int) -> int:
        """Add one."""
        return a + 1

    called = over(output=[CALL | {"name": "add", "arguments": '{"a": 1}'}])
    replies = [
        Reply(f"data: {it}\n\n".encode(), headers=SSE) for it in (called, over(output=[MESSAGE]))
    ]
    with Script(*replies) as server:
        answer = ask("openai-responses", server.url, tools=[add], allow=["add"])
    assert (answer.outcome, answer.text) == ("complete", "Hello.")
    first, second = (it.json for it in server.requests)
    assert second["tools"] == first["tools"]
    assert second["input"] == [
        *first["input"],
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "2"},
    ]


def test_a_call_whose_arguments_come_with_its_end_is_whole() -> None:
    begun = frame("output_item.added", item=CALL)
    done = frame("output_item.done", item=CALL | {"arguments": '{"a":1}'})
    found, _ = events(begun, done, over())
    assert [it.arguments for it in found if isinstance(it, ev.ToolCall)] == ['{"a":1}']


@pytest.mark.parametrize("kind", ["reasoning_summary_text.delta", "reasoning_text.delta"])
def test_reasoning_is_told_apart(kind: str) -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "ab"}]}
    pieces = [frame(kind, item_id="rs_1", delta=it) for it in "ab"]
    found, _ = events(*pieces, frame("output_item.done", item=item), over(output=[item]))
    assert (thought(found), text(found)) == ("ab", "")
    assert not any(isinstance(it, ev.ReasoningData) for it in found)


def test_parts_of_a_summary_are_paragraphs() -> None:
    added = frame("reasoning_summary_part.added", item_id="rs_1")
    pieces = [frame("reasoning_summary_text.delta", item_id="rs_1", delta=it) for it in "ab"]
    assert thought(events(added, pieces[0], added, pieces[1], over())[0]) == "a\n\nb"


def test_encrypted_reasoning_goes_back_as_it_came() -> None:
    kept = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
    found, _ = events(frame("output_item.done", item={**kept, "status": None}), over())
    assert [it.provider_data for it in found if isinstance(it, ev.ReasoningData)] == [kept]


@pytest.mark.parametrize(
    ("why", "reason"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_incomplete_response_is_whole_on_the_wire_and_says_why(why: str, reason: str) -> None:
    response = {"status": "incomplete", "incomplete_details": {"reason": why}}
    _, reply = events(frame("incomplete", response=response))
    assert reply.complete
    finish = reply.finish()
    assert (finish.reason, finish.raw) == (reason, why)


@pytest.mark.parametrize(
    "data",
    [
        frame("failed", response={"error": {"code": "server_error", "message": "it crashed"}}),
        frame("error", code="server_error", message="it crashed"),
        frame("error", error={"type": "server_error", "message": "it crashed"}),
        json.dumps({"error": {"code": "server_error", "message": "it crashed"}}),
    ],
)
def test_a_failure_is_told_in_the_words_of_the_server(data: str) -> None:
    found, reply = events(frame("output_text.delta", item_id="a", delta="Hi"), data)
    assert isinstance(reply.failure, ServerError)
    assert "it crashed" in reply.failure.message
    assert text(found) == "Hi"
    assert not reply.complete


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_was_given_up_without_words_is_a_failure(status: str) -> None:
    _, reply = events(frame("failed", response={"status": status}))
    assert isinstance(reply.failure, ServerError)


def test_a_refusal_is_no_answer() -> None:
    pieces = [frame("refusal.delta", item_id="msg_1", delta=it) for it in ("I will ", "not.")]
    found, reply = events(*pieces, over())
    assert [it.message for it in found if isinstance(it, ev.Warn)] == ["I will not."]
    assert (text(found), reply.finish().reason) == ("", "content_filter")


def test_usage_has_its_details() -> None:
    usage = {
        "input_tokens": 9,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    found, _ = events(over(usage=usage))
    (counted,) = [it for it in found if isinstance(it, ev.Usage)]
    assert (counted.input_tokens, counted.output_tokens) == (9, 5)
    assert (counted.cached_tokens, counted.reasoning_tokens) == (4, 2)


def test_a_generated_image_is_one() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "result": "UE5H"}
    found, _ = events(frame("output_item.done", item=item), over(output=[item]))
    assert [it.data for it in found if isinstance(it, ev.Image)] == ["UE5H"]


def test_done_is_no_end_mark_and_a_stream_that_ends_with_it_is_cut() -> None:
    body = f"data: {frame('output_text.delta', item_id='a', delta='Hi')}\n\ndata: [DONE]\n\n"
    with Script(Reply(body.encode(), headers=SSE)) as server:
        answer = ask("openai-responses", server.url, on_drop="stop", retries=0)
    assert (answer.outcome, answer.text) == ("truncated", "Hi")


def test_frames_of_the_servers_own_tools_mean_nothing_here() -> None:
    search = frame("web_search_call.searching", item_id="ws_1")
    found, reply = events(search, frame("queued"), over(output=[MESSAGE]))
    assert text(found) == "Hello."
    assert not reply.odd


def test_a_second_beginning_starts_the_answer_over() -> None:
    created, piece = frame("created"), frame("output_text.delta", item_id="a", delta="x")
    found, _ = events(created, piece, created, piece, over())
    at = next(n for n, it in enumerate(found) if isinstance(it, ev.Metadata) and it.restart)
    assert text(found[at:]) == "x"


def test_chunks_of_another_api_are_named() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    body = f"data: {json.dumps(chunk)}\n\n" * 3
    with Script(Reply(body.encode(), headers=SSE)) as server:
        answer = ask("openai-responses", server.url, retries=0)
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.code == "protocol"
    assert "-p openai" in f"{answer.terminal.message} {answer.terminal.hint}"


def test_a_body_that_is_no_response_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a response nor an error"):
        ResponsesReply().feed_whole(b'{"status": "completed"}', 1.0)


def test_ids_that_change_with_each_frame_show_nothing_twice() -> None:
    """As GitHub Copilot sends them (vercel/ai #18548); mistral.rs does so too."""
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    called = CALL | {"arguments": '{"a":1}'}
    found, reply = events(
        frame("output_item.added", output_index=0, item={"type": "reasoning", "id": "1"}),
        frame("reasoning_summary_text.delta", output_index=0, item_id="2", delta="hm"),
        frame("output_item.done", output_index=0, item=reasoning | {"id": "3"}),
        frame("output_item.added", output_index=1, item={"type": "message", "id": "4"}),
        frame("output_text.delta", output_index=1, item_id="5", delta="Hel"),
        frame("output_text.delta", output_index=1, item_id="6", delta="lo."),
        frame("output_item.done", output_index=1, item=MESSAGE | {"id": "7"}),
        frame("output_item.added", output_index=2, item=CALL | {"id": "8"}),
        frame("function_call_arguments.delta", output_index=2, item_id="9", delta='{"a":1}'),
        frame("output_item.done", output_index=2, item=called | {"id": "10"}),
        over(output=[reasoning | {"id": "11"}, MESSAGE | {"id": "12"}, called | {"id": "13"}]),
    )
    assert (thought(found), text(found)) == ("hm", "Hello.")
    calls = [(it.id, it.name, it.arguments) for it in found if isinstance(it, ev.ToolCall)]
    assert calls == [("call_1", "f", '{"a":1}')]
    assert not reply.odd


def test_a_call_that_ends_without_its_id_is_one_call() -> None:
    """As Bedrock sends it (anomalyco/opencode #46885)."""
    done = {k: v for k, v in CALL.items() if k != "id"} | {"item_id": "fc_1", "arguments": "{}"}
    found, _ = events(
        frame("output_item.added", item=CALL),
        frame("function_call_arguments.delta", item_id="fc_1", delta="{}"),
        frame("output_item.done", item=done),
        over(output=[done]),
    )
    assert [it.arguments for it in found if isinstance(it, ev.ToolCall)] == ["{}"]


@pytest.mark.parametrize(
    ("deltas", "shown", "warned"),
    [(["Hel"], "Hello.", False), (["Hel", "."], "Hel.", True), ([None, 7], "Hello.", False)],
    ids=["the last is missing", "one in the middle", "none is text"],
)
def test_pieces_that_are_missing_are_taken_from_the_end_or_told(
    deltas: list[Any], shown: str, warned: bool
) -> None:
    pieces = [frame("output_text.delta", item_id="msg_1", delta=it) for it in deltas]
    found, _ = events(*pieces, frame("output_item.done", item=MESSAGE), over(output=[MESSAGE]))
    assert text(found) == shown
    assert [it.code for it in found if isinstance(it, ev.Warn)] == ["text_differs"] * warned


def test_a_call_whose_beginning_was_lost_has_its_name_at_its_end() -> None:
    piece = frame("function_call_arguments.delta", item_id="fc_1", delta='{"a":1}')
    done = frame("output_item.done", item=CALL | {"arguments": '{"a":1}'})
    found, _ = events(piece, done, over())
    calls = [(it.id, it.name, it.arguments) for it in found if isinstance(it, ev.ToolCall)]
    assert calls == [("call_1", "f", '{"a":1}')]


def test_arguments_of_no_call_are_told_and_call_nothing() -> None:
    piece = frame("function_call_arguments.delta", item_id="fc_9", delta='{"a":1}')
    found, reply = events(piece, over())
    assert not any(isinstance(it, ev.ToolCall) for it in found)
    assert [it.code for it in found if isinstance(it, ev.Warn)] == ["text_differs"]
    assert reply.finish().reason == "stop"

"""Settings and messages in, the events of a run out: through the library, which adds little."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import chatstream
from chatstream import events as ev
from chatstream import grammar
from chatstream.flow import close
from chatstream.store.place import runs_folder
from tests.support.answers import TEXT, frames, headers, whole
from tests.support.loopback import Reply, Script
from tests.support.refused import refused_port


def test_stream_gives_the_events_of_one_run() -> None:
    with Script(whole("ollama")) as server:
        events = list(chatstream.stream("hi", provider="ollama", base_url=server.url, model="m"))
    grammar.check(events)
    assert "".join(e.delta for e in events if isinstance(e, ev.Content)) == TEXT


def test_ask_gives_the_whole_message() -> None:
    with Script(whole("openai")) as server:
        message = chatstream.ask("hi", provider="openai", base_url=server.url, model="m")
    assert message == chatstream.Message("assistant", TEXT)


def test_a_conversation_can_be_asked() -> None:
    turns = [
        chatstream.Message("user", "a"),
        chatstream.Message("assistant", "b"),
        chatstream.Message("user", "c"),
    ]
    with Script(whole("ollama")) as server:
        chatstream.ask(turns, provider="ollama", base_url=server.url, model="m", system="s")
    sent = [(m["role"], m["content"]) for m in server.requests[0].json["messages"]]
    assert sent == [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]


def test_ask_raises_what_happened_and_keeps_the_partial_answer() -> None:
    with (
        Script(Reply(frames("ollama"), headers=headers("ollama"))) as server,
        pytest.raises(chatstream.errors.Truncated) as caught,
    ):
        chatstream.ask("hi", provider="ollama", base_url=server.url, model="m")
    assert caught.value.partial is not None
    assert (caught.value.partial.content, caught.value.partial.complete) == (TEXT, False)


def test_stream_never_raises_for_what_is_wrong_with_the_settings() -> None:
    (opening, error) = chatstream.stream("hi", provider="nobody")
    assert isinstance(opening, ev.Metadata)
    assert isinstance(error, ev.Error)
    assert error.code == "usage"


def test_closing_the_stream_hangs_up() -> None:
    body = frames("ollama")
    reply = Reply(body, headers=headers("ollama"), hold={len(body): threading.Event()})
    with Script(reply) as server:
        events = chatstream.stream("hi", provider="ollama", base_url=server.url, model="m")
        assert any(isinstance(event, ev.Content) for event in events)
        close(events)
        assert server.wait_closed()


def test_a_token_ends_the_answer_from_another_thread() -> None:
    token = chatstream.CancelToken()
    reply = Reply(hold={"before_head": threading.Event()})
    with Script(reply) as server:

        def cancel_once_it_waits() -> None:
            assert server.wait_holding()
            token.cancel()

        waiter = threading.Thread(target=cancel_once_it_waits)
        waiter.start()
        *_, last = chatstream.stream(
            "hi", token=token, provider="ollama", base_url=server.url, model="m"
        )
        waiter.join()
    assert isinstance(last, ev.Error)
    assert last.code == "cancelled"


def test_without_a_key_nothing_is_asked() -> None:
    with pytest.raises(chatstream.errors.AuthError) as caught:
        chatstream.ask("hi", provider="anthropic")
    assert "ANTHROPIC_API_KEY" in (caught.value.hint or "")


def test_a_server_of_ones_own_needs_no_key_and_its_first_model_is_asked() -> None:
    with Script(Reply.json({"data": [{"id": "m1"}]}), whole("openai")) as server:
        chatstream.ask("hi", provider="openai", base_url=server.url)
    assert server.requests[1].json["model"] == "m1"
    assert "authorization" not in server.requests[1].headers


def test_a_hosted_service_without_a_usual_model_needs_one_named() -> None:
    with pytest.raises(chatstream.errors.UsageError, match="no model is set"):
        chatstream.ask("hi", provider="groq", api_key="k")


def test_a_server_without_models_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(Reply.json({"models": []})) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with pytest.raises(chatstream.errors.UsageError, match="has no chat model") as caught:
            chatstream.ask("hi", provider="ollama")
    assert "chatstream models pull" in (caught.value.hint or "")


def test_an_address_alone_means_an_openai_compatible_server() -> None:
    with Script(whole("openai")) as server:
        assert chatstream.ask("hi", base_url=server.url, model="m").content == TEXT
    assert server.requests[0].path == "/v1/chat/completions"


def test_retries_are_for_trouble_before_the_first_token() -> None:
    port = refused_port()
    *_, last = chatstream.stream(
        "hi", provider="ollama", base_url=f"http://127.0.0.1:{port}", model="m", retries=1
    )
    assert isinstance(last, ev.Error)
    assert (last.code, last.recoverable) == ("connect", True)


def test_thinking_tags_in_the_text_become_reasoning() -> None:
    words = ["<thi", "nk>hm</th", "ink>", "yes"]
    with Script(
        Reply([*frames("ollama", words), b'{"done":true}\n'], headers=headers("ollama"))
    ) as server:
        message = chatstream.ask("hi", provider="ollama", base_url=server.url, model="m")
    assert (message.reasoning, message.content) == ("hm", "yes")


@pytest.mark.parametrize(
    "options",
    [
        {"provider": "nobody"},
        {"provider": "demo", "strategy": "none"},
        {"provider": "demo", "on_drop": "fallback"},
        {"provider": "demo", "on_drop": "nonsense"},
    ],
)
def test_a_run_that_cannot_begin_leaves_no_journal(options: dict[str, Any]) -> None:
    terminal = list(chatstream.stream("hi", **options))[-1]
    assert isinstance(terminal, ev.Error)
    assert terminal.code in {"usage", "config"}
    assert not runs_folder().exists()

"""Claimed: an answer that broke off is gone on with, as it was asked; no secret is kept for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import chatstream
from chatstream import events as ev
from chatstream import grammar
from chatstream.engine.resume import settings_of, unfinished
from chatstream.errors import JournalError, UsageError
from chatstream.messages import Message
from chatstream.providers.demo import ANSWER
from chatstream.store.journal import SUFFIX
from chatstream.store.place import runs_folder, state_folder
from chatstream.store.reading import Record, find, read
from tests.support.answers import ALL_DIALECTS, TEXT, ending, frames, headers, whole
from tests.support.client import Answer, answer_of
from tests.support.continuing import (
    Continuing,
    begins_anew,
    half,
    long_text,
    refuses_prefill,
    repeats,
    says_something_else,
)
from tests.support.loopback import Reply, Script
from tests.support.runs import failed, run_id, write_run

LONG = long_text(300)


def cut_run(dialect: str, url: str, **settings: Any) -> tuple[str, Answer]:
    """Ask a server that breaks off; the id of the run, and what it came to."""
    given: Any = {"on_drop": "stop", "retries": 0, "model": "m", **settings}
    answer = answer_of(chatstream.stream("why?", provider=dialect, base_url=url, **given))
    assert isinstance(answer.terminal, ev.Error), answer.terminal
    return run_of(answer), answer


def run_of(answer: Answer) -> str:
    opening = answer.events[0]
    assert isinstance(opening, ev.Metadata)
    assert opening.run is not None
    return opening.run


def resumed(run: str | None = None, **options: Any) -> Answer:
    """What a resume comes to; its events are in order."""
    answer = answer_of(chatstream.resume(run, **options))
    grammar.check(answer.events)
    return answer


def cut(dialect: str) -> Reply:
    return Reply(frames(dialect), headers=headers(dialect))


def journal_of(run: str) -> bytes:
    return (runs_folder() / (run + SUFFIX)).read_bytes()


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_an_answer_that_broke_off_is_whole_in_the_end(dialect: str) -> None:
    with Continuing(LONG, faults=[half(4000)]) as server:
        run, first = cut_run(dialect, server.url)
        answer = resumed()
    assert 0 < len(first.text) < len(LONG)
    assert (answer.outcome, answer.text) == ("complete", LONG)
    assert server.strays == []
    opening = answer.events[0]
    assert isinstance(opening, ev.Metadata)
    assert opening.continues == run
    assert isinstance(answer.events[1], ev.Content)
    assert answer.events[1].delta == first.text
    assert read(find(runs_folder(), run_of(answer))).message.content == LONG


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
@pytest.mark.parametrize(
    "fault",
    [begins_anew, repeats(), refuses_prefill],
    ids=["begins-anew", "repeats", "refuses-prefill"],
)
def test_whatever_the_server_makes_of_it_no_text_is_there_twice(dialect: str, fault: Any) -> None:
    with Continuing(LONG, faults=[half(3000), fault]) as server:
        cut_run(dialect, server.url)
        answer = resumed()
    assert (answer.outcome, answer.text) == ("complete", LONG)


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_refused_prefill_is_told_and_the_model_asked_in_words(dialect: str) -> None:
    with Continuing(LONG, faults=[half(4000), refuses_prefill, refuses_prefill]) as server:
        cut_run(dialect, server.url)
        answer = resumed()
    warned = [event.code for event in answer.events if isinstance(event, ev.Warn)]
    if dialect.startswith("openai"):  # it has no prefill: words are all there is
        assert ([asked.in_words for asked in server.asked], warned) == ([False, True], [])
    else:
        assert [asked.in_words for asked in server.asked] == [False, False, True]
        assert warned == ["not_continued"]


def test_another_answer_is_not_joined_and_words_are_tried() -> None:
    other = LONG[:100] + "But now something quite different. " * 20
    with Continuing(LONG, faults=[half(4000), says_something_else(other)]) as server:
        cut_run("ollama", server.url)
        answer = resumed()
    assert (answer.outcome, answer.text) == ("complete", LONG)
    assert server.asked[-1].in_words


def test_a_resume_can_be_resumed_and_the_first_run_is_done_with() -> None:
    with Continuing(LONG, faults=[half(3000), half(3000)]) as server:
        first, _ = cut_run("ollama", server.url)
        second = resumed(on_drop="stop", retries=0)
        assert isinstance(second.terminal, ev.Error)
        assert second.terminal.resume == f"chatstream resume {run_of(second)}"
        third = resumed()
    assert (third.outcome, third.text) == ("complete", LONG)
    opening = third.events[0]
    assert isinstance(opening, ev.Metadata)
    assert opening.continues == run_of(second) != first
    (_, error) = chatstream.resume()
    assert isinstance(error, ev.Error)
    assert (error.code, error.message) == ("usage", "there is no unfinished run")


def test_a_resume_that_drops_goes_on_by_itself() -> None:
    with Continuing(LONG, faults=[half(3000), half(3000), half(3000)]) as server:
        cut_run("ollama", server.url)
        answer = resumed()
    assert (answer.outcome, answer.text) == ("complete", LONG)
    assert len(server.asked) == 4


def test_a_run_without_text_is_asked_again() -> None:
    with Script(Reply.json({"error": "busy"}, 503), whole("ollama")) as server:
        cut_run("ollama", server.url)
        answer = resumed()
    assert (answer.outcome, answer.text) == ("complete", TEXT)
    assert len(server.requests[1].json["messages"]) == 1


def test_thinking_alone_is_nothing_to_go_on_after() -> None:
    thought = [b'{"message": {"thinking": "hm"}, "done": false}\n']
    with Script(Reply(thought, headers=headers("ollama")), whole("ollama")) as server:
        cut_run("ollama", server.url)
        answer = resumed()
    assert (answer.outcome, answer.text, answer.reasoning) == ("complete", TEXT, "")
    assert len(server.requests[1].json["messages"]) == 1


def test_an_answer_that_was_thought_about_is_not_prefilled_for_anthropic() -> None:
    delta = {"type": "thinking_delta", "thinking": "hm"}
    thought = {"type": "content_block_delta", "index": 0, "delta": delta}
    body = [f"data: {json.dumps(thought)}\n\n".encode(), *frames("anthropic")]
    with Script(Reply(body, headers=headers("anthropic")), whole("anthropic")) as server:
        cut_run("anthropic", server.url)
        answer = resumed()
    assert answer.reasoning == "hm"
    assert [m["role"] for m in server.requests[1].json["messages"]] == ["user", "assistant", "user"]


def test_the_demo_can_be_gone_on_with() -> None:
    write_run(state_folder(), run_id(1), ANSWER[:200], end=failed(), model="demo-fast")
    answer = resumed()
    assert (answer.outcome, answer.text) == ("complete", ANSWER)


# ---- which run


def test_a_run_is_named_by_its_id_or_the_beginning_of_it() -> None:
    for number in (1, 2, 3):
        write_run(state_folder(), run_id(number), f"text {number}", end=failed())
    assert unfinished(run_id(2)).message.content == "text 2"
    assert unfinished(run_id(2)[:-12]).message.content == "text 2"
    assert unfinished(None).message.content == "text 3"
    with pytest.raises(UsageError, match="matches 3 runs"):
        unfinished("20260101")


def test_what_cannot_be_gone_on_with_says_why() -> None:
    folder = state_folder()
    write_run(folder, run_id(1), "whole")
    calls = [ev.Content("I will look."), ev.ToolCallDelta("i", "n", "{")]
    write_run(folder, run_id(2), end=failed(), pieces=calls)
    with pytest.raises(UsageError, match="is complete"):
        unfinished(run_id(1))
    with pytest.raises(UsageError, match="contains tool calls"):
        unfinished(run_id(2))
    with pytest.raises(UsageError, match="there is no run 'nope'"):
        unfinished("nope")


def test_the_last_run_is_the_last_that_can_be_gone_on_with() -> None:
    folder = state_folder()
    write_run(folder, run_id(1), "text", end=failed())
    write_run(folder, run_id(2), "whole")
    refused = ev.Error("auth", "no key", recoverable=False, partial=False)
    write_run(folder, run_id(3), end=refused)
    assert unfinished(None).run == run_id(1)


def test_a_damaged_journal_is_not_believed() -> None:
    with Script(cut("ollama")) as server:
        run, _ = cut_run("ollama", server.url)
    path = runs_folder() / (run + SUFFIX)
    path.write_bytes(path.read_bytes().replace(b"Hel", b"hEL"))
    with pytest.raises(JournalError, match="damaged in line") as caught:
        unfinished(run)
    assert run in (caught.value.hint or "")


def test_a_torn_line_at_the_end_is_left_out_and_the_rest_gone_on_with() -> None:
    path = write_run(state_folder(), run_id(1), ANSWER[:200], killed=True, model="demo-fast")
    path.write_bytes(path.read_bytes() + b'{"type":"content","seq":2,"delt')
    assert resumed().text == ANSWER


def test_the_function_never_raises() -> None:
    opening, error = chatstream.resume("nope")
    assert isinstance(opening, ev.Metadata)
    assert isinstance(error, ev.Error)
    assert error.code == "usage"


def test_a_token_ends_a_resume() -> None:
    write_run(state_folder(), run_id(1), ANSWER[:200], end=failed(), model="demo")
    token = chatstream.CancelToken()
    token.cancel()
    answer = resumed(token=token)
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.code, answer.text) == ("cancelled", ANSWER[:200])


# ---- the settings that hold


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("CHATSTREAM_CONFIG", str(path))
    return path


def cut_record(**settings: Any) -> Record:
    """The record of a run against a server that broke off."""
    with Script(cut("ollama")) as server:
        given = {"provider": "ollama", "base_url": server.url, "model": "m", **settings}
        given |= {"on_drop": "stop", "retries": 0}
        answer = answer_of(chatstream.stream("why?", **given))
    return unfinished(run_of(answer))


def test_flags_are_stronger_than_what_was_asked_and_that_than_the_file(config: Path) -> None:
    record = cut_record(temperature=0.5, max_tokens=9, options={"seed": 1})
    assert record.asked is not None
    config.write_text(
        'provider = "openai"\nmodel = "file"\nbase_url = "http://file"\ntemperature = 0.9\n'
        "max_tokens = 1\nretries = 7\n[options]\nseed = 2\ntop_k = 3\n"
    )
    settings = settings_of(record, {"model": None}).settings
    assert (settings.provider, settings.model) == ("ollama", "m")
    assert settings.base_url == record.asked.base_url
    assert (settings.temperature, settings.max_tokens, settings.retries) == (0.5, 9, 7)
    assert settings.options == {"seed": 1, "top_k": 3}
    settings = settings_of(record, {"model": "flag", "temperature": 0.1, "retries": 1}).settings
    assert (settings.model, settings.temperature, settings.retries) == ("flag", 0.1, 1)
    assert settings.base_url == record.asked.base_url


def test_another_provider_gets_no_model_and_address_of_the_first(config: Path) -> None:
    settings = settings_of(cut_record(), {"provider": "demo"}).settings
    assert (settings.provider, settings.model, settings.base_url) == ("demo", None, None)


def test_the_same_provider_named_again_is_at_the_same_address(config: Path) -> None:
    record = cut_record()
    assert record.asked is not None
    settings = settings_of(record, {"provider": "ollama"}).settings
    assert (settings.model, settings.base_url) == ("m", record.asked.base_url)


def test_a_profile_is_recorded_and_holds_again(config: Path) -> None:
    config.write_text("[profiles.work]\nretries = 5\n[profiles.home]\nretries = 6\n")
    record = cut_record(profile="work")
    assert settings_of(record, {}).settings.retries == 5
    assert settings_of(record, {"profile": "home"}).settings.retries == 6


def test_a_profile_that_is_named_now_brings_its_own_provider(config: Path) -> None:
    config.write_text('[profiles.backup]\nprovider = "demo"\nmodel = "demo-fast"\n')
    settings = settings_of(cut_record(), {"profile": "backup"}).settings
    assert (settings.provider, settings.model, settings.base_url) == ("demo", "demo-fast", None)


def test_a_system_prompt_of_the_file_is_sent_once(config: Path) -> None:
    config.write_text('system = "be brief"\n')
    with Script(cut("ollama"), whole("ollama")) as server:
        cut_run("ollama", server.url)
        resumed()
    roles = [[m["role"] for m in request.json["messages"]] for request in server.requests]
    assert roles == [["system", "user"], ["system", "user", "assistant"]]


def test_the_model_that_spoke_goes_on_whatever_strategy_the_file_has(config: Path) -> None:
    record = cut_record()
    config.write_text('strategy = "cheap"\n[strategies]\ncheap = ["other@demo"]\n')
    settings = settings_of(record, {}).settings
    assert (settings.strategy, settings.model, settings.provider) == (None, "m", "ollama")
    assert settings_of(record, {"strategy": "cheap"}).settings.strategy == "cheap"


def test_a_model_that_took_over_is_not_asked_at_the_first_ones_address(config: Path) -> None:
    write_run(state_folder(), run_id(1), "text", end=failed())
    record = unfinished(run_id(1))
    assert record.asked is not None
    for first, address in (("openai", "http://first"), (None, "http://first")):
        record.asked = replace(record.asked, provider=first, base_url=address)
        assert settings_of(record, {}).settings.base_url is None
    record.provider = "ollama"
    for first in ("openai", None):
        record.asked = replace(record.asked, provider=first, base_url="http://first")
        with pytest.raises(UsageError, match="does not say which server"):
            settings_of(record, {})
    record.asked = replace(record.asked, provider="ollama", base_url="http://first")
    assert settings_of(record, {}).settings.base_url == "http://first"


def test_an_address_alone_is_asked_again() -> None:
    with Script(cut("openai"), cut("openai"), whole("openai")) as server:
        answer = answer_of(
            chatstream.stream("why?", base_url=server.url, model="m", on_drop="stop", retries=0)
        )
        # Without a finish reason the text is cut, so there is something to go on with.
        assert answer.outcome == "truncated"
        resumed(retries=0)
    assert len(server.requests) == 2
    assert server.requests[1].path == "/v1/chat/completions"


def test_the_turns_of_a_whole_conversation_are_asked_again() -> None:
    talk = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    with Script(cut("ollama"), whole("ollama")) as server:
        answer_of(
            chatstream.stream(
                talk, provider="ollama", base_url=server.url, model="m", on_drop="stop", retries=0
            )
        )
        resumed()
    sent = [(m["role"], m["content"]) for m in server.requests[1].json["messages"]]
    assert sent == [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", TEXT)]


# ---- secrets


def test_no_secret_is_in_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment-1")
    message = "wrong: sk-from-the-environment-1, given-as-an-option, in-the-address, of-the-proxy"
    with Script(Reply.json({"error": {"message": message}}, 401)) as server:
        address = server.url.replace("//", "//me:in-the-address@")
        _, answer = cut_run(
            "openai",
            address,
            api_key="given-as-an-option",
            proxy=server.url.replace("//", "//me:of-the-proxy@"),
        )
    assert isinstance(answer.terminal, ev.Error)
    assert answer.terminal.code == "auth"
    kept = journal_of(run_of(answer))
    for secret in (
        b"sk-from-the-environment-1",
        b"given-as-an-option",
        b"in-the-address",
        b"of-the-proxy",
    ):
        assert secret not in kept
    assert b"why?" in kept


def test_a_key_is_looked_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with Script(cut("openai"), cut("openai"), whole("openai")) as server:
        cut_run("openai", server.url, api_key="the-first-key")
        monkeypatch.setenv("OPENAI_API_KEY", "the-second-key")
        resumed(retries=0, on_drop="stop")
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer the-first-key",
        "Bearer the-second-key",
    ]


def test_a_password_in_the_files_address_is_used_again_though_it_is_not_kept(config: Path) -> None:
    with Script(cut("ollama"), whole("ollama")) as server:
        address = server.url.replace("//", "//me:pass-word@")
        config.write_text(f'provider = "ollama"\nmodel = "m"\nbase_url = "{address}"\n')
        answer = answer_of(chatstream.stream("why?", on_drop="stop", retries=0))
        assert b"pass-word" not in journal_of(run_of(answer))
        assert resumed().outcome == "complete"
    first, second = (request.headers.get("authorization") for request in server.requests)
    assert first is not None
    assert first == second


def test_nothing_is_kept_without_a_journal() -> None:
    with Script(cut("ollama")) as server:
        _, answer = cut_run("ollama", server.url, journal=False)
    assert isinstance(answer.terminal, ev.Error)
    assert (answer.terminal.partial, answer.terminal.resume) == (True, None)
    assert not runs_folder().exists() or not list(runs_folder().iterdir())


def test_the_end_of_an_answer_is_enough_to_go_on_with() -> None:
    """Everything but the end mark had arrived: what is asked for is nothing but that."""
    done = ending("ollama")[-1]
    with Script(cut("ollama"), Reply([done], headers=headers("ollama"))) as server:
        cut_run("ollama", server.url)
        answer = resumed()
    assert (answer.outcome, answer.text) == ("complete", TEXT)

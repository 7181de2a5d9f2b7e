"""Claimed: no secret stands in what is shown or kept, in whatever form; plain words stay."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chatstream import events as ev
from chatstream.redact import (
    Redactor,
    bare_address,
    is_secret_name,
    mask_address,
    mask_headers,
    masked,
    password_in,
    redact,
    redact_event,
    show_url,
    without_secrets,
)


def test_what_was_learned_is_masked_from_then_on() -> None:
    own = Redactor("my-secret", None, "")
    assert own("key my-secret and sk-abcdef123456") == "key *** and ***"
    own.learn("asked-from-a-command")
    assert own("it is asked-from-a-command") == "it is ***"
    own.forget()
    assert own("my-secret") == "my-secret"


def test_a_secret_is_found_as_a_url_spells_it() -> None:
    own = Redactor("p@ss wörd")
    assert own("http://host/?p=p%40ss%20w%C3%B6rd") == "http://host/?p=***"
    own.learn_address("http://me:hunter%212@host/v1?sig=abc%2Fdef&v=a-version")
    assert own("hunter!2, hunter%212, abc/def, abc%2Fdef") == "***, ***, ***, ***"
    assert own("me, a-version") == "me, a-version"


def test_a_longer_secret_is_masked_before_a_shorter_one_in_it() -> None:
    assert Redactor("abcd", "abcdefgh")("abcdefgh abcd") == "*** ***"


@pytest.mark.parametrize("word", ["ollama", "EMPTY", "none", "x", ""])
def test_a_word_that_stands_where_a_server_wants_no_key_hides_nothing(word: str) -> None:
    assert Redactor(word)("ollama, EMPTY, none, x") == "ollama, EMPTY, none, x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://me:secret@host/v1.", "at http://***@host/v1."),
        ("http://me:p@ss@host/v1", "http://***@host/v1"),
        ("http://me:p:w@host/v1", "http://***@host/v1"),
        ("http://me:pa/ss@host:80/v1", "http://***@host:80/v1"),
        ("socks5h://me:secret@host:1080", "socks5h://***@host:1080"),
        ("'https://token@host'", "'https://***@host'"),
        ("with url: /v1/chat?key=abc&x=1", "with url: /v1/chat?key=***&x=1"),
        ("?a=1&api-key=z ?API_KEY=z", "?a=1&api-key=*** ?API_KEY=***"),
        ("?access_token=a&sig=b#c", "?access_token=***&sig=***#c"),
        ("?X-Amz-Signature=a&X-Amz-Date=b", "?X-Amz-Signature=***&X-Amz-Date=b"),
        ("?x-goog-api-key=a&code=b", "?x-goog-api-key=***&code=***"),
        ("?client_secret=a;password=b", "?client_secret=***;password=***"),
        ('{"api_key": "abc"}', '{"api_key": "***"}'),
        ("{'accessToken': 'a b'}", "{'accessToken': '***'}"),
        ('{"password":"a\\"b"}', '{"password":"***"}'),
        ("Authorization: Bearer abcdef.12", "Authorization: Bearer ***"),
        ("authorization: abcdefghi", "authorization: ***"),
        ("x-api-key: abcdefghi", "x-api-key: ***"),
        ("a Bearer abc123def456 b", "a Bearer *** b"),
        ("Set-Cookie: id=1; Path=/\nnext", "Set-Cookie: ***\nnext"),
        ("cookie: a=b; c=d", "cookie: ***"),
        ("sk-abcdef123456", "***"),
        ("Incorrect key: sk-ab***yz12", "Incorrect key: ***"),
        ("AIzaSyA1234567890abcdef0", "***"),
        ("gsk_0123456789abcdefgh", "***"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "key_command is no key",
        "check the API key: `chatstream config show` shows where it comes from",
        "x-api-key: missing",
        "Bearer authentication is needed",
        "the cookie: it is stale",
        '{"code": "model_not_found", "key": "temperature", "max_tokens": 5}',
        "https://host:8080/accounts/1/run/@cf/meta/llama?max_tokens=5&keyword=a",
        "write to me@host.example // or not",
        "http://host/v1",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["//a:", "?key", "'a-a-a-a", "cookie:", "bearer ", "//a", "&a-", "\"'", "a@", "sk-"]
)
def test_no_text_takes_long(piece: str) -> None:
    """Twice the text takes about twice the time: a hostile one is no denial of service."""
    times = []
    for size in (20_000, 80_000):
        text = (piece * size)[:size]
        began = time.process_time()
        redact(text)
        times.append(time.process_time() - began)
    assert times[1] < max(0.5, 12 * times[0])


@pytest.mark.parametrize(
    ("address", "shown", "bare", "password"),
    [
        ("http://host/v1", "http://host/v1", "http://host/v1", None),
        ("http://me:pw@host/v1", "http://***@host/v1", "http://host/v1", "pw"),
        ("http://me:p@w@host", "http://***@host", "http://host", "p@w"),
        ("me:pw@box:1", "***@box:1", "box:1", "pw"),
        ("http://host?key=a&v=1", "http://host?key=***&v=1", "http://host?v=1", None),
        ("http://host?v=1&sig=a", "http://host?v=1&sig=***", "http://host?v=1", None),
        ("http://host?key=a", "http://host?key=***", "http://host", None),
        ("http://[::1", "http://[::1", "http://[::1", None),
    ],
)
def test_an_address_is_shown_and_compared_without_its_secrets(
    address: str, shown: str, bare: str, password: str | None
) -> None:
    assert mask_address(address) == shown
    assert mask_address(shown) == shown
    assert bare_address(address) == bare_address(shown) == bare
    assert password_in(address) == password


def test_what_is_shown_of_a_request_is_no_query() -> None:
    assert show_url("http://me:secret@host:80/p?q=1#f") == "http://host:80/p"
    assert "secret" not in show_url("http://me:secret@[::1/")


def test_only_headers_that_are_known_to_be_harmless_are_shown() -> None:
    headers = {
        **dict.fromkeys(("Authorization", "X-Api-Key", "x-goog-api-key", "Cookie"), "value"),
        **dict.fromkeys(("Set-Cookie", "X-Own", "Helicone-Auth", "cf-aig-authorization"), "value"),
        "Content-Type": "text/event-stream",
        "x-ratelimit-remaining": "1",
        "Location": "http://me:pw@host/?key=a",
    }
    shown = mask_headers(headers)
    assert [name for name, value in shown.items() if value != "***"] == [
        "Content-Type",
        "x-ratelimit-remaining",
        "Location",
    ]
    assert shown["Location"] == "http://***@host/?key=***"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((it, True) for it in ("api_key", "apiKey", "x-api-key", "token", "access_token")),
        *((it, True) for it in ("password", "client_secret", "Authorization", "sig", "Cookie")),
        *((it, False) for it in ("max_tokens", "stop_token_ids", "eos_token", "logit_bias")),
        *((it, False) for it in ("prompt_cache_key", "keep_alive", "seed", "authors")),
    ],
)
def test_a_secret_is_known_by_its_name(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_options_are_masked_to_be_shown_and_left_out_to_be_kept() -> None:
    redact.learn("learned-before")
    options: dict[str, Any] = {
        "seed": 7,
        "api_key": "a",
        "extra": {"headers": {"Authorization": "Bearer a"}, "list": ["learned-before", 1]},
        "stop": ["\n"],
    }
    assert masked(options) == {
        "seed": 7,
        "api_key": "***",
        "extra": {"headers": {"Authorization": "***"}, "list": ["***", 1]},
        "stop": ["\n"],
    }
    assert without_secrets(options) == {"seed": 7, "stop": ["\n"]}


def test_the_secrets_among_options_are_learned() -> None:
    own = Redactor()
    own.learn_options({"a": "open-word", "list": [{"token": "in-a-list"}], "auth": {"x": ["deep"]}})
    assert own("open-word, in-a-list, deep") == "open-word, ***, ***"


def test_the_words_of_an_event_are_redacted_and_never_the_answer() -> None:
    redact.learn("the-secret")
    said = "it is the-secret"
    told: list[ev.Event] = [
        ev.Error("auth", said, recoverable=False, partial=False, hint=said),
        ev.Warn("code", said),
        ev.Fallback("a", "b", said),
    ]
    for event in told:
        assert "the-secret" not in repr(redact_event(event))
    answer = [ev.Content(said), ev.Reasoning(said), ev.ToolCall("i", "n", said)]
    assert [repr(redact_event(it)) for it in answer] == [repr(it) for it in answer]
    assert all("the-secret" in repr(it) for it in answer)

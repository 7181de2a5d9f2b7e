"""Claimed: what holds for one request is what the user gave, then its line, then the settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.engine.place import START, resolved_at
from chatstream.engine.pool import Pool
from chatstream.errors import ConfigError
from chatstream.many.asking import Asker
from chatstream.many.requests import Request
from chatstream.messages import Message
from tests.support.answers import whole
from tests.support.loopback import Script

ASKED = (Message("user", "hi"),)


def body_of(
    flags: Mapping[str, Any], settings: dict[str, Any], messages: tuple[Message, ...] = ASKED
) -> dict[str, Any]:
    """What is sent for a request with these settings of its own."""
    with Script(whole("openai")) as server, closing(Pool()) as pool:
        given = {"provider": "openai", "base_url": server.url, "api_key": "k", **flags}
        ask = Asker(resolved_at(START, given), pool)
        request = Request(0, 1, "a", "a", messages, settings)
        with ask(request, 0.0, CancelToken()) as run:
            list(run)
        body: dict[str, Any] = server.requests[0].json
    return body


def test_a_line_has_its_own_model_and_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATSTREAM_MODEL", "usual")
    monkeypatch.setenv("CHATSTREAM_TEMPERATURE", "1.0")
    own: dict[str, Any] = {"model": "own", "temperature": 0.5, "options": {"top_p": 0.1}}
    body = body_of({"options": ["seed=7"]}, own)
    assert (body["model"], body["temperature"], body["top_p"], body["seed"]) == ("own", 0.5, 0.1, 7)
    assert body_of({}, {})["model"] == "usual"


def test_what_the_user_gives_for_all_is_stronger(monkeypatch: pytest.MonkeyPatch) -> None:
    own: dict[str, Any] = {
        "model": "own",
        "temperature": 0.5,
        "system": "own",
        "options": {"top_p": 0.1},
    }
    flags = {"model": "given", "temperature": 0.2, "system": "given", "options": ["top_p=0.9"]}
    body = body_of(flags, own)
    assert (body["model"], body["temperature"], body["top_p"]) == ("given", 0.2, 0.9)
    assert [it["content"] for it in body["messages"]] == ["given", "hi"]


@pytest.mark.parametrize(
    ("own", "messages", "sent"),
    [
        ({}, ASKED, ["usual", "hi"]),
        ({"system": "own"}, ASKED, ["own", "hi"]),
        ({}, (Message("system", "mine"), *ASKED), ["mine", "hi"]),
    ],
)
def test_a_request_has_one_system_prompt(
    monkeypatch: pytest.MonkeyPatch,
    own: dict[str, Any],
    messages: tuple[Message, ...],
    sent: list[str],
) -> None:
    monkeypatch.setenv("CHATSTREAM_SYSTEM", "usual")
    body = body_of({"model": "m"}, own, messages)
    assert [it["content"] for it in body["messages"]] == sent


def test_a_model_may_be_at_a_place_that_is_not_known() -> None:
    with pytest.raises(ConfigError):
        body_of({}, {"model": "m@nowhere"})

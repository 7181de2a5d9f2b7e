"""Claimed: whatever names a server is a diagnosis of it, and nothing but options is a checkup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chatstream.cancel import CancelToken
from chatstream.doctor.diagnosis import Finding
from chatstream.doctor.request import findings
from chatstream.errors import ChatstreamError
from tests.support.answers import whole
from tests.support.loopback import Script

ANSWER = whole("ollama")


def found(flags: Mapping[str, Any], profile: str | None = None, **asked: Any) -> list[Finding]:
    nothing = {"url": None, "prompt": None, "max_tokens": None, "is_quiet": True}
    return list(findings(flags, profile, CancelToken(), **{**nothing, **asked}))


@pytest.mark.parametrize("by_url", [True, False])
def test_a_server_is_asked_twice_what_the_user_wants(by_url: bool) -> None:
    flags = {"provider": "ollama", "model": "m"}
    with Script(ANSWER, ANSWER) as server:
        where = {"url": server.url} if by_url else {}
        found({**flags, "base_url": None if by_url else server.url}, prompt="Why?", **where)
        asked = [request.json["messages"][-1]["content"] for request in server.requests]
    assert len(asked) == 2
    assert all(it.endswith("Why?") for it in asked)


def test_options_that_name_no_server_leave_it_a_checkup() -> None:
    assert "configuration" in {it.code for it in found({"idle_timeout": 5.0, "model": None})}


@pytest.mark.parametrize(
    ("flags", "asked", "says"),
    [
        ({"base_url": "http://b"}, {"url": "http://a"}, "the address is given twice"),
        ({"provider": "demo"}, {"prompt": ""}, "--prompt is empty"),
        ({}, {"profile": ""}, "--profile is empty"),
        ({"provider": "nobody"}, {}, "nobody"),
    ],
)
def test_a_mistake_is_found_before_anything_is_asked(
    flags: dict[str, Any], asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(ChatstreamError, match=says):
        found(flags, **asked)

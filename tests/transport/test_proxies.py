"""Which proxy a request goes through."""

from __future__ import annotations

import pytest

from chatstream.transport.proxies import proxy_for


@pytest.mark.usefixtures("no_proxies")
def test_the_setting_is_stronger_than_the_environment_and_never_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://theirs.test:1")
    setting = {"http": "http://ours.test:2"}
    found = [proxy_for("http://a.test", it) for it in ({}, setting)]
    assert [it and it.address for it in found] == ["http://theirs.test:1", "http://ours.test:2"]
    assert proxy_for("http://127.0.0.1:9", setting) is None

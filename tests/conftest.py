"""What holds for every test: no setting and no key of this machine reaches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatstream.providers import PROVIDERS
from chatstream.redact import redact


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration, no keys, no proxies, no secret known, a home of its own."""
    import os

    redact.forget()

    for name in list(os.environ):
        if name.startswith("CHATSTREAM_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for row in PROVIDERS.values():
        for variable in filter(None, (row.key_variable, row.url_variable)):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("NO_COLOR", "FORCE_COLOR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

"""Whom to trust."""

from __future__ import annotations

import ssl

import pytest

from chatstream.transport.trust import tls_context


def test_a_context_verifies_the_server_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    context = tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

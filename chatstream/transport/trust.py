"""Whom to trust: the TLS context of a connection, as requests makes it."""

from __future__ import annotations

import os
import ssl


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """A context that verifies servers with `ca_file`, that of the environment, or certifi's."""
    named = ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if not named:
        import certifi

        named = certifi.where()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    folder = os.path.isdir(named)  # noqa: PTH112 - pathlib is not needed for it
    context.load_verify_locations(None if folder else named, named if folder else None)
    return context

"""What of connecting to a far server is hidden behind our imports.

Three starts are measured in turns, each to the first byte of the answer, through a relay that
delays every flight by 30 ms: over TLS as we are; over TLS without a connection that begins ahead;
and over plain HTTP without one, which is what remains where TLS is free.
"""

from __future__ import annotations

import ssl
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.rig import Rig
from tests.bench.rows import Measure, Row, compare
from tests.support.far import Far, SecureFront
from tests.support.tls import make_certificate

FLIGHT = 0.03
"""Seconds."""

SHOWN = 0.20
"""The most of handshake and TLS context that may be left to wait for."""

STARTS = 5
"""How many starts there are to a figure."""

SPEC = "t=5"


def rows(rig: Rig) -> Iterator[Row]:
    """The part of TLS that is waited for; and plain HTTP, near and far, which must cost nothing."""
    parts = urlsplit(rig.url)
    near = (parts.hostname or "", parts.port or 0)
    with ExitStack() as stack:
        certificate = make_certificate(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
        front = stack.enter_context(SecureFront(near, context))
        secure = stack.enter_context(Far((front.host, front.port), FLIGHT))
        plain = stack.enter_context(Far(near, FLIGHT))
        trusting = {"CHATSTREAM_CA_FILE": str(certificate.ca)}
        ahead, later = rig.chatstream(), rig.peer("not_ahead")
        asking = partial(_asking, rig, trusting)
        over_tls, over_tcp = f"https://localhost:{secure.port}", f"http://localhost:{plain.port}"
        asking(ahead, over_tls)  # compiles byte code and fills caches
        found = [
            medians(
                partial(asking, ahead, over_tls),
                partial(asking, later, over_tls),
                partial(asking, later, over_tcp),
            )
            for _ in range(rig.pairs(5))
        ]
        yield Row(
            "start: TLS waited for / TLS, 30 ms a flight",
            SHOWN,
            [ours - free for ours, _, free in found],
            [theirs - free for _, theirs, free in found],
            "s",
        )
        for what, url in (("near", rig.url), ("far", over_tcp)):
            yield compare(
                f"start: plain HTTP, {what}, ahead / not",
                1.02,
                partial(asking, ahead, url),
                partial(asking, later, url),
                pairs=rig.pairs(15),
            )


def medians(*measures: Measure) -> list[float]:
    """Of each of these, measured in turns: a difference of single starts is mostly noise."""
    rounds = [[measure() for measure in measures] for _ in range(STARTS)]
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def _asking(rig: Rig, environment: dict[str, str], command: list[str], url: str) -> float:
    asked = ["ask", "-p", "openai", "--base-url", f"{url}/v1", "-m", SPEC, "--plain", "hi"]
    return rig.first_byte([*command, *asked], environment)

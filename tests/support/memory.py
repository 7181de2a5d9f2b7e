"""An answer without a socket: a provider reads prepared bytes, as fast as memory allows.

    answer = ask_in_memory("openai", [b"data: …", b"data: [DONE]\\n\\n"])

The pipeline is the one of `ask` from the provider to `seal`, without journal, retries and limits.
Sockets, framing and time belong to the tests that use `loopback`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

from chatstream.cancel import CancelToken
from chatstream.errors import ChatstreamError, Truncated
from chatstream.events import Metadata
from chatstream.flow import events_in, pipe
from chatstream.messages import ChatRequest, Message
from chatstream.providers import Endpoint, dialect, find
from chatstream.stages.seal import seal
from chatstream.stages.thinking import thinking
from chatstream.transport import Call, Head, Tick, Transport
from tests.support.client import Answer, answer_of

QUESTION = ChatRequest("m", (Message("user", "hi"),))
_MEDIA = {"ollama": "application/x-ndjson"}


class Prepared(Transport):
    """Answers every call with the same head and the same reads; `None` is a moment of silence."""

    def __init__(
        self,
        reads: Iterable[bytes | None],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        cut: ChatstreamError | None = None,
    ) -> None:
        self._reads = reads
        self._head = Head(status, dict(headers or {}))
        self._cut = cut

    def exchange(
        self, call: Call, token: CancelToken
    ) -> Generator[Tick | Head | bytes, None, None]:
        yield Tick(connected=True)
        yield self._head
        for data in self._reads:
            yield Tick(connected=True) if data is None else data
        if self._cut is not None:
            raise self._cut

    def close(self) -> None:
        """Nothing is open."""


def ask_in_memory(
    provider: str,
    reads: Iterable[bytes | None],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cut: bool = False,
    request: ChatRequest = QUESTION,
) -> Answer:
    """What the provider makes of these reads.

    `cut`: the connection breaks inside the body after the last read, as a chunked or sized body
    tells. Without it the body ends there, which is all that a close-delimited one can tell.
    """
    given = {name.lower(): value for name, value in (headers or {}).items()}
    media = {"content-type": _MEDIA.get(provider, "text/event-stream")}
    broken = Truncated("the connection was closed in the middle of the answer") if cut else None
    transport = Prepared(reads, status=status, headers={**media, **given}, cut=broken)
    row = find(provider)
    asked = dialect(row)(Endpoint(provider, "http://127.0.0.1:9"), transport)
    token = CancelToken()
    opening = Metadata(version=1, run="r", started_at="2026-01-01T00:00:00.000Z")
    events = pipe(asked.open(request, token), thinking, seal(opening, token))
    return answer_of(events_in(events))

"""llama.cpp's server: the OpenAI dialect, and streams that outlive their connection.

1. A streamed request names its stream. The server then keeps the stream for some minutes
   and does not stop when the connection breaks; `GET /v1/stream` sends it again, from its
   beginning, and then continues live. Older servers ignore the header.
2. So hanging up no longer stops it: a cancelled answer is deleted, within a moment or not at all.
   One that broke off is not deleted, because it can be continued.
3. Besides the calls of OpenAI it has its own for the context window (`/props`: `n_ctx`) and for
   counting the tokens of a prompt.
4. The model calls one tool at a time unless the request allows more.
5. It reads no WebP.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from urllib.parse import quote

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Deadline
from chatstream.errors import ChatstreamError, UsageError
from chatstream.flow import Arrival
from chatstream.messages import ChatRequest, Image
from chatstream.providers.lenient import count_of, list_of, object_of
from chatstream.providers.openai import OpenAI
from chatstream.transport import Call, Head

_CANCEL_SECONDS = 0.15
"""Seconds: a user who pressed Ctrl+C waits for it."""


class LlamaCpp(OpenAI):
    """A llama.cpp server."""

    def body(self, request: ChatRequest) -> dict[str, object]:
        if any(isinstance(part, Image) for it in request.messages for part in it.parts):
            _check_images(request)
        body = super().body(request)
        if request.tools and "tools" in body and "parallel_tool_calls" not in request.without:
            body.setdefault("parallel_tool_calls", True)
        return body

    def chat_call(self, request: ChatRequest) -> Call:
        if request.method == "stream" and request.stream_id:
            call = self.call(f"{_stream(request.stream_id)}&from=0", None)
            return replace(call, headers={**call.headers, "Accept": self.accept})
        call = super().chat_call(request)
        if not request.stream or not request.stream_id:
            return call
        return replace(call, headers={**call.headers, "X-Conversation-Id": request.stream_id})

    def open(self, request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        try:
            yield from super().open(request, token)
        finally:
            if token.cancelled and request.stream and request.stream_id:
                self._stop(request.stream_id)

    def window(
        self, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, int | None]:
        told = yield from self._told(self._beside("/props", None), token)
        settings = object_of(told.get("default_generation_settings"))
        return count_of(settings.get("n_ctx")) or None

    def count(
        self, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, int | None]:
        """The server's template is applied first, as it is for an answer."""
        said = yield from self._told(self._beside("/apply-template", self.body(request)), token)
        if not isinstance(prompt := said.get("prompt"), str):
            return None
        body: dict[str, object] = {"content": prompt, "add_special": True, "parse_special": True}
        told = yield from self._told(self._beside("/tokenize", body), token)
        return len(list_of(told.get("tokens"))) or None

    def _beside(self, path: str, body: dict[str, object] | None) -> Call:
        """A call outside the OpenAI dialect, and so not under its /v1."""
        call = self.call(path, body)
        return replace(call, url=call.url.replace(f"/v1{path}", path))

    def _stop(self, stream_id: str) -> None:
        call = replace(self.call(_stream(stream_id), None), deletes=True)
        deadline = Deadline(_CANCEL_SECONDS)
        exchange = self._transport.exchange(call, CancelToken())
        with suppress(ChatstreamError), closing(exchange) as items:
            for item in items:
                if isinstance(item, Head) or deadline.passed:
                    return


def _check_images(request: ChatRequest) -> None:
    from chatstream.providers.images import encoded

    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Image) and encoded(part, request)[0] == "image/webp":
                raise UsageError("llama.cpp cannot read WebP", hint="send the image as PNG or JPEG")


def _stream(stream_id: str) -> str:
    return f"/stream?conv_id={quote(stream_id, safe='')}"

"""The models of an Ollama server: their list, the details of one, and a pull.

A pull is one JSON object a line, each with a `status` and, while a part is downloaded, with its
`digest`, its `total` and how much is `completed`, in bytes. `"status": "success"` is the end
mark, and `{"error": …}` a failure. A server keeps the parts of a model that it has begun to
download: the next pull continues with them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from chatstream.cancel import CancelToken
from chatstream.clock import Clock
from chatstream.errors import ChatstreamError, ModelNotFound, Truncated
from chatstream.events import Event, Progress
from chatstream.flow import Arrival
from chatstream.providers.base import Provider
from chatstream.providers.failures import error_in, failure_of, no_answer
from chatstream.providers.lenient import count_of, object_of, text_of, values_in
from chatstream.providers.text import whole_characters
from chatstream.transport import Head
from chatstream.wire import NDJSONDecoder
from chatstream.wording import sized

if TYPE_CHECKING:
    from chatstream.providers.details import ModelDetails

_MAX_ERROR_BYTES = 64 * 1024
_NOT_THERE = "file does not exist"  # a manifest that the registry does not have


class OllamaModels(Provider):
    """The calls of an Ollama server that are about its models."""

    can_pull = True

    def models_path(self) -> str:
        return "/api/tags"

    def can_chat(
        self, name: str, entry: dict[str, Any], token: CancelToken
    ) -> Generator[Arrival, None, bool]:
        """By its `capabilities`: newer servers list them, others report them for one model, and old
        ones do not know them. Some models for embeddings are recognised by their family.

        An embedding model may be of a family that chats (embeddinggemma is a gemma3).
        """
        family = object_of(entry.get("details")).get("family")
        if "capabilities" not in entry and isinstance(family, str) and "bert" in family:
            return False
        can = entry.get("capabilities")
        if not can:
            _, shown = yield from self._shown(name, token)
            can = shown.get("capabilities")
        return not isinstance(can, list) or not can or "completion" in can

    def details(self, model: str, token: CancelToken) -> Generator[Arrival, None, ModelDetails]:
        from chatstream.providers.details import of_shown

        failure, shown = yield from self._shown(model, token)
        if failure is not None:
            raise failure
        entries = dict((yield from self.entries(token)))
        entry = entries.get(model) or entries.get(f"{model}:latest") or {}
        return of_shown(model, shown, count_of(entry.get("size")))

    def pull(self, model: str, token: CancelToken) -> Iterator[Arrival]:
        call = self.call("/api/pull", {"model": model, "stream": True})
        steps = _Steps(self._clock)
        with closing(self._transport.exchange(call, token)) as items:
            head = yield from self._await_head(items)
            if (refusal := no_answer(head.status)) is not None:
                raise refusal
            if head.status >= 400:
                body, _ = yield from self._collect(items, b"", _MAX_ERROR_BYTES)
                raise _failure(failure_of(head.status, body, head.headers), model)
            for item in items:
                if isinstance(item, bytes):
                    try:
                        events = steps.feed(item, head)
                    except ChatstreamError as error:
                        raise _failure(error, model) from error
                    yield Arrival(events, self._clock())
                    if steps.ended:
                        self._transport.expect_end()
                        return
                else:
                    yield Arrival(t=self._clock())
        raise Truncated("the server ended the download before the model was complete")

    def _shown(
        self, model: str, token: CancelToken
    ) -> Generator[Arrival, None, tuple[ChatstreamError | None, dict[str, Any]]]:
        """The server's answer about a model, or its failure."""
        head, body = yield from self._fetched(self.call("/api/show", {"model": model}), token)
        value = _object_in(body)
        if head.status >= 400 or not value:
            return failure_of(head.status, body, head.headers), {}
        return error_in(value), value


class _Steps:
    """The steps of one pull; `ended` after its end mark."""

    def __init__(self, clock: Clock) -> None:
        from chatstream.progressing import Meter

        self.ended = False
        self._new_meter = partial(Meter, clock=clock)
        self._lines = NDJSONDecoder()
        self._meter = self._new_meter()

    def feed(self, data: bytes, head: Head) -> list[Event]:
        """The progress so far. Raises a `ChatstreamError` for anything that is not a step."""
        events: list[Event] = []
        for line in self._lines.feed(data):
            value = _object_in(line)
            if (failure := error_in(value)) is not None:
                raise failure
            if not (status := text_of(value.get("status"))):
                raise failure_of(head.status, line, head.headers)
            self.ended = status == "success"
            if self.ended:
                break
            events.append(self._step(whole_characters(status), value))
        return events

    def _step(self, status: str, value: dict[str, Any]) -> Progress:
        total = count_of(value.get("total"))
        if not total:
            return Progress(status, 0)
        if self._meter.stage != status:
            self._meter = self._new_meter([(status, 1)])
        done = count_of(value.get("completed")) or 0
        self._meter.report(done, total, f"{sized(done)} of {sized(total)}")
        return self._meter.event()


def _object_in(data: bytes) -> dict[str, Any]:
    """This text as a JSON object; an empty one for any other text."""
    values, rest = values_in(data.decode("utf-8", "replace"))
    return object_of(values[0]) if len(values) == 1 and not rest else {}


def _failure(error: ChatstreamError, model: str) -> ChatstreamError:
    """The failure of a pull; if there is no such model, it says so."""
    if _NOT_THERE in error.message or isinstance(error, ModelNotFound):
        return ModelNotFound(
            f"there is no model {model} to pull ({error.message})",
            hint="check its name and its tag, such as qwen3:4b",
            status=error.status,
        )
    return error

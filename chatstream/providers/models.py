"""The models of a server: their list, and the details of one of them.

1. A dialect says where the list is, and what else is asked; the requests are made by `Provider`.
2. Every call yields heartbeats while the server is asked, and raises a `ChatstreamError`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from chatstream.cancel import CancelToken
from chatstream.errors import ModelNotFound, ProtocolError, UsageError
from chatstream.flow import Arrival
from chatstream.messages import ChatRequest
from chatstream.providers import Endpoint
from chatstream.providers.failures import error_in, failure_of
from chatstream.providers.lenient import json_text, object_of, values_in
from chatstream.providers.text import whole_characters
from chatstream.transport import Call, Head
from chatstream.wording import excerpt

if TYPE_CHECKING:
    from chatstream.providers.details import ModelDetails


class Models(ABC):
    """The calls of a server that are about its models."""

    can_pull = False  # the server can be asked to download models

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._chat_model: str | None = None
        self._windows: dict[str, int | None] = {}

    @abstractmethod
    def models_path(self) -> str:
        """The path of the list of models."""

    @abstractmethod
    def call(self, path: str, body: dict[str, object] | None) -> Call:
        """A request to this server; a GET without a body."""

    @abstractmethod
    def _fetched(
        self, call: Call, token: CancelToken
    ) -> Generator[Arrival, None, tuple[Head, bytes]]:
        """A whole body that is not a stream."""

    def models(self, token: CancelToken) -> Generator[Arrival, None, list[str]]:
        """Heartbeats while the server is asked for its models, then the list of their names."""
        return [name for name, _ in (yield from self.entries(token))]

    def chat_model(self, token: CancelToken) -> Generator[Arrival, None, str | None]:
        """Heartbeats while the server is asked, then the first of its models that can chat.

        The server is asked once.
        """
        if self._chat_model is None:
            for name, entry in (yield from self.entries(token)):
                if (yield from self.can_chat(name, entry, token)):
                    self._chat_model = name
                    break
        return self._chat_model

    def can_chat(
        self, name: str, entry: dict[str, Any], token: CancelToken
    ) -> Generator[Arrival, None, bool]:
        """Whether a model can chat, by its entry in the list."""
        yield from ()
        return "embed" not in f"{name} {entry.get('type')}".lower()

    def window(
        self, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, int | None]:
        """Heartbeats while the server is asked, then the tokens of the model's context window.

        None if the server does not say. Raises a `ChatstreamError`.
        """
        from chatstream.providers.context import window_in

        if request.model not in self._windows:
            entries = dict((yield from self.entries(token)))
            self._windows[request.model] = window_in(entries.get(request.model, {}))
        return self._windows[request.model]

    def count(
        self, request: ChatRequest, token: CancelToken
    ) -> Generator[Arrival, None, int | None]:
        """Heartbeats while the server counts, then the tokens of the prompt.

        None if it does not count without answering. Raises a `ChatstreamError`.
        """
        yield from ()
        return None

    def _told(self, call: Call, token: CancelToken) -> Generator[Arrival, None, dict[str, Any]]:
        """The object that a server returns; {} if it does not know the call."""
        head, body = yield from self._fetched(call, token)
        values, rest = values_in(body.decode("utf-8", "replace"))
        return {} if head.status >= 400 or len(values) != 1 or rest else object_of(values[0])

    def details(self, model: str, token: CancelToken) -> Generator[Arrival, None, ModelDetails]:
        """Heartbeats while the server is asked, then a model's details.

        Raises a `ChatstreamError`.
        """
        from chatstream.nearest import did_you_mean
        from chatstream.providers.details import of_entry

        entries = dict((yield from self.entries(token)))
        if model not in entries:
            raise ModelNotFound(
                f"the server does not list a model {model}", hint=did_you_mean(model, entries)
            )
        return of_entry(model, entries[model])

    def pull(self, model: str, token: CancelToken) -> Iterator[Arrival]:
        """Have the server download a model: its `Progress`, and heartbeats.

        Raises a `ChatstreamError`.
        """
        raise UsageError(
            f"{self.endpoint.name} cannot pull models; only Ollama can",
            hint="name an Ollama server with -p ollama",
        )

    def entries(
        self, token: CancelToken
    ) -> Generator[Arrival, None, list[tuple[str, dict[str, Any]]]]:
        """Heartbeats, then the server's models: the name of each, and its entry in the list."""
        head, body = yield from self._fetched(self.call(self.models_path(), None), token)
        if head.status >= 400:
            raise failure_of(head.status, body, head.headers)
        return models_in(head, body)


def models_in(head: Head, body: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The names in a list of models, each with its entry.

    The list is under `data` or `models`, or bare, as Together has it.
    """
    values, rest = values_in(body.decode("utf-8", "replace").removeprefix("\ufeff"))
    if len(values) != 1 or rest:
        raise failure_of(head.status, body, head.headers)
    [value] = values
    if (failure := error_in(value)) is not None:
        raise failure
    fields = object_of(value)
    models = value if isinstance(value, list) else fields.get("data", fields.get("models", ""))
    if models is None:  # how some servers written in Go send an empty list
        return []
    if not isinstance(models, list):
        raise ProtocolError(
            f"the server's list of models cannot be read: {excerpt(json_text(value))}"
        )
    entries = [object_of(model) for model in models]
    named = [(it.get("id") or it.get("name") or it.get("model"), it) for it in entries]
    return [(whole_characters(name), it) for name, it in named if isinstance(name, str)]

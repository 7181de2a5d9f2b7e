"""Conversations for callers of the library: each question follows the answer before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from chatstream.cancel import CancelToken
from chatstream.engine.options import Options
from chatstream.engine.outcome import events_of, whole
from chatstream.engine.place import Place, is_kept
from chatstream.engine.prompts import Prompt
from chatstream.engine.run import Run
from chatstream.events import Event
from chatstream.flow import close
from chatstream.messages import Message
from chatstream.transcript import Transcript

RunAt = Callable[[Place, Prompt, Mapping[str, Any], CancelToken | None, bool | None], Run]
"""Makes the run of a question: its place, the question, the options, a token, and `streaming`."""


class Conversation:
    """A conversation through a client: each question follows the answer before it.

        with Client(provider="ollama") as client:
            conversation = client.conversation()
            conversation.ask("Why is the sky blue?")
            conversation.ask("And at sunset?")

    For one thread at a time. `run_at` is the client's.
    """

    def __init__(self, run_at: RunAt, place: Place) -> None:
        self._run_at = run_at
        self._place = place

    @property
    def head(self) -> str | None:
        """The run that the next question follows; None before the first answer."""
        return self._place.parent

    @property
    def messages(self) -> list[Message]:
        """All messages so far."""
        return list(self._place.messages)

    def stream(
        self,
        prompt: Prompt,
        *,
        token: CancelToken | None = None,
        streaming: bool | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Event]:
        """Ask the next question, and yield the events of the answer. Never raises."""
        begun: list[Run] = []

        def begin() -> Run:
            begun.append(self._run_at(self._place, prompt, options, token, streaming))
            return begun[0]

        answer = Transcript()
        events = events_of(begin)
        try:
            for event in events:
                answer.add(event)
                yield event
        finally:
            close(events)
            if begun and answer.messages[-1].is_answer:
                self._advance(begun[0], answer.messages)

    def ask(
        self,
        prompt: Prompt,
        *,
        token: CancelToken | None = None,
        streaming: bool | None = None,
        **options: Unpack[Options],
    ) -> Message:
        """Ask the next question, and return the whole answer.

        Raises a `ChatstreamError` if it is incomplete, as `chatstream.ask` does. A partial answer
        is part of the conversation.
        """
        return whole(self.stream(prompt, token=token, streaming=streaming, **options))

    def _advance(self, run: Run, made: list[Message]) -> None:
        asked = run.question
        kept = run.id if is_kept(run.id) else None
        earlier = self._place.messages if asked.parent is not None else ()
        messages = (*earlier, *asked.messages, *made)
        self._place = Place(parent=kept, messages=messages, source=kept, chosen=False)

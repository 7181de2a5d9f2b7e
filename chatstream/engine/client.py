"""A client: it asks models, and keeps its connections open from one question to the next.

    with Client(provider="ollama") as client:
        for event in client.stream("Why is the sky blue?"):
            ...
        print(client.ask("And at night?").content)

1. The options of a client hold for each of its questions, unless the question brings its own.
2. `stream` and `resume` never raise: whatever goes wrong, even a mistake in the arguments, is
   the `Error` event at the end. `ask` and `pieces` raise it as a `ChatstreamError`.
3. Several threads may ask through one client at once. Each run has a connection to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine import pipeline
from chatstream.engine.options import Options, checked, parted
from chatstream.engine.outcome import events_of, raise_failure, whole
from chatstream.engine.place import (
    FOR_A_START,
    START,
    Place,
    follow_of,
    place_of,
    question_at,
    resolved_at,
)
from chatstream.engine.pool import Pool
from chatstream.engine.prompts import Prompt, in_role, messages_of, type_of
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Question, Run
from chatstream.engine.tooling import tooling_of
from chatstream.errors import UsageError
from chatstream.events import Content, Event
from chatstream.flow import close
from chatstream.messages import Message
from chatstream.transcript import Transcript

if TYPE_CHECKING:
    from chatstream.engine.conversation import Conversation
    from chatstream.engine.spending import Budget


class Client:
    """Asks models. `options` are those of `chatstream.stream`. Raises `UsageError`.

    `pool` is for parts of this program that hold the requests of many runs; it is closed with the
    client. A context manager: at its end all connections are closed.
    """

    def __init__(self, pool: Pool | None = None, /, **options: Unpack[Options]) -> None:
        self._options = checked(options)
        self._pool = pool or Pool()

    def close(self) -> None:
        """Close the connections; those of runs that have not ended, with the run. Idempotent."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def stream(
        self,
        prompt: Prompt,
        *,
        token: CancelToken | None = None,
        streaming: bool | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Event]:
        """Ask, and yield the events of the answer as they arrive, as `chatstream.stream` does."""
        yield from events_of(lambda: self.run_at(START, prompt, options, token, streaming))

    def ask(
        self,
        prompt: Prompt,
        *,
        token: CancelToken | None = None,
        streaming: bool | None = None,
        **options: Unpack[Options],
    ) -> Message:
        """Ask, and return the whole answer, as `chatstream.ask` does."""
        return whole(self.stream(prompt, token=token, streaming=streaming, **options))

    def pieces(
        self,
        prompt: Prompt,
        *,
        token: CancelToken | None = None,
        streaming: bool | None = None,
        **options: Unpack[Options],
    ) -> Iterator[str]:
        """Ask, and yield the text of the answer piece by piece, as `chatstream.pieces` does."""

        def begin() -> Run:
            return self.run_at(START, prompt, options, token, streaming, resettable=False)

        answer = Transcript()
        events = events_of(begin)
        try:
            for event in events:
                answer.add(event)
                if isinstance(event, Content) and event.delta:
                    yield event.delta
        finally:
            close(events)
        raise_failure(answer)

    def resume(
        self,
        run: str | None = None,
        *,
        token: CancelToken | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Event]:
        """Continue an answer that broke off, as `chatstream.resume` does."""
        from chatstream.engine.resume import continuation, unfinished

        def begin() -> Run:
            given, tools = parted({**self._options, **checked(options)})
            caller = _token(token)
            if not isinstance(run, str | None):
                what = f"a run cannot be {type_of(run)}"
                raise UsageError(what, hint="give the id of a run as a str")
            if "role" in given:
                given["role"] = given["role"].without_system()  # the run has its own
            resolved, question = continuation(unfinished(run), given)
            tooling = tooling_of(resolved, tools, question, caller)
            return self._run(resolved, replace(question, tooling=tooling), caller)

        yield from events_of(begin)

    def run(
        self,
        prompt: Prompt,
        *,
        token: CancelToken | None = None,
        streaming: bool | None = None,
        **options: Unpack[Options],
    ) -> Run:
        """A run that asks, which others can watch. Takes what `chatstream.stream` takes.

        Raises `UsageError`, `ConfigError` for a mistake in the arguments or the settings.
        """
        return self.run_at(START, prompt, options, token, streaming, keeps=True)

    def conversation(
        self,
        *,
        last: bool = False,
        at: str | None = None,
        edit: str | None = None,
        name: str | None = None,
    ) -> Conversation:
        """A conversation: a new one, or one that continues.

        last
            True continues the newest conversation.
        at
            Continues after the answer of this run: its id, or the first characters of it.
        edit
            Continues in the place of the question of this run.
        name
            Alone, continues the conversation of this name or begins it; else names it.

        Raises `UsageError`, `JournalError`.
        """
        from chatstream.engine.conversation import Conversation

        return Conversation(self.run_at, place_of(last=last, at=at, edit=edit, name=name))

    def run_at(
        self,
        place: Place,
        prompt: Prompt,
        options: Mapping[str, Any],
        token: CancelToken | None,
        streaming: bool | None,
        *,
        resettable: bool = True,
        keeps: bool = False,
        budget: Budget | None = None,
    ) -> Run:
        """A run that asks in this place. Raises `UsageError`, `ConfigError`."""
        given, tools = parted({**self._options, **checked(options)})
        if place.source is not None:  # the client's own was for the first question
            given = {
                it: value for it, value in given.items() if it not in FOR_A_START or it in options
            }
            if "role" in given and "role" not in options:
                given["role"] = given["role"].without_system()
        messages = in_role(messages_of(prompt, place.messages), given.get("role"))
        caller = _token(token)
        resolved = resolved_at(place, {**given, "stream": streaming})
        question = question_at(place, resolved, messages)
        question = replace(
            question,
            resettable=resettable,
            keeps=keeps,
            budget=budget,
            tooling=tooling_of(resolved, tools, question, caller),
        )
        return self._run(resolved, question, caller, follow_of(place, resolved))

    def _run(
        self,
        resolved: Resolved,
        question: Question,
        caller: CancelToken,
        follow: pipeline.Follow = pipeline.not_followed,
    ) -> Run:
        try:
            return pipeline.run(resolved, question, self._pool, caller, follow=follow)
        except Exception:
            if question.tooling is not None:
                question.tooling.close()
            raise


def _token(token: CancelToken | None) -> CancelToken:
    if not isinstance(token, CancelToken | None):
        what = f"a token cannot be {type_of(token)}"
        raise UsageError(what, hint="chatstream.CancelToken()")
    return CancelToken() if token is None else token

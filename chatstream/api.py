"""The library: one answer as its events, as pieces of text, or whole; and one that is continued.

1. `stream` and `resume` never raise: whatever goes wrong, even a mistake in the arguments, is
   the `Error` event at the end. `ask` and `pieces` raise it as a `ChatstreamError`.
2. A mistake in the arguments (an empty question, an unknown option, a value of the wrong type)
   is found before anything is asked; its code is "usage".
3. Settings that are not given come from the environment and the configuration file, as they do
   on the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from chatstream import errors
from chatstream.accumulate import Accumulator
from chatstream.cancel import CancelToken
from chatstream.engine.arguments import Options, Prompt, checked, messages_of, type_name
from chatstream.engine.pipeline import failed, start
from chatstream.errors import ChatstreamError, UsageError
from chatstream.events import Content, Error, Event
from chatstream.flow import Arrival, close, events_in
from chatstream.messages import Message


def stream(
    prompt: Prompt,
    *,
    token: CancelToken | None = None,
    streaming: bool | None = None,
    **options: Unpack[Options],
) -> Iterator[Event]:
    """Ask, and yield the events of the answer as they arrive. The last one is `Done` or `Error`.

    Never raises: whatever goes wrong becomes the `Error` event, even a mistake in the arguments.
    Closing the iterator stops the answer, and so does `token.cancel()`, from any thread.

    prompt
        The question as a str, as bytes in UTF-8, or as the pathlib.Path of a text file (UTF-8)
        that contains it. Or a conversation: a list of messages, each a `Message` or a dict with its
        fields, such as {"role": "user", "content": "hi"}. Roles: system, user, assistant.
    token
        A `CancelToken` that can cancel the answer.
    streaming
        False asks the server for the whole answer at once. The setting `stream` is the default.

    Options that are not given come from the environment (CHATSTREAM_MODEL, …) and from the
    configuration file:

    provider             the service to ask: "ollama", "openai", "anthropic", "demo", …
    model                the model, under the server's name for it
    base_url             the address of the server
    api_key              the key for it,
    key_variable         or the environment variable that contains the key,
    key_command          or a command that prints it
    profile              a profile of the configuration file
    system               the system prompt
    temperature          sampling temperature, 0 or more; higher is more varied
    max_tokens           the maximum number of tokens in the answer
    options              a dict of any other options of the server, by its names for them; the
                         values are sent as JSON
    retries              the total number of retries; 3
    retry_delay          seconds before the first retry; doubled for each one after it
    connect_timeout      seconds to wait for a connection; 10. For this limit and the next three,
                         0 means no limit
    first_token_timeout  seconds to wait for the first token; 300, or 900 for a local server
    idle_timeout         seconds to wait between two tokens; 120
    timeout              seconds for the whole answer; no limit
    proxy                the address of a proxy
    ca_file              a file of certificate authorities to trust
    headers              a dict of extra headers for the server: name to value
    on_drop              what to do when the answer breaks off: "continue" (the default; only where
                         the server can), "restart", "fallback" or "stop"
    fallback             a list of models that take over, each "MODEL", "MODEL@PROVIDER" or
                         "@PROVIDER"
    fallback_on_error    True tries once without streaming if no token arrived
    strategy             the name of a list of models in the configuration file
    journal              False keeps no record, so there is nothing to resume and no history
    buffer               how to read ahead of a slow reader: "fixed" or "dynamic"; "none" is the
                         default
    buffer_bytes         the maximum number of bytes to read ahead; 1 MiB
    coalesce             True joins small pieces of text, for 0.1 s at most
    """
    yield from events_in(_begin(prompt, options, token, streaming=streaming))


def ask(
    prompt: Prompt,
    *,
    token: CancelToken | None = None,
    streaming: bool | None = None,
    **options: Unpack[Options],
) -> Message:
    """Ask, and return the whole answer. Takes what `stream` takes.

    Raises a `ChatstreamError` if the answer is incomplete, of the class that matches the cause
    (`chatstream.errors`): `UsageError` for a mistake in the arguments, `AuthError`, `Truncated`, ….
    Its `partial` is the part of the message that arrived.
    """
    answer = Accumulator()
    for event in stream(prompt, token=token, streaming=streaming, **options):
        answer.add(event)
    _raise_failure(answer)
    return answer.message


def pieces(
    prompt: Prompt,
    *,
    token: CancelToken | None = None,
    streaming: bool | None = None,
    **options: Unpack[Options],
) -> Iterator[str]:
    """Ask, and yield the text of the answer piece by piece, as it arrives.

        for piece in chatstream.pieces("Why is the sky blue?"):
            print(piece, end="", flush=True)

    Takes what `stream` takes. The joined pieces are the answer, and nothing else: no reasoning, and
    no text twice. A piece cannot be taken back, so where `on_drop` is "restart" or "fallback", an
    answer that breaks off after its first piece ends there.

    Raises a `ChatstreamError` at the end if the answer is incomplete, as `ask` does. Its `partial`
    is the part of the message that arrived.
    """
    answer = Accumulator()
    begun = _begin(prompt, options, token, streaming=streaming, resettable=False)
    events = events_in(begun)
    try:
        for event in events:
            answer.add(event)
            if isinstance(event, Content) and event.delta:
                yield event.delta
    finally:
        close(events)
    _raise_failure(answer)


def resume(
    run: str | None = None, *, token: CancelToken | None = None, **options: Unpack[Options]
) -> Iterator[Event]:
    """Continue an answer that broke off, and yield its events. The last one is `Done` or `Error`.

    `run` is the id of an unfinished run, or its first characters; None means the last one.
    The text that was already received comes first, so the `content` deltas are the whole answer.
    Options are those of `stream`; they take precedence over what was asked before. Never raises.
    """
    from chatstream.engine.resume import go_on, unfinished

    def begin(token: CancelToken) -> Iterator[Arrival]:
        given = checked(options)
        if not isinstance(run, str | None):
            raise UsageError(
                f"a run cannot be {type_name(run)}", hint="give the id of a run as a str"
            )
        return go_on(unfinished(run), given, token)

    yield from events_in(_begun(begin, token))


def _begin(
    prompt: Prompt,
    options: Mapping[str, Any],
    token: CancelToken | None,
    *,
    streaming: bool | None,
    resettable: bool = True,
) -> Iterator[Arrival]:
    """The events of a run that asks."""

    def begin(token: CancelToken) -> Iterator[Arrival]:
        given, messages = checked(options), messages_of(prompt)
        return start(messages, given, token, streaming=streaming, resettable=resettable)

    return _begun(begin, token)


def _begun(
    begin: Callable[[CancelToken], Iterator[Arrival]], token: CancelToken | None
) -> Iterator[Arrival]:
    """What `begin` returns, or the events of a run that could not begin."""
    try:
        if not isinstance(token, CancelToken | None):
            raise UsageError(
                f"a token cannot be {type_name(token)}", hint="chatstream.CancelToken()"
            )
        return begin(CancelToken() if token is None else token)
    except Exception as error:
        return failed(error, CancelToken())


def _raise_failure(answer: Accumulator) -> None:
    event = answer.terminal
    if not isinstance(event, Error):
        return
    kind = errors.class_of(event.code)
    error = ChatstreamError.__new__(kind)
    ChatstreamError.__init__(
        error, event.message, hint=event.hint, status=event.status, request_id=event.request_id
    )
    error.partial = answer.message
    raise error

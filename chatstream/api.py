"""The library: one answer as its events, as pieces of text, or whole; several; one continued.

1. `stream`, `compare` and `resume` never raise: whatever goes wrong, even a mistake in the
   arguments, is the `Error` event at the end. `ask` and `pieces` raise it as a `ChatstreamError`.
2. A mistake in the arguments (an empty question, an unknown option, a value of the wrong type)
   is found before anything is asked; its code is "usage".
3. Settings that are not given come from the environment and the configuration file, as they do
   on the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

from chatstream.cancel import CancelToken
from chatstream.engine.client import Client
from chatstream.engine.options import Options
from chatstream.engine.prompts import Prompt
from chatstream.events import Event
from chatstream.messages import Message

if TYPE_CHECKING:
    from chatstream.many.files import Result


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
        fields, such as {"role": "user", "content": "hi"}. Roles: system, user, assistant, tool.
        Instead of `content` a message may have `parts`, the classes of `chatstream.messages` or
        dicts: {"role": "user", "parts": ["What is this?", {"type": "image", "url": "https://…"}]}.
    token
        A `CancelToken` that can cancel the answer.
    streaming
        False asks the server for the whole answer at once. The setting `stream` is the default.
    tools
        What the model may call; it is asked again with the results until it has answered. A list of
        functions with annotated parameters, functions and methods that `chatstream.tool` decorates,
        objects with such methods, and names of built-in tools ("read_file", …). With `execute` also
        definitions: a dict with "name", "description" and "parameters", which is a JSON Schema.
    approve
        A function that is given a call (`chatstream.events.ToolCall`: id, name, and arguments as
        JSON text) and returns True if it may run, else False; it cannot be an async function. It is
        asked about your own functions and about all that would be asked on the command line.
        Without it your own functions run, and what would have to be asked is denied.
    execute
        A function that is given every call, and returns its result: a str, or anything that is
        JSON. What it raises is the failure of that call. No tool of `tools` runs then.

    role
        The name of a role, a system prompt and settings, as for `--role`. Options that are given
        override its settings.
    variables
        A dict with the values of its variables.

    What becomes of a call are events as well: `Approval`, `ToolStart`, `ToolProgress`,
    `ToolOutput`, and at its end `ToolComplete` or `ToolError`.

    Options that are not given come from the environment (CHATSTREAM_MODEL, …) and from the
    configuration file:

    provider               The service, such as ollama or openai.
    model                  The model to ask.
    base_url               The address of the server.
    api_key                The API key.
    key_variable           The environment variable that contains the API key.
    key_command            A shell command that prints the API key.
    system                 The system prompt.
    context_files          Add AGENTS.md, of this folder and those above it, to the system prompt.
                           [default: False]
    schema                 Ask for JSON that fits a schema: a file, or fields such as 'name, age
                           int'.
    schema_multi           Ask for a list of objects that fit a schema.
    labels={…}             Label the runs for the history: project and agent.
    trim                   Leave out the oldest turns of a conversation that is too long for the
                           model. [default: False]
    temperature=T          Sampling temperature; higher is more varied.
    max_tokens=N           Limit the answer to N tokens.
    effort                 How much the model should think before it answers.
    max_cost               Stop before a request that would raise the conversation's cost above USD
                           dollars.
    stop_when              Stop after the first match of a regular expression, or after N tokens.
    fallback_on_error      If a stream fails before its first token, ask once more without
                           streaming. [default: False]
    retries=N              Retry up to N times after failures. [default: 3]
    retry_delay            Seconds before the first retry; doubled for each one after it.
                           [default: 0.5]
    connect_timeout=S      Give up connecting after S seconds; 0 means never. [default: 10]
    first_token_timeout=S  Give up if there is no token after S seconds; 0 means never.
                           [default: 300; 900 if local]
    idle_timeout=S         Give up after S seconds without a new token; 0 means never.
                           [default: 120]
    timeout=S              Limit the whole answer to S seconds. [default: none]
    proxy                  The address of a proxy.
    ca_file                A file with the certificate authorities to trust.
    headers={…}            Also send these headers. They replace chatstream's own of the same names.
    analyze                Count words, keywords, repetition and more in the answer.
                           [default: False]
    filters=[…]            Pass the answer through these filters of other packages, in order.
    options={…}            Send these extra options, by the server's names for them; the values are
                           JSON.
    on_drop                What to do if the answer breaks off: continue, restart, stop or fallback.
                           [default: continue]
    fallback=[…]           Ask these models, in order, if the first one fails: MODEL, MODEL@PLACE or
                           @PLACE.
    strategy               Ask the models of this strategy in the configuration file, in order.
    journal                Keep a record. Without one, an answer is not in the history and cannot be
                           resumed. [default: True]
    buffer                 Read ahead of a slow reader: none, fixed, dynamic or sliding. On a
                           screen, sliding skips text to keep up. [default: none]
    buffer_bytes           The maximum number of bytes to read ahead. [default: 1048576]
    coalesce               Join small pieces of text that arrive within 0.1 s. [default: False]
    mcp_servers=[…]        Let the model use the tools of these MCP servers: names of [mcp.NAME],
                           addresses, or commands.
    mcp_config             Let the model use the MCP servers in this JSON file, which has the format
                           of other clients.
    tools_file             Let the model use the functions of this Python file.
    tool_exec=[…]          Executables that the model may use, each of which describes itself.
    sandbox                The sandbox for shell and executables: auto, bwrap, landlock or off.
                           [default: auto]
    http_hosts=[…]         The hosts of private networks that http_get may reach.
    allow=[…]              Run these tools without asking: names, patterns such as git_*, or
                           shell(git status).
    ask=[…]                Ask before these tools run, even if they are allowed.
    deny=[…]               Never run these tools.
    on_ask                 If nobody can be asked: deny the call, or stop the run, to be resumed
                           with --allow. [default: deny]
    root=[…]               The folders that the built-in tools may read and write.
                           [default: the current folder]
    max_rounds=N           Stop calling tools after N rounds of calls. [default: 20]
    max_calls=N            Stop calling tools after N calls.
    token_budget=N         Stop calling tools after N tokens, in and out.
    tool_timeout=S         Stop a tool that runs for S seconds; 0 means never. [default: 120]
    profile                Use this profile of the configuration file.
    """
    with Client() as client:
        yield from client.stream(prompt, token=token, streaming=streaming, **options)


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
    with Client() as client:
        return client.ask(prompt, token=token, streaming=streaming, **options)


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
    with Client() as client:
        yield from client.pieces(prompt, token=token, streaming=streaming, **options)


def compare(
    prompt: Prompt,
    models: Sequence[str],
    *,
    token: CancelToken | None = None,
    streaming: bool | None = None,
    **options: Unpack[Options],
) -> Iterator[Event]:
    """Ask several models the same question, and yield the events of all answers as they arrive.

        for event in chatstream.compare("Why is the sky blue?", ["qwen3:4b", "llama3.2@ollama"]):
            if isinstance(event, chatstream.events.Content):
                print(event.stream, event.delta)

    Takes what `stream` takes. `models` are 2 to 9 names: an alias, MODEL, MODEL@PLACE or @PLACE.
    The `stream` of an event is the name of its model, and "NAME #2" for the second answer of the
    same one. Each answer ends with its own `Done` or `Error`; one that fails does not end the
    others. Tools are called from a thread for each model.

    Never raises: a mistake in the arguments is an `Error` event, and nothing is asked then. Closing
    the iterator stops all answers, and so does `token.cancel()`. A conversation that continues the
    newest one follows the first whole answer.
    """
    from chatstream.many.library import events

    yield from events(prompt, models, token, streaming, options)


def resume(
    run: str | None = None, *, token: CancelToken | None = None, **options: Unpack[Options]
) -> Iterator[Event]:
    """Continue an answer that broke off, and yield its events. The last one is `Done` or `Error`.

    `run` is the id of an unfinished run, or its first characters; None means the last one.
    The text that was already received comes first, so the `content` deltas are the whole answer.
    Options are those of `stream`; they take precedence over what was asked before. Never raises.

    A run keeps the tools that it began with: give their functions as `tools` again, or `execute`.
    What was running when it broke off is not run again unless it only reads; the model is told.
    """
    with Client() as client:
        yield from client.resume(run, token=token, **options)


def batch(
    prompts: Iterable[Prompt],
    *,
    jobs: int = 3,
    ordered: bool = True,
    rpm: int | None = None,
    tpm: int | None = None,
    token: CancelToken | None = None,
    **options: Unpack[Options],
) -> Iterator[Result]:
    """Ask many questions, some at a time, and yield a result for each of them.

        for result in chatstream.batch(["Why is the sky blue?", "And at night?"], jobs=8):
            print(result.index, result.content if result.error is None else result.error.message)

    prompts
        Questions, each as `stream` takes it. They are read one at a time, when they are needed.
    jobs
        How many are asked at once.
    ordered
        False yields each result as soon as it is there.
    rpm, tpm
        The most requests, and the most tokens, of a minute.

    A result has `index`, `content` or `error` (with `code` and `message`), `run`, `finish_reason`,
    `usage`, `cost` in dollars, `ttft` and `duration` in seconds, `attempts` and `warnings`. Options
    are those of `stream`, except tools.

    One that fails is a result as well. Raises a `ChatstreamError` for what every question would
    share (a key that is not accepted, a quota that is used up, a mistake in the options), after the
    results that there are.
    """
    from chatstream.many.batching import results

    return results(prompts, options, most=jobs, in_order=ordered, rpm=rpm, tpm=tpm, token=token)

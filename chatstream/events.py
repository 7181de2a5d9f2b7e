"""The event vocabulary: what happened, in the order it happened.

One vocabulary serves `--json`, the journal, replay and bench. The rules:

1. An event is a small struct; on the wire it is one JSON object whose `type` names it.
2. `seq` counts from 0 without a gap in each run; `t` is the seconds since the run began,
   on a monotonic clock, taken when the bytes left the socket.
3. Deltas only, never snapshots: joined `content` deltas are the answer, byte for byte.
4. The first event of a run is `metadata` with `version`, `run` and `started_at`; the last is
   `done` or `error`, and there is exactly one of those.
5. Unknown types and fields are ignorable. The version changes only by addition.

A field whose value is its default is left out of the JSON.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args

import msgspec

from chatstream.counts import Cost as Cost
from chatstream.counts import Counts as Counts
from chatstream.counts import ServerTimes as ServerTimes
from chatstream.counts import Stats as Stats
from chatstream.counts import TextFigures as TextFigures

SCHEMA_VERSION = 1

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "paused", "stop_condition"]
Phase = Literal["connect", "first_token", "between_tokens"]

Effect = Literal["read", "write", "run", "net"]
"""What a tool may do: read only, change something here, run programs, reach other machines."""

Decision = Literal["allow", "deny", "ask"]

Outcome = Literal["ok", "failed", "denied", "stopped", "unknown"]
"""What became of a call. Unknown: it was started, and nobody saw its end; it may have taken effect.
"""


class Event(msgspec.Struct, tag_field="type", kw_only=True, omit_defaults=True, gc=False):
    """What every event has. `seq` -1 and `t` -1.0 mean: not stamped yet.

    `stream` is the label of the run among several that are read together (`merge`). `replayed`: it
    happened in an earlier run, which this one continues, or whose tools it uses.

    Events hold no references back, so the garbage collector need not look at them.
    """

    seq: int = -1
    t: float = -1.0
    stream: str | None = None
    replayed: bool = False


class Labels(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the user says about a run, for the history; sent to nobody."""

    project: str | None = None
    agent: str | None = None


class Metadata(Event, tag="metadata"):
    """Who answers. The first one opens the run; each attempt's response adds one."""

    provider: str | None = None
    model: str | None = None
    base_url: str | None = None  # the server's address, its secrets masked
    request_id: str | None = None
    attempt: int | None = None
    restart: bool = False
    version: int | None = None
    run: str | None = None
    started_at: str | None = None  # RFC 3339, UTC
    continues: str | None = None  # the run whose unfinished answer this run completes
    parent: str | None = None  # the run whose answer this question follows
    labels: Labels | None = None


class Content(Event, tag="content"):
    """A piece of the answer."""

    delta: str


class Reasoning(Event, tag="reasoning"):
    """A piece of the model's thinking; never part of the answer."""

    delta: str


class ReasoningData(Event, tag="reasoning_data"):
    """What the server wants back, unchanged, with the reasoning that came before: its signature.

    It also stands alone, for reasoning that the server keeps to itself.
    """

    provider_data: dict[str, Any]


class ToolCallDelta(Event, tag="tool_call_delta"):
    """A piece of a tool call's arguments while the model writes it."""

    id: str
    name: str
    delta: str


class ToolCall(Event, tag="tool_call"):
    """A whole tool call. `arguments` is the JSON text, `{}` when there were none.

    `provider_data` is what the server wants back with the call.
    """

    id: str
    name: str
    arguments: str
    provider_data: dict[str, Any] | None = None


class Citation(Event, tag="citation"):
    """A source that the answer refers to. `number` is its number in the text, as in `[1]`."""

    url: str
    title: str | None = None
    number: int | None = None


class Image(Event, tag="image"):
    """An image in the answer: `data` is base64, or `url` says where the server keeps it."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None

    @property
    def label(self) -> str:
        """What it is, and how large or where, in a few words; not cleaned."""
        kind = (self.media_type or "image")[:60]
        if self.data is None:
            return f"{kind} at {self.url}" if self.url else kind
        size = len(self.data) * 3 // 4
        if size < 1000:
            return f"{kind}, {size} bytes"
        return f"{kind}, {size / 1000:.0f} KB" if size < 999_500 else f"{kind}, {size / 1e6:.1f} MB"


class Approval(Event, tag="approval"):
    """What was decided about a call, before anything of its round runs.

    "ask": somebody is being asked, and their answer follows. `by` says who decided: "rule",
    "default", "taint" (text from outside is in the conversation), "user", "caller" (the program
    that uses the library), "dry_run", or "nobody" where there is nobody to ask and the run ends.
    `preview` is what the call would change, as a unified diff, where somebody is asked and the tool
    can tell. `once`: the answer is about this call alone, and cannot be "always".

    Calls that are refused without a decision (unknown tool, invalid arguments) have none. The first
    event of any call's fate shows that the response which asked for it is whole.
    """

    id: str
    name: str
    decision: Decision
    by: str
    parameters: dict[str, Any] = {}
    preview: str | None = None
    once: bool = False

    @property
    def is_question(self) -> bool:
        """Whether somebody is asked by it, now."""
        return (
            self.decision == "ask" and self.by in {"rule", "default", "taint"} and not self.replayed
        )


class ToolStart(Event, tag="tool_start"):
    """A tool begins to run; written down before it does. `foreign`: others write its output."""

    id: str
    name: str
    parameters: dict[str, Any] = {}
    effect: Effect | None = None
    foreign: bool = False


class ToolProgress(Event, tag="tool_progress"):
    """A running tool tells how far it is: 0 to 100, or only in words. `eta` in seconds."""

    id: str
    name: str
    progress: float | None = None
    message: str | None = None
    eta: float | None = None


class ToolOutput(Event, tag="tool_output"):
    """A piece of a running tool's output."""

    id: str
    name: str
    delta: str


class ToolComplete(Event, tag="tool_complete"):
    """A tool did its work in `duration` seconds. A program may still have failed: `exit_status`.

    `result` is what the model is given.
    """

    id: str
    name: str
    result: str
    duration: float
    outcome: Outcome = "ok"
    exit_status: int | None = None


class ToolError(Event, tag="tool_error"):
    """A tool did not do its work, after `duration` seconds, 0 if it was not started.

    `error` is one sentence about it; `result` is what the model is given, if that is more. `code`
    says what kind of failure it was, such as "invalid_arguments" or "timeout".
    """

    id: str
    name: str
    error: str
    duration: float
    outcome: Outcome = "failed"
    code: str | None = None
    result: str | None = None


class Progress(Event, tag="progress"):
    """How far a long piece of work is; times in seconds."""

    stage: str
    current: float
    total: float | None = None
    percentage: float | None = None
    message: str | None = None
    elapsed: float | None = None
    eta: float | None = None


class Waiting(Event, tag="waiting"):
    """Nothing came for `silent_for` seconds; at `limit` the attempt ends.

    `alive` tells that keep-alives came in that time: the peer lives, the model is silent.
    """

    phase: Phase
    silent_for: float
    limit: float | None = None
    alive: bool = False


class Retry(Event, tag="retry", kw_only=True):
    """Attempt number `attempt` starts in `delay` seconds.

    `reset` drops what was shown; `continue` keeps it, and what follows goes on where it ends.
    """

    attempt: int
    max: int
    delay: float
    cause: str
    status: int | None = None
    emitted_chars: int = 0
    action: Literal["reset", "continue"]


class Fallback(Event, tag="fallback", rename={"source": "from", "target": "to"}):
    """Another model takes over."""

    source: str
    target: str
    cause: str


class Context(Event, tag="context"):
    """How full the model's context window is with the next request, in tokens.

    `left_out` is the number of the oldest messages that are not sent, because they do not fit.
    """

    window: int
    used: int
    left_out: int = 0

    @property
    def share(self) -> float:
        """The part of the window that is used; 1.0 is all of it."""
        return self.used / self.window if self.window else 1.0


class Analysis(Event, tag="analysis"):
    """Figures about the text of the answer so far, or if `final`, about all of it."""

    figures: TextFigures
    final: bool = False


class Warn(Event, tag="warning"):
    """Something odd that did not end the answer."""

    code: str
    message: str


class Usage(Event, tag="usage"):
    """The token counts of a response, as its server reports them.

    Each is a total: the last one of a response holds. Those of several responses add up.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None


class Done(Event, tag="done", kw_only=True):
    """The answer is whole: the protocol's own end mark was seen."""

    finish_reason: FinishReason
    raw_finish_reason: str | None = None
    usage: Counts | None = None
    stats: Stats
    attempts: int
    cost: Cost | None = None


class Error(Event, tag="error"):
    """The run failed. `partial` tells that some of the answer arrived before."""

    code: str
    message: str
    recoverable: bool
    partial: bool
    status: int | None = None
    hint: str | None = None
    resume: str | None = None
    request_id: str | None = None
    stats: Stats | None = None


AnyEvent = (
    Metadata
    | Content
    | Reasoning
    | ReasoningData
    | ToolCallDelta
    | ToolCall
    | Citation
    | Image
    | Approval
    | ToolStart
    | ToolProgress
    | ToolOutput
    | ToolComplete
    | ToolError
    | Progress
    | Waiting
    | Retry
    | Fallback
    | Context
    | Analysis
    | Warn
    | Usage
    | Done
    | Error
)
Terminal = Done | Error
Fate = Approval | ToolStart | ToolProgress | ToolOutput | ToolComplete | ToolError
"""What becomes of a call. The first one shows that the response which asked for it is whole."""

CallEnd = ToolComplete | ToolError
"""The last of a call's fate. Each call has one."""

TOKENS = frozenset({Content, Reasoning, ToolCallDelta, ToolCall, Image})
"""The events that show that the model writes."""

TYPES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(AnyEvent))
"""The values of `type` that this version knows."""


def voids(event: Event) -> bool:
    """Whether what came of the answer before this event is void: it starts over."""
    return (isinstance(event, Retry) and event.action == "reset") or (
        isinstance(event, Metadata) and event.restart
    )


def new_run() -> Metadata:
    """What opens a run: its id and its wall-clock start."""
    now = datetime.now(UTC)
    return Metadata(
        version=SCHEMA_VERSION,
        run=f"{now:%Y%m%d-%H%M%S-%f}-{os.urandom(2).hex()}",  # in the order of time
        started_at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


_encoder = msgspec.json.Encoder()


@functools.cache  # a hundredth of a start; who asks a server does not need it
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """One event as one line of JSON, without the line end."""
    return _encoder.encode(event)


def encode_lines(events: Iterable[Event]) -> bytes:
    """Events as JSON Lines, each line ended by LF."""
    return _encoder.encode_lines(events)


def decode(line: bytes | str) -> AnyEvent:
    """The event of one JSON line. Raises `ValueError` for anything else."""
    try:
        event: AnyEvent = _decoder().decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"not an event: {error}") from error
    return event


def json_schema(*others: type[Event]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one event, or one of those `others`."""
    schema = msgspec.json.schema(Union[(AnyEvent, *others)])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chatstream event",
        "version": SCHEMA_VERSION,
        **schema,
    }

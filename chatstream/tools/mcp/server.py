"""One server, over whichever channel: what it offers, and calls of that.

1. `server/discover` is asked first. A server that does not know it, or does not answer in time, is
   one of the older era, and is greeted with `initialize`. One that ends because of the question is
   started again for that.
2. What it offers is frozen. A server that has ended is started again for the next call, and so is
   one that a call did not reach; if it then offers something else, no call runs.
3. Progress is asked for and passed on. A server is asked to stop a call, and may end it by itself;
   where it does not, nobody can know what it still does: the outcome is unknown. It is unknown as
   well where the server is lost in the middle of a call.
4. A call that wants to ask something in return (newer era) is sent again with the answers of
   `messages.answer`, up to `MOST_ROUNDS` times.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import ChatstreamError
from chatstream.tools.mcp.channel import Answer, Channel, Lost
from chatstream.tools.mcp.content import text_of
from chatstream.tools.mcp.messages import (
    INITIALIZED,
    MODERN,
    UNSUPPORTED_VERSION,
    Failure,
    Notification,
    Request,
    Response,
    answer,
    mirrored,
    params_of,
    who_we_are,
)
from chatstream.tools.tool import Context, ToolFailure
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

T = TypeVar("T")

START_SECONDS = 30.0
"""From the start of a server until all that it offers is known."""

DISCOVER_SECONDS = 10.0
"""After so long without an answer, a server is taken for one of the older era."""

STOP_SECONDS = 1.0
"""How long a server may take to end a call that it was asked to stop."""

MOST_TOOLS = 1000
MOST_ROUNDS = 10

_SHORT_CHARACTERS = 200  # of an error that fits on one line


class ServerFailed(ChatstreamError):
    """A server that cannot be used."""

    code = "mcp"


class Unsent(ToolFailure):
    """A call that has not reached its server, so that it can be sent once more."""


class Offered(msgspec.Struct, frozen=True):
    """A tool of a server, as the server calls it and describes it. Nothing of it is trusted."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class Limits(msgspec.Struct, frozen=True):
    """In seconds; see the constants."""

    start: float = START_SECONDS
    discover: float = DISCOVER_SECONDS
    stop: float = STOP_SECONDS


class Server:
    """The server called `name`. `opening` makes a way to it, and starts it if it is a process.

    `hint` says what the user may do if it cannot be used. `roots` are the folders that it may be
    told of, as `{"uri": …}`.
    """

    def __init__(
        self,
        name: str,
        opening: Callable[[Answer], Channel],
        *,
        hint: str | None = None,
        roots: Sequence[dict[str, str]] = (),
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        clock: Clock = monotonic,
    ) -> None:
        self.name = name
        self._opening = opening
        self._hint = hint
        self._roots = list(roots)
        self._capabilities: dict[str, Any] = {"roots": {}} if roots else {}
        self._limits = limits
        self._clock = clock
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # of a start
        self._channel: Channel | None = None
        self._version: str | None = None
        self._offered: tuple[Offered, ...] | None = None
        self._closed = False

    def begin(self, token: CancelToken) -> tuple[Offered, ...]:
        """Start it. All that it offers.

        Raises `ServerFailed`, `UsageError`, or the reason of the token.
        """
        with self._lock:
            self._offered = self._started(token)
            return self._offered

    def call(self, name: str, arguments: dict[str, Any], context: Context) -> str:
        """What a call of its tool gives, as text. Raises `ToolFailure`."""
        params: dict[str, Any] = {"name": name, "arguments": arguments}
        for _ in range(MOST_ROUNDS):
            try:
                response = self._called(params, context)
            except Unsent:
                response = self._called(params, context)
            if response.result.get("resultType") != "input_required":
                return self._finished(response, context)
            params = {"name": name, "arguments": arguments, **self._answers(response.result)}
        raise ToolFailure(f"the server {self.name} asks in return without end")

    def hang_up(self) -> None:
        """Nothing more is called. Never waits."""
        self._closed = True
        if (channel := self._channel) is not None:
            channel.hang_up()

    def close(self) -> None:
        """Nothing more is called; nothing of it is left here. Idempotent."""
        self.hang_up()
        if (channel := self._channel) is not None:
            channel.close()

    # ---- a start

    def _started(self, token: CancelToken) -> tuple[Offered, ...]:
        deadline = Deadline(self._limits.start, self._clock)
        try:
            self._open()
            if not self._discover(deadline, token):
                self._initialize(deadline, token)
            return self._list(deadline, token)
        except Lost as error:
            self._drop()
            raise self._failed(f"cannot be used: {error.message}") from error
        except ChatstreamError:
            self._drop()
            raise

    def _open(self) -> Channel:
        self._version = None
        self._channel = self._opening(lambda request: answer(request, self._roots))
        if self._closed:  # by another thread, which has not seen it
            self._channel.hang_up()
        return self._channel

    def _drop(self) -> None:
        if (channel := self._channel) is not None:
            channel.close()

    def _discover(self, deadline: Deadline, token: CancelToken) -> bool:
        """Whether it has shown that it is of the newer era."""
        self._version = MODERN
        sooner = Deadline(min(self._limits.discover, deadline.left() or 0.0), self._clock)
        try:
            response = self._ask("server/discover", {}, sooner, token)
        except Lost:
            self._drop()
            token.check()
            self._open()
            return False
        if response is None:
            return False
        if (failure := response.failure) is not None:
            self._check_versions(failure)
            return False
        versions = response.result.get("supportedVersions")
        return isinstance(versions, list) and MODERN in versions

    def _check_versions(self, failure: Failure) -> None:
        """Raises `ServerFailed` for a server that says which versions it has, and we have none."""
        data = failure.data if isinstance(failure.data, dict) else {}
        versions = data.get("supported")
        if failure.code != UNSUPPORTED_VERSION or not isinstance(versions, list):
            return
        spoken = [str(it) for it in versions]
        if not {MODERN, *INITIALIZED}.intersection(spoken):
            raise self._failed(f"speaks only {excerpt(', '.join(spoken))}")

    def _initialize(self, deadline: Deadline, token: CancelToken) -> None:
        self._version = None
        params = {
            "protocolVersion": INITIALIZED[0],
            "capabilities": self._capabilities,
            "clientInfo": who_we_are(),
        }
        response = self._ask("initialize", params, deadline, token, bare=True)
        if response is None:
            raise self._late()
        if (failure := response.failure) is not None:
            if failure.code == UNSUPPORTED_VERSION:  # it was only slow to discover
                self._version = MODERN
                return
            raise self._failed(f"refuses to begin: {excerpt(failure.message)}")
        version = response.result.get("protocolVersion")
        if version not in INITIALIZED:
            raise self._failed(f"speaks only {excerpt(str(version))}")
        self._version = version
        self._tell("notifications/initialized")

    def _list(self, deadline: Deadline, token: CancelToken) -> tuple[Offered, ...]:
        found: list[Offered] = []
        params: dict[str, Any] = {}
        while True:
            response = self._ask("tools/list", params, deadline, token)
            if response is None:
                raise self._late()
            if response.failure is not None:
                raise self._failed(f"lists no tools: {excerpt(response.failure.message)}")
            tools = response.result.get("tools")
            found += (it for it in map(_offered, tools if isinstance(tools, list) else []) if it)
            cursor = response.result.get("nextCursor")
            if not cursor:
                return tuple(found)
            if len(found) > MOST_TOOLS or params == {"cursor": cursor}:
                raise self._failed("lists tools without end")
            params = {"cursor": cursor}

    def _ask(
        self,
        method: str,
        params: dict[str, Any],
        deadline: Deadline,
        token: CancelToken,
        *,
        bare: bool = False,
    ) -> Response | None:
        """The response to a request; None if it does not come in time.

        Raises `Lost`, or the reason of the token.
        """
        assert self._channel is not None
        request = self._request(method, params, bare=bare)
        with closing(self._channel.exchange(request, lambda _: None)) as waiting:
            while True:
                token.check()
                ended, response = _next(waiting)
                if ended:
                    return response
                if deadline.passed:
                    return None

    def _failed(self, why: str) -> ServerFailed:
        return ServerFailed(f"the MCP server {self.name} {why}", hint=self._hint)

    def _late(self) -> ServerFailed:
        return self._failed(f"did not answer within {self._limits.start:g} s")

    # ---- a call

    def _ready(self, token: CancelToken) -> Channel:
        """The way to it; one that has ended is started again. Raises `ToolFailure`."""
        with self._lock:
            channel = self._channel
            if channel is not None and not channel.lost:
                return channel
            if self._closed:
                raise ToolFailure(f"the MCP server {self.name} is closed")
            try:
                offered = self._started(token)
            except ChatstreamError as error:
                token.check()
                raise ToolFailure(error.message, code="mcp") from error
            if offered != self._offered:
                self._drop()
                raise ToolFailure(f"the MCP server {self.name} has changed its tools", code="mcp")
            assert self._channel is not None
            return self._channel

    def _called(self, params: dict[str, Any], context: Context) -> Response:
        """The response to one request of a call. Raises `ToolFailure`."""
        channel = self._ready(context.token)
        request = self._request("tools/call", params)
        if self._version == MODERN:
            request = replace(request, mirrored=self._mirrored(params))
        patience: Deadline | None = None
        try:
            with closing(channel.exchange(request, lambda it: _hear(it, context))) as waiting:
                while True:
                    ended, response = _next(waiting)
                    if ended:
                        assert response is not None
                        return response
                    if patience is None and context.token.cancelled:
                        patience = Deadline(self._limits.stop, self._clock)
                        why = {"requestId": request.id, "reason": "stopped by the user"}
                        self._tell("notifications/cancelled", why)
                    if patience is not None and patience.passed:
                        raise ToolFailure(
                            f"the server {self.name} was asked to stop, and may go on",
                            code="not_stopped",
                            outcome="unknown",
                        )
        except Lost as error:
            raise self._lost(error) from error
        except ToolFailure:
            raise
        except ChatstreamError as error:
            raise ToolFailure(error.message, code="mcp") from error

    def _mirrored(self, params: dict[str, Any]) -> dict[str, str]:
        schemas = {it.name: it.parameters for it in self._offered or ()}
        return mirrored(schemas.get(params["name"], {}), params["arguments"])

    def _lost(self, error: Lost) -> ToolFailure:
        words = f"the MCP server {self.name} is gone: {error.message}"
        if not error.sent:
            return Unsent(words, code="server_ended")
        return ToolFailure(
            f"{words}; the call may have taken effect", code="server_ended", outcome="unknown"
        )

    def _finished(self, response: Response, context: Context) -> str:
        """The text of a result. Raises `ToolFailure` for an error, its whole text as output."""
        if (failure := response.failure) is not None:
            words = f"the server {self.name} refuses the call: {failure.message} ({failure.code})"
            raise ToolFailure(words, code="mcp")
        text = text_of(response.result)
        if response.result.get("isError") is not True:
            return text
        if len(text) <= _SHORT_CHARACTERS and "\n" not in text.strip():
            raise ToolFailure(text.strip() or "it failed, and does not say why", code="mcp")
        context.output(text)
        raise ToolFailure("it failed, as it says above", code="mcp")

    def _answers(self, result: dict[str, Any]) -> dict[str, Any]:
        """What a call is sent again with. Raises `ToolFailure` for what we do not answer."""
        asked = result.get("inputRequests")
        answers = {}
        for key, it in asked.items() if isinstance(asked, dict) else ():
            method = str(it.get("method")) if isinstance(it, dict) else ""
            reply = answer(Request(0, method), self._roots)
            if reply.failure is not None:
                raise ToolFailure(
                    f"the server {self.name} asks for {method}, which chatstream does not offer",
                    code="mcp",
                )
            answers[key] = reply.result
        again: dict[str, Any] = {"inputResponses": answers} if answers else {}
        if (state := result.get("requestState")) is not None:
            again["requestState"] = state
        return again

    # ---- both

    def _request(self, method: str, params: dict[str, Any], *, bare: bool = False) -> Request:
        number = next(self._numbers)
        if not bare:
            params = params_of(number, self._version, self._capabilities, params)
        return Request(number, method, params, self._version)

    def _tell(self, method: str, params: dict[str, Any] | None = None) -> None:
        if (channel := self._channel) is not None:
            channel.tell(Notification(method, params or {}, self._version))


def _offered(tool: object) -> Offered | None:
    """What a server says of one tool; None if that has no name. What does not fit is left out."""
    if not isinstance(tool, dict) or not isinstance(name := tool.get("name"), str) or not name:
        log.info("it offers what is no tool: %s", excerpt(str(tool)))
        return None
    description, schema = tool.get("description"), tool.get("inputSchema")
    return Offered(
        name,
        description if isinstance(description, str) else "",
        schema if isinstance(schema, dict) else {},
    )


def _next(waiting: Generator[None, None, T]) -> tuple[bool, T | None]:
    """Whether it has ended, and with what."""
    try:
        next(waiting)
    except StopIteration as end:
        return True, end.value
    return False, None


class _Progress(msgspec.Struct):
    progress: float
    total: float | None = None
    message: str | None = None


def _hear(notification: Notification, context: Context) -> None:
    """Tell the progress of a call; what else the server says is logged."""
    if notification.method != "notifications/progress":
        log.debug("it says: %s", excerpt(str(notification.params)))
        return
    try:
        told = msgspec.convert(notification.params, _Progress, strict=False)
        context.progress(told.progress, told.total, told.message)
    except (msgspec.ValidationError, ValueError, ArithmeticError) as error:
        log.debug("its progress makes no sense: %s", error)

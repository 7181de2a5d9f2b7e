"""One server, started and started again: what it offers, and calls of that.

1. What it offers is frozen. A server that has ended is started again for the next call, and so is
   one that a call did not reach; if it then offers something else, no call runs. One that ends
   because of the first question of `session` is started again without that question.
2. Progress is asked for and passed on. A server is asked to stop a call, and may end it by itself.
   If it does not, it may still be working, and the outcome is unknown. So it is if the server is
   lost in the middle of a call.
3. A call that wants to ask something in return (newer era) is sent again with the answers of
   `messages.answer`, up to `MOST_ROUNDS` times.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import ChatstreamError
from chatstream.tools.mcp.channel import Answer, Channel, Lost
from chatstream.tools.mcp.content import text_of
from chatstream.tools.mcp.messages import (
    MODERN,
    Notification,
    Request,
    Response,
    answer,
    mirrored,
)
from chatstream.tools.mcp.session import Limits, Offered, ServerFailed, Session, step
from chatstream.tools.tool import NOT_STOPPED, Context, ToolFailure
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

MOST_ROUNDS = 10
_SHORT_CHARACTERS = 200  # of an error that fits on one line


class Unsent(ToolFailure):
    """A call that has not reached its server, so that it can be sent once more."""


class Server:
    """The server called `name`. `opening` makes a way to it, and starts it if it is a process.

    `hint` says what the user can do if it cannot be used. `roots` are the folders that it may ask
    for, as `{"uri": …}`.
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
        self.changed = False  # it has been started again, and offered something else
        self._opening = opening
        self._hint = hint
        self._roots = list(roots)
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()  # of a start
        self._session: Session | None = None  # the newest one
        self._offered: tuple[Offered, ...] = ()
        self._closed = False

    def begin(self, token: CancelToken) -> tuple[Offered, ...]:
        """Start it. All that it offers.

        Raises `ServerFailed`, `UsageError`, or the reason of the token.
        """
        with self._lock:
            self._offered = self._started(token)
            return self._offered

    def call(self, name: str, arguments: dict[str, Any], context: Context) -> str:
        """The result of a call of its tool, as text. Raises `ToolFailure`."""
        params: dict[str, Any] = {"name": name, "arguments": arguments}
        for _ in range(MOST_ROUNDS):
            try:
                response = self._called(params, context)
            except Unsent:
                response = self._called(params, context)
            if response.result.get("resultType") != "input_required":
                return self._finished(response, context)
            params = {"name": name, "arguments": arguments, **self._answers(response.result)}
        raise ToolFailure(f"the server {self.name} asks in return again and again")

    def hang_up(self) -> None:
        """No more calls will come. Never blocks."""
        self._closed = True
        if (session := self._session) is not None:
            session.channel.hang_up()

    def close(self) -> None:
        """End the server, and wait until nothing of it is left. Idempotent."""
        self.hang_up()
        if (session := self._session) is not None:
            session.channel.close()

    # ---- a start

    def _started(self, token: CancelToken) -> tuple[Offered, ...]:
        deadline = Deadline(self._limits.start, self._clock)
        session = self._open()
        try:
            try:
                is_modern = session.discover(deadline, token)
            except Lost:
                session.channel.close()
                token.check()
                session, is_modern = self._open(), False
            if not is_modern:
                session.initialize(deadline, token)
            return session.offered(deadline, token)
        except Lost as error:
            session.channel.close()
            words = f"the MCP server {self.name} cannot be used: {error.message}"
            raise ServerFailed(words, hint=self._hint) from error
        except ServerFailed as error:
            session.channel.close()
            error.hint = self._hint
            raise
        except ChatstreamError:
            session.channel.close()
            raise

    def _open(self) -> Session:
        channel = self._opening(lambda request: answer(request, self._roots))
        capabilities = {"roots": dict[str, Any]()} if self._roots else {}
        self._session = Session(self.name, channel, capabilities, self._limits, self._clock)
        if self._closed:  # by another thread, which has not seen this channel
            channel.hang_up()
        return self._session

    def _ready(self, token: CancelToken) -> Session:
        """The session; one that has ended is begun again. Raises `ToolFailure`."""
        with self._lock:
            session = self._session
            if session is not None and not session.channel.lost:
                return session
            if self._closed:
                raise ToolFailure(f"the MCP server {self.name} is closed")
            try:
                offered = self._started(token)
            except ChatstreamError as error:
                token.check()
                raise ToolFailure(error.message, code="mcp") from error
            assert self._session is not None
            if offered != self._offered:
                self.changed = True
                self._session.channel.close()
                raise ToolFailure(f"the MCP server {self.name} has changed its tools", code="mcp")
            return self._session

    # ---- a call

    def _called(self, params: dict[str, Any], context: Context) -> Response:
        """The response to one request of a call. Raises `ToolFailure`."""
        session = self._ready(context.token)
        request = session.request("tools/call", params)
        if session.version == MODERN:
            request = replace(request, mirrored=self._mirrored(params))
        patience: Deadline | None = None
        try:
            exchange = session.channel.exchange(request, lambda it: _hear(it, context))
            with closing(exchange) as waiting:
                while True:
                    ended, response = step(waiting)
                    if ended:
                        assert response is not None
                        return response
                    if patience is None and context.token.cancelled:
                        patience = Deadline(self._limits.stop, self._clock)
                        why = {"requestId": request.id, "reason": "stopped by the user"}
                        session.tell("notifications/cancelled", why)
                    if patience is not None and patience.passed:
                        raise ToolFailure(
                            f"the server {self.name} was asked to stop, and may still be working",
                            code=NOT_STOPPED,
                            outcome="unknown",
                        )
        except Lost as error:
            raise self._lost(error) from error
        except ToolFailure:
            raise
        except ChatstreamError as error:
            raise ToolFailure(error.message, code="mcp") from error

    def _mirrored(self, params: dict[str, Any]) -> dict[str, str]:
        schemas = {it.name: it.parameters for it in self._offered}
        return mirrored(schemas.get(params["name"], {}), params["arguments"])

    def _lost(self, error: Lost) -> ToolFailure:
        words = f"the MCP server {self.name} was lost: {error.message}"
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
            raise ToolFailure(text.strip() or "it failed, and did not say why", code="mcp")
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

"""A server from one start to its end: how it is greeted, and what it offers.

1. `server/discover` is asked first. A server that does not know it, or does not answer in time, is
   one of the older era, and is greeted with `initialize`.
2. What it offers is listed completely, in as many pages as it takes. Anything but a tool is left
   out.
3. All of that has one time limit, and ends at once where the token is cancelled.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator
from contextlib import closing
from typing import Any, TypeVar

import msgspec

from chatstream.cancel import CancelToken
from chatstream.clock import Clock, Deadline, monotonic
from chatstream.errors import ChatstreamError
from chatstream.tools.mcp.channel import Channel
from chatstream.tools.mcp.messages import (
    INITIALIZED,
    MODERN,
    UNSUPPORTED_VERSION,
    Failure,
    Notification,
    Request,
    Response,
    params_of,
    who_we_are,
)
from chatstream.wording import excerpt

log = logging.getLogger(__name__)

T = TypeVar("T")

START_SECONDS = 30.0
"""From the start of a server until all that it offers is known."""

DISCOVER_SECONDS = 10.0
"""After this time without an answer, a server is taken for one of the older era."""

STOP_SECONDS = 1.0
"""How long a server may take to end a call that it was asked to stop."""

MOST_TOOLS = 1000


class ServerFailed(ChatstreamError):
    """A server that cannot be used."""

    code = "mcp"


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


class Session:
    """The server called `name`, over this channel. `version` is the revision that is spoken.

    `capabilities` are ours. Every method but `tell` raises `Lost`.
    """

    def __init__(
        self,
        name: str,
        channel: Channel,
        capabilities: dict[str, Any],
        limits: Limits,
        clock: Clock = monotonic,
    ) -> None:
        self.channel = channel
        self.version: str | None = None
        self._name = name
        self._capabilities = capabilities
        self._limits = limits
        self._clock = clock
        self._numbers = itertools.count(1)

    def discover(self, deadline: Deadline, token: CancelToken) -> bool:
        """Whether it has shown that it is of the newer era.

        Raises `ServerFailed`, or the reason of the token.
        """
        self.version = MODERN
        sooner = Deadline(min(self._limits.discover, deadline.left() or 0.0), self._clock)
        response = self._ask("server/discover", {}, sooner, token)
        if response is None:
            return False
        if (failure := response.failure) is not None:
            self._check_versions(failure)
            return False
        versions = response.result.get("supportedVersions")
        return isinstance(versions, list) and MODERN in versions

    def _check_versions(self, failure: Failure) -> None:
        """Raises `ServerFailed` for a server that lists its versions, if we speak none of them."""
        data = failure.data if isinstance(failure.data, dict) else {}
        versions = data.get("supported")
        if failure.code != UNSUPPORTED_VERSION or not isinstance(versions, list):
            return
        spoken = [str(it) for it in versions]
        if not {MODERN, *INITIALIZED}.intersection(spoken):
            raise self._failed(f"speaks only {excerpt(', '.join(spoken))}")

    def initialize(self, deadline: Deadline, token: CancelToken) -> None:
        """Greet one of the older era. Raises `ServerFailed`, or the reason of the token."""
        self.version = None
        params = {
            "protocolVersion": INITIALIZED[0],
            "capabilities": self._capabilities,
            "clientInfo": who_we_are(),
        }
        response = self._ask("initialize", params, deadline, token, bare=True)
        if response is None:
            raise self._late()
        if (failure := response.failure) is not None:
            if failure.code == UNSUPPORTED_VERSION:  # it was only slow to answer
                self.version = MODERN
                return
            raise self._failed(f"refuses to begin: {excerpt(failure.message)}")
        version = response.result.get("protocolVersion")
        if version not in INITIALIZED:
            raise self._failed(f"speaks only {excerpt(str(version))}")
        self.version = version
        self.tell("notifications/initialized")

    def offered(self, deadline: Deadline, token: CancelToken) -> tuple[Offered, ...]:
        """Its tools. Raises `ServerFailed`, or the reason of the token."""
        found: list[Offered] = []
        params: dict[str, Any] = {}
        while True:
            response = self._ask("tools/list", params, deadline, token)
            if response is None:
                raise self._late()
            if response.failure is not None:
                raise self._failed(f"cannot list its tools: {excerpt(response.failure.message)}")
            tools = response.result.get("tools")
            found += (it for it in map(_offered, tools if isinstance(tools, list) else []) if it)
            cursor = response.result.get("nextCursor")
            if not cursor:
                return tuple(found)
            if len(found) > MOST_TOOLS or params == {"cursor": cursor}:
                raise self._failed("lists more and more tools without end")
            params = {"cursor": cursor}

    def request(self, method: str, params: dict[str, Any], *, bare: bool = False) -> Request:
        """A new request; `bare`: without what every other one has to say."""
        number = next(self._numbers)
        if not bare:
            params = params_of(number, self.version, self._capabilities, params)
        return Request(number, method, params, self.version)

    def tell(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification. Never blocks, and never fails."""
        self.channel.tell(Notification(method, params or {}, self.version))

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
        request = self.request(method, params, bare=bare)
        with closing(self.channel.exchange(request, lambda _: None)) as waiting:
            while True:
                token.check()
                ended, response = step(waiting)
                if ended:
                    return response
                if deadline.passed:
                    return None

    def _failed(self, why: str) -> ServerFailed:
        return ServerFailed(f"the MCP server {self._name} {why}")

    def _late(self) -> ServerFailed:
        return self._failed(f"did not answer within {self._limits.start:g} s")


def _offered(tool: object) -> Offered | None:
    """What a server says of one tool; None if that has no name. What does not fit is left out."""
    if not isinstance(tool, dict) or not isinstance(name := tool.get("name"), str) or not name:
        log.info("it offers something that is not a tool: %s", excerpt(str(tool)))
        return None
    description, schema = tool.get("description"), tool.get("inputSchema")
    return Offered(
        name,
        description if isinstance(description, str) else "",
        schema if isinstance(schema, dict) else {},
    )


def step(waiting: Generator[None, None, T]) -> tuple[bool, T | None]:
    """Wait for the next tick: whether the exchange has ended, and with what."""
    try:
        next(waiting)
    except StopIteration as end:
        return True, end.value
    return False, None

"""The same request with less, where a server refuses a parameter that we added ourselves.

Some servers do not know `stream_options`, some not `max_tokens`, some cannot stream at all: the
request is sent once more without it, and a `warning` says so. A parameter is dropped once.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.errors import UnsupportedParameter
from chatstream.events import Event, Warn
from chatstream.flow import Open
from chatstream.messages import ChatRequest


def degrade(source: Open) -> Open:
    """`source`, asked again without what the server does not take."""

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Event]:
        while True:
            try:
                yield from source(request, token)
                return
            except UnsupportedParameter as error:
                parameter = error.parameter
                if parameter in request.without:
                    raise
            request = replace(
                request,
                stream=request.stream and parameter != "stream",
                without=request.without | {parameter},
            )
            yield Warn(
                "unsupported_parameter",
                f"the server does not take {parameter!r}; asking again without it",
            )

    return opened

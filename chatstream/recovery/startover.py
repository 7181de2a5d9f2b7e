"""An answer that cannot be continued is asked for again from its beginning.

1. This is for a reader who wants a whole answer, whatever becomes of the text that is there. It
   happens once, and only where the server refuses the continuation, or starts over by itself, and
   nothing new has come. After any other failure the text that is there can still be continued.
2. A `metadata` event with `restart` drops the text, and a `warning` before it has the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.errors import BadRequest
from chatstream.events import Metadata, Warn
from chatstream.flow import Arrival, Open, close
from chatstream.messages import ChatRequest
from chatstream.recovery.watchdog import speaks_at
from chatstream.wording import asked_again


def starting_over(source: Open) -> Open:
    """`source`, asked once more without the text that it does not continue."""

    def opened(request: ChatRequest, token: CancelToken) -> Iterator[Arrival]:
        spoke = False
        arrivals = source(request, token)
        try:
            for arrival in arrivals:
                spoke = spoke or speaks_at(arrival) is not None
                yield arrival
            return
        except BadRequest as error:
            token.check()
            if spoke or not request.partial:
                raise
            reason = error.message
        finally:
            close(arrivals)
        yield Arrival([Warn("started_over", asked_again(reason)), Metadata(restart=True)])
        yield from source(replace(request, partial="", method=None), token)

    return opened

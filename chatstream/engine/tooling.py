"""The tools of a run: which there are, what they may do, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chatstream.events import Event
from chatstream.flow import Open
from chatstream.messages import ToolDefinition

if TYPE_CHECKING:
    from chatstream.tools.loop import Begun, Limits, Runs


class Tooling(msgspec.Struct, frozen=True, kw_only=True):
    """What a run needs to run the calls of its model.

    `definitions` are frozen for the whole run, and `kept` is what its journal keeps of the settings
    of tools. `begun` is what an earlier run has of the loop, and `replayed` are the events of that.
    """

    definitions: tuple[ToolDefinition, ...]
    runner: Runs
    limits: Limits
    kept: dict[str, Any] = {}
    begun: Begun | None = None
    replayed: Sequence[Event] = ()

    def around(self, source: Open) -> Open:
        """`source`, with the calls of its model run."""
        from chatstream.tools.loop import loop

        return loop(source, self.runner, self.limits, self.begun)

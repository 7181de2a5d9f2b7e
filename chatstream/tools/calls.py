"""A call that has to be seen to, and what is known of it already."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from chatstream import events as ev


class Pending(msgspec.Struct, frozen=True):
    """A call of the model that needs a result.

    `refused` says why it must not run, if it must not. `earlier` is its fate in the run that this
    one continues, as far as it got.
    """

    call: ev.ToolCall
    refused: str | None = None
    earlier: Sequence[ev.Fate] = ()

    @property
    def started(self) -> ev.ToolStart | None:
        """Its start in the earlier run."""
        return next((it for it in self.earlier if isinstance(it, ev.ToolStart)), None)

    @property
    def shown(self) -> ev.Approval | None:
        """What the earlier run has shown of it last, if it ended because nobody could be asked."""
        asked = (it for it in self.earlier if isinstance(it, ev.Approval) and it.by == "nobody")
        return next(reversed(list(asked)), None)

    @property
    def ended(self) -> ev.CallEnd | None:
        """Its end in the earlier run."""
        ends = (it for it in self.earlier if isinstance(it, ev.CallEnd))
        return next(ends, None)


def canonical(arguments: str) -> str:
    """The same text for the same arguments, however they are written; no JSON stays as it is."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments

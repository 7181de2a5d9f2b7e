"""Calls that have to be seen to: what is known of them, and the end of one that is not run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from chatstream import events as ev
from chatstream.tools.tool import Tool
from chatstream.wording import bounded


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


class Ready(msgspec.Struct, frozen=True):
    """A call that can be run."""

    call: ev.ToolCall
    tool: Tool
    arguments: dict[str, Any]
    again: bool = False
    """An earlier run has started it."""
    shown: ev.Approval | None = None
    """The question about it for which an earlier run has ended."""


def refused(
    call: ev.ToolCall, words: str, code: str, outcome: ev.Outcome = "failed"
) -> ev.ToolError:
    """The end of a call that was not started."""
    return ev.ToolError(call.id, call.name, bounded(words), 0.0, outcome=outcome, code=code)


def canonical(arguments: str) -> str:
    """The same text for the same arguments, however they are written; no JSON stays as it is."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments

"""The tools that a run would have, without a model: what they are, and one call of one of them.

1. The tools are those of the settings. A built-in tool only has to be named.
2. A call is decided about, asked about and run as in a run with these settings (`tools.runner`);
   `called` yields the same events. There is no journal and no file for a long output, and
   a write cannot be undone.
3. An error that `called` yields is about the call. What it raises is about the command: an unknown
   tool, a rule that fits no tool, an approval that nobody can give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.kinds import SOURCES_OF_TOOLS
from chatstream.engine.mcp_servers import Starting, ignore_starting
from chatstream.engine.resolve import Resolved
from chatstream.engine.tooling import built_in_names, toolset_of
from chatstream.errors import UsageError
from chatstream.events import ToolCall, ToolComplete, ToolError, Warn
from chatstream.flow import Arrival
from chatstream.messages import NO_OUTPUT, ToolDefinition
from chatstream.nearest import did_you_mean

_MISTAKES = {"invalid_json", "invalid_arguments"}
"""The error codes of a call that was wrong in itself."""


class Described(msgspec.Struct, frozen=True):
    """A tool: `approval` says in words how its calls are decided."""

    definition: ToolDefinition
    effect: str
    origin: str
    approval: str


def described(
    resolved: Resolved,
    token: CancelToken,
    name: str | None = None,
    starting: Starting = ignore_starting,
) -> list[Described]:
    """The tool of this name; without a name those of the settings, or all built-in tools.

    `starting` is told which MCP servers are still starting. Raises `UsageError`, and the reason of
    the token.
    """
    named = _named(name) if name is not None else []
    if name is None and not any(getattr(resolved.settings, it) for it in SOURCES_OF_TOOLS):
        named = built_in_names()
    with toolset_of(resolved, named, token, starting) as (toolset, policy, _):
        if name is not None and toolset.get(name) is None:
            raise unknown(name, toolset.names)
        return [
            Described(it.definition, it.effect, it.origin, policy.summary(it))
            for it in toolset
            if name in (None, it.name)
        ]


def called(
    resolved: Resolved,
    name: str,
    arguments: str,
    token: CancelToken,
    control: Control,
    starting: Starting = ignore_starting,
) -> Iterator[Arrival]:
    """The events of this call, whose arguments are JSON.

    Raises `UsageError`, `ApprovalNeeded`, and the reason of the token.
    """
    from chatstream.tools.calls import Pending
    from chatstream.tools.runner import Runner

    settings = resolved.settings
    with toolset_of(resolved, _named(name), token, starting) as (toolset, policy, warnings):
        if toolset.get(name) is None:
            raise unknown(name, toolset.names)
        runner = Runner(
            toolset,
            policy.decide,
            control=control,
            timeout=settings.tool_timeout or None,
            on_ask=settings.on_ask,
        )
        if warnings:
            yield Arrival([Warn("settings", it) for it in warnings])
        yield from runner.run([Pending(ToolCall("call00001", name, arguments))], token)


def rest_of(end: ToolComplete | ToolError, shown: str) -> str:
    """What a call returns at its end, beyond the output that was already shown.

    It is what the model would be given. For a long output, that is less than what was shown.
    """
    from chatstream.tools.output import MODEL_BYTES

    result = end.result or ""
    if result == NO_OUTPUT or len(shown.encode()) > MODEL_BYTES:
        return ""
    return result.removeprefix(shown)


def status_of(end: ToolComplete | ToolError) -> int:
    """The exit status of a command that makes one call: that of the tool, if it has one."""
    if isinstance(end, ToolComplete):
        status = end.exit_status or 0
        return status if status >= 0 else 128 - status  # as shells report a signal
    if end.code in _MISTAKES:
        return 2
    return 4 if end.code == "timeout" else 1


def check_tools(names: Sequence[str]) -> None:
    """Raise `UsageError` for a name that no built-in tool has."""
    known = built_in_names()
    for name in names:
        if name not in known:
            raise unknown(name, known)


def _named(name: str) -> list[str]:
    return [name] if name in built_in_names() else []


def unknown(name: str, names: Sequence[str] = ()) -> UsageError:
    """The error for an unknown tool; its hint has these names and the built-in ones."""
    known = list(dict.fromkeys([*names, *built_in_names()]))
    return UsageError(
        f"there is no tool {name!r}",
        hint=did_you_mean(name, known, f"the tools are: {', '.join(known)}"),
    )

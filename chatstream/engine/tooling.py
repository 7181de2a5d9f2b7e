"""The tools of a run: which there are, what they may do, and the loop that runs them.

1. `tooling_of` makes them from the settings and from what the caller adds. It imports
   `chatstream.tools` only if the run has tools.
2. What a run's journal keeps of the settings of tools is `kept`: those settings by their names,
   with absolute paths and without defaults. What is allowed is never kept, so that
   whoever resumes a run is asked again; what is forbidden is.
3. A run that is resumed has the tools that it began with, word for word. Their code has to be there
   again.
4. If the conversation already has text that others have written, the run begins as one that has
   brought such text itself (`tools.approval`).
5. An output that is too long for the model is kept in a file beside the journal (`store.outputs`),
   and so is the content of a file before a tool writes it. A run without a journal keeps neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.config_file import find
from chatstream.engine.kept_tools import KeptTools, OpenTools, key_of
from chatstream.engine.kinds import SOURCES_OF_TOOLS
from chatstream.engine.mcp_servers import Starting, fleet_of, ignore_starting
from chatstream.engine.outfit import Outfit
from chatstream.engine.resolve import Resolved
from chatstream.engine.resume_tools import carried_on
from chatstream.engine.services import import_ahead
from chatstream.engine.settings import FIELDS, Settings
from chatstream.errors import JournalError, UsageError
from chatstream.events import Event, Metadata, ToolCall, ToolStart, new_run
from chatstream.files import named
from chatstream.flow import Open
from chatstream.messages import ToolDefinition
from chatstream.redact import redact
from chatstream.store.outputs import images_of, outputs_of
from chatstream.store.place import NoHome, config_folder, runs_folder, state_folder

if TYPE_CHECKING:
    from chatstream.engine.run import Question
    from chatstream.store.reading import Record
    from chatstream.tools.approval import Policy
    from chatstream.tools.loop import Begun, Limits, Runs
    from chatstream.tools.registry import Toolset
    from chatstream.tools.tool import Tool

_KEPT = (
    *("tools", "ask", "deny", "on_ask"),
    *("max_rounds", "max_calls", "token_budget", "tool_timeout"),
)
"""The settings that a journal keeps as they are; it also keeps `root` and where other tools are."""

_NEED_TOOLS = (
    *SOURCES_OF_TOOLS,
    *("allow", "ask", "deny", "on_ask", "root", "sandbox", "http_hosts"),
    *("max_rounds", "max_calls", "token_budget", "tool_timeout"),
)
"""Settings whose options mean nothing in a run without tools."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller adds to the settings.

    `tools` are functions and tools of the caller's program. `approve` is asked whether a call may
    run; it returns True or False. `execute` is given every call, and returns its result; no tool
    runs here. `control` answers questions and stops tools. `dry_run`: nothing is run. `tools_from`
    is the run that the results of calls are taken from. `interrupted` says what becomes of a call
    that an earlier run has started and not ended. `starting` is told which MCP servers are
    still starting.
    """

    tools: Sequence[object] = ()
    approve: Callable[[ToolCall], bool] | None = None
    execute: Callable[[ToolCall], object] | None = None
    control: Control | None = None
    dry_run: bool = False
    tools_from: str | None = None
    interrupted: Literal["tell", "run", "stop"] = "tell"
    starting: Starting = ignore_starting


class Tooling(msgspec.Struct, frozen=True, kw_only=True):
    """What a run needs to run the calls of its model.

    `definitions` are frozen for the whole run, and `kept` is what its journal keeps of the settings
    of tools. `begun` is what an earlier run has of the loop, and `replayed` are the events of that.
    `opening` opens the run: its id is the name of the folder of its long outputs. The user is told
    the `warnings`.
    """

    definitions: tuple[ToolDefinition, ...]
    runner: Runs
    limits: Limits
    kept: dict[str, Any] = {}
    begun: Begun | None = None
    replayed: Sequence[Event] = ()
    opening: Metadata = msgspec.field(default_factory=new_run)
    warnings: Sequence[str] = ()

    def around(self, source: Open) -> Open:
        """`source`, with the calls of its model run."""
        from chatstream.tools.loop import loop

        return loop(source, self.runner, self.limits, self.begun)

    def close(self) -> None:
        """Let go of everything that the tools use, for a run that is never read. Idempotent."""
        self.runner.close()


def has_tools(resolved: Resolved, given: Given, record: Record | None = None) -> bool:
    """Whether a run has tools; one that is resumed has them if it began with them."""
    if record is not None:
        return bool(_frozen(record))
    settings = resolved.settings
    named = any(getattr(settings, name) for name in SOURCES_OF_TOOLS)
    return bool(named or given.tools or given.tools_from)


def _frozen(record: Record | None) -> tuple[ToolDefinition, ...]:
    return record.asked.tools if record is not None and record.asked is not None else ()


def tooling_of(
    resolved: Resolved,
    given: Given,
    question: Question | None = None,
    token: CancelToken | None = None,
    kept: KeptTools | None = None,
) -> Tooling | None:
    """What a run that asks this question needs for its tools; None if it has no tools.

    `kept` has the tools of a program that asks several questions, and that adds none itself.

    Raises `UsageError` if something does not fit together, is unknown or cannot be read,
    `JournalError` for the run that results are to be taken from, and the token's reason, which
    ends the start of a tools file.
    """
    record = question.record if question is not None else None
    settings, frozen = resolved.settings, _frozen(record)
    if not has_tools(resolved, given, record):
        return None
    if "tools" in settings.options:
        raise UsageError(
            "the option tools=… cannot be sent together with tools that chatstream runs",
            hint="leave out -o tools=…, or the tools",
        )
    from chatstream.tools.loop import Limits

    limits = Limits(
        rounds=settings.max_rounds, calls=settings.max_calls, tokens=settings.token_budget
    )
    if given.tools_from is not None:
        for name in SOURCES_OF_TOOLS:
            option = FIELDS[name].option
            if resolved.origins.get(name) == option:
                raise UsageError(
                    f"{option} and --tools-from exclude each other",
                    hint="a run whose results are taken brings its tools: leave one of them out",
                )
        return _recorded(given.tools_from, limits)
    from chatstream.tools.registry import Toolset
    from chatstream.tools.runner import Runner

    roots = [_absolute(it) for it in settings.root or ["."]]
    opening = new_run()
    token = token or CancelToken()
    # It is unknown whether the roots of an earlier run were named.
    is_named = settings.root and not frozen and "root" not in resolved.recorded
    told = roots if is_named else []
    key = key_of(settings, roots)
    opened = kept.take(key) if kept is not None else None
    opened = opened or _opened(settings, given, frozen, roots, told, token)
    with ExitStack() as undo:  # if anything goes wrong below
        give_back = partial(kept.give, key, opened) if kept is not None else None
        undo.callback(give_back or opened.close)
        toolset = Toolset(opened.tools, opened.close, give_back)
        for it in toolset:
            it.begin(token)
        if settings.tools:
            from chatstream.tools.builtin.base import share_memory

            share_memory(toolset, _folder(settings, opening, images_of))
        asks_caller = given.approve is not None
        policy = policy_of(resolved, toolset, roots, record, asks_caller=asks_caller)
        if question is not None and any(it.foreign for it in question.conversation):
            policy.taint()
        runner = Runner(
            toolset,
            policy.decide,
            answers=policy.answers,
            note=policy.note,
            approve=given.approve,
            control=given.control,
            timeout=settings.tool_timeout or None,
            dry_run=given.dry_run,
            interrupted=given.interrupted,
            on_ask=settings.on_ask,
            folder=_folder(settings, opening, outputs_of),
            always=kept.always if kept is not None else None,
        )
        if record is not None:
            _check_code(record.run, frozen, toolset.names)
        tooling = Tooling(
            definitions=frozen or toolset.definitions,
            runner=runner,
            limits=limits,
            kept=_kept(settings, roots),
            opening=opening,
            warnings=opened.warnings,
        )
        if record is not None:
            carried = carried_on(runner, record)
            if any(isinstance(it, ToolStart) and it.foreign for it in carried.replayed):
                policy.taint()
            tooling = replace(
                tooling, runner=carried.runner, begun=carried.begun, replayed=carried.replayed
            )
        undo.pop_all()
    return tooling


def _opened(
    settings: Settings,
    given: Given,
    frozen: Sequence[ToolDefinition],
    roots: Sequence[Path],
    told: Sequence[Path],
    token: CancelToken,
) -> OpenTools:
    """The tools of these settings, whose processes run. `told` are the roots for servers."""
    with ExitStack() as undo:
        outfit = _outfit(settings, roots, undo)
        tools = _tools(settings, given, frozen, roots, told, outfit, undo, token)
        undo.pop_all()
    return OpenTools(tools, outfit.close, outfit.warnings)


def _tools(
    settings: Settings,
    given: Given,
    frozen: Sequence[ToolDefinition],
    roots: Sequence[Path],
    told: Sequence[Path],
    outfit: Outfit,
    open_tools: ExitStack,
    token: CancelToken,
) -> list[Tool]:
    """All tools of the run; `open_tools` closes them."""
    from chatstream.tools.registry import built_in, from_callables

    def opened(tools: Sequence[Tool]) -> Sequence[Tool]:
        for tool in tools:
            open_tools.callback(tool.close)
        return tools

    # Servers and the process of a tools file take some time to start. Meanwhile the other tools
    # are made, and what the first request needs is imported.
    if (fleet := fleet_of(settings, told, outfit.keeper, token)) is not None:
        open_tools.callback(fleet.close)
        import_ahead()
    tools = [*opened(built_in(settings.tools, roots, _closed(), outfit.built_in))]
    tools += opened(outfit.executables(token))
    if settings.tools_file is not None:
        from chatstream.tools.toolsfile import tools_of_file

        tools += opened(tools_of_file(_absolute(settings.tools_file), token, import_ahead))
    if fleet is not None:
        tools += fleet.tools(given.starting)
    if given.execute is None:
        return [*tools, *opened(from_callables(given.tools))]
    from chatstream.tools.handed import handed, is_definition

    tools += opened(from_callables(it for it in given.tools if not is_definition(it)))
    defined = [it for it in given.tools if is_definition(it)]
    if not defined:
        names = {it.name for it in tools}
        defined = [it for it in frozen if it.name not in names]
    return handed(tools, defined, given.execute)


def _outfit(settings: Settings, roots: Sequence[Path], open_tools: ExitStack) -> Outfit:
    executables = [_absolute(it) for it in settings.tool_exec]
    outfit = Outfit(settings, roots, _closed(), executables)
    open_tools.callback(outfit.close)  # after all tools, which are opened later
    return outfit


def _closed() -> list[Path]:
    """Where all conversations are, and keys may be: no tool of ours may read that."""
    closed: list[Path] = []
    with suppress(NoHome):
        closed.append(state_folder())
    with suppress(NoHome):
        closed.append(config_folder())
    if file := find():
        closed.append(file.path)
    return closed


def _check_code(run: str, frozen: Sequence[ToolDefinition], names: Sequence[str]) -> None:
    missing = [it.name for it in frozen if it.name not in names]
    if missing:
        raise UsageError(
            f"run {run} has the tool {missing[0]!r}, and its code is not here",
            hint="give it again, with --tools-file, --tool-exec, --mcp or in Python with tools=[…]",
        )


@contextmanager
def toolset_of(
    resolved: Resolved,
    names: Sequence[str],
    token: CancelToken,
    starting: Starting = ignore_starting,
) -> Iterator[tuple[Toolset, Policy, Sequence[str]]]:
    """The tools of these settings and the built-in ones of these names, without a run.

    The last are warnings for the user. The tools are closed at the end. Raises what `tooling_of`
    raises.
    """
    from chatstream.tools.registry import Toolset

    settings = resolved.settings
    settings = replace(settings, tools=list(dict.fromkeys([*settings.tools, *names])))
    roots = [_absolute(it) for it in settings.root or ["."]]
    told = roots if settings.root else []
    opened = _opened(settings, Given(starting=starting), (), roots, told, token)
    with closing(opened):
        toolset = Toolset(opened.tools)
        yield toolset, policy_of(resolved, toolset, roots), opened.warnings


def policy_of(
    resolved: Resolved,
    toolset: Toolset,
    roots: Sequence[Path],
    record: Record | None = None,
    *,
    asks_caller: bool = False,
) -> Policy:
    """The policy that decides about calls of these tools. Raises `UsageError`.

    Rules of the configuration may be about tools that this run does not have. So may those of a
    run that is resumed, because they may come from there.
    """
    from chatstream.tools.approval import Policy, Rules, check_arguments, check_names

    settings = resolved.settings
    kept = record.asked.tool_settings if record is not None and record.asked is not None else {}
    given: dict[str, Sequence[str]] = {}
    for name in ("allow", "ask", "deny"):
        option = FIELDS[name].option
        if resolved.origins.get(name) == option:
            given[name] = [it for it in getattr(settings, name) if it not in kept.get(name, ())]
            check_names(given[name], toolset.names, option)
    rules = Rules(allow=settings.allow, ask=settings.ask, deny=settings.deny)
    check_arguments(rules, toolset)
    answers = given.get("allow", ())
    return Policy(rules, roots=roots, asks_caller=asks_caller, answers=answers)


def _recorded(run: str, limits: Limits) -> Tooling:
    """The tools of an earlier run, whose results are those that it has recorded."""
    from chatstream.store.reading import events_at, find, read
    from chatstream.tools.recorded import Recorded

    path = find(runs_folder(), run)
    record = read(path)
    if record.damage is not None:
        raise JournalError(f"the journal of run {record.run} is {record.damage}")
    if record.asked is None or not record.asked.tools:
        raise UsageError(f"run {record.run} has no tools whose results could be taken")
    runner = Recorded(record.run, events_at(path))
    return Tooling(definitions=record.asked.tools, runner=runner, limits=limits)


def _folder(settings: Settings, opening: Metadata, of: Callable[[Path, str], Path]) -> Path | None:
    """A folder for what this run leaves behind; None if it leaves nothing."""
    if not settings.journal:
        return None
    try:
        return of(state_folder(), str(opening.run))
    except NoHome:
        return None


def _kept(settings: Settings, roots: Sequence[Path]) -> dict[str, Any]:
    kept = {name: getattr(settings, name) for name in _KEPT}
    if settings.sandbox != "off":  # a restriction, and no permission
        kept["sandbox"] = settings.sandbox
    kept["root"] = [str(it) for it in roots]
    for name in ("tools_file", "mcp_config"):
        if (path := getattr(settings, name)) is not None:
            kept[name] = str(_absolute(path))
    kept["mcp_servers"] = [it for it in settings.mcp_servers if redact(it) == it]  # no secret
    kept["tool_exec"] = [str(_absolute(it)) for it in settings.tool_exec]
    return {name: value for name, value in kept.items() if value != FIELDS[name].default}


def _absolute(path: str) -> Path:
    """The absolute path of what a setting names. Raises `UsageError`."""
    try:
        return named(path).absolute()
    except OSError as error:  # the current folder was removed
        raise UsageError(f"{path} cannot be found: {error.strerror}") from error


def check_needless(flags: Mapping[str, Any], given: Given, *, resumed: bool) -> None:
    """Raises `UsageError` for an option of a run without tools that only tools give a meaning."""
    options = [FIELDS[name].option for name in _NEED_TOOLS if flags.get(name) is not None]
    options += ["--dry-run"] * given.dry_run + ["--interrupted"] * (given.interrupted != "tell")
    if options:
        raise UsageError(
            f"{options[0]} needs tools, and this run has none",
            hint="a run keeps the tools that it began with"
            if resumed
            else "name some with --tool, --tools-file, --tool-exec or --mcp",
        )


def built_in_names() -> list[str]:
    """The names of the tools that come with chatstream and with packages that add some."""
    from chatstream.plugins import TOOLS, points
    from chatstream.tools.builtin import BUILT_IN

    return [*BUILT_IN, *(it.name for it in points(TOOLS))]

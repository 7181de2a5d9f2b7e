"""`chatstream tools`: the tools in a table, one in full, and a call of one.

Standard output has what the tool prints, as it comes, and then what it returns, as the model would
be given it. Questions go to the terminal, and errors to standard error. The exit
status is that of the tool.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.control import Control
from chatstream.engine.mcp_servers import Starting
from chatstream.engine.resolve import Resolved, resolve
from chatstream.engine.toolbox import Described, called, described, rest_of, status_of
from chatstream.errors import ChatstreamError, OutputError
from chatstream.escape import clean
from chatstream.events import ToolComplete, ToolError, ToolOutput, Warn
from chatstream.flow import Arrival, drive, pipe
from chatstream.sinks.output import Output, put
from chatstream.terminal import exits
from chatstream.terminal.asking import can_ask, questions
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import question_colours
from chatstream.terminal.progress import starting_line
from chatstream.terminal.runs import first_line
from chatstream.terminal.table import table


def list_tools(flags: Mapping[str, Any], *, as_json: bool) -> int:
    """A line for each tool: name, effect, origin, how calls are decided, and what it does."""

    def show(resolved: Resolved, token: CancelToken, starting: Starting) -> int:
        rows = [_row(it) for it in described(resolved, token, starting=starting)]
        if as_json:
            lines = [f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows]
            put("".join(lines).encode("utf-8", "replace"))
        else:
            cells = os.get_terminal_size(1).columns if os.isatty(1) else None
            put(table([list(it.values()) for it in rows], cells).encode("utf-8", "replace"))
        return 0

    return _with_settings(flags, show, as_json=as_json)


def show_tool(flags: Mapping[str, Any], name: str) -> int:
    """One tool: what it is, what the model is told of it, and the JSON Schema of its arguments."""

    def show(resolved: Resolved, token: CancelToken, starting: Starting) -> int:
        (tool,) = described(resolved, token, name, starting)
        schema = json.dumps(tool.definition.parameters, indent=2, ensure_ascii=False)
        head = f"{tool.definition.name} · {tool.effect} · {tool.origin} · {tool.approval}"
        text = clean(f"{head}\n\n{tool.definition.description}\n\n{schema}\n")
        put(text.encode("utf-8", "replace"))
        return 0

    return _with_settings(flags, show)


def call_tool(flags: Mapping[str, Any], name: str, arguments: str) -> int:
    """Call a tool; returns its exit status."""

    def call(resolved: Resolved, token: CancelToken, starting: Starting) -> int:
        control, sink = Control(can_answer=can_ask()), _Printing()
        arrivals = called(resolved, name, arguments, token, control, starting)
        with questions(control, token, colours=question_colours(resolved.settings)) as stage:
            try:
                drive(pipe(arrivals, stage), sink)
            except BrokenPipeError:  # the reader has seen enough
                return 0
            except OSError as error:
                raise OutputError.of(error) from error
        return sink.status

    return _with_settings(flags, call)


def _row(tool: Described) -> dict[str, str]:
    return {
        "name": tool.definition.name,
        "effect": tool.effect,
        "origin": tool.origin,
        "approval": tool.approval,
        "description": first_line(tool.definition.description).strip(),
    }


def _with_settings(
    flags: Mapping[str, Any],
    command: Callable[[Resolved, CancelToken, Starting], int],
    *,
    as_json: bool = False,
) -> int:
    """Run a command with the settings of these options, and report a failure."""
    given, token = dict(flags), CancelToken()
    with interrupts(token):
        try:
            resolved = resolve(given, profile=given.pop("profile", None))
            exits.warn(resolved.warnings)
            with starting_line(quiet=resolved.settings.accessible) as starting:
                return command(resolved, token, starting)
        except ChatstreamError as error:
            if token.reason is not None:  # what it was doing has been reported
                return token.reason.exit_status
            return exits.report(error, sys.argv if as_json else ())


class _Printing:
    """Prints one call on standard output; how it ended becomes the `status`."""

    def __init__(self) -> None:
        self.status = 1
        self._output = Output(1)
        self._shown = ""

    def write(self, arrival: Arrival) -> None:
        """Take what came."""
        for event in arrival.events:
            match event:
                case ToolOutput(delta=delta):
                    self._shown += delta
                    self._print(delta)
                case ToolComplete():
                    self.status = status_of(event)
                    self._end(rest_of(event, self._shown))
                case ToolError():
                    self.status = status_of(event)
                    self._end("")
                    exits.note(f"error: {event.name}: {event.error}")
                case Warn():
                    exits.note(f"warning: {event.message}")

    def close(self) -> None:
        """Nothing: everything was printed as it came."""

    def _end(self, rest: str) -> None:
        """End the last line, so that the prompt has a line of its own."""
        text = self._shown + rest
        self._print(rest if not text or text.endswith("\n") else f"{rest}\n")

    def _print(self, text: str) -> None:
        self._output.write(text.encode("utf-8", "replace"))

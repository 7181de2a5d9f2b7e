"""Running tools: what a flood of output takes, and what a call costs by itself.

A program that a tool runs is measured from the call of the model to its result, in each sandbox,
less what the same command takes without chatstream. There the time of the sandbox counts as ours,
but in one row, where the bare command is in bubblewrap too. A call of an MCP server is measured
less what that server takes to answer.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.events import ToolCall
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Pending
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import Runner
from chatstream.tools.tool import Context, Tool
from tests.bench.rig import Rig
from tests.bench.rows import Row, compare
from tests.support import mcpserver
from tests.support.real.install import bwrap

MANY, FEW, NONE = 100, 10, 0  # MB
GROWTH = 20.0  # MB
OVERHEAD = SERVER_OVERHEAD = 0.005  # seconds
PROGRAM_OVERHEAD = 0.015
CALLS = 200
PROGRAM_CALLS = 20
PROGRAMS = (("off", "off"), ("landlock", "off"), ("bwrap", "bwrap"), ("bwrap", "off"))
"""The sandbox of the tool, and that of the command without chatstream."""


class _Nothing(Tool):
    def run(self, arguments: dict[str, Any], context: Context) -> str:
        return "done"


def rows(rig: Rig) -> Iterator[Row]:
    """Three tools that print at once, in memory and in time for a MB; one call of a function."""
    many, few, none = (rig.peer("flooding_tools", str(it)) for it in (MANY, FEW, NONE))
    yield compare(
        f"tools: growth by 3 × {MANY} MB of output / {GROWTH:.0f} MB",
        1.00,
        lambda: rig.peak(many) - rig.peak(none),
        lambda: GROWTH,
        pairs=rig.pairs(),
        unit="MB",
    )
    yield compare(
        f"tools: CPU time for a MB, of 3 × {MANY} / of 3 × {FEW}",
        1.20,
        lambda: (rig.spend(many).cpu - rig.spend(none).cpu) / MANY / 3 * 1000,
        lambda: (rig.spend(few).cpu - rig.spend(none).cpu) / FEW / 3 * 1000,
        pairs=rig.pairs(),
        unit="ms",
    )
    yield compare(
        f"tools: one call / {OVERHEAD * 1000:.0f} ms",
        1.00,
        _one_call,
        lambda: OVERHEAD,
        pairs=rig.pairs(),
    )
    server = rig.peer("calling_a_tool", "server", str(CALLS), *mcpserver.command("old"))
    yield compare(
        f"tools: MCP call, less its server's / {SERVER_OVERHEAD * 1000:.0f} ms",
        1.00,
        partial(_overhead, rig, server),
        lambda: SERVER_OVERHEAD,
        pairs=rig.pairs(),
    )
    for kind, bare in PROGRAMS:
        program = rig.peer("calling_a_tool", "shell", kind, bare, str(PROGRAM_CALLS))
        less = "a bare one" if bare == "off" else f"one in {bare}"
        yield compare(
            f"tools: shell, {kind}, less {less} / {PROGRAM_OVERHEAD * 1000:.0f} ms",
            1.00,
            partial(_overhead, rig, program),
            lambda: PROGRAM_OVERHEAD,
            pairs=rig.pairs(),
        )


def _overhead(rig: Rig, command: Sequence[str]) -> float:
    """Seconds of a call that are not its work: what `calling_a_tool` finds."""
    whole, bare = rig.output(command, PATH=f"{bwrap()}:{os.environ['PATH']}").split()
    return float(whole) - float(bare)


def _one_call() -> float:
    """Seconds from a call to its result, of a function that does nothing."""
    runner = Runner(
        Toolset([_Nothing("nothing", "", {"type": "object"})]),
        lambda tool, arguments: Verdict("allow", "rule"),
    )
    spent = []
    for number in range(CALLS):
        began = time.perf_counter()
        for _ in runner.run([Pending(ToolCall(str(number), "nothing", "{}"))], CancelToken()):
            pass
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)

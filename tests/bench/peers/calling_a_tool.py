"""One tool, called again and again, in turns with the same work without chatstream.

    python calling_a_tool.py shell KIND BARE CALLS    # the sandboxes of both
    python calling_a_tool.py server CALLS COMMAND…

The medians of both, in seconds.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.engine.resolve import resolve
from chatstream.engine.tooling import Given, tooling_of
from chatstream.events import ToolCall, ToolComplete
from chatstream.tools.calls import Pending
from chatstream.tools.sandbox import sandbox

COMMAND = ["/bin/sh", "-c", "true"]
ECHO: dict[str, Any] = {"name": "echo", "arguments": {"text": "x"}}


def main() -> None:
    """Measure what the command line says."""
    match sys.argv[1:]:
        case "shell", kind, ("off" | "bwrap") as bare, calls:
            with tempfile.TemporaryDirectory() as scratch:
                argv = sandbox(bare, [Path.cwd()], Path(scratch)).order(COMMAND).argv
                measure(
                    {"tools": ["shell"], "sandbox": kind},
                    {"command": "true"},
                    partial(run, list(argv)),
                    int(calls),
                )
        case "server", calls, *command:
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
                exchange(server, "initialize", {})
                measure(
                    {"mcp_servers": [shlex.join(command)]},
                    ECHO["arguments"],
                    partial(exchange, server, "tools/call", ECHO),
                    int(calls),
                )


def measure(
    settings: dict[str, object], arguments: object, bare: Callable[[], None], calls: int
) -> None:
    given = Given(approve=lambda call: True)
    tooling = tooling_of(resolve({"provider": "demo", **settings}), given)
    assert tooling is not None
    names = [it.name for it in tooling.definitions]
    name = next(it for it in names if it == "shell" or it.endswith("_echo"))
    ours, theirs = [], []
    for number in range(calls):
        call = Pending(ToolCall(str(number), name, json.dumps(arguments)))
        began = time.perf_counter()
        *_, last = tooling.runner.run([call], CancelToken())
        ours.append(time.perf_counter() - began)
        if not isinstance(last.events[-1], ToolComplete):
            sys.exit(f"it did not run: {last}")
        began = time.perf_counter()
        bare()
        theirs.append(time.perf_counter() - began)
    tooling.close()
    print(statistics.median(ours), statistics.median(theirs))


def run(argv: list[str]) -> None:
    """Run a program to its end."""
    os.waitpid(os.posix_spawnp(argv[0], argv, os.environ), 0)


def exchange(server: subprocess.Popen[bytes], method: str, params: dict[str, object]) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request).encode() + b"\n")
    server.stdin.flush()
    server.stdout.readline()


main()

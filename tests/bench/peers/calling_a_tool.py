"""One tool, called again and again, in turns with the same work without chatstream.

    python calling_a_tool.py shell KIND CALLS
    python calling_a_tool.py server CALLS COMMAND…

The medians of both, in seconds.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from chatstream.cancel import CancelToken
from chatstream.engine.resolve import resolve
from chatstream.engine.tooling import Given, tooling_of
from chatstream.events import ToolCall, ToolComplete
from chatstream.tools.calls import Pending

COMMAND = ["/bin/sh", "-c", "true"]
ECHO: dict[str, Any] = {"name": "echo", "arguments": {"text": "x"}}


def main() -> None:
    """Measure what the command line says."""
    match sys.argv[1:]:
        case "shell", kind, calls:
            measure(
                {"tools": ["shell"], "sandbox": kind},
                {"command": "true"},
                bare_program,
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


def bare_program() -> None:
    os.waitpid(os.posix_spawn(COMMAND[0], COMMAND, os.environ), 0)


def exchange(server: subprocess.Popen[bytes], method: str, params: dict[str, object]) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request).encode() + b"\n")
    server.stdin.flush()
    server.stdout.readline()


main()

"""Three tools that print so many MB each, at once; every event is taken and thrown away."""

import sys
import tempfile
from pathlib import Path

from chatstream.cancel import CancelToken
from chatstream.events import ToolCall
from chatstream.tools.approval import Verdict
from chatstream.tools.calls import Pending
from chatstream.tools.registry import Toolset
from chatstream.tools.runner import Runner
from chatstream.tools.tool import Context, Tool

PIECE = ("0123456789" * 8 + "\n") * 100
megabytes = float(sys.argv[1])


class Flood(Tool):
    effect = "read"

    def run(self, arguments: dict[str, object], context: Context) -> None:
        for _ in range(int(megabytes * 1e6 / len(PIECE)) + 1):
            context.output(PIECE)


with tempfile.TemporaryDirectory() as folder:
    tools = Toolset([Flood("flood", "", {"type": "object"})])
    runner = Runner(tools, lambda tool, arguments: Verdict("allow", "rule"), folder=Path(folder))
    calls = [Pending(ToolCall(str(number), "flood", "{}")) for number in range(3)]
    for _ in runner.run(calls, CancelToken()):
        pass

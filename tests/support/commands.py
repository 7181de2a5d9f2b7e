"""Commands that a keeper runs.

said, status = sh(keeper, "exit 7")
started = Started(keeper, "echo ready; sleep 1000")
status = started.stopped()
"""

from __future__ import annotations

import threading

from chatstream.tools.environment import environment
from chatstream.tools.programs import run_program
from chatstream.tools.spawning import Keeper, Order
from chatstream.tools.tool import Returned
from tests.support.toolcalls import LIMIT, Said


def order(*argv: str, cwd: str = "/") -> Order:
    """Of a program without a sandbox."""
    return Order(argv=argv, env=environment(), cwd=cwd)


def sh(keeper: Keeper, command: str, said: Said | None = None) -> tuple[str, int | None]:
    """What a command puts out, and its status."""
    said = said or Said()
    returned = run_program(keeper, order("/bin/sh", "-c", command), said.context)
    return said.text, returned.exit_status


class Started(threading.Thread):
    """A command on a thread of its own, which has said something."""

    def __init__(self, keeper: Keeper, command: str | Order) -> None:
        super().__init__(daemon=True)
        self.said = Said()
        self.result: Returned | None = None
        self._keeper = keeper
        self._order = command if isinstance(command, Order) else order("/bin/sh", "-c", command)
        self.start()
        assert self.said.spoken.wait(LIMIT)

    def run(self) -> None:
        self.result = run_program(self._keeper, self._order, self.said.context)

    def stopped(self) -> int | None:
        """Its status after a stop."""
        self.said.token.cancel()
        return self.ended()

    def ended(self) -> int | None:
        """Its status, once nothing of it is left."""
        self.join(LIMIT)
        assert self.result is not None
        return self.result.exit_status

"""The calls that run at the same time: what is new of them, and when they have to stop.

1. `news` waits for something new, `POLL_SECONDS` at most. Output that comes within `JOIN_SECONDS`
   is taken together; an end, a full pipe or a cancel does not wait for that.
2. A call is stopped when its time is up. All are stopped when a person asks for it (`Control`),
   when the run is cancelled, and when nobody asks for news any more (`end`).
"""

from __future__ import annotations

from chatstream import events as ev
from chatstream.cancel import CancelToken
from chatstream.clock import POLL_SECONDS
from chatstream.control import Control
from chatstream.tools.execution import Execution, Stop
from chatstream.tools.pipe import Bells
from chatstream.tools.tool import NOT_STOPPED

JOIN_SECONDS = 0.02
"""So long is waited for more output once there is some. Nobody sees it, and it saves much work."""


class Running:
    """The calls that run at the same time."""

    def __init__(self, control: Control, token: CancelToken, timeout: float | None) -> None:
        self.executions: list[Execution] = []
        self.all_ended = True  # no call was left behind that may still be running
        self._control = control
        self._stops = control.stops
        self._token = token
        self._timeout = timeout
        self.bells = Bells()
        self._untie = token.on_cancel(self.bells.ring)

    def start(self, execution: Execution) -> None:
        """Start a call, and let it be one of them."""
        self.executions.append(execution)
        self._control.tools_run = True
        execution.start()

    def news(self) -> list[ev.Event]:
        """Wait for something new, for a moment, and take it. What ended is let go of."""
        events = self._stop_some()
        if not events and self.bells.news.wait(POLL_SECONDS):
            self.bells.urgent.wait(JOIN_SECONDS)
            events = self._stop_some()
        for execution in self.executions:
            events += execution.take()
        self.all_ended = self.all_ended and not any(
            isinstance(it, ev.ToolError) and it.code == NOT_STOPPED for it in events
        )
        self.executions = [it for it in self.executions if not it.ended]
        self._control.tools_run = bool(self.executions)
        return events

    def end(self) -> None:
        """Nothing is asked for any more: stop what still runs, and wait for it as long as usual."""
        while self.executions:
            for execution in self.executions:
                execution.stop(Stop("stopped", "the run was stopped"))
            self.news()
        self._control.tools_run = False
        self._untie()

    def _stop_some(self) -> list[ev.Event]:
        """Stop what has to be stopped now."""
        why: Stop | None = None
        if self._token.cancelled:
            why = Stop("stopped", "the run was stopped")
        elif self._control.stops != self._stops:
            self._stops = self._control.stops
            why = Stop("stopped", "the user stopped it")
        events: list[ev.Event] = []
        for execution in self.executions:
            if why is not None:
                events += execution.stop(why)
            elif self._timeout is not None and execution.seconds >= self._timeout:
                words = f"it was stopped after {self._timeout:g} s, which is the limit"
                events += execution.stop(Stop("timeout", words))
        return events

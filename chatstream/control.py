"""What a person says to a run whose tools work: answers to its questions, and "stop the tools".

1. The runner asks with an `approval` event whose decision is "ask"; `question` is that event until
   it is answered. Only one question is open at a time.
2. `answer` and `stop_tools` may be called from any thread and from a signal handler: they set
   attributes and wait for nothing. The runner looks at them several times a second.
"""

from __future__ import annotations

from typing import Literal

from chatstream.events import Approval

Answer = Literal["once", "always", "no"]
"""Run the call; allow the tool for the rest of the run, or of the chat; do not run the call."""


class Control:
    """One run's. `can_answer`: there is somebody who sees the questions."""

    def __init__(self, *, can_answer: bool = True) -> None:
        self.can_answer = can_answer
        self.question: Approval | None = None
        self.tools_run = False  # there is something that `stop_tools` would stop
        self.stops = 0  # how often `stop_tools` was called
        self._answer: Answer | None = None

    def ask(self, question: Approval) -> None:
        """Open a question."""
        self._answer = None
        self.question = question

    def answer(self, answer: Answer) -> None:
        """Answer the open question; without one nothing happens."""
        if self.question is not None:
            self._answer = answer

    def take_answer(self) -> Answer | None:
        """The answer, which closes the question; None until it is given."""
        if (answer := self._answer) is not None:
            self.question = self._answer = None
        return answer

    def stop_tools(self) -> None:
        """Stop the tools that run, and nothing else: the model is given what they have done."""
        self.stops += 1

"""A command that asks, from its arguments to its exit status.

    answering = Answering(arguments, flags)
    return answering.show(lambda: begin(answering))

A program that asks several questions makes one for each, with one pool for all of them, and one
place for the tools that outlive a question.

If anything goes wrong while the run begins, it is shown as a run that failed, as JSON too.

An answer by a schema is JSON, and is shown as it is: drawing it as Markdown would lose characters.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.kinds import SOURCES_OF_TOOLS
from chatstream.engine.pipeline import Follow, failed, not_followed, run
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import Resolved, without_configuration
from chatstream.engine.run import Question, Run
from chatstream.engine.services import Choice, Tell, ignore_choice, provider_name
from chatstream.engine.settings import DECLARED, Settings
from chatstream.errors import ChatstreamError
from chatstream.flow import Arrival, Stage, pipe
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import check_look, is_resettable, is_screen
from chatstream.terminal.present import present, tidy

if TYPE_CHECKING:
    from chatstream.control import Control
    from chatstream.engine.kept_tools import KeptTools
    from chatstream.engine.tooling import Tooling
    from chatstream.terminal.beside import Beside
    from chatstream.terminal.copying import Copying


class Answering:
    """Everything that a command needs to begin a run and to show it.

    `flags` are the settings on its command line, `arguments` the other arguments. A `pool` that is
    given is the caller's, and stays open; so are the tools in `kept`. `beside` receives what is
    typed for later.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        flags: Mapping[str, Any],
        pool: Pool | None = None,
        beside: Beside | None = None,
        kept: KeptTools | None = None,
    ) -> None:
        self._kept = kept
        self.token = CancelToken()
        self._beside = beside
        self._pool = pool or Pool()
        self._closes = contextlib.nullcontext() if pool else contextlib.closing(self._pool)
        self.settings = without_configuration(flags)
        self._arguments = arguments
        self._flags = flags
        self._render: bool | None = flags.get("render")
        self._plain = bool(arguments["plain"])
        self._copying: Copying | None = None
        self._choices: list[Choice] | None = None  # who is asked if the settings name nobody
        self._control: Control | None = None

    def use(self, resolved: Resolved, copying: Callable[[], Copying | None]) -> None:
        """These settings hold. Raises `ConfigError`, `UsageError` for a look that cannot be had.

        `copying` says what is to be copied or saved at the end; it may raise `UsageError`.
        """
        given = self._arguments
        check_look(
            resolved.settings,
            as_json=given["as_json"],
            plain=given["plain"],
            render=self._render,
        )
        self.settings = resolved.settings
        self._copying = copying()

    def control(self) -> Control:
        """What answers the questions of the run's tools, and stops them; for its `Given`.

        Only a run with tools needs it.
        """
        if self._control is None:
            from chatstream.control import Control
            from chatstream.terminal.asking import can_ask

            self._control = Control(can_answer=can_ask())
        return self._control

    def begin(
        self, resolved: Resolved, question: Question, *, follow: Follow = not_followed
    ) -> Run:
        """The run that asks this, for a reader such as this command has.

        Raises `ConfigError`, `UsageError`.
        """
        given = self._arguments
        self._plain = self._plain or self._wants_json(resolved.settings, question)
        tell: Tell = ignore_choice
        if not provider_name(resolved.settings):
            self._choices = []
            tell = self._choices.append
        question = replace(
            question,
            resettable=is_resettable(as_json=given["as_json"]),
            on_screen=is_screen(self.settings, as_json=given["as_json"], plain=self._plain),
            keeps_images=given["save_images"] is not None,
            tooling=self._tooling(resolved, question),
        )
        if resolved.context:
            exits.note(f"system prompt: with {', '.join(map(str, resolved.context))}")
        elif resolved.context is not None and self._flags.get("context_files"):
            exits.note("there is no AGENTS.md in this folder or above it")
        try:
            return run(resolved, question, self._pool, self.token, tell=tell, follow=follow)
        except BaseException:
            if question.tooling is not None:
                question.tooling.close()
            raise

    def _wants_json(self, settings: Settings, question: Question) -> bool:
        """Whether the answer is JSON by a schema, and has to be shown undrawn."""
        if self._render or self._beside is not None or settings.accessible:
            return False
        if question.record is not None:
            return question.record.asked is not None and question.record.asked.schema is not None
        return settings.schema is not None or settings.schema_multi is not None

    def _tooling(self, resolved: Resolved, question: Question) -> Tooling | None:
        """What the run needs for its tools. Raises `UsageError`, `JournalError`."""
        brought = {
            name: self._arguments[name]
            for name in ("dry_run", "tools_from", "interrupted")
            if self._arguments.get(name) is not None
        }
        if not (
            any(brought.values()) or question.record or self._mentions_tools(resolved.settings)
        ):
            return None  # most runs, which import nothing for it
        from chatstream.engine.tooling import Given, check_needless, has_tools, tooling_of

        given = Given(**brought)
        if not has_tools(resolved, given, question.record):
            check_needless(self._flags, given, resumed=question.record is not None)
            return None
        from chatstream.terminal.progress import starting_line

        with starting_line(quiet=resolved.settings.accessible) as starting:
            given = replace(given, control=self.control(), starting=starting)
            return tooling_of(resolved, given, question, self.token, self._kept)

    def _mentions_tools(self, settings: Settings) -> bool:
        """Whether there are tools, or an option that only tools give a meaning."""
        options = [name for name in self._flags if DECLARED[name].about.group == "Tools"]
        given = any(self._flags[name] is not None for name in options)
        return given or any(getattr(settings, name) for name in SOURCES_OF_TOOLS)

    def show(self, begin: Callable[[], Run], *watching: Stage) -> int:
        """Begin the run and show it; returns the exit status. The stages in `watching` see it."""
        with interrupts(self.token), self._closes:
            try:
                begun = begin()
            except ChatstreamError as error:
                begun = failed(error, self.token)
            status = self.present(pipe(begun.arrivals, *watching))
            if not self.token.cancelled:
                tidy(self.settings)
            return status

    def present(self, arrivals: Iterator[Arrival]) -> int:
        """Show a run where its reader is; returns the exit status."""
        return present(
            arrivals,
            self.settings,
            self.token,
            as_json=self._arguments["as_json"],
            plain=self._plain,
            copying=self._copying,
            told=self._choices,
            control=self._control,
            beside=self._beside,
        )

"""`chatstream compare`, from its arguments to its exit status.

1. The answers come first, then their differences, the verdict, and the table. In a pipe, all of
   this is one Markdown document on standard output; with `--json`, there are only the events.
2. The conversation continues from the first whole answer, or from the one that is picked. That is
   stored as soon as the answers are there, and again when one is picked.
3. The exit status is that of the answers, or that of the verdict if all answers are whole.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.engine.pipeline import run
from chatstream.engine.place import FOR_A_START, START, Place, question_at, resolved_at
from chatstream.engine.pool import Pool
from chatstream.engine.resolve import Resolved
from chatstream.engine.settings import Settings
from chatstream.engine.spending import known_cost
from chatstream.engine.whom import with_model
from chatstream.errors import Cancelled, OutputError, UsageError
from chatstream.many import differing, judging, picking, summary
from chatstream.many.compare import Answer, Comparison, contenders, for_reader, labelled
from chatstream.many.showing import Look, section, show_all
from chatstream.merge import merge
from chatstream.messages import Message
from chatstream.sinks.output import put
from chatstream.sinks.words import one_line
from chatstream.terminal import exits
from chatstream.terminal.interrupt import interrupts
from chatstream.terminal.look import check_look, ends_line, has_colours, is_resettable
from chatstream.terminal.present import present, tell_end, tidy

VERDICT = "verdict"
"""The label of the judge's events."""

_ASKED_OTHERWISE = (*FOR_A_START, "role", "schema", "schema_multi")
"""Settings of the question that are not meant for the judge."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted. `pick` is the number of an answer; 0: the user is asked for it."""

    models: Sequence[str]
    times: int
    look: Look
    diff: bool = False
    judge: str | None = None
    pick: int | None = None

    @property
    def count(self) -> int:
        """How many answers there will be."""
        return max(len(self.models), 1) * self.times

    def check(self) -> None:
        """Raises `UsageError` for wishes that do not go together."""
        if self.diff and self.look.as_json:
            raise UsageError("--diff and --json exclude each other", hint="leave one of them out")
        if self.diff and self.count != 2:
            raise UsageError("--diff shows what differs between two answers, so it takes two")
        if self.pick == 0 and (self.look.as_json or not picking.is_possible()):
            raise UsageError(
                "--pick can ask for the answer only on a terminal", hint="name it: --pick 2"
            )
        if self.pick is not None and self.pick > self.count > 1:
            raise UsageError(f"--pick {self.pick}: there are only {self.count} answers")


def compare(
    wish: Wish,
    flags: Mapping[str, Any],
    place: Place,
    message: Callable[[Resolved, CancelToken], Message],
) -> int:
    """Ask, show and choose; returns the exit status. `message` makes the question.

    Raises a `ChatstreamError` for a mistake, before anything is asked.
    """
    wish.check()
    token = CancelToken()
    with interrupts(token), contextlib.closing(Pool()) as pool:
        asked: list[Message] = []

        def made(resolved: Resolved) -> Message:
            asked.append(message(resolved, token))
            return asked[0]

        found = contenders(wish.models, wish.times, flags, place, made)
        settings, look = found[0].resolved.settings, wish.look
        judge = _judge_of(wish, flags)
        check_look(settings, as_json=look.as_json, plain=look.plain, render=flags.get("render"))
        on_screen, resettable = look.is_screen(settings), is_resettable(as_json=look.as_json)
        found = [for_reader(it, resettable=resettable, on_screen=on_screen) for it in found]
        comparison = Comparison.of(found, pool, token)
        servers = {it.label: it.server for it in found if it.server is not None}
        try:
            status = show_all(comparison, servers, settings, token, look)
        finally:
            comparison.close()
        after = _After(wish, judge, settings, comparison, pool, token)
        after.keep()
        if comparison.ended:
            status = after.tell(asked[0].content, status, shared=_share(servers))
        tell_end(settings, token, status)
        if not token.cancelled:
            tidy(settings)
        return status


def _judge_of(wish: Wish, flags: Mapping[str, Any]) -> Resolved | None:
    """The settings of the judge, if there is one. Raises `ConfigError`, `UsageError`."""
    if wish.judge is None:
        return None
    given = {it: value for it, value in flags.items() if it not in _ASKED_OTHERWISE}
    try:
        return resolved_at(START, with_model(given, wish.judge))
    except UsageError as error:  # about the option that was given
        said = error.message.replace("--model", "--judge", 1)
        raise UsageError(said, hint=error.hint) from error


def _share(servers: Mapping[str, str]) -> bool:
    """Whether several answers come from one local server."""
    return len({*servers.values()}) < len(servers)


class _After:
    """What follows once every answer has ended."""

    def __init__(
        self,
        wish: Wish,
        judge: Resolved | None,
        settings: Settings,
        comparison: Comparison,
        pool: Pool,
        token: CancelToken,
    ) -> None:
        self._wish = wish
        self._judge = judge
        self._settings = settings
        self._comparison = comparison
        self._preferred = comparison.preferred()
        self._answers = comparison.answers
        self._pool = pool
        self._token = token
        self._runs = [it.run.id for it in self._answers]

    def keep(self) -> None:
        """Store where the conversation continues, unless another answer is picked."""
        if self._preferred is not None:
            picking.keep(self._preferred, self._runs)

    def tell(self, asked: str, status: int, *, shared: bool) -> int:
        """Show it; returns the exit status."""
        try:
            if not self._token.cancelled:
                if self._wish.diff:
                    self._tell_differences()
                if self._judge is not None:
                    verdict = self._give_verdict(asked, self._judge)
                    status = status or verdict
            if not self._wish.look.as_json and self._settings.stats is not False:
                summary.tell(self._answers, self._settings, self._wish.look)
                if shared:
                    exits.note(
                        "answers from one server may wait for each other there, so these times "
                        "cannot be compared; `chatstream bench` measures one model at a time"
                    )
        except BrokenPipeError:
            return 0
        except OSError as error:
            return exits.report(OutputError.of(error), ())
        if self._preferred is not None:
            status = self._pick(self._preferred, status)
        elif self._wish.pick is not None:
            exits.note("no answer has any text, so none can be picked")
        return status

    def _tell_differences(self) -> None:
        first, second = self._answers
        if not (first.has_text and second.has_text):
            exits.note("--diff needs two answers, and one has no text")
            return
        found = differing.parts(first.text, second.text)
        share = int(100 * differing.likeness(found))
        legend = f"[-only in {first.name}-] {{+only in {second.name}+}} · {share} % the same"
        shortened = [*differing.shortened(found)]
        coloured = has_colours(1, self._settings.color) and not self._settings.accessible
        text = differing.coloured(shortened) if coloured else differing.marked(shortened)
        self._section("## What differs", f"{one_line(legend)}\n")
        put(f"\n{text.rstrip()}\n".encode("utf-8", "replace"))

    def _give_verdict(self, asked: str, resolved: Resolved) -> int:
        """Ask the judge and show its verdict; returns the exit status of its run."""
        judge = one_line(labelled([str(self._wish.judge)])[0])
        judged = [it for it in self._answers if it.has_text]
        if len(judged) < 2:
            exits.note("--judge needs at least two answers with text")
            return 1
        order = [*range(len(judged))]
        random.shuffle(order)
        letters = judging.lettered(order)
        text = judging.question(asked, [it.text for it in judged], letters)
        look = self._wish.look
        question = question_at(START, resolved, [Message("user", text)])
        before = self._answers[0].run.question  # the limit is that of the conversation, too
        spent = before.spent + known_cost(before.parent)
        question = replace(question, spent=spent, budget=self._comparison.budget)
        verdict = run(resolved, question, self._pool, self._token)
        self._runs.append(verdict.id)
        answer = Answer(len(self._answers) + 1, f"{judge} (verdict)", verdict)
        arrivals = answer.noted(verdict.arrivals)
        if look.as_json:
            arrivals = merge({VERDICT: arrivals})
        else:
            self._section(
                f"## Verdict of {judge}",
                "One model's opinion. It saw the answers in random order.\n",
            )
            put(b"\n")
        status = present(
            arrivals,
            resolved.settings,
            self._token,
            as_json=look.as_json,
            plain=look.plain,
            copying=None,
        )
        if not look.as_json:
            self._tell_verdict(answer, judged, letters)
        self.keep()
        self._answers = [*self._answers, answer]
        return status

    def _tell_verdict(
        self, verdict: Answer, judged: Sequence[Answer], letters: Mapping[str, int]
    ) -> None:
        """What stands below the verdict: which answer each of its letters is."""
        if not verdict.has_text:
            put(b"*There is no verdict.*\n")
            return
        look, settings = self._wish.look, self._settings
        if not (look.is_screen(settings) or ends_line(verdict.text, settings)):
            put(b"\n")
        best = judging.preferred(verdict.text, letters)
        key = " · ".join(f"{letter} is {judged[at].name}" for letter, at in letters.items())
        prefers = f" · the judge prefers {judged[best].name}" if best is not None else ""
        self._section("", f"{key}{prefers}\n")

    def _section(self, title: str, text: str) -> None:
        section(title, text, self._settings, self._wish.look)

    def _pick(self, preferred: Answer, status: int) -> int:
        """Pick an answer, if that is wished, and say where the conversation continues."""
        answers, wish = self._comparison.answers, self._wish
        picked = preferred
        if wish.pick is not None and not self._token.cancelled:
            try:
                if wish.pick:
                    picked = picking.answer_of(wish.pick, answers)
                else:
                    picked = picking.asked(answers, preferred, self._token)
            except UsageError as error:
                status = exits.report(error, ())
            except Cancelled as reason:
                status = reason.exit_status
        lost = picking.keep(picked, self._runs)
        if lost is not None:
            if wish.pick is not None:
                exits.note(lost)
        elif os.isatty(2):
            exits.note(
                f"`chatstream ask -c` continues from answer {picked.name}; "
                "--at RUN continues from another one"
            )
        return status

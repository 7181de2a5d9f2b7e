"""`/compare` and `/pick`: a question to several models, and the answer that is continued.

1. `/compare A B` asks the last question again, as `/retry` does; with `-- QUESTION` it asks that
   one. Every model is asked only this question: the chat's own model stays as it is.
2. The chat continues from the first whole answer, else from the first with any text. `/pick N`
   takes another one, until the next question is asked. The others stay in the history.
3. Ctrl+C stops all of them; what has come is kept. Without any text the question is unanswered, as
   any other. One that was cut off is continued by `/pick N` and `/continue`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.chat.answers import in_our_words
from chatstream.chat.arguments import number_in, words_in
from chatstream.chat.session import Session
from chatstream.chat.turns import Asked, Compare, Heard, Request
from chatstream.engine.pipeline import not_followed
from chatstream.engine.place import is_kept
from chatstream.engine.pool import Pool
from chatstream.engine.whom import local_server
from chatstream.errors import UsageError
from chatstream.flow import Arrival, Stage, pipe
from chatstream.many import picking, summary
from chatstream.many.compare import Answer, Comparison, Contender, check_count, for_reader, labelled
from chatstream.many.showing import Look, show_all
from chatstream.sinks.output import put
from chatstream.terminal.beside import Beside
from chatstream.terminal.exits import note, tell
from chatstream.terminal.look import check_look, is_resettable

_LOOK = Look()
_HINT = "name two models: /compare A B; or one twice: /compare A A"
_RESUME = "/pick {}, then /continue"
_DASHES = re.compile(r"(?:^|\s+)--(?:\s+|$)")


class Compared(NamedTuple):
    """An answer that may be picked: what was asked, and what was heard."""

    asked: Asked
    answer: Answer
    heard: Heard


def comparison(session: Session, argument: str) -> Compare:
    """What `/compare` asks. Raises `UsageError`."""
    named, *asked = _DASHES.split(argument, maxsplit=1)
    models = tuple(words_in(named))
    check_count(len(models), _HINT)
    if question := "".join(asked):
        return Compare(models=models, question=question, typed=f"/compare {argument}")
    if asked:
        raise UsageError("there is no question after --", hint="without -- the last one is asked")
    if session.unanswered is not None:
        return Compare(models=models, request=session.unanswered)
    last = session.turn(None)
    request = Request(message=session.turns[last].question, after=last)
    return Compare(models=models, request=request)


def compare(
    session: Session,
    request: Request,
    models: Sequence[str],
    pool: Pool,
    token: CancelToken,
    beside: Beside | None,
) -> tuple[int, bool]:
    """Ask and show; returns the exit status, and whether everything could be shown.

    The session has the answer that it continues with. Raises `ChatstreamError`.
    """
    asked = [session.ask(replace(request, model=model)) for model in models]
    settings = asked[0].resolved.settings
    check_look(settings, as_json=False, plain=False)
    on_screen = _LOOK.is_screen(settings)
    reader = partial(for_reader, resettable=is_resettable(as_json=False), on_screen=on_screen)
    found = [reader(it) for it in _contenders(models, asked)]
    heard = [Heard() for _ in found]
    words = partial(in_our_words, token, lambda: settings)
    stages = [
        partial(_watched, its, partial(words, _RESUME.format(number), asked[0].after > 0))
        for number, its in enumerate(heard, 1)
    ]
    runs = Comparison.of(found, pool, token, stages)
    servers = {it.label: it.server for it in found if it.server is not None}
    if on_screen:
        put(b"\n")  # between the question and its answers
    try:
        status = show_all(runs, servers, settings, token, _LOOK, beside)
    finally:
        runs.close()
    compared = [Compared(*it) for it in zip(asked, runs.answers, heard, strict=True)]
    preferred = _settle(session, request, runs.preferred(), compared)
    if preferred is not None and runs.ended:
        summary.tell(runs.answers, settings, _LOOK)
    if runs.ended and not on_screen:
        put(b"\n")  # else the next answer would be a part of the last one, or of the table
    if preferred is not None:
        note(f"the chat continues from answer {preferred.name}; /pick N takes another one")
        return status, runs.ended
    return status or 1, runs.ended


def _contenders(models: Sequence[str], asked: Sequence[Asked]) -> Iterator[Contender]:
    """Who is asked what. Only the first one's answer may follow the conversation at once."""
    for number, (label, its) in enumerate(zip(labelled(models), asked, strict=True)):
        yield Contender(
            label=label,
            resolved=its.resolved,
            question=its.question,
            follow=not_followed if number else its.follow,
            server=local_server(its.resolved.settings),
        )


def _settle(
    session: Session, request: Request, preferred: Answer | None, compared: Sequence[Compared]
) -> Answer | None:
    """Give the session the answer that it continues with, if there is one, and all costs."""
    for its in compared:
        if not is_kept(its.answer.run.id):
            session.spend(its.heard)
    if preferred is None:
        session.unanswered = request
        return None
    session.detach(request)
    session.compared = [*compared]
    _take(session, compared[preferred.number - 1])
    return preferred


def _watched(heard: Heard, words: Stage, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """A stage of one answer: it is noted, and then its notes name the commands of the chat."""
    return pipe(arrivals, heard.stage, words)


def pick(session: Session, argument: str) -> None:
    """`/pick N`; without a number the answers are listed. Raises `UsageError`."""
    compared: Sequence[Compared] = session.compared
    if not (compared and session.heard in [it.heard for it in compared]):
        raise UsageError("there is nothing to pick from", hint="/compare MODEL MODEL comes first")
    number = number_in(argument)
    if number is None:
        for its in compared:
            chosen = "; the chat continues from it" if its.heard is session.heard else ""
            tell(f"{its.answer.name}{chosen}")
        return
    picked = picking.answer_of(number, [it.answer for it in compared])
    _take(session, compared[picked.number - 1])
    tell(f"the chat continues from answer {picked.name}")


def _take(session: Session, taken: Compared) -> None:
    """Continue from this answer."""
    session.take(taken.asked, taken.answer.run, taken.heard)
    picking.keep(taken.answer, [it.answer.run.id for it in session.compared])

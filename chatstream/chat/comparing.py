"""`/compare` and `/pick`: a question to several models, and the answer that is continued.

1. `/compare A B` asks the last question again, as `/retry` does; with `-- QUESTION` it asks that
   one. Every model is asked only this question: the chat's own model stays as it is.
2. The chat continues from the first whole answer, else from the first with any text. `/pick N`
   takes another one, until the next question is asked. The others stay in the history.
3. Ctrl+C stops all of them; what has come is kept. Without any text the question is unanswered, as
   any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from chatstream.cancel import CancelToken
from chatstream.chat.arguments import number_in, words_in
from chatstream.chat.session import Session
from chatstream.chat.turns import Asked, Compare, Heard, Request
from chatstream.engine.pipeline import not_followed
from chatstream.engine.place import is_kept
from chatstream.engine.pool import Pool
from chatstream.engine.whom import local_server
from chatstream.errors import UsageError
from chatstream.many import picking, summary
from chatstream.many.compare import Answer, Comparison, Contender, check_count, for_reader, labelled
from chatstream.many.showing import Look, show_all
from chatstream.sinks.output import put
from chatstream.terminal.beside import Beside
from chatstream.terminal.exits import note, tell
from chatstream.terminal.look import check_look, is_resettable

_LOOK = Look()


class Compared(NamedTuple):
    """An answer that may be picked: what was asked, and what was heard."""

    asked: Asked
    answer: Answer
    heard: Heard


def comparison(session: Session, argument: str) -> Compare:
    """What `/compare` asks. Raises `UsageError`."""
    named, dashes, text = argument.partition(" -- ")
    models = tuple(words_in(named))
    check_count(len(models))
    if dashes and text.strip():
        return Compare(models=models, question=text.strip(), typed=f"/compare {argument}")
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
    found = [
        Contender(
            label=label,
            resolved=its.resolved,
            question=its.question,
            follow=not_followed if number else its.follow,
            server=local_server(its.resolved.settings),
        )
        for number, (label, its) in enumerate(zip(labelled(models), asked, strict=True))
    ]
    on_screen, resettable = _LOOK.is_screen(settings), is_resettable(as_json=False)
    found = [for_reader(it, resettable=resettable, on_screen=on_screen) for it in found]
    heard = [Heard() for _ in found]
    runs = Comparison.of(found, pool, token, [it.stage for it in heard])
    servers = {it.label: it.server for it in found if it.server is not None}
    if on_screen:
        put(b"\n")  # between the question and its answers
    try:
        status = show_all(runs, servers, settings, token, _LOOK, beside)
    finally:
        runs.close()
    compared = [Compared(*it) for it in zip(asked, runs.answers, heard, strict=True)]
    preferred = runs.preferred()
    for its in compared:
        if not is_kept(its.answer.run.id):
            session.spend(its.heard)
    if preferred is None:
        session.unanswered = request
        return status or 1, runs.ended
    if runs.ended:
        summary.tell(runs.answers, settings, _LOOK)
    session.detach(request)
    session.compared = compared
    _take(session, compared[preferred.number - 1])
    note(f"the chat continues from answer {preferred.name}; /pick N takes another one")
    return status, runs.ended


def pick(session: Session, argument: str) -> None:
    """`/pick N`; without a number the answers are listed. Raises `UsageError`."""
    compared: Sequence[Compared] = session.compared
    if not (compared and session.heard in [it.heard for it in compared]):
        raise UsageError("there is nothing to pick from", hint="use /compare MODEL MODEL first")
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

"""`/compact`: a summary of the conversation, and a new conversation that begins with it.

1. Without a text the model is asked for the summary. The run is shown like any other, but it has no
   tools and leaves no journal, and its question is not part of the conversation. If the
   conversation leaves no room for it, the oldest turns are left out, and a note says so.
2. A whole summary is put into the prompt after `/compact`, to be edited. Nothing has changed yet.
   A summary that was stopped, failed or was cut off is not used.
3. When that line, `/compact TEXT`, is sent, a new conversation begins. Its system prompt is that of
   the old one with the text below it. The old one stays as it is. Any other line is for the old
   conversation, and the summary is not used.
4. If the conversation contains text that others have written, the summary may contain it too. The
   new conversation then counts as one with such text (`tools.approval`), however the summary was
   edited.
5. Text that was queued or typed meanwhile waits behind the summary, and is not part of it. If the
   summary is used, it follows in the new conversation; otherwise it returns to the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from chatstream.chat.session import Session
from chatstream.chat.turns import Asked, Heard, Request, Summary
from chatstream.chat.typeahead import joined
from chatstream.engine.kinds import SOURCES_OF_TOOLS
from chatstream.engine.pipeline import not_followed
from chatstream.engine.settings import DECLARED, Settings
from chatstream.engine.summaries import with_summary
from chatstream.errors import UsageError
from chatstream.events import Done
from chatstream.messages import Message
from chatstream.terminal.exits import tell
from chatstream.wording import counted

COMMAND = "/compact"

INSTRUCTION = (
    "Summarise our conversation so far, so that it can be continued from your summary alone. Keep "
    "what may still matter: facts, names, numbers, code, decisions, open questions, what I asked "
    "for and how I want it. If the conversation began with a summary, keep what still matters of "
    "that, too. Write in the language of the conversation, and nothing but the summary."
)
"""The question to the model."""

ROOM = 0.8
"""The share of the window that the conversation may fill, so that the summary has the rest."""

_UNSET = (
    *SOURCES_OF_TOOLS,
    *("schema", "schema_multi", "max_tokens", "stop_when", "analyze", "filters"),
)


def compact(session: Session, summary: str) -> Summary | None:
    """Begin a new conversation with this summary; without one the model is asked for it.

    Raises `UsageError` if there is nothing to summarise.
    """
    if not summary:
        session.turn(None)
        return Summary()
    refused = session.unanswered
    old = session.continues = session.head
    said = [*session.opening, *(it for turn in session.turns for it in turn.messages)]
    foreign = any(it.foreign for it in said)
    session.begin_with(with_summary(session.system, summary), (), foreign=foreign)
    session.editing, session.unanswered, session.compacting = None, None, False
    session.begun_with = f"{COMMAND}\n{summary}"
    session.draft = refused.typed if refused else ""
    tell("a new conversation that begins with the summary")
    if old:
        tell(f"/goto {old} returns to the old one")
    elif not session.settings().journal:
        tell("the old one is gone, because no journal is kept")
    return None


def is_summary(line: str) -> bool:
    """Whether this line begins a conversation with the summary that it contains."""
    name, *rest = line.split(maxsplit=1)
    return name == COMMAND and bool(rest)


def begin(*, can_edit: bool) -> None:
    """Announce the summary. Raises `UsageError` if drafts cannot be edited."""
    if not can_edit:
        raise UsageError(
            "a summary has to be edited before it is used, and this line cannot be edited; "
            "nothing was sent",
            hint=f"{COMMAND} TEXT begins a new conversation with a summary of your own; /trim "
            "leaves out the oldest turns",
        )
    tell("summarising the conversation; nothing changes until you send the summary")


def asked(session: Session) -> Asked:
    """The settings and the server for the summary. Raises `ChatstreamError`."""
    its = session.ask(Request(message=Message("user", INSTRUCTION)))
    usual = Settings()
    unset = {name: getattr(usual, name) for name in _UNSET}
    settings = replace(its.resolved.settings, journal=False, trim=True, **unset)
    return replace(
        its,
        resolved=replace(its.resolved, settings=settings),
        question=replace(its.question, most=ROOM),
        follow=not_followed,
    )


def flags_of(session: Session) -> Mapping[str, Any]:
    """The flags for the run of the summary: all but those of tools."""
    return {name: it for name, it in session.flags.items() if DECLARED[name].about.group != "Tools"}


def take(session: Session, heard: Heard) -> bool:
    """Put the summary into the prompt, in front of what was typed. False if it is not whole."""
    session.spend(heard)
    end, summary = heard.transcript.terminal, heard.transcript.message.content.strip()
    if not (isinstance(end, Done) and end.finish_reason == "stop" and summary):
        tell("the summary is incomplete and not used; the conversation is unchanged")
        return False
    session.compacting, session.behind = True, joined(session.behind, session.draft)
    session.keep(f"{COMMAND}\n{summary}")
    if left_out := heard.transcript.left_out:
        tell(f"the oldest {counted(left_out, 'message')} did not fit and are not in the summary")
    tell(f"edit the summary; Enter begins a new conversation with the text after {COMMAND}")
    tell("any other line continues this conversation; Ctrl+C discards the summary")
    return True

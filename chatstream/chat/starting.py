"""The start of a chat: its editor, and its first notes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chatstream.chat.equipping import check_role
from chatstream.chat.loop import Editor, chat
from chatstream.chat.plain import PlainEditor
from chatstream.chat.session import Session
from chatstream.chat.turns import Turn
from chatstream.engine.place import Place, place_of, role_at
from chatstream.engine.resolve import resolve
from chatstream.engine.settings import Settings
from chatstream.escape import clean
from chatstream.store.drafts import Drafts
from chatstream.store.place import NoHome, state_folder
from chatstream.terminal.exits import tell
from chatstream.terminal.look import check_look, has_colours, is_screen, knows_escapes
from chatstream.terminal.present import show_answer
from chatstream.terminal.runs import words_of
from chatstream.text import check_encoding
from chatstream.wording import counted

if TYPE_CHECKING:
    from chatstream.engine.roles import Role


def beginning(*, last: bool = False, at: str | None = None, name: str | None = None) -> Place:
    """The place where a chat begins; the arguments are those of `place_of`.

    On a terminal, if there is no answer yet, continuing the last conversation begins a new one: a
    chat that was killed during its first question left only a draft, for the chat that starts now.

    Raises `UsageError`, `JournalError`.
    """
    if not last:
        return place_of(at=at, name=name)
    from chatstream.store.conversation import NoConversation

    try:
        return place_of(last=True, at=at, name=name)
    except NoConversation as error:
        if not os.isatty(0):
            raise
        tell(f"{error.message}; this is a new one")
        return Place(name=name)


def start(
    flags: Mapping[str, Any],
    place: Place,
    *,
    role: Role | None = None,
    files: Sequence[str] = (),
    images: Sequence[str] = (),
    encoding: str | None = None,
) -> int:
    """Hold a chat that begins in this place; returns the exit status.

    `role` is the one that the user has named. `files` and `images` go with the first message;
    `encoding` is that of standard input if it is not a terminal. Raises `ChatstreamError` if an
    argument cannot be used.
    """
    if encoding is not None:
        check_encoding(encoding)
    given = {name: value for name, value in flags.items() if value is not None}
    if role is not None:
        check_role(role)
        given["role"] = role_at(place, role)
    settings = resolve(given, profile=given.pop("profile", None)).settings
    check_look(settings, as_json=False, plain=False, render=flags.get("render"))
    editor = _editor(settings, encoding)
    drafts = _drafts(settings) if editor.is_person else None
    session = Session(flags, place, drafts, role)
    session.files, session.images = list(files), list(images)
    recovered = session.recover()
    if session.turns and editor.is_person:
        _remind(session, session.turns[-1], settings)
    if recovered and (attached := [*map(str, session.files), *session.images]):
        tell(f"with the next message: {', '.join(attached)}")
    elif not recovered and session.turns and session.has_left_a_draft:
        tell("another chat left a draft; `chatstream chat` puts it in its prompt")
    return chat(session, editor)


def _editor(settings: Settings, encoding: str | None) -> Editor:
    on_terminal = os.isatty(0) and os.isatty(1) and knows_escapes()
    if settings.accessible or not on_terminal:
        return PlainEditor(encoding=encoding)
    from chatstream.chat.line import LineEditor

    return LineEditor(vi=settings.vi, colours=has_colours(1, settings.color))


def _drafts(settings: Settings) -> Drafts | None:
    try:
        return Drafts(state_folder()) if settings.journal else None
    except NoHome:
        return None


def _remind(session: Session, last: Turn, settings: Settings) -> None:
    """Show the last question and its answer to a user who returns."""
    tell(f"{counted(len(session.turns), 'question')} so far; /history shows more")
    tell(f"› {clean(words_of(last.question))}\n")
    if is_screen(settings, as_json=False, plain=False):
        show_answer(last.answer.content, settings)
    else:
        tell(last.answer.content)
    if session.stopped is not None and last.answer.complete:
        tell("the question after it has no answer yet; /continue gets one")
    elif session.stopped is not None:
        tell("this answer is cut off; /continue continues it")

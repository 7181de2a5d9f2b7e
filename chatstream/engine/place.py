"""Where in a conversation a question stands, and what follows from that for its run.

1. A conversation is a tree of runs (`store.conversation`). A question that follows an answer is
   sent with all messages from the root to that answer; its run keeps only what is new.
2. The server and the model are those that gave the answer, unless others are named now; the system
   prompt is the conversation's own.
3. A run that is not journalled leaves no trace: what follows it follows the answer before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from chatstream.engine.pipeline import Follow, not_followed
from chatstream.engine.resolve import Resolved, resolve
from chatstream.engine.run import Question
from chatstream.errors import JournalError, UsageError
from chatstream.events import Labels
from chatstream.messages import Message
from chatstream.store.place import NoHome, runs_folder, state_folder

if TYPE_CHECKING:
    from chatstream.engine.roles import Role
    from chatstream.store.conversation import Conversations
    from chatstream.store.reading import Record

FOR_A_START = ("system", "context_files")
"""The settings that only the first question of a conversation has."""

BRANCHED = "this conversation has continued elsewhere: this answer is a branch of it"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a question stands: behind the answer of the run `parent`, or at the beginning.

    `messages` are those of the conversation up to there. `source` is the run whose server and model
    are asked. `chosen`: the user has named the place, so that a branch is no surprise. `name` is
    the name that the conversation gets.
    """

    parent: str | None = None
    messages: tuple[Message, ...] = ()
    source: str | None = None
    chosen: bool = True
    name: str | None = None

    @property
    def is_start(self) -> bool:
        """Whether nothing was said before."""
        return not self.messages and self.source is None


START = Place()


def place_of(
    *,
    last: bool = False,
    at: str | None = None,
    edit: str | None = None,
    name: str | None = None,
) -> Place:
    """The place of a question.

    last
        After the newest answer of the newest conversation, or of the one called `name`.
    at
        After the answer of this run.
    edit
        In the place of the question of this run.
    name
        On its own: after the newest answer of the conversation of this name, or at the beginning of
        a new conversation that gets it. With another place: the name that its conversation gets.

    Raises `UsageError`, `JournalError`.
    """
    given = [
        option
        for option, its in (("--continue", last), ("--at", at), ("--edit", edit))
        if its not in (False, None)
    ]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} exclude each other", hint="leave one out")
    if not given and name is None:
        return START
    from chatstream.store.conversation import Conversations

    conversations = Conversations(state_folder())
    place = _place(conversations, last=last, at=at, edit=edit, name=name)
    if place.name is not None:
        conversations.check_name(place.name, place.parent)
    return place


def _place(
    conversations: Conversations,
    *,
    last: bool,
    at: str | None,
    edit: str | None,
    name: str | None,
) -> Place:
    if last:
        return _after(conversations, conversations.newest(), chosen=False, name=name)
    if at is not None:
        run = conversations.answered(conversations.find(at))
        if run is None:
            raise UsageError(f"run {at} has no answer, and none comes before it")
        return _after(conversations, run, name=name)
    if edit is not None:
        return _instead(conversations, conversations.find(edit), name)
    assert name is not None, "the only thing that is left"
    if not conversations.has(name):
        return Place(name=name)
    return _after(conversations, conversations.named(name), chosen=False)


def _after(
    conversations: Conversations, run: str, *, chosen: bool = True, name: str | None = None
) -> Place:
    messages = tuple(conversations.path(run))
    return Place(parent=run, messages=messages, source=run, chosen=chosen, name=name)


def _instead(conversations: Conversations, run: str, name: str | None) -> Place:
    """The place of the question of this run; its conversation's own, where it is the first."""
    before = conversations.parent(run)
    parent = conversations.answered(before) if before else None
    if parent is not None:
        return replace(_after(conversations, parent, name=name), source=run)
    messages = [it for it in conversations.asked(run) if it.role == "system"]
    return Place(messages=tuple(messages), source=run, name=name)


def resolved_at(place: Place, flags: Mapping[str, Any]) -> Resolved:
    """The settings of a question in this place; `flags` may hold `profile` and `role`.

    Raises `ConfigError`, and `UsageError` if the server is no longer known.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if place.source is None:
        profile = given.pop("profile", None)
        resolved = resolve(given, profile=profile)
        if place.is_start and resolved.settings.context_files:
            from chatstream.engine.context_files import added

            return added(resolved)
        return resolved
    for name in FOR_A_START:
        if given.get(name) not in {None, False}:
            raise _other_system(f"--{name.replace('_', '-')}")
    if (role := given.get("role")) is not None:
        given["role"] = role_at(place, role)
    from chatstream.engine.resume import settings_of
    from chatstream.store.reading import find, read

    try:
        record = read(find(runs_folder(), place.source))
    except UsageError:  # its journal has expired
        record = _from_history(place.source)
    return settings_of(record, given)


def role_at(place: Place, role: Role) -> Role:
    """The role as it applies here, where the conversation already has its system prompt.

    Raises `UsageError` if the role has another one.
    """
    if place.is_start:
        return role
    from chatstream.engine.context_files import is_from
    from chatstream.engine.summaries import parted

    own, _ = parted("".join(it.content for it in place.messages if it.role == "system"))
    if not is_from(role.settings.get("system"), own):
        raise _other_system("--role")
    return role.without_system()


def _other_system(option: str) -> UsageError:
    return UsageError(
        "the conversation has its own system prompt",
        hint=f"leave {option} out, or ask without continuing",
    )


def _from_history(run: str) -> Record:
    """What is known of a run of which only the history is left; its messages are not in it."""
    from chatstream.store.history import History
    from chatstream.store.journal import RequestRecord
    from chatstream.store.reading import Record

    with History(state_folder()) as history:
        past = history.run(run)
    return Record(
        run=past.id,
        started_at=past.started_at,
        asked=RequestRecord((), provider=past.provider, model=past.model, profile=past.profile),
        continues=past.continues,
        parent=past.parent,
        labels=Labels(past.project, past.agent),
        provider=past.provider,
        model=past.model,
        base_url=past.base_url,
        messages=[],
        tools=False,
        terminal=None,
        outcome=past.outcome,
        damage=None,
        duration=past.duration,
    )


def question_at(place: Place, resolved: Resolved, messages: Sequence[Message]) -> Question:
    """These new messages in that place; the first ones come behind the system prompt.

    Answers before them that are nothing but calls without results are left out: nothing of them
    could be sent.
    """
    earlier = place.messages
    if any(it.has_calls for it in earlier):
        following = (*earlier[1:], *messages)
        earlier = tuple(
            it
            for it, after in zip(earlier, following, strict=False)
            if it.role != "assistant" or not it.has_calls or it.content or after.role == "tool"
        )
    if place.parent is not None:
        return Question(messages=tuple(messages), earlier=earlier, parent=place.parent)
    system = resolved.settings.system if place.is_start else None
    first = [Message("system", system)] if system else []
    return Question(messages=(*first, *earlier, *messages))


def follow_of(
    place: Place, resolved: Resolved, conversations: Conversations | None = None
) -> Follow:
    """A function that stores the conversation's head and name when the run begins.

    `conversations` are those of the state folder, from a caller that asks more than once.
    """
    if not resolved.settings.journal or not (place.parent or place.name):
        return not_followed
    return partial(_follow, place, conversations)


def _follow(place: Place, known: Conversations | None, run: str) -> Sequence[str]:
    from chatstream.store.conversation import Conversations

    conversations = known or Conversations(state_folder())
    try:
        moved = place.parent is None or conversations.advance(place.parent, run)
        if place.name is not None:
            conversations.name(place.parent or run, place.name)
    except JournalError as error:  # the answer matters more
        return (f"the conversation cannot be kept: {error.message}",)
    return () if moved or place.chosen else (BRANCHED,)


def is_kept(run: str) -> bool:
    """Whether the run has a journal that contains the question, so that another run can name it as
    its parent. A full disk may leave an empty one.
    """
    from chatstream.store.journal import SUFFIX
    from chatstream.store.reading import ends

    try:
        return ends(runs_folder() / (run + SUFFIX))[0] is not None
    except NoHome:
        return False

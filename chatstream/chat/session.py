"""One conversation as a chat has it: its turns, its settings, and its unsent text. No screen.

1. A turn is a question and its answer. Only a question with an answer becomes a turn, so that roles
   always alternate; any other comes back as `unanswered`, and the conversation is as before.
2. Earlier turns never change: asking again in the place of an earlier turn is a branch, and `undo`
   only means that the next question follows an earlier answer.
3. Settings apply to the chat, and override those of the conversation. Another system prompt begins
   a new conversation that has all messages so far, because the one of a conversation never changes.
4. Text that was typed and is not answered is also stored on the disk (`store.drafts`) until the
   answer begins, with the names of its files and images. A chat that returns to the conversation
   has it in its prompt; text that follows no answer is for a new chat.
5. Without a journal only the session has the turns, and each question sends them as its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chatstream.chat.drafting import added, belongs, named
from chatstream.chat.extent import Extent, extent_of
from chatstream.chat.turns import (
    Asked,
    Continuation,
    Heard,
    Request,
    Turn,
    cost_of,
    model_of,
    turns_of,
)
from chatstream.chat.typeahead import joined
from chatstream.engine.option_pairs import from_pairs
from chatstream.engine.pipeline import not_followed
from chatstream.engine.place import (
    FOR_A_START,
    START,
    Place,
    follow_of,
    is_kept,
    place_of,
    question_at,
    resolved_at,
)
from chatstream.engine.resolve import Resolved
from chatstream.engine.run import Run
from chatstream.engine.settings import Settings
from chatstream.engine.summaries import parted, with_summary
from chatstream.engine.whom import check, with_model
from chatstream.errors import ChatstreamError, UsageError
from chatstream.messages import Image, Message, Text
from chatstream.store.drafts import Belongs, Draft, Drafts
from chatstream.store.place import state_folder
from chatstream.wording import counted

if TYPE_CHECKING:
    from chatstream.chat.comparing import Compared
    from chatstream.engine.roles import Role
    from chatstream.store.conversation import Conversations


_WHOM = ("provider", "base_url", "profile", "model", "options")


class Session:
    """A chat's conversation. `flags` are the settings that are given; `place` is where it begins.
    The settings of a `role` hold for all of it, and its system prompt for a new conversation.

    `draft` is the text that is not sent yet. `queue` has the lines to be sent before it, or after a
    question or a summary that is being edited, and `behind` is a line that was begun after that
    edit. `editing` is the number of turns before the edited question; `compacting`: a summary is
    being edited.

    `begun_with` is the line with the summary that this conversation begins with, until the first
    answer, and `continues` the head of the one that was summarised. `files` and `images` (names or
    URLs) go with the next message. `answering` is the run whose answer has begun. For one thread.
    """

    def __init__(
        self,
        flags: Mapping[str, Any],
        place: Place = START,
        drafts: Drafts | None = None,
        role: Role | None = None,
    ) -> None:
        self.flags = {name: value for name, value in flags.items() if value is not None}
        if "options" in self.flags:
            self.flags["options"] = from_pairs(self.flags["options"])
        self.role = role
        self.draft = ""
        self.queue: list[str] = []
        self.files: list[str] = []
        self.images: list[str] = []
        self.editing: int | None = None
        self.compacting = False
        self.behind = ""
        self.unanswered: Request | None = None
        self.stopped: str | None = None  # the last run, if its answer is not complete
        self.stopped_model: str | None = None  # which was asked its question alone
        self.answering: str | None = None
        self.heard: Heard | None = None  # the output of the last run
        self.compared: list[Compared] = []  # the answers to the last question, if one of several
        self._answered_as: Role | None = None
        self._measured: tuple[Turn, dict[str, Any], Extent | None] | None = None
        self._spent: tuple[str | None, str] = (None, "")
        self._conversations: Conversations | None = None
        self._drafts = drafts
        self.enter(place)

    def enter(self, place: Place) -> None:
        """Go to another place: at the end of the turns that lead to it.

        Raises `UsageError`, `JournalError`.
        """
        turns = self._turns_to(place.parent) if place.parent is not None else []
        self.turns = turns
        self.opening = tuple(it for it in place.messages if it.role == "system")
        self._source = place.source
        self._answered_by = model_of(place.source) if place.source else None
        self._chosen = place.chosen
        self._name = place.name
        self.editing = self.unanswered = self.stopped = self.stopped_model = None
        self.compacting = False
        self.begun_with = ""
        self.continues: str | None = None
        self._spent_here = 0.0  # dollars, for answers without a journal
        if turns:
            newest = None if place.chosen else self._known().head(str(place.parent))
            if newest not in {None, self.head}:
                self.stopped = newest  # it has no answer, but may have begun one
            elif not turns[-1].answer.complete:
                self.stopped = self.head

    def recover(self) -> bool:
        """Take over the draft of this conversation from a chat that is gone. True if there is one.

        Files that no longer exist are left out.
        """
        draft = self._drafts.take(self._belongs(self.head)) if self._drafts is not None else None
        if draft is None:
            return False
        self.draft = draft.text
        self.files = added(self.files, draft.files)
        self.images = added(self.images, draft.images)
        return True

    @property
    def has_left_a_draft(self) -> bool:
        """Whether a chat that is gone has left a draft for a new one."""
        return self._drafts is not None and self._drafts.has(self._belongs(None))

    def keep(self, draft: str, *sending: str) -> None:
        """Store the unanswered text: `draft` is in the prompt, `sending` was sent."""
        self.draft = draft
        if self._drafts is not None and self.flags.get("journal") is False:
            self._drafts.keep(Draft())  # `/set journal false`: from then on nothing is on the disk
        elif self._drafts is not None:
            typed = [draft, *self.queue] if self.is_editing else [*self.queue, draft]
            text = joined(self.begun_with, *sending, *typed, self.behind)
            after = self.answering or self.head or self.continues
            self._drafts.keep(Draft(text, after, named(self.files), named(self.images)))

    def detach(self, request: Request) -> None:
        """The attachments of this request are not sent with another one."""
        self.files = [it for it in self.files if it not in request.attached]
        self.images = [it for it in self.images if it not in request.attached]

    def begin_answer(self, run: Run) -> None:
        """The answer of this run has begun: a draft that is stored from now on follows it."""
        self.answering = run.id if is_kept(run.id) else None
        self.begun_with = ""

    def close(self) -> None:
        """Leave the draft to the next chat. Idempotent."""
        if self._drafts is not None:
            self._drafts.close()

    @property
    def system(self) -> str:
        """The system prompt of the conversation, or of the one that is to begin."""
        if self.opening or self.turns:
            return "".join(it.content for it in self.opening)
        given = self.role.settings if self.role else {}
        return str({**given, **self.flags}.get("system") or "")

    @property
    def head(self) -> str | None:
        """The run that the next question follows; None at the beginning, and without a journal."""
        return self.turns[-1].run if self.turns else None

    @property
    def model(self) -> str:
        """The model that answered last, or is named; "" before the first answer if none is."""
        answered = self._answered_by
        named = self.role.settings.get("model") if self.role else None
        if named and self.role != self._answered_as:
            answered = None  # in another role
        return str(self.flags.get("model") or answered or named or "")

    @property
    def extent(self) -> Extent | None:
        """How much of the window was used after the last answer; None if unknown.

        It is unknown until an answer follows another one, and for a model that has not answered
        here yet.
        """
        return self._measured[2] if self._measured and self.is_heard else None

    @property
    def is_heard(self) -> bool:
        """Whether the last answer was given in this chat, by the model that is asked now."""
        if self._measured is None or not self.turns:
            return False
        turn, asked, _ = self._measured
        return turn is self.turns[-1] and asked == self._whom()

    def status(self) -> str:
        """The model, how full the window is, and the cost of the conversation, if known."""
        extent = self.extent
        if self._spent[0] != self.head:
            self._spent = (self.head, cost_of(self.head))
        words = [self.model, extent.words if extent else "", self._spent[1]]
        return " · ".join(it for it in words if it)

    def _whom(self) -> dict[str, Any]:
        """The settings that say who is asked, and with what window."""
        return {**{name: self.flags.get(name) for name in _WHOM}, "role": self.role}

    def with_its_images(self, message: Message) -> Message:
        """The message with the images of the question that it replaces."""
        if self.editing is None:
            return message
        old = self.turns[self.editing].question.parts
        return Message("user", [*(it for it in old if isinstance(it, Image)), *message.parts])

    @property
    def is_editing(self) -> bool:
        """Whether the line is a question or a summary that is being edited."""
        return self.editing is not None or self.compacting

    def stop_editing(self) -> str:
        """End the edit; returns the text that was typed after it, for the prompt."""
        waiting = joined(*self.queue, self.behind)
        self.editing, self.compacting = None, False
        self.queue, self.behind = [], ""
        return waiting

    def ask(self, request: Request) -> Asked:
        """A request with its settings and its place. Raises `ChatstreamError`."""
        after = len(self.turns) if request.after is None else request.after
        place = self._place(after)
        if request.after is not None:
            place = replace(place, chosen=True)
        resolved = self._resolved(place, request.model)
        question = question_at(place, resolved, [request.message])
        return Asked(
            message=request.message,
            resolved=resolved,
            question=replace(question, spent=self._spent_here),
            follow=follow_of(place, resolved, self._known() if place.parent else None),
            after=after,
            model=request.model,
        )

    def settings(self) -> Settings:
        """The settings for the next message. Raises `ChatstreamError`."""
        return self._resolved(self._place(len(self.turns))).settings

    def use(self, flags: Mapping[str, Any]) -> None:
        """Use these settings from now on.

        Raises `ConfigError`, `UsageError` if they cannot be used; then nothing has changed.
        """
        before, self.flags = self.flags, {**flags}
        try:
            check(self.settings())
        except ChatstreamError:
            self.flags = before
            raise

    def carry_on(self, continued: Continuation) -> Asked:
        """The settings and the place to continue an answer with. Raises `ChatstreamError`."""
        from chatstream.engine.resume import continuation, unfinished

        flags = with_model(self.flags, continued.model) if continued.model else self.flags
        flags = {it: value for it, value in flags.items() if it not in FOR_A_START}
        flags["role"] = self.role and self.role.without_system()
        resolved, question = continuation(unfinished(continued.run), flags)
        asked = [it for it in question.messages if it.role == "user"]
        return Asked(
            message=asked[-1],
            resolved=resolved,
            question=question,
            follow=not_followed,  # it is another attempt of a turn that has its place
            after=len(self.turns) - (self.head == continued.run),
            model=continued.model,
        )

    def settle(self, asked: Asked, run: Run | None, heard: Heard) -> bool:
        """Take over the result of a run; False without an answer: then everything is as before."""
        self.answering, self.compared = None, []
        if run is None:
            return False
        if not (heard.is_saved and is_kept(run.id)):
            self.spend(heard)
        return self.take(asked, run, heard)

    def take(self, asked: Asked, run: Run, heard: Heard) -> bool:
        """Continue from the answer of a run; False if it has none. Its cost is known."""
        made = heard.transcript.messages
        kept = run.id if heard.is_saved and is_kept(run.id) else None
        whole = heard.transcript.message.complete
        self.stopped, self.stopped_model = None if whole else kept, asked.model
        if not made[-1].is_answer:
            return False
        if asked.question.parent is None:
            said = asked.question.messages
            self.opening = tuple(it for it in said if it.role == "system")
        self.turns[asked.after :] = [Turn(kept, (asked.message, *made))]
        self.heard, self.editing, self.unanswered = heard, None, None
        self._answered_as = self.role
        extent = extent_of(heard.context, heard.transcript)
        self._measured = (self.turns[-1], self._whom(), extent) if asked.model is None else None
        if asked.model is None:
            self._source = kept or self._source
            self._answered_by = heard.who.model or self._answered_by
        self._chosen, self._name = False, None
        return True

    def spend(self, heard: Heard) -> None:
        """Add the cost of a run without a journal, if known."""
        if (cost := getattr(heard.transcript.terminal, "cost", None)) is not None:
            self._spent_here += cost.run

    def undo(self) -> Turn:
        """The next question follows the answer before the last. Raises `UsageError`."""
        if not self.turns:
            raise UsageError("there is no question yet")
        self._chosen, self.compared = True, []
        self.stopped = self.stopped_model = self.unanswered = self.editing = None
        taken = self.turns.pop()
        if self.turns and not self.turns[-1].answer.complete:
            self.stopped = self.head
        return taken

    def turn(self, number: int | None) -> int:
        """The index of turn `number`, from 1, or of the last. Raises `UsageError`."""
        if not self.turns:
            raise UsageError("there is no question yet")
        if number is None:
            return len(self.turns) - 1
        if not 1 <= number <= len(self.turns):
            there = counted(len(self.turns), "question")
            raise UsageError(f"there is no question {number}; the conversation has {there}")
        return number - 1

    def clear(self) -> str | None:
        """Begin a new conversation; returns the head of the old one."""
        head = self.head
        self.enter(START)
        self.heard = None
        return head

    def use_system(self, text: str) -> bool:
        """Set the system prompt. True if that begins a new conversation with the same messages."""
        self.flags["system"] = text
        if not self.turns and not self.opening:
            return False
        foreign = any(it.foreign for it in self.opening)
        self.begin_with(with_summary(text, parted(self.system)[1]), self.turns, foreign=foreign)
        return bool(self.turns)

    def begin_with(self, system: str, turns: Sequence[Turn], *, foreign: bool) -> None:
        """The next message begins a conversation with this system prompt and these turns.

        The same model is asked, and the old conversation stays as it is. `foreign`: the prompt may
        contain what others have written.
        """
        self.opening = (Message("system", [Text(system, foreign)]),) if system else ()
        self.turns = [Turn(None, it.messages) for it in turns]
        self.stopped, self.compared = None, []

    def use_model(self, name: str) -> None:
        """Ask this model from now on: an alias, MODEL, MODEL@PLACE or @PLACE.

        Raises `ConfigError`, `UsageError`.
        """
        self.use(with_model(self.flags, name))
        self.stopped_model = None

    def name(self, name: str) -> None:
        """Name the conversation. Raises `ConfigError`, `UsageError`, `JournalError`."""
        if not self.settings().journal:
            raise UsageError("a conversation without a journal cannot have a name")
        if self.head is None:
            self._known().check_name(name, None)
            self._name = name
        else:
            self._known().name(self.head, name)

    def go_to(self, run: str) -> None:
        """Continue after the answer of this run. Raises `UsageError`, `JournalError`."""
        self.enter(place_of(at=run))
        self.heard = None

    def _place(self, after: int) -> Place:
        """The place behind the first `after` turns."""
        turns = self.turns[:after]
        said = tuple(message for turn in turns for message in turn.messages)
        return Place(
            parent=turns[-1].run if turns else None,
            messages=(*self.opening, *said),
            source=self._source,
            chosen=self._chosen,
            name=self._name,
        )

    def _resolved(self, place: Place, model: str | None = None) -> Resolved:
        flags = with_model(self.flags, model) if model else {**self.flags}
        if not place.is_start:
            flags = {it: value for it, value in flags.items() if it not in FOR_A_START}
        flags["role"] = self._role(place)
        return resolved_at(place, flags)

    def _role(self, place: Place) -> Role | None:
        if self.role is None or place.is_start:
            return self.role
        return self.role.without_system()

    def _turns_to(self, run: str) -> list[Turn]:
        turns: list[Turn] = []
        for its, messages in self._known().turns(run):
            turns += turns_of(its, messages)
        return turns

    def _belongs(self, head: str | None) -> Belongs:
        return lambda after: belongs(self._known(), head, after)

    def _known(self) -> Conversations:
        if self._conversations is None:
            from chatstream.store.conversation import Conversations

            self._conversations = Conversations(state_folder())
        return self._conversations

"""The loop of a chat: a line is read, a command acts or a question is asked, its answer is shown.

1. Ctrl+C stops an answer or a command, and never ends the chat. It does end a pipe of lines,
   because nobody is there to continue. Ctrl+D ends a chat with 0, and the end of a pipe with the
   status of the last failure. SIGTERM and SIGHUP end both with 143 and 129.
2. An answer that was stopped or broke off with text stays as it is. Without text, even if the
   server calls that whole, the question is not part of the conversation: it returns to the prompt,
   and so do the lines that were queued behind it. They are not sent by themselves. Lines queued
   behind `/edit` or a summary wait until that is sent, and return to the prompt if the edit is
   given up.
3. An answer is shown as `ask` shows it, by the same code.
4. If nobody can read the answers any more, no further question is asked: the chat ends with 1 if
   writing to standard output fails, and as usual if the reader has closed it.
5. The terminal has one owner at a time: the editor while a line is read, the view while an answer
   comes. Text that is typed in between is queued, or is in the next line (`typeahead`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from chatstream.cancel import CancelToken
from chatstream.chat import commands, compacting, fullness
from chatstream.chat.answers import in_our_words, part
from chatstream.chat.arguments import files_in
from chatstream.chat.session import Session
from chatstream.chat.turns import Asked, Compare, Continuation, Following, Heard, Request, Summary
from chatstream.chat.typeahead import TypeAhead, joined
from chatstream.engine.attaching import with_images
from chatstream.engine.kept_tools import KeptTools
from chatstream.engine.pool import Pool
from chatstream.engine.run import Run
from chatstream.engine.settings import Settings
from chatstream.errors import (
    Cancelled,
    ChatstreamError,
    OutputError,
    UsageError,
)
from chatstream.events import Approval, Content
from chatstream.flow import Arrival, close
from chatstream.messages import Message
from chatstream.sinks.output import put
from chatstream.terminal import exits, stdout
from chatstream.terminal.answering import Answering
from chatstream.terminal.beside import Beside
from chatstream.terminal.interrupt import Ends, interrupts
from chatstream.terminal.keyboard import Keyboard
from chatstream.terminal.look import is_screen
from chatstream.terminal.prompt import compose
from chatstream.wording import counted

ARGUMENTS: Mapping[str, Any] = {"as_json": False, "plain": False, "save_images": None}
"""The arguments of `ask` that decide how an answer is shown."""


class Editor(Protocol):
    """The source of lines.

    `is_person`: somebody reads the notes beside the answers, and can send a line again.
    `can_edit`: a line may begin with a draft, which can be edited.
    `keyboard`, a `whole` one, has the text that is typed between two lines; None if that text is
    not read.
    """

    is_person: bool
    can_edit: bool

    @property
    def keyboard(self) -> Keyboard | None:
        """See above."""

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next line or message; None at the end.

        `session.draft` is the beginning of the line, and then the line so far. Raises the reason of
        `token`, and `UsageError` for input that is not text.
        """

    def typed_ahead(self) -> list[str]:
        """The lines that wait, if no keyboard has them. Never waits, raises nothing."""

    def echo(self, line: str) -> None:
        """Show a line that was queued as one that was read."""

    def restore(self) -> None:
        """Put the terminal's mode back. Idempotent, never waits or raises; for signal handlers."""

    def close(self) -> None:
        """Give the terminal back. Idempotent."""


def chat(session: Session, editor: Editor) -> int:
    """Talk until the end; returns the exit status."""
    pool, tools, token = Pool(), KeptTools(), CancelToken()
    try:
        ends: Ends = "nothing" if editor.is_person else "program"
        with interrupts(token, editor.restore, ends=ends):
            return _Chat(session, editor, pool, tools, token).talk()
    except Cancelled as reason:
        return reason.exit_status
    finally:
        editor.close()
        session.close()
        tools.close()
        pool.close()


class _Unread(Exception):
    """Standard output can no longer be written; `status` is the exit status."""

    def __init__(self, status: int = 0) -> None:
        super().__init__()
        self.status = status


class _Turn:
    """One question and its answer. `asked` is what was sent, once it was."""

    def __init__(self, following: Following, answering: Answering) -> None:
        self.following = following
        self.answering = answering
        self.heard = Heard()
        self.asked: tuple[Asked, Run] | None = None


class _Chat:
    """`token` is cancelled when the program is to end."""

    def __init__(
        self,
        session: Session,
        editor: Editor,
        pool: Pool,
        tools: KeptTools,
        token: CancelToken,
    ) -> None:
        self._session = session
        self._editor = editor
        self._pool = pool
        self._tools = tools
        self._token = token
        self._stop = CancelToken()  # stops the current line's command or question
        self._status = 0  # of the last failure
        self._sending = ""  # the line that has no answer yet
        self._typed = TypeAhead()  # while no line is read
        self._nearly_full = fullness.Note()
        self._beside: Beside | None = None
        if editor.keyboard is not None:
            self._beside = Beside(editor.keyboard, self._typed, self._keep)

    def talk(self) -> int:
        """Until the end; raises what ends the program before that."""
        while (line := self._line()) is not None:
            try:
                with self._stoppable():
                    status = self._do(line)
            except commands.Leave:
                self._sending = ""
                self._return(None)  # it is the draft of the next chat
                break
            except _Unread as unread:
                return unread.status or self._status
            self._token.check()
            self._status = status or self._status
        return 0 if self._editor.is_person else self._status

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl+C stops a line's command or question, even before anything of it is shown."""
        self._stop = CancelToken()
        try:
            with interrupts(self._stop):
                yield
        finally:
            reason = self._stop.reason
            if reason is not None and (type(reason) is not Cancelled or not self._editor.is_person):
                self._token.cancel(reason)

    def _line(self) -> str | None:
        """The next line; what was queued comes first."""
        session = self._session
        while True:
            self._hear()
            if not session.is_editing:
                session.draft, session.behind = joined(session.draft, session.behind), ""
            if session.queue and not session.is_editing:
                line = session.queue.pop(0)
                self._editor.echo(line)
                return line
            if session.queue:
                exits.note(f"{counted(len(session.queue), 'message')} queued behind the edit")
            try:
                read = self._editor.read(session, self._token)
            except UsageError as error:
                self._status = exits.report(error, ())
                continue
            session.draft = ""
            if read is None or read.strip():
                return read

    def _listen(self) -> None:
        """From here on typed text is for later, and so is text that was typed before."""
        session, typed = self._session, self._typed
        if self._beside is not None:
            self._beside.keyboard.listen()
            typed.queued, typed.draft = session.queue, session.draft
            session.queue, session.draft = [], ""

    def _hear(self) -> None:
        """Put the text that was typed since then into the queue and the draft."""
        session = self._session
        if self._beside is not None:
            self._beside.keyboard.hold()
            self._beside.finish()
            queued, draft = self._typed.take()
            session.queue += queued
            if session.is_editing and session.draft:  # the new text is not part of the edit
                session.behind = joined(session.behind, draft)
            else:
                session.draft = joined(session.draft, draft)
        session.queue += self._editor.typed_ahead()

    def _keep(self) -> None:
        """Store the text that is not answered or not sent on the disk."""
        typed = self._typed
        self._session.keep(self._session.draft, self._sending, *typed.queued, typed.draft)

    def _do(self, line: str) -> int:
        """Run a line's command or ask its question; returns the exit status."""
        session = self._session
        self._sending = line
        if session.compacting and not compacting.is_summary(line):
            session.draft = session.stop_editing()
            exits.note("the summary is not used")
        self._listen()
        self._keep()
        try:
            if stdout.is_closed():
                self._return(line)
                raise _Unread
            if not commands.is_command(line):
                return self._send(commands.as_message(line))
            was_editing = session.editing is not None
            following = commands.run(session, line)
            self._sending = ""
            if was_editing and session.editing is None:
                self._return(None)
            self._keep()
            if isinstance(following, Summary):
                compacting.begin(can_edit=self._editor.can_edit)
            if isinstance(following, Compare):
                if following.request is None:
                    return self._send(following.question, following.typed, following.models)
                return self._compare(following.request, following.models)
            return self._answer(following) if following is not None else 0
        except Cancelled as reason:
            self._return(line)
            return reason.exit_status
        except BrokenPipeError as error:
            raise _Unread from error
        except OutputError as error:
            raise _Unread(exits.report(error, ())) from error
        except ChatstreamError as error:
            status = exits.report(error, ())
            self._return(line)
            return status

    def _send(self, message: str, typed: str = "", models: Sequence[str] = ()) -> int:
        """Ask the question that was typed, with its files and images; or ask it of these models.

        `typed` is the line that it comes from, if that is another text.
        """
        session, token = self._session, CancelToken()
        with interrupts(token):
            if self._editor.is_person:
                found = files_in(message, session.files)
                session.files += found
                for path in found:
                    exits.note(f"with the file {path}")
            settings = session.settings() if session.files or session.images else Settings()
            try:
                text = compose(message, session.files, token, use_stdin=False, settings=settings)
                asked = Message("user", text)
                if session.images:
                    asked = with_images(text, session.images, token, keep=settings.journal)
            except ChatstreamError:
                self._drop_files(token)
                raise
        asked = session.with_its_images(asked)
        attached = frozenset([*session.files, *session.images])
        typed = typed or message
        request = Request(message=asked, after=session.editing, typed=typed, attached=attached)
        return self._compare(request, models) if models else self._answer(request, typed)

    def _drop_files(self, token: CancelToken) -> None:
        """A file that cannot be read must not block the next message as well."""
        session = self._session
        if self._editor.is_person and not token.cancelled and (session.files or session.images):
            session.files, session.images = [], []
            exits.note("the next message has no files now")

    def _answer(self, following: Following, typed: str | None = None) -> int:
        """Ask and show the answer; `typed` returns to the prompt without one."""
        session = self._session
        flags = compacting.flags_of(session) if isinstance(following, Summary) else session.flags
        answering = Answering(ARGUMENTS, flags, self._pool, self._beside, self._tools)
        turn = _Turn(following, answering)
        status = self._show(turn)
        if turn.heard.is_whole:
            part(turn.heard.transcript.message.content, answering.settings)
        status = self._settle(turn, status)
        if said := self._nearly_full.after(session.extent, trims=answering.settings.trim):
            exits.note(said)
        is_unanswered = session.unanswered is following
        if status or is_unanswered:
            self._return(typed if is_unanswered else None)
        return self._ended(answering.token, status, shown=turn.heard.is_whole)

    def _compare(self, request: Request, models: Sequence[str]) -> int:
        """Ask several models and show their answers."""
        from chatstream.chat.comparing import compare

        self._sending, token = request.typed, CancelToken()
        self._keep()
        untie = self._stop.tie(token)
        try:
            args = (self._session, request, models, self._pool, token, self._beside)
            status, shown = compare(*args)
        finally:
            untie()
        self._sending = ""
        if status:
            self._return(request.typed if self._session.unanswered is request else None)
        return self._ended(token, status, shown=shown)

    def _ended(self, token: CancelToken, status: int, *, shown: bool) -> int:
        """End the program if a signal has asked for that, or if nobody can read the answers.

        Else returns the exit status.
        """
        reason = token.reason
        if reason is not None and (type(reason) is not Cancelled or not self._editor.is_person):
            self._token.cancel(reason)
        elif not shown:
            raise _Unread(status)
        return status

    def _show(self, turn: _Turn) -> int:
        """Show the answer while it comes; returns the exit status."""
        answering = turn.answering
        follows = bool(self._session.turns) and not isinstance(turn.following, Summary)
        watching = (
            turn.heard.stage,
            partial(self._answered, turn),
            partial(
                in_our_words, answering.token, lambda: answering.settings, "/continue", follows
            ),
        )
        untie = self._stop.tie(answering.token)
        try:
            return answering.show(partial(self._begin, turn), *watching)
        finally:
            untie()

    def _begin(self, turn: _Turn) -> Run:
        """Ask, with what the conversation has before it."""
        session, following, answering = self._session, turn.following, turn.answering
        if isinstance(following, Continuation):
            its = session.carry_on(following)
        elif isinstance(following, Summary):
            its = compacting.asked(session)
        else:
            its = session.ask(following)
        answering.use(its.resolved, lambda: None)
        run = answering.begin(its.resolved, its.question, follow=its.follow)
        if is_screen(its.resolved.settings, as_json=False, plain=False):
            put(b"\n")  # between the question and its answer
        turn.asked = (its, run)
        return run

    def _settle(self, turn: _Turn, status: int) -> int:
        """Make the answer a part of the conversation, or the question unanswered."""
        session, following = self._session, turn.following
        if isinstance(following, Summary):
            self._hear()
            return status or 1 - compacting.take(session, turn.heard)
        is_settled = turn.asked is not None and session.settle(*turn.asked, turn.heard)
        if isinstance(following, Request):
            if is_settled:
                session.detach(following)
            else:
                session.unanswered = following
        return status

    def _answered(self, turn: _Turn, arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
        """The stage that ends the draft of the question: its answer has begun."""
        kept = True
        try:
            for arrival in arrivals:
                if any(isinstance(it, Approval) and it.is_question for it in arrival.events):
                    self._session.queue += self._editor.typed_ahead()  # the question drops the rest
                if kept and any(isinstance(it, Content) for it in arrival.events):
                    kept = not turn.heard.transcript.message.is_answer
                    if not kept:
                        self._begun(turn)
                yield arrival
        finally:
            close(arrivals)

    def _begun(self, turn: _Turn) -> None:
        """The question has an answer; a draft that is stored from now on follows it."""
        session = self._session
        self._sending = ""
        if isinstance(turn.following, Request):
            session.detach(turn.following)
        if turn.asked is not None:
            session.begin_answer(turn.asked[1])
        self._keep()

    def _return(self, line: str | None) -> None:
        """Put the unanswered question, and the lines after it, into the prompt again."""
        session = self._session
        if not self._editor.is_person:
            return
        self._hear()
        if not session.is_editing:
            session.draft, session.queue = joined(line, *session.queue, session.draft), []
        elif line:  # the others wait behind it
            session.draft, session.behind = line, joined(session.behind, session.draft)
        session.keep(session.draft)

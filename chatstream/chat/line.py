"""The line editor of a chat, on a terminal. The only module that knows prompt_toolkit.

1. Enter sends, Alt+Enter and Ctrl+J begin a new line, Tab completes, Ctrl+R searches what was asked
   before, Ctrl+X Ctrl+E opens the editor that VISUAL or EDITOR names; what it writes is in the line
   again, and not sent.
2. Ctrl+C clears the line, and up-arrow brings it back; on an empty line it says that Ctrl+D leaves.
   SIGTERM and SIGHUP end the reading at once.
3. It owns the terminal only while it reads. In between nothing that is typed is shown or thrown
   away: it is in the next line, and Enter is the end of a line there, for nothing is sent by
   itself. Bracketed paste stays on from the first prompt to `close`.
4. The terminal is asked nothing: no cursor position, no mouse, no kitty protocol.
5. What was typed before is in the store of runs, and in no file of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, ThreadedCompleter
from prompt_toolkit.completion import Completion as Choice
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History, ThreadedHistory
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output
from prompt_toolkit.output.vt100 import Vt100_Output

from chatstream.cancel import CancelToken
from chatstream.chat.completing import completions
from chatstream.chat.session import Session
from chatstream.errors import Cancelled
from chatstream.escape import clean
from chatstream.store.place import NoHome, state_folder
from chatstream.terminal.keyboard import Quiet

HINT = "Ctrl+D leaves"

_PASTES_OFF = "\x1b[?2004l"
_BUFFER = "DEFAULT_BUFFER"  # prompt_toolkit's name for the line
_MENU_LINES = 6


class LineEditor:
    """An `Editor` with keys, history and completion."""

    is_person = True

    def __init__(self, *, vi: bool, colours: bool) -> None:
        self._session: Session | None = None
        self._hint = ""
        self._ahead = ""  # what was typed behind the Enter that has sent a line
        self._quiet = Quiet()
        self._output = _output()
        self._history = ThreadedHistory(_Asked())
        self._prompt: PromptSession[str] = PromptSession(
            self._label,
            output=self._output,
            multiline=True,
            history=self._history,
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            key_bindings=self._keys(),
            rprompt=self._right,
            prompt_continuation="  ",
            completer=ThreadedCompleter(_Completer(self)),
            complete_while_typing=False,
            reserve_space_for_menu=_MENU_LINES,
            enable_suspend=True,
            tempfile_suffix=".md",
            include_default_pygments_style=False,
        )
        self._colours = colours

    @property
    def session(self) -> Session | None:
        """The session whose line is read now."""
        return self._session

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next message or command; None at the end. Raises the reason of `token`."""
        self._session, self._hint = session, ""
        buffer = self._prompt.default_buffer
        buffer.on_text_changed += self._changed
        forget = []

        def watch() -> None:
            app = get_app()
            loop = app.loop
            assert loop is not None

            def leave() -> None:
                if app.is_running and not app.is_done:
                    app.exit(exception=token.reason or Cancelled("stopped"))

            def wake() -> None:  # for signal handlers: the loop sleeps in a system call
                loop.call_soon_threadsafe(leave)

            forget.append(token.on_cancel(wake))

        try:
            token.check()
            begun = session.draft + self._ahead
            return self._prompt.prompt(default=begun, pre_run=watch, handle_sigint=False)
        except EOFError:
            return None
        finally:
            self._ahead = _text_of(get_typeahead(self._prompt.input))
            buffer.on_text_changed -= self._changed
            for remove in forget:
                remove()

    def restore(self) -> None:
        """Put the terminal's mode back. Idempotent, never waits or raises; for signal handlers."""
        self._quiet.restore()

    def close(self) -> None:
        """Give the terminal back. Idempotent."""
        self._quiet.restore()
        self._output.write_raw(_PASTES_OFF)
        self._output.flush()

    def _changed(self, _buffer: object) -> None:
        self._hint = ""
        if self._session is not None:
            self._session.keep(self._prompt.default_buffer.text)

    def _label(self) -> StyleAndTextTuples:
        editing = self._session.editing if self._session else None
        label = "› " if editing is None else f"edit {editing + 1} › "
        return [("bold" if self._colours else "", label)]

    def _right(self) -> StyleAndTextTuples:
        """Who is asked, or a hint; nothing beside a line that was sent."""
        if get_app().is_done or self._session is None:
            return []
        shown = self._hint or clean(self._session.status())
        return [("ansibrightblack" if self._colours else "", shown)]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_line = has_focus(_BUFFER)
        choosing = Condition(lambda: get_app().current_buffer.complete_state is not None)

        @keys.add("enter", filter=in_line & ~choosing)
        def _send(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        @keys.add("enter", filter=in_line & choosing)
        def _choose(event: KeyPressEvent) -> None:
            event.current_buffer.complete_state = None

        @keys.add("escape", "enter", filter=in_line)
        @keys.add("c-j", filter=in_line)
        def _new_line(event: KeyPressEvent) -> None:
            event.current_buffer.newline(copy_margin=False)

        @keys.add("c-x", "c-e", filter=in_line)
        def _edit(event: KeyPressEvent) -> None:
            event.current_buffer.open_in_editor()

        @keys.add("c-c", filter=in_line)
        @keys.add("<sigint>")
        def _clear(event: KeyPressEvent) -> None:
            buffer = self._prompt.default_buffer
            if buffer.text:
                self._history.append_string(buffer.text)
                buffer.reset()
                if self._session is not None:
                    self._session.keep("")
                    self._session.editing = None
            else:
                self._hint = HINT
            event.app.invalidate()

        return keys


def _text_of(pressed: Iterable[KeyPress]) -> str:
    """The text that these keys stand for; those that only move are left out."""
    texts = []
    for press in pressed:
        if press.key in {Keys.ControlM, Keys.ControlJ}:
            texts.append("\n")
        elif press.key == Keys.BracketedPaste or len(press.key) == 1:
            texts.append(press.data.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(texts)


class _Asked(History):
    """What the user has asked before, the newest first. What is typed now is kept by its run."""

    def load_history_strings(self) -> Iterable[str]:
        from chatstream.store.questions import questions

        try:
            yield from questions(state_folder())
        except NoHome:
            return

    def store_string(self, string: str) -> None:
        """Nothing: the journals do it."""


class _Completer(Completer):
    """The completions of `completing`, for the session of the editor."""

    def __init__(self, editor: LineEditor) -> None:
        self._editor = editor

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Choice]:
        if self._editor.session is None:
            return
        for it in completions(self._editor.session, document.text_before_cursor):
            yield Choice(it.text, -it.begun, display_meta=it.about)


def _output() -> Output:
    if sys.platform == "win32":
        from prompt_toolkit.output import create_output

        return create_output()
    return _Terminal.from_pty(sys.stdout)


class _Terminal(Vt100_Output):
    """A terminal that is asked nothing, and whose pastes stay bracketed."""

    @property
    def responds_to_cpr(self) -> bool:
        return False

    def erase_down(self) -> None:
        """Erase from the beginning of this line on.

        From the first cell of the screen tmux takes that for clearing all of it, and moves what was
        there into the scrollback. So the first cell is overwritten, and the rest erased.
        """
        self.write_raw(" \x1b[J\b")

    def disable_bracketed_paste(self) -> None:
        """What is pasted during an answer is bracketed, too; `LineEditor.close` ends it."""

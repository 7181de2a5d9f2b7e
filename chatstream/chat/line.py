"""The line editor of a chat, on a terminal. The only module that knows prompt_toolkit.

1. Enter sends, Alt+Enter and Ctrl+J begin a new line, Tab completes, Ctrl+R searches the earlier
   questions. Ctrl+X Ctrl+E opens the editor that VISUAL or EDITOR names; its text returns to the
   line, and is not sent.
   On an empty line Esc Esc opens a picker of the earlier questions: the arrows choose one, Enter
   edits it as `/edit` does, and any other key leaves the picker. Nothing changes before that. In vi
   mode Esc has its own meaning, and there is only the command.
2. Ctrl+C clears the line, and up-arrow brings it back; on an empty line a hint says that Ctrl+D
   leaves. SIGTERM and SIGHUP end the reading at once.
3. It owns the terminal only while it reads. In between, text that is typed is neither shown nor
   thrown away: it waits for `keyboard`, and so does text that was read after the line. Bracketed
   paste stays on from the first prompt to `close`.
4. It sends no queries to the terminal: no cursor position, no mouse, no kitty protocol.
5. Earlier lines come from the store of runs, and not from a file of their own.
6. A line that was sent is written again as one line: the terminal wraps it like any text, and all
   of it is in the scrollback. Before that, and after a resize, the prompt is erased from its first
   row on, wherever the terminal has put it (`sinks.reflow`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, get_app
from prompt_toolkit.completion import CompleteEvent, Completer, ThreadedCompleter
from prompt_toolkit.completion import Completion as Choice
from prompt_toolkit.data_structures import Point
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition, emacs_mode, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History, ThreadedHistory
from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.posix_utils import PosixStdinReader
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Layout
from prompt_toolkit.output import Output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import Renderer

from chatstream.cancel import CancelToken
from chatstream.chat.completing import completions
from chatstream.chat.picking import HINT as PICKER_HINT
from chatstream.chat.picking import MAX_ROWS, Picker
from chatstream.chat.session import Session
from chatstream.errors import Cancelled
from chatstream.escape import clean
from chatstream.sinks.reflow import ERASE_ROWS, keeps_blanks, reflows, rows_above
from chatstream.store.place import NoHome, state_folder
from chatstream.terminal.keyboard import ALONE_SECONDS, Keyboard
from chatstream.terminal.runs import words_of
from chatstream.wording import encodable

HINT = "Ctrl+D leaves"

ANSI_SEQUENCES.setdefault("\x1b[201~", Keys.Ignore)  # of a paste whose beginning was not read here

_PASTES_OFF = "\x1b[?2004l"
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
_CTRL_C = "\x03"
_BUFFER = "DEFAULT_BUFFER"  # prompt_toolkit's name for the line
_MENU_LINES = 6
_RIGHT_FROM = 20  # columns
_CONTINUED = "  "  # before each line of a message but the first


class LineEditor:
    """An `Editor` with keys, history and completion."""

    is_person = can_edit = True

    def __init__(self, *, vi: bool, colours: bool) -> None:
        self._session: Session | None = None
        self._hint = ""
        self._picker: Picker | None = None
        self.keyboard = Keyboard(whole=True)
        self.keyboard.open()
        self.keyboard.hold()
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
            prompt_continuation=_CONTINUED,
            completer=ThreadedCompleter(_Completer(self)),
            complete_while_typing=False,
            reserve_space_for_menu=_MENU_LINES,
            enable_suspend=True,
            tempfile_suffix=".md",
            include_default_pygments_style=False,
        )
        self._colours = colours
        if isinstance(self._prompt.input, Vt100Input):
            self._prompt.input.stdin_reader = _Reader(self._prompt.input, self.keyboard)
        app = self._prompt.app
        app.ttimeoutlen = ALONE_SECONDS  # when an Esc that came alone is a key
        app.renderer = _Renderer(app.renderer.style, self._output)
        self._output.write_raw("\n")  # so that a resize moves no row of the prompt off the screen
        self._output.flush()

    @property
    def session(self) -> Session | None:
        """The session whose line is read now."""
        return self._session

    def read(self, session: Session, token: CancelToken) -> str | None:
        """The next message or command; None at the end. Raises the reason of `token`."""
        self._session, self._hint, self._picker = session, "", None
        self._prompt.app.erase_when_done = False
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
            line = self._prompt.prompt(default=session.draft, pre_run=watch, handle_sigint=False)
            line = encodable(line)  # a byte that is not text was typed
            self.echo(line)
            return line
        except EOFError:
            return None
        finally:
            self.keyboard.give_back(self._unread())
            buffer.on_text_changed -= self._changed
            for remove in forget:
                remove()

    def _unread(self) -> bytes:
        """The text that was read after the line, as the terminal sent it, but Enter is Ctrl+J."""
        source = self._prompt.input
        text, character = "".join(map(_sent, get_typeahead(source))), b""
        if isinstance(source, Vt100Input):
            text += "".join(map(_sent, source.flush_keys()))  # the beginning of a sequence
            source.vt100_parser.feed(_PASTED)
            begun = source.flush_keys()
            if begun and begun[0].key == Keys.BracketedPaste:  # the paste has not ended
                text += f"{_PASTE}{begun[0].data}"
            if isinstance(source.stdin_reader, _Reader):
                character = source.stdin_reader.unread()
        return text.encode("utf-8", "surrogateescape") + character

    def typed_ahead(self) -> list[str]:
        """Returns nothing: the keyboard has it."""
        return []

    def echo(self, line: str) -> None:
        """Show a line that was read or queued, for good: the terminal wraps it, as one line."""
        label = f"\x1b[1m{self._name()}\x1b[0m" if self._colours else self._name()
        text = clean(line).replace("\n", f"\n{_CONTINUED}")
        self._output.write_raw(f"{label}{text}\n")
        self._output.flush()

    def restore(self) -> None:
        """Put the terminal's mode back. Idempotent, never waits or raises; for signal handlers."""
        self.keyboard.restore()

    def close(self) -> None:
        """Give the terminal back. Idempotent."""
        self.keyboard.close()
        self._output.write_raw(_PASTES_OFF)
        self._output.flush()

    def _changed(self, _buffer: object) -> None:
        self._hint, self._picker = "", None
        if self._session is not None:
            self._session.keep(self._prompt.default_buffer.text)

    def _name(self) -> str:
        editing = self._session.editing if self._session else None
        return "› " if editing is None else f"edit {editing + 1} › "

    def _label(self) -> StyleAndTextTuples:
        label: StyleAndTextTuples = [("bold" if self._colours else "", self._name())]
        if self._picker is None or get_app().is_done:
            return label
        size = self._output.get_size()
        return [
            *(
                ("bold" if is_chosen and self._colours else "", f"{text}\n")
                for text, is_chosen in self._picker.rows(size.columns, size.rows)
            ),
            *label,
        ]

    def _right(self) -> StyleAndTextTuples:
        """The model, or a hint; nothing beside a line that is finished."""
        is_narrow = self._output.get_size().columns < _RIGHT_FROM
        if get_app().is_done or self._session is None or is_narrow:
            return []
        hint = PICKER_HINT if self._picker is not None else self._hint
        shown = hint or clean(self._session.status())
        return [("ansibrightblack" if self._colours else "", shown)]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        in_line = has_focus(_BUFFER)
        choosing = Condition(lambda: get_app().current_buffer.complete_state is not None)

        @keys.add("enter", filter=in_line & ~choosing)
        def _send(event: KeyPressEvent) -> None:
            event.app.erase_when_done = True  # `read` shows it
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
            if self._picker is not None:
                self._picker = None
                return
            if buffer.text:
                self._history.append_string(buffer.text)
                buffer.reset()
            else:
                self._hint = HINT
            if self._session is not None:
                buffer.insert_text(self._session.stop_editing())
                self._session.keep(buffer.text)
            event.app.invalidate()

        self._add_picker(keys)  # the last binding of a key goes first
        return keys

    def _add_picker(self, keys: KeyBindings) -> None:
        in_line, picking = has_focus(_BUFFER), Condition(lambda: self._picker is not None)
        empty = Condition(lambda: not self._prompt.default_buffer.text)

        @keys.add("escape", "escape", filter=in_line & empty & emacs_mode & ~picking)
        def _open(_event: KeyPressEvent) -> None:
            turns = self._session.turns if self._session is not None else []
            self._hint = "" if turns else "there is no earlier question"
            if turns:
                self._picker = Picker([words_of(turn.question) for turn in turns])

        def move(by: int) -> Callable[[KeyPressEvent], None]:
            def moved(_event: KeyPressEvent) -> None:
                if self._picker is not None:
                    self._picker.move(by)

            return moved

        for key, by in {"up": -1, "c-p": -1, "down": 1, "c-n": 1}.items():
            keys.add(key, filter=picking)(move(by))
        for key, by in {"pageup": -MAX_ROWS, "pagedown": MAX_ROWS}.items():
            keys.add(key, filter=picking)(move(by))

        @keys.add("escape", filter=picking, eager=True)
        @keys.add("tab", filter=picking)
        def _leave(_event: KeyPressEvent) -> None:
            self._picker = None

        @keys.add("enter", filter=picking)
        def _pick(event: KeyPressEvent) -> None:
            if self._picker is not None:
                event.app.erase_when_done = True
                event.app.exit(result=f"/edit {self._picker.number}")


def _sent(press: KeyPress) -> str:
    """The characters that the terminal sent for this key."""
    if press.key == Keys.BracketedPaste:
        return f"{_PASTE}{press.data}{_PASTED}"
    return "\n" if press.key == Keys.ControlM else press.data


class _Reader(PosixStdinReader):
    """Reads the terminal; half a character at the end can be given back."""

    def __init__(self, source: Vt100Input, keyboard: Keyboard) -> None:
        super().__init__(source.fileno())
        self._parser = source.vt100_parser
        self._keyboard = keyboard

    def read(self, count: int = 1024) -> str:
        """The keys that were typed. Ctrl+C ends a paste whose end never came. A terminal's reply to
        a query that was made during an answer does not count as typed.
        """
        data = self._keyboard.without_late_reply(super().read(count))
        is_key = data.startswith(_CTRL_C) and self._parser._in_bracketed_paste
        return f"{_PASTED}{data}" if is_key else data

    def unread(self) -> bytes:
        """The part of an unfinished character that was read."""
        begun, _ = self._stdin_decoder.getstate()
        self._stdin_decoder.reset()
        return begun


class _Asked(History):
    """The user's earlier questions, newest first. New ones are stored by their runs."""

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


class _Renderer(Renderer):
    """Finds its rows again after the terminal has rewrapped them.

    Each row is a line of its own to the terminal, because it is drawn with wrapping off.
    """

    _cells: dict[int, int]  # that were written in each row since it was erased

    def render(self, app: Application[Any], layout: Layout, is_done: bool = False) -> None:
        if self._last_size not in {None, self.output.get_size()}:
            self.erase()  # here, if nobody has seen the new size before
        super().render(app, layout, is_done)
        if self._last_screen is not None:
            for number, row in self._last_screen.data_buffer.items():
                cells = max((at + 1 for at, it in row.items() if it.char != " "), default=0)
                if keeps_blanks(os.environ):
                    cells = max(cells, self._cells.get(number, 0))
                self._cells[number] = cells

    def erase(self, leave_alternate_screen: bool = True) -> None:
        size, known, at = self.output.get_size(), self._last_size, self._cursor_pos
        if known is not None and size.columns != known.columns and reflows(os.environ):
            rows = [self._cells.get(number, 0) for number in range(at.y)]
            above = rows_above([*rows, at.x + 1], size.columns)
            self._cursor_pos = Point(at.x, min(above, size.rows - 1))
        super().erase(leave_alternate_screen)

    def reset(self, _scroll: bool = False, leave_alternate_screen: bool = True) -> None:
        super().reset(_scroll, leave_alternate_screen)
        self._cells = {}


class _Terminal(Vt100_Output):
    """A terminal that receives no queries, and whose pastes stay bracketed."""

    @property
    def responds_to_cpr(self) -> bool:
        return False

    def erase_down(self) -> None:
        """Erase this row, in whose first cell the cursor is, and all below."""
        self.write_raw(ERASE_ROWS)

    def disable_bracketed_paste(self) -> None:
        """Pastes during an answer are bracketed, too; `LineEditor.close` ends that."""

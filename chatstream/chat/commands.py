"""The commands of a chat, which begin with a slash. A new command is one row in `COMMANDS`.

1. A function takes the session and the text after the command's name. It writes its notes with
   `exits.tell`, and returns what is to be asked next. A mistake is a `ChatstreamError`.
2. A line that begins with `/` and a word is never sent to a model; `//` stands for one slash at the
   beginning of a message.
3. `/exit` raises `Leave`.
"""

from __future__ import annotations

import shlex
import shutil
import textwrap
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from chatstream.addresses import is_url
from chatstream.chat.arguments import number_in, words_in
from chatstream.chat.compacting import compact
from chatstream.chat.equipping import BEGINS_ANOTHER, role, tool
from chatstream.chat.fullness import context, trim
from chatstream.chat.session import Session
from chatstream.chat.turns import Compare, Continuation, Following, Request, Turn
from chatstream.engine.kinds import TABLES, keys_of
from chatstream.engine.resolve import parse
from chatstream.engine.settings import FIELDS
from chatstream.errors import ChatstreamError, UsageError
from chatstream.files import is_file, named
from chatstream.nearest import did_you_mean
from chatstream.terminal.exits import tell
from chatstream.terminal.look import check_look
from chatstream.terminal.runs import ended, words_of
from chatstream.wording import counted, excerpt

Next = Following | Compare | None
"""The request to make after a command."""

SHOWN_TURNS = 5
"""The exchanges that `/history` shows without a number."""

_LEAST_HELP = 28  # columns beside the names of the commands; with fewer the help is below each name
_KEYS = (
    "Enter sends; Alt+Enter or Ctrl+J begins a new line; Tab completes; Ctrl+R searches earlier "
    "questions; Ctrl+X Ctrl+E opens your editor; Esc Esc picks an earlier question; Ctrl+D leaves",
    "during an answer: Enter queues what you type, and the up arrow takes it back; Esc or Ctrl+C "
    "stops the answer, space pauses it, Ctrl+T shows its thinking, Ctrl+K stops its tools",
)


class Leave(Exception):
    """Raised to end the chat."""


class Command(NamedTuple):
    """A command: its arguments, its help, and its function."""

    arguments: str
    help: str
    run: Callable[[Session, str], Next]


def is_command(line: str) -> bool:
    """Whether a line is a command, known or unknown, rather than a message."""
    return line.startswith("/") and not line.startswith("//")


def as_message(line: str) -> str:
    """The message of a line that is not a command."""
    return line[1:] if line.startswith("//") else line


def run(session: Session, line: str) -> Next:
    """Run the command of a line. Raises `ChatstreamError`, and `Leave`."""
    name, *rest = line.split(maxsplit=1)
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(
            f"unknown command {name!r}; nothing was sent",
            hint=did_you_mean(
                name,
                COMMANDS,
                "/help lists the commands; type // for a message that begins with a slash",
            ),
        )
    argument = "".join(rest).strip()
    if argument and not command.arguments:
        raise UsageError(f"{name} takes no argument, but got {excerpt(argument, 40)!r}")
    return command.run(session, argument)


def _help(_session: Session, _argument: str) -> None:
    columns = shutil.get_terminal_size().columns
    names = {f"{name} {it.arguments}".strip(): it.help for name, it in COMMANDS.items()}
    width = max(map(len, names))
    beside = columns >= width + _LEAST_HELP
    indent = " " * (width + 4 if beside else 6)
    wrapped = partial(
        textwrap.wrap, width=columns - 1, subsequent_indent=indent, break_on_hyphens=False
    )
    for name, text in names.items():
        if not beside:
            tell(f"  {name}")
        begun = f"  {name.ljust(width)}  " if beside else indent
        for line in wrapped(text, initial_indent=begun):
            tell(line)
    for text in ("// at the beginning of a message stands for one slash", *_KEYS):
        for line in wrapped(text, initial_indent="  ", subsequent_indent="    "):
            tell(line)


def _model(session: Session, name: str) -> None:
    if name:
        session.use_model(name)
    tell(f"model: {session.model or 'the default one'}")


def _system(session: Session, text: str) -> None:
    if not text:
        tell(f"system prompt: {session.system or 'none'}")
    elif session.use_system(text):
        tell(BEGINS_ANOTHER)


def _set(session: Session, argument: str) -> None:
    name, _, text = argument.partition(" ")
    if not name:
        for it in sorted(session.flags):
            tell(_holding(session, it))
        if not session.flags:
            tell("nothing is set for this chat")
        return
    table, *entry = keys_of(name)
    if table not in FIELDS:
        there = "`chatstream config show` lists the settings"
        raise UsageError(f"unknown setting {name!r}", hint=did_you_mean(name, FIELDS, there))
    if name in {"model", "system"}:
        raise UsageError(f"{name} has a command of its own", hint=f"/{name} {text}".rstrip())
    if table in TABLES and not (entry and table == "options"):
        raise UsageError(
            f"{table} cannot be set in a chat", hint="/set options.KEY VALUE sets an extra option"
        )
    if text:
        value = parse(name, text)
        if entry:
            value = {**session.flags.get(table, {}), entry[0]: value}
        if name == "tools":
            from chatstream.engine.toolbox import check_tools

            check_tools(value)
        elif name == "code_theme":
            check_look(replace(session.settings(), code_theme=value), as_json=False, plain=False)
        session.use({**session.flags, table: value})
    tell(_holding(session, name))


def _holding(session: Session, name: str) -> str:
    """The current value of a setting, or of an entry of one."""
    from chatstream.engine.configuration import as_text

    table, *entry = keys_of(name)
    value = getattr(session.settings(), table, session.flags.get(table))
    value = value.get(entry[0]) if entry and value else value
    return f"{name} = {'-' if value in (None, [], {}) else as_text(name, value)}"


def _file(session: Session, argument: str) -> None:
    session.files += _files_in(argument)
    if not session.files:
        raise UsageError("no file was named", hint="/file FILE sends it with the next message")
    tell(f"with the next message: {', '.join(session.files)}")


def _files_in(argument: str) -> list[str]:
    """The files and addresses that are named. Raises `UsageError` if one of them is neither."""
    names = words_in(argument)
    for name in names:
        if not (is_url(name) or is_file(named(name))):
            raise UsageError(f"{name} is not a file")
    return [name if is_url(name) else str(named(name)) for name in names]


def _image(session: Session, argument: str) -> None:
    session.images += _files_in(argument)
    if not session.images:
        raise UsageError("no image was named", hint="/image FILE sends it with the next message")
    tell(f"with the next message: {', '.join(session.images)}")


def _retry(session: Session, argument: str) -> Next:
    words = words_in(argument)
    if words and (words[0] not in {"-m", "--model"} or len(words) != 2):
        raise UsageError("/retry takes only -m MODEL")
    model = words[1] if words else None
    if session.unanswered is not None:
        again = session.unanswered
        return replace(again, model=model)
    last = session.turn(None)
    return Request(message=session.turns[last].question, after=last, model=model)


def _compare(session: Session, argument: str) -> Next:
    from chatstream.chat.comparing import comparison  # few chats need it

    return comparison(session, argument)


def _pick(session: Session, argument: str) -> None:
    from chatstream.chat.comparing import pick

    pick(session, argument)


def _edit(session: Session, argument: str) -> None:
    at = session.turn(number_in(argument))
    session.editing = at
    session.draft = session.turns[at].question.content
    tell(f"editing question {at + 1}; nothing changes until you send it, and the old one stays")


def _undo(session: Session, _argument: str) -> None:
    turn = session.undo()
    tell(f"taken back: {excerpt(turn.question.content, 60)}")
    if turn.run is not None:
        tell(f"it stays in the history; /goto {turn.run} returns to it")


def _continue(session: Session, _argument: str) -> Next:
    if session.stopped is None:
        raise UsageError("there is no answer to continue")
    return Continuation(session.stopped, session.stopped_model)


def _branches(session: Session, _argument: str) -> None:
    from chatstream.terminal.history import show_tree, with_history

    head = session.head
    if head is None:
        raise UsageError("this conversation has no branches yet")
    with_history(lambda history: show_tree(history, head, as_json=False))


def _goto(session: Session, run: str) -> None:
    if not run:
        raise UsageError("no run was named", hint="/branches lists those of this conversation")
    session.go_to(run)
    last = session.turns[-1]
    tell(f"after {counted(len(session.turns), 'question')}:")
    _show(len(session.turns), last)


def _history(session: Session, argument: str) -> None:
    shown = number_in(argument) or SHOWN_TURNS
    first = max(0, len(session.turns) - shown)
    if not session.turns:
        tell("there is no question yet")
    for number, turn in enumerate(session.turns[first:], first + 1):
        _show(number, turn)


def _show(number: int, turn: Turn) -> None:
    tell(f"── {number} ── {words_of(turn.question)}")
    for message in turn.messages[1:]:
        if words := words_of(message).strip("\n"):
            tell(words if message.role == "assistant" else excerpt(words))
    if not turn.answer.complete:
        tell("(this answer is cut off)")


def _clear(session: Session, _argument: str) -> None:
    head = session.clear()
    tell("a new conversation" + (f"; /goto {head} returns to the old one" if head else ""))


def _save(session: Session, argument: str) -> None:
    answer = session.turns[session.turn(None)].answer
    _write(argument, answer.content)


def _export(session: Session, argument: str) -> None:
    session.turn(None)
    messages = [*session.opening, *(it for turn in session.turns for it in turn.messages)]
    _write(argument, "".join(f"## {it.role}\n\n{ended(words_of(it))}\n" for it in messages))


def _write(name: str, text: str) -> None:
    from chatstream.terminal.saving import failing, write

    if not name:
        raise UsageError("no file was named")
    path = named(name)
    with failing(ChatstreamError, f"{name} cannot be written"):
        write(path, text)
    tell(f"wrote {counted(len(text), 'character', commas=True)} to {name}")


def _name(session: Session, name: str) -> None:
    if not name:
        raise UsageError("no name was given", hint="/name NAME; `chatstream chat --name NAME`")
    session.name(name)
    tell(f"`chatstream chat --name {shlex.quote(name)}` continues this conversation")


def _copy(session: Session, argument: str) -> None:
    from chatstream.terminal.copying import Copying

    answer = session.turns[session.turn(None)].answer
    Copying(code=number_in(argument)).copy_from(answer.content, tell)


def _stats(session: Session, _argument: str) -> None:
    from chatstream.events import Done
    from chatstream.sinks.words import figures

    tell(f"{counted(len(session.turns), 'question')} in this conversation")
    heard = session.heard
    if heard is not None and isinstance(heard.transcript.terminal, Done):
        who = heard.who.model or session.model
        tell(f"last answer: {who} · {figures(heard.transcript.terminal)}")


def _exit(_session: Session, _argument: str) -> None:
    raise Leave


COMMANDS: dict[str, Command] = {
    "/help": Command("", "list the commands", _help),
    "/model": Command("[MODEL]", "ask another model from now on: MODEL or MODEL@PLACE", _model),
    "/system": Command("[TEXT]", "show or set the system prompt", _system),
    "/role": Command("[NAME]", "use a role, or list them; VAR=VALUE may follow its name", role),
    "/tool": Command("[NAME...]", "let the model use more tools, or list those it has", tool),
    "/set": Command("[NAME [VALUE]]", "set a setting for this chat, or show what is set", _set),
    "/file": Command("FILE|URL...", "send these texts, PDFs or pages with the next message", _file),
    "/image": Command("FILE|URL...", "send these images with the next message", _image),
    "/retry": Command("[-m MODEL]", "ask the last question again, as a branch", _retry),
    "/compare": Command("MODEL MODEL... [-- QUESTION]", "ask several models at once", _compare),
    "/pick": Command("[N]", "continue from answer N of the last comparison", _pick),
    "/edit": Command("[N]", "change question N, by default the last, and ask it again", _edit),
    "/undo": Command("", "take the last question and its answer back", _undo),
    "/continue": Command("", "continue the answer that broke off or was stopped", _continue),
    "/branches": Command("", "draw this conversation with its branches", _branches),
    "/goto": Command("RUN", "continue after the answer of this run", _goto),
    "/history": Command("[N]", "show the last N questions and answers", _history),
    "/clear": Command("", "begin a new conversation; this one stays in the history", _clear),
    "/context": Command("", "show how full the model's window is", context),
    "/trim": Command(
        "[on|off]", "leave out the oldest turns if the conversation does not fit", trim
    ),
    "/compact": Command("[TEXT]", "begin a new conversation with a summary of this one", compact),
    "/save": Command("FILE", "write the last answer to a file", _save),
    "/export": Command("FILE", "write the conversation to a file, as Markdown", _export),
    "/name": Command("NAME", "name the conversation", _name),
    "/copy": Command("[N]", "copy the last answer, or its code block N", _copy),
    "/stats": Command(
        "", "show how many questions there were, and the last answer's figures", _stats
    ),
    "/exit": Command("", "leave, as Ctrl+D does", _exit),
}

"""`/tool` and `/role`: tools and a role for a chat, from the next message on.

1. Tools are added to those that the chat already has, wherever they come from. The user is asked
   about their calls as in every run.
2. The system prompt of a role begins a new conversation that has all messages so far, as that of
   `/system` does. Settings of the chat override the other settings of the role.
3. An unknown name, or a role that cannot be used, changes nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatstream.chat.arguments import words_in
from chatstream.chat.session import Session
from chatstream.engine.kinds import SOURCES_OF_TOOLS
from chatstream.engine.settings import Settings
from chatstream.engine.summaries import parted
from chatstream.errors import ChatstreamError, UsageError
from chatstream.terminal.exits import tell

if TYPE_CHECKING:
    from chatstream.engine.roles import Role

BEGINS_ANOTHER = "the next message begins a new conversation with all messages so far"


def tool(session: Session, argument: str) -> None:
    """Add tools and list all of them. Raises `ChatstreamError`."""
    names = re.findall(r"[^\s,]+", argument)
    if names:
        from chatstream.engine.toolbox import check_tools

        check_tools(names)
        tools = [*dict.fromkeys([*session.settings().tools, *names])]
        session.use({**session.flags, "tools": tools})
    for line in _tools(session.settings()):
        tell(line)


def role(session: Session, argument: str) -> None:
    """Use a role, or show the current one and list all of them. Raises `ChatstreamError`."""
    from chatstream.engine.roles import filled, names

    if not argument:
        known = ", ".join(names())
        tell(f"role: {session.role.name}" if session.role else "role: none")
        tell(f"the roles are: {known}" if known else "`chatstream roles edit NAME` creates a role")
        return
    name, *pairs = words_in(argument)
    its = filled(name, pairs, option="")
    check_role(its)
    begins = _use(session, its)
    tell(f"role: {name}, from the next message on")
    if set_here := [it for it in its.settings if it in session.flags and it != "system"]:
        tell(f"settings of this chat override the role: {', '.join(set_here)}")
    if begins:
        tell(BEGINS_ANOTHER)


def _use(session: Session, role: Role) -> bool:
    """Use a role. True if its system prompt begins a new conversation. Raises `ChatstreamError`."""
    before, session.role = session.role, role
    try:
        session.use(session.flags)
    except ChatstreamError:
        session.role = before
        raise
    from chatstream.engine.context_files import is_from

    text = role.settings.get("system")
    is_its_own = text is None or is_from(text, parted(session.system)[0])
    return not is_its_own and session.use_system(str(text))


def check_role(role: Role) -> None:
    """Raise `UsageError` for a role that a conversation cannot have."""
    if role.template is not None:
        raise UsageError(
            f"role {role.name} is a template for one question, and a chat cannot use it",
            hint=f"`chatstream ask --role {role.name}` uses it",
        )


def _tools(settings: Settings) -> list[str]:
    from chatstream.engine.configuration import as_text

    given = {name: getattr(settings, name) for name in SOURCES_OF_TOOLS}
    lines = [f"{name} = {as_text(name, value)}" for name, value in given.items() if value]
    return lines or ["no tools; /tool NAME... lets the model use some"]

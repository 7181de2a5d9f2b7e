"""`chatstream roles`: the roles in a table, one in full, and one in the user's editor.

A role that cannot be used does not hide the others: its mistakes go to standard error, and the exit
status is 2.
"""

from __future__ import annotations

import json
import os

from chatstream.engine.roles import Role, find, mistakes, names, path_of
from chatstream.errors import ChatstreamError
from chatstream.escape import clean
from chatstream.sinks.output import put
from chatstream.terminal import exits
from chatstream.terminal.runs import ended, first_line
from chatstream.terminal.table import table

EXAMPLE = """\
+++
# The settings of this role. Remove the "# " in front of a line to use it.
# model = "llama3.2"
# temperature = 0.2
# tools = ["read_file", "grep"]
+++
Answer in one short paragraph.
"""


def list_roles(*, as_json: bool) -> int:
    """Print a line for each role; returns the exit status."""
    rows, status = [], 0
    known = names()
    for name in known:
        if wrong := mistakes(name):
            status = exits.report(wrong[0], ())
        else:
            rows.append(find(name))
    if as_json:
        lines = [f"{json.dumps(_described(it), ensure_ascii=False)}\n" for it in rows]
        put("".join(lines).encode("utf-8", "replace"))
    elif rows:
        cells = os.get_terminal_size(1).columns if os.isatty(1) else None
        put(table([_row(it) for it in rows], cells).encode("utf-8", "replace"))
    if not known:
        exits.note("there are no roles yet; `chatstream roles edit NAME` creates one")
    return status


def show_role(name: str) -> int:
    """Check a role and print its text; returns the exit status."""
    role = find(name)
    put(ended(clean(role.text)).encode("utf-8", "replace"))
    return _report(mistakes(name))


def edit_role(name: str) -> int:
    """Let the user edit a role; returns the exit status. Raises `ChatstreamError`."""
    from chatstream.terminal.editing import edit

    path = path_of(name)
    return edit(path, EXAMPLE, lambda _: mistakes(name), f"chatstream roles edit {name}")


def _report(wrong: list[ChatstreamError]) -> int:
    statuses = [exits.report(it, ()) for it in wrong]
    return max(statuses, default=0)


def _row(role: Role) -> list[str]:
    variables = ", ".join(role.variables)
    return [role.name, role.settings.get("model") or "", variables, first_line(role.prompt)]


def _described(role: Role) -> dict[str, object]:
    return {
        "name": role.name,
        "path": str(role.file.path if role.file else ""),
        "model": role.settings.get("model"),
        "variables": list(role.variables),
        "prompt": role.prompt,
        "takes_question": role.template is not None,
    }

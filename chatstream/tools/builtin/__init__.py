"""The tools that come with chatstream. None reaches a file outside of the roots.

files      `read_file` and `list`
writing    `write_file` and `edit_file`; `texts` keeps what a model does not see of a file
memory     which state of a file a run has shown, so that no other one is written over
searching  `grep`; the regular expression runs in a process of its own (`matching`)
calculating, numbers   `calculate`
times      `time`
base       what they have in common
"""

from __future__ import annotations

BUILT_IN: dict[str, str] = {
    "read_file": "chatstream.tools.builtin.files:ReadFile",
    "list": "chatstream.tools.builtin.files:List",
    "grep": "chatstream.tools.builtin.searching:Grep",
    "write_file": "chatstream.tools.builtin.writing:WriteFile",
    "edit_file": "chatstream.tools.builtin.writing:EditFile",
    "calculate": "chatstream.tools.builtin.calculating:Calculate",
    "time": "chatstream.tools.builtin.times:Time",
}
"""Name -> module and class, which is called with the roots (a sequence of paths), and may be given
folders that it must not read (`closed`)."""

"""The tools that come with chatstream. Each is read only, and sees nothing outside of the roots.

files      `read_file` and `list`
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
    "calculate": "chatstream.tools.builtin.calculating:Calculate",
    "time": "chatstream.tools.builtin.times:Time",
}
"""Name -> module and class, which is called with the roots (a sequence of paths), and may be given
folders that it must not read (`closed`)."""

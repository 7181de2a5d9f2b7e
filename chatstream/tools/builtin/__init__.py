"""The tools that come with chatstream. Those for files reach nothing outside of the roots.

files      `read_file` and `list`
writing    `write_file` and `edit_file`; `texts` keeps the parts of a file that a model does not see
memory     which state of a file the model was shown, so that no other state is overwritten
searching  `grep`; the regular expression runs in a process of its own (`matching`)
calculating, numbers   `calculate`
times      `time`
shells     `shell`
fetching, pages   `http_get`
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
    "shell": "chatstream.tools.builtin.shells:Shell",
    "http_get": "chatstream.tools.builtin.fetching:HttpGet",
}
"""Name -> module and class, which is called with the roots (a sequence of paths), and may be given
folders that it must not read (`closed`). `shell` and `http_get` are made by the engine: they need a
keeper and a sandbox, or what opens connections."""
